//! The stack, deployed to a local AWS with the shipped rules, and Slack.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;
use tokio::time::Instant;

use crate::deployed::local_aws::{LocalAws, build};
use crate::parts;
use crate::ruler::starter_rules_folder;
use crate::slack::server::Slack;

/// The shipped windows, `for` and query offset, and the schedule's minutes, twice.
const LONG: Duration = Duration::from_secs(600);
const HOOK: &str = "/services/T000TEST/B000TEST/incident";

/// The stack, until it is dropped.
pub(super) struct Ruling {
    slack: Slack,
    aws: LocalAws,
    _config: TempDir,
}

impl Ruling {
    /// Deploys it, to ask the server at `prometheus`. None is a skip, which was reported.
    pub(super) async fn deploy(prometheus: &str) -> Result<Option<Self>> {
        let (Some(sam), Some(ministack)) = (parts::sam(), parts::ministack()) else {
            return Ok(None);
        };
        let stack = tempfile::tempdir()?;
        let to = stack.path().to_owned();
        tokio::task::spawn_blocking(move || build(&to)).await??;
        let aws = LocalAws::start(&ministack, &sam).await?;
        let slack = Slack::start(HOOK).await?;
        let secrets = aws_sdk_secretsmanager::Client::new(&aws.sdk());
        let secret = secrets
            .create_secret()
            .name("slack-webhook")
            .secret_string(format!("{}{HOOK}", slack.origin))
            .send()
            .await?;
        let config = tempfile::tempdir()?;
        std::fs::create_dir(config.path().join("rules"))?;
        for entry in std::fs::read_dir(starter_rules_folder())? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "yml") {
                let name = path.file_name().context("a name")?;
                std::fs::copy(&path, config.path().join("rules").join(name))?;
            }
        }
        let parameters = [
            ("PrometheusUrl", prometheus.to_owned()),
            (
                "SlackWebhookSecretArn",
                secret.arn().context("an ARN")?.to_owned(),
            ),
            ("SlackWebhookOrigin", slack.origin.clone()),
            ("ConfigDir", config.path().display().to_string()),
            ("EndpointUrl", aws.url.clone()),
        ];
        let outputs = aws.deploy(stack.path(), &parameters).await?;
        let topic = outputs["AlertTopicArn"].as_str().context("a topic")?;
        let routing = format!(
            "route: {{receiver: team, group_by: [alertname, cluster], group_wait: 0s, \
             group_interval: 10s}}\n\
             receivers: [{{name: team, sns_configs: [{{topic_arn: '{topic}', \
             send_resolved: true}}]}}]\n"
        );
        std::fs::write(config.path().join("alertmanager.yml"), routing)?;
        Ok(Some(Self {
            slack,
            aws,
            _config: config,
        }))
    }

    /// Waits until a header with all of these words was posted.
    pub(super) async fn posts(&self, words: &[&str]) -> Result<String> {
        let asked = Instant::now();
        loop {
            let posted = self.slack.posted();
            let has_all = |header: &&String| words.iter().all(|word| header.contains(word));
            if let Some(header) = posted.iter().find(has_all) {
                return Ok(header.clone());
            }
            ensure!(
                asked.elapsed() < LONG,
                "no {words:?} in {posted:#?}; {}",
                self.aws.log_end()
            );
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    /// All that was posted, as text.
    pub(super) fn texts(&self) -> String {
        self.slack.texts()
    }
}
