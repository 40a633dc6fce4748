//! The show on a local AWS: the stack that SAM CLI deploys, fired by its
//! schedule, notified by Slack and e-mail.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use dnswatch_demo::acts::{self, Notified};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::Instant;

use crate::Args;
use crate::aws::Aws;
use crate::console::human;
use crate::parts;
use crate::recorder::{Email, Recorder};
use crate::show::{Scene, Stage};
use crate::slack::Slack;

/// Asks the ruler for a notification, to see whether it arrives.
const TEST: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../events/test-notification.json"
);
const TEST_ALERT: &str = "DnswatchTestNotification";
const EMAIL: &str = "on-call@example.com";
/// Short, so that the end is notified soon; Alertmanager's defaults are for people who sleep.
const ROUTE: &str = "route:
  receiver: everyone
  group_by: [alertname, cluster]
  group_wait: 0s
  group_interval: 10s
  repeat_interval: 1h
receivers:
  - name: everyone
    sns_configs:
";
/// How long one channel may take after the other.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Plays the show to its end.
///
/// # Errors
/// Where a part is missing or ends, where the stack cannot be deployed, or where
/// FIRING and RESOLVED do not both arrive by both channels in time.
pub(crate) async fn play(args: &Args, built: &Path, stage: &mut Stage) -> anyhow::Result<()> {
    let programs = parts::local_aws()?;
    let rules = parts::rule_files(&args.rules)?;
    if !built.join("template.yaml").is_file() {
        bail!(
            "there is no stack in {}: demo/build-functions makes it",
            built.display()
        );
    }
    let folder = stage.folder(args.keep)?;
    let config = folder.join("config");
    std::fs::create_dir_all(config.join("rules"))?;
    for rule in rules {
        let name = rule.file_name().context("a rule file has a name")?;
        std::fs::copy(&rule, config.join("rules").join(name))?;
    }

    let mut scene = Scene::set(args, stage, &folder, None).await?;
    let (aws, child) = Aws::start(&programs, &folder).await?;
    stage.ministack = Some(child);
    let (recorder, slack) = (Recorder::bind().await?, Slack::bind().await?);
    stage.console.line(&format!(
        "Prometheus is at http://{} and a local AWS at http://{} meanwhile. Deploying the stack.",
        scene.prometheus,
        aws.address()
    ))?;
    let secret = aws.put_secret(&slack.webhook()).await?;
    let parameters = [
        ("PrometheusUrl", format!("http://{}", scene.prometheus)),
        ("QueryOffset", "5s".to_owned()),
        ("Email", EMAIL.to_owned()),
        ("SlackWebhookSecretArn", secret),
        ("SlackWebhookOrigin", slack.origin()),
        ("ConfigDir", config.display().to_string()),
        ("EndpointUrl", format!("http://{}", recorder.address()?)),
    ];
    let began = Instant::now();
    aws.deploy(built, &parameters).await?;
    let topic = aws.output("AlertTopicArn").await?;
    let routing = format!("{ROUTE}      - topic_arn: {topic}\n        send_resolved: true\n");
    std::fs::write(config.join("alertmanager.yml"), routing)?;
    stage.console.line(&format!(
        "Deployed in {}; its schedule fires every minute. A DNS storm comes over a simulated \
         cluster, and goes: about {}.",
        human(began.elapsed()),
        human(acts::estimate_deployed(scene.storm_ends))
    ))?;

    let ruler = aws.output("RulerFunctionName").await?;
    let (emails_in, mut emails) = unbounded_channel();
    let (posts_in, mut posts) = unbounded_channel();
    let (Some(watcher), Some(cloud)) = (&mut stage.prometheus, &mut stage.ministack) else {
        bail!("Prometheus and the local AWS run");
    };
    let mut heard = Heard::default();
    let test = async {
        let answer = aws.invoke(&ruler, Path::new(TEST)).await;
        match answer {
            Ok(answer) if !answer.contains("\"published\": false") => std::future::pending().await,
            Ok(answer) => anyhow::anyhow!("the test notification was not sent: {answer}"),
            Err(error) => error.context("the test notification"),
        }
    };
    let watched = tokio::select! {
        watched = heard.watch(&mut scene, &mut emails, &mut posts, &mut stage.console) => watched,
        error = test => Err(error),
        error = recorder.serve(aws.address(), emails_in) => Err(error).context("the way to AWS"),
        error = slack.serve(posts_in) => Err(error).context("Slack's stand-in"),
        error = watcher.ended() => Err(error),
        error = cloud.ended() => Err(error),
    };
    watched?;
    if let Some(missing) = heard.missing() {
        bail!(
            "after {}: {missing}; the end of the functions' logs:\n{}",
            human(acts::DEPLOYED_DEADLINE),
            aws.logs().await
        );
    }
    stage.console.line(
        "FIRING and RESOLVED were both notified, by Slack and by e-mail: the demo is over.",
    )?;
    Ok(())
}

/// The notifications of each channel.
#[derive(Debug, Default)]
struct Heard {
    slack: Notified,
    email: Notified,
    /// How many of the two channels had the test notification.
    tests: usize,
}

impl Heard {
    fn missing(&self) -> Option<String> {
        let missing = [("Slack", self.slack), ("e-mail", self.email)].map(|(channel, notified)| {
            notified
                .missing()
                .map(|missing| format!("by {channel} {missing}"))
        });
        let no_test =
            (self.tests < 2).then(|| "the test notification did not come by both".to_owned());
        let missing: Vec<String> = missing.into_iter().flatten().chain(no_test).collect();
        (!missing.is_empty()).then(|| missing.join(", and "))
    }

    /// Moves the cluster on in real time and listens, until both notifications
    /// arrived by both channels or the deadline has passed.
    async fn watch(
        &mut self,
        scene: &mut Scene,
        emails: &mut UnboundedReceiver<Email>,
        posts: &mut UnboundedReceiver<Vec<String>>,
        console: &mut crate::console::Console,
    ) -> anyhow::Result<()> {
        let began = Instant::now();
        let mut all_notified: Option<Instant> = None;
        loop {
            tokio::select! {
                now = scene.second() => {
                    let now = now?;
                    let elapsed = now.saturating_duration_since(began);
                    let is_over = all_notified.is_some_and(|notified| now >= notified + LAST_WORDS);
                    if is_over || elapsed >= acts::DEPLOYED_DEADLINE {
                        return Ok(());
                    }
                    let left = acts::estimate_deployed(scene.storm_ends).saturating_sub(elapsed);
                    scene.report(&format!("about {} left", human(left)), console)?;
                }
                Some(email) = emails.recv() => {
                    self.email.hear(&email.subject);
                    self.tests += usize::from(email.subject.contains(TEST_ALERT));
                    let lines = email.text.lines().map(str::to_owned);
                    let subject = format!("Subject: {}", email.subject);
                    show("e-mail", std::iter::once(subject).chain(lines), console)?;
                }
                Some(post) = posts.recv() => {
                    if let Some(header) = post.first() {
                        self.slack.hear(header);
                        self.tests += usize::from(header.contains(TEST_ALERT));
                    }
                    show("Slack", post.into_iter(), console)?;
                }
            }
            if self.missing().is_none() {
                all_notified.get_or_insert_with(Instant::now);
            }
        }
    }
}

fn show(
    channel: &str,
    lines: impl Iterator<Item = String>,
    console: &crate::console::Console,
) -> anyhow::Result<()> {
    console.line(&format!("┌ {channel}"))?;
    for line in lines {
        console.line(&format!("│ {line}"))?;
    }
    Ok(())
}
