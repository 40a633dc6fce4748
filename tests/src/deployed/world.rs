//! The deployed stack with all that it stands between: nodes, Prometheus, SNS's subscriber and
//! Slack, and proxies on the ways that are to fail.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::time::Duration;

use alerting::state::State;
use anyhow::{Context as _, Result};
use aws_sdk_sqs::types::QueueAttributeName;
use backends::clock::SystemClock;
use backends::state::{DynamoStore, StateStore as _};
use serde_json::json;
use tempfile::TempDir;
use tokio::sync::watch;

use super::cast::{Cast, RULES};
use super::ledger::{Alert, Notified};
use super::local_aws::{LocalAws, build};
use super::runs::Runs;
use super::way::{Failing, Way};
use crate::parts;
use crate::prometheus::Prometheus;
use crate::proxy::{Proxy, Weather};
use crate::slack::server::Slack;

/// Only the Slack function and Slack may read it: the webhook's path.
pub(super) const CANARY: &str = "cAnArYb7Tq2";

/// All of it.
pub(super) struct World {
    pub(super) aws: LocalAws,
    pub(super) way: Way,
    pub(super) backend: Proxy,
    pub(super) cast: Cast,
    pub(super) slack: Slack,
    pub(super) ruler: String,
    table: String,
    queue: String,
    /// The subscriber's notifications, and the raw messages.
    pub(super) notified: watch::Sender<Vec<Notified>>,
    pub(super) messages: watch::Sender<Vec<String>>,
    /// The state as it is stored, checked after each run.
    pub(super) state: watch::Sender<Option<State>>,
    pub(super) runs: RefCell<Runs>,
    /// What the test waits for.
    pub(super) awaited: RefCell<BTreeSet<String>>,
    _prometheus: Prometheus,
    _config: TempDir,
}

impl World {
    /// Starts all of it and deploys the stack. None is a skip, which was reported.
    pub(super) async fn deploy(seed: u64) -> Result<Option<Self>> {
        let (Some(tools), Some(sam), Some(ministack)) =
            (parts::prometheus(), parts::sam(), parts::ministack())
        else {
            return Ok(None);
        };
        let stack = tempfile::tempdir()?;
        let to = stack.path().to_owned();
        tokio::task::spawn_blocking(move || build(&to)).await??;

        let cast = Cast::start().await?;
        let setup = tools.server().config(&cast.scraped());
        let prometheus = setup.start().await?;
        let backend = Proxy::start(prometheus.url()).await?;
        let aws = LocalAws::start(&ministack, &sam).await?;
        let way = Way::start(&aws.url, aws.pid(), seed).await?;
        let path = format!("/services/T000TEST/{CANARY}/hook");
        let slack = Slack::start(&path).await?;
        let secrets = aws_sdk_secretsmanager::Client::new(&aws.sdk());
        let secret = secrets
            .create_secret()
            .name("slack-webhook")
            .secret_string(format!("{}{path}", slack.origin))
            .send()
            .await?;
        let config = tempfile::tempdir()?;
        std::fs::create_dir(config.path().join("rules"))?;
        std::fs::write(config.path().join("rules/dns.yml"), RULES)?;

        let parameters = [
            ("PrometheusUrl", backend.url().to_owned()),
            ("QueryOffset", "2s".to_owned()),
            (
                "SlackWebhookSecretArn",
                secret.arn().context("an ARN")?.to_owned(),
            ),
            ("SlackWebhookOrigin", slack.origin.clone()),
            ("ConfigDir", config.path().display().to_string()),
            ("EndpointUrl", way.url().to_owned()),
        ];
        let outputs = aws.deploy(stack.path(), &parameters).await?;
        let output = |name: &str| {
            let output = outputs[name].as_str();
            output.map(str::to_owned).with_context(|| name.to_owned())
        };
        let topic = output("AlertTopicArn")?;
        let routing = format!(
            "route: {{receiver: team, group_by: [alertname, node], group_wait: 0s, \
             group_interval: 1s}}\n\
             receivers: [{{name: team, sns_configs: [{{topic_arn: '{topic}', \
             send_resolved: true}}]}}]\n"
        );
        std::fs::write(config.path().join("alertmanager.yml"), routing)?;
        let queue = subscribe(&aws, &topic).await?;
        let ruler = output("RulerFunctionName")?;
        way.is_of(&ruler);
        Ok(Some(Self {
            ruler,
            table: output("StateTableName")?,
            aws,
            way,
            backend,
            cast,
            slack,
            queue,
            notified: watch::Sender::default(),
            messages: watch::Sender::default(),
            state: watch::Sender::default(),
            runs: RefCell::default(),
            awaited: RefCell::default(),
            _prometheus: prometheus,
            _config: config,
        }))
    }

