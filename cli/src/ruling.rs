//! How rules are evaluated and alerts grouped, as every command that evaluates takes it.

use std::time::Duration;

use alerting::config::Settings;
use alerting::duration;
use alerting::evaluation::EvaluationOptions;
use alerting::labels::Labels;
use alerting::notify::{Receiver, Route};
use alerting::rules::Defaults;
use alerting::state_machine::{External, Semantics};

/// The switches.
#[derive(clap::Args)]
pub(crate) struct Ruling {
    /// How often to run.
    #[arg(long, default_value = "1m", value_parser = duration::parse, value_name = "DURATION")]
    pub(crate) interval: Duration,
    /// The interval of groups that name none.
    #[arg(long, default_value = "1m", value_parser = duration::parse, value_name = "DURATION")]
    evaluation_interval: Duration,
    /// How far back samples are asked for, so that late ones have arrived; a group's own wins.
    #[arg(long, default_value = "1m", value_parser = duration::parse, value_name = "DURATION")]
    query_offset: Duration,
    /// Keep a firing alert open this long when all of its input data stops.
    #[arg(long, default_value = "1h", value_parser = duration::parse, value_name = "DURATION")]
    stale_hold: Duration,
    /// Keep a firing alert open this long when only its own series disappear.
    #[arg(long, default_value = "5m", value_parser = duration::parse, value_name = "DURATION")]
    gone_hold: Duration,
    /// Resolve alerts as soon as their series vanish, without asking why, as Prometheus does.
    #[arg(long)]
    resolve_vanished: bool,
    /// Forget a rule's alerts when it exceeds its group's `limit`, as Prometheus does.
    #[arg(long)]
    limit_wipes_state: bool,
    /// The labels that alerts are grouped by in notifications.
    #[arg(
        long,
        default_value = "alertname,cluster",
        value_delimiter = ',',
        value_name = "LABEL"
    )]
    group_by: Vec<String>,
    /// How long to wait before sending the first notification for a new group of alerts.
    #[arg(long, default_value = "30s", value_parser = duration::parse, value_name = "DURATION")]
    group_wait: Duration,
    /// How long to wait before notifying about changes to a group.
    #[arg(long, default_value = "5m", value_parser = duration::parse, value_name = "DURATION")]
    group_interval: Duration,
    /// How long to wait before sending an unchanged notification again.
    #[arg(long, default_value = "4h", value_parser = duration::parse, value_name = "DURATION")]
    repeat_interval: Duration,
    /// External label to add to alerts that do not set it (NAME=VALUE, repeatable). May be given
    /// several times.
    #[arg(long, value_parser = label, value_name = "NAME=VALUE")]
    external_label: Vec<(String, String)>,
    /// What `$externalURL` is in templates.
    #[arg(long, default_value = "", value_name = "URL")]
    external_url: String,
}

fn label(text: &str) -> Result<(String, String), String> {
    text.split_once('=')
        .filter(|(name, value)| !name.is_empty() && !value.is_empty())
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .ok_or_else(|| "write it as NAME=VALUE".to_owned())
}

impl Ruling {
    /// The settings for the server at `url`: every notification is printed to the terminal.
    pub(crate) fn settings(&self, url: &str) -> Settings {
        Settings {
            workspace: url.to_owned(),
            defaults: Defaults {
                interval: self.evaluation_interval,
                query_offset: self.query_offset,
            },
            route: Route {
                receiver: "terminal".to_owned(),
                group_by: self.group_by.clone(),
                group_wait: self.group_wait,
                group_interval: self.group_interval,
                repeat_interval: self.repeat_interval,
                ..Route::default()
            },
            receivers: vec![Receiver::terminal("terminal")],
            evaluation: EvaluationOptions {
                semantics: Semantics {
                    ask_before_resolve: !self.resolve_vanished,
                    stale_hold: self.stale_hold,
                    gone_hold: self.gone_hold,
                    limit_wipes_state: self.limit_wipes_state,
                },
                external: External {
                    labels: Labels::from_iter(self.external_label.iter().cloned()),
                    url: self.external_url.clone(),
                },
                schedule: self.interval,
                ..EvaluationOptions::default()
            },
            ..Settings::default()
        }
    }
}
