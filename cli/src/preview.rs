//! `dnswatch preview`: each message of a made-up incident as it will arrive. Rules, routing and
//! text are the real ones; only the samples are made up.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use alerting::config::{Config, ConfigFiles, Settings};
use alerting::notify::{
    Details, Integration, Notification, Outgoing, Receiver, Route, SnsConfig, SnsMessage,
};
use alerting::state::State;
use alerting::timestamp::Timestamp;
use anyhow::{Context, Result, bail};
use backends::config_files;
use delivery::Received;
use delivery::envelope::Delivery;
use delivery::message::Message;

use crate::scenario::{self, Scenario};

/// The topic where no configuration names one.
const TOPIC: &str = "arn:aws:sns:eu-central-1:123456789012:alerts";

/// What `dnswatch preview` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// alertmanager.yml, a definition of AMP, or a folder that holds one; without it, what a
    /// stack without a configuration does.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Only this receiver's notifications, as if every alert were routed to it.
    #[arg(long, value_name = "NAME")]
    receiver: Option<String>,
    /// Channel to render for.
    #[arg(long, value_enum, default_value = "email")]
    format: Format,
    /// Scenario to simulate.
    #[arg(value_enum)]
    scenario: Scenario,
}

/// A way to get a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// An e-mail.
    Email,
    /// An SMS.
    Sms,
    /// The JSON that HTTPS, SQS and Lambda subscribers get.
    Webhook,
    /// What is posted to Slack: its blocks can be pasted into Slack's Block Kit Builder.
    Slack,
    /// What is published for Amazon Q Developer in chat applications.
    Q,
    /// The PagerDuty event, without the routing key.
    Pagerduty,
}

/// Prints the messages.
pub(crate) fn preview(args: &Args) -> Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    let config = match config(args)? {
        Ok(config) => config,
        Err(errors) => {
            for error in errors {
                writeln!(out, "{error}")?;
            }
            return Ok(ExitCode::FAILURE);
        }
    };
    let mut shown = 0;
    scenario::play(args.scenario, &config, |state, claimed, now| {
        for notification in claimed {
            shown += 1;
            show(&mut out, args, &config, state, notification, now)?;
        }
        Ok(())
    })?;
    if shown == 0 {
        writeln!(
            out,
            "No notification: the receiver has no topic, or its route is muted at this time."
        )?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The configuration, or what is wrong with it.
fn config(args: &Args) -> Result<Result<Config, Vec<alerting::source::FileError>>> {
    let mut settings = Settings::default();
    settings.receivers = vec![Receiver {
        name: settings.route.receiver.clone(),
        sns: vec![SnsConfig::from_topic(TOPIC.parse().context("the topic")?)],
        ..Receiver::default()
    }];
    settings.evaluation.external.labels = [("cluster", "prod")].into_iter().collect();
    let mut files = match &args.config {
        Some(path) => config_files::read_alertmanager(path)?,
        None => ConfigFiles::default(),
    };
    files.rules = vec![scenario::rules()];
    let mut config = match settings.load(&files) {
        Ok(config) => config,
        Err(errors) => return Ok(Err(errors)),
    };
    if let Some(name) = &args.receiver {
        if config.receiver(name).is_none() {
            bail!("there is no receiver {name:?} in the configuration");
        }
        config.route = Route {
            receiver: name.clone(),
            routes: Vec::new(),
            ..config.route
        };
    }
    Ok(Ok(config))
}

fn show(
    out: &mut impl Write,
    args: &Args,
    config: &Config,
    state: &State,
    notification: &Notification,
    now: Timestamp,
) -> Result<()> {
    let mut details = Details::from_notification(notification, config, state);
    let asks: Vec<_> = details.asks().cloned().collect();
    for ask in asks {
        let answer = scenario::answer(args.scenario, config, &ask);
        details.answer(&ask, &answer, notification, config);
    }
    let outgoing = Outgoing {
        notification,
        details: &details,
        config,
        now,
    };
    let to = match outgoing.integration() {
        Some(Integration::Sns(sns)) => sns.topic_arn.to_string(),
        _ => "the terminal".to_owned(),
    };
    writeln!(out, "──── {now}, {}, to {to}", notification.receiver)?;
    let message = match args.format {
        Format::Q => pretty(&outgoing.amazon_q().document),
        format => message(format, &outgoing.sns(), now)?,
    };
    writeln!(out, "{message}\n")?;
    Ok(())
}

/// What the subscriber gets of a publish. SNS picks its protocol's text, or the default one.
fn message(format: Format, published: &SnsMessage, now: Timestamp) -> Result<String> {
    let text = |protocol: &str| -> Result<String> {
        if !published.is_json {
            return Ok(published.document.clone());
        }
        let document: serde_json::Value = serde_json::from_str(&published.document)?;
        let text = document.get(protocol).or_else(|| document.get("default"));
        let text = text.and_then(serde_json::Value::as_str);
        Ok(text.unwrap_or_default().to_owned())
    };
    Ok(match format {
        Format::Email => {
            let mut shown = format!("Subject: {}\n\n{}", published.subject, text("email")?);
            for (name, value) in &published.attributes {
                shown.push_str(&format!("\n[attribute {name}: {value}]"));
            }
            shown
        }
        Format::Sms => text("sms")?,
        Format::Slack => {
            let message = Message::read(&text("default")?)?;
            let now = jiff::Timestamp::from_millisecond(now.as_millis())?;
            let circumstances = slack::render::Circumstances {
                is_late: false,
                published: Some(now),
                now,
            };
            let subject = Some(published.subject.as_str());
            json(&slack::render::message(&message, subject, circumstances))?
        }
        Format::Pagerduty => {
            let delivery = Delivery {
                id: "preview".to_owned(),
                topic: TOPIC.to_owned(),
                subject: Some(published.subject.clone()),
                published: None,
                message: text("default")?,
            };
            let message = Message::read(&delivery.message)?;
            json(&pagerduty::event::from_received(&Received {
                delivery: &delivery,
                message: &message,
                id: &delivery.id,
                is_late: false,
                note: None,
                now: jiff::Timestamp::from_millisecond(now.as_millis())?,
            }))?
        }
        Format::Webhook | Format::Q => pretty(&text("default")?),
    })
}

/// JSON as a person reads it; anything else as it is.
fn pretty(text: &str) -> String {
    let json = serde_json::from_str::<serde_json::Value>(text);
    json.and_then(|json| serde_json::to_string_pretty(&json))
        .unwrap_or_else(|_| text.to_owned())
}

fn json(value: &impl serde::Serialize) -> Result<String> {
    Ok(serde_json::to_string_pretty(value)?)
}