    /// Looks at the state as it is stored; if it does not come in time, the next look is as good.
    pub(super) async fn look(&self) -> Result<()> {
        if let Ok(Some((document, _))) = self.store().load().await {
            self.state
                .send_replace(Some(State::from_json(&document).context("the state")?));
        }
        Ok(())
    }

    fn store(&self) -> DynamoStore<SystemClock> {
        let sdk = self.aws.sdk();
        DynamoStore::new(&sdk, &self.table, self.backend.url(), SystemClock)
    }

    /// Takes what comes to the subscriber for ever.
    pub(super) async fn listen(&self) -> Result<()> {
        let sqs = aws_sdk_sqs::Client::new(&self.aws.sdk());
        loop {
            let received = sqs
                .receive_message()
                .queue_url(&self.queue)
                .max_number_of_messages(10)
                // What is silent for five seconds the SDK takes for stalled.
                .wait_time_seconds(2)
                .send()
                .await?;
            for message in received.messages() {
                let body = message.body().context("a body")?.to_owned();
                let notified = Notified::read(&body).with_context(|| body.clone())?;
                sqs.delete_message()
                    .queue_url(&self.queue)
                    .receipt_handle(message.receipt_handle().context("a handle")?)
                    .send()
                    .await?;
                self.messages.send_modify(|messages| messages.push(body));
                self.notified.send_modify(|all| all.push(notified));
            }
        }
    }

    /// Waits until the subscriber was notified that the alert fires, or that it ended.
    pub(super) async fn is_reported(&self, alert: &Alert, fires: bool) -> Result<()> {
        let mut notified = self.notified.subscribe();
        let is_reported = notified.wait_for(|notified| {
            notified
                .iter()
                .any(|notified| notified.of(alert) == Some(fires))
        });
        self.awaits(format!("{alert:?} notified, fires: {fires}"), is_reported)
            .await?;
        Ok(())
    }

    /// Waits until the state that is stored is so.
    pub(super) async fn is_stored(&self, how: &str, so: impl Fn(&State) -> bool) -> Result<()> {
        let mut state = self.state.subscribe();
        let is_so = state.wait_for(|state| state.as_ref().is_some_and(&so));
        self.awaits(format!("a state {how}"), is_so).await?;
        Ok(())
    }

    /// Waits for something; its name is reported if it never happens.
    pub(super) async fn awaits<T>(&self, name: String, event: impl Future<Output = T>) -> T {
        self.awaited.borrow_mut().insert(name.clone());
        let came = event.await;
        self.awaited.borrow_mut().remove(&name);
        came
    }

    /// How many messages the Slack function's queues have, for it and given up.
    pub(super) async fn waiting_for_slack(&self) -> Result<(usize, usize)> {
        let sqs = aws_sdk_sqs::Client::new(&self.aws.sdk());
        let queues = sqs.list_queues().send().await?;
        let mut counts = [0, 0];
        let mut found = 0;
        for queue in queues.queue_urls() {
            let place = match queue {
                _ if queue.contains("SlackDeadLetters") => 1,
                _ if queue.contains("SlackQueue") => 0,
                _ => continue,
            };
            found += 1;
            let attributes = sqs
                .get_queue_attributes()
                .queue_url(queue)
                .attribute_names(QueueAttributeName::All)
                .send()
                .await?;
            for name in [
                QueueAttributeName::ApproximateNumberOfMessages,
                QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
                QueueAttributeName::ApproximateNumberOfMessagesDelayed,
            ] {
                let count = attributes.attributes().and_then(|all| all.get(&name));
                counts[place] += count.context("a count")?.parse::<usize>()?;
            }
        }
        anyhow::ensure!(found == 2, "{queues:?}");
        Ok((counts[0], counts[1]))
    }

    /// Everything in the table, as text: the document unpacked, all else as it lies there.
    pub(super) async fn stored(&self) -> Result<String> {
        let (document, _) = self.store().load().await?.context("a state")?;
        let mut all = String::from_utf8(document)?;
        let table = aws_sdk_dynamodb::Client::new(&self.aws.sdk());
        let mut from = None;
        loop {
            let page = table
                .scan()
                .table_name(&self.table)
                .set_exclusive_start_key(from)
                .send()
                .await?;
            for (name, value) in page.items().iter().flatten() {
                all.push_str(name);
                match value.as_b() {
                    Ok(bytes) => all.push_str(&String::from_utf8_lossy(bytes.as_ref())),
                    Err(value) => all.push_str(&format!("{value:?}")),
                }
            }
            from = page.last_evaluated_key;
            if from.is_none() {
                return Ok(all);
            }
        }
    }

    /// Lets the backend and SNS fail in turns, each a moment long, while `failing` is something.
    pub(super) async fn storm(&self, seed: u64, failing: impl Fn() -> Failing) {
        let mut dice = fastrand::Rng::with_seed(seed);
        'storm: loop {
            let mut turns = [
                (Weather::Refuse, false),
                (Weather::Cut(dice.usize(1..300)), false),
                (Weather::Unavailable, false),
                (Weather::AnswerLost, false),
                (Weather::Fair, true),
                (Weather::Fair, true),
                (Weather::Fair, false),
                (Weather::Fair, false),
                (Weather::Fair, false),
                (Weather::Fair, false),
                (Weather::Fair, false),
                (Weather::Fair, false),
            ];
            dice.shuffle(&mut turns);
            for (weather, is_sns_down) in turns {
                let failing = failing();
                if failing == Failing::Nothing {
                    break 'storm;
                }
                self.way.fails(failing);
                self.backend.set(weather);
                self.way.sns_is_down(is_sns_down);
                // Some bad turns outlast the attempts at a query.
                let longest = if weather == Weather::Fair { 2500 } else { 5000 };
                let turn = Duration::from_millis(dice.u64(500..longest));
                tokio::time::sleep(turn).await;
            }
        }
        self.backend.set(Weather::Fair);
        self.way.fails(Failing::Nothing);
    }
}

/// Subscribes a queue to the topic.
async fn subscribe(aws: &LocalAws, topic: &str) -> Result<String> {
    let sdk = aws.sdk();
    let arn = topic
        .rsplit_once(':')
        .map(|(before, _)| format!("{before}:subscriber").replace(":sns:", ":sqs:"))
        .context("an ARN")?;
    let policy = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
    }]});
    let sqs = aws_sdk_sqs::Client::new(&sdk);
    let created = sqs
        .create_queue()
        .queue_name("subscriber")
        .attributes(QueueAttributeName::Policy, policy.to_string())
        .send()
        .await?;
    let subscribe = aws_sdk_sns::Client::new(&sdk).subscribe();
    let subscribe = subscribe.topic_arn(topic).protocol("sqs").endpoint(arn);
    subscribe.send().await?;
    Ok(created.queue_url().context("a queue")?.to_owned())
}
