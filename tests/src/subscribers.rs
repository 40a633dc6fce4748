//! Publishes without a recipient, on a real SNS client and moto's SNS and SQS: the ruler finds
//! it, and reports it another way.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use alerting::config::{ConfigFiles, Settings};
use alerting::notify::{Found, Outgoing, QueueFault, Receiver, Route, SnsConfig, Subscribers};
use alerting::query::{Answer, Ask, QueryFailure, ResultType};
use alerting::timestamp::Timestamp;
use anyhow::{Context as _, Result, ensure};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_sns::config::StalledStreamProtectionConfig;
use aws_sdk_sqs::types::QueueAttributeName;
use aws_types::SdkConfig;
use backends::aws::sdk_config;
use backends::clock::Clock;
use backends::http::{self, HttpOptions};
use backends::notify::{Notifier, PublishError, SnsNotifier, SnsOptions};
use backends::run::{Querier, Ruler, RunOptions, RunReport};
use backends::state::FileStore;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::front::{Answer as Page, Fate, Front};
use crate::leash::Leash;
use crate::parts;

const REGION: &str = "eu-central-1";
const START: i64 = 1_800_000_000_000;
const MINUTE: Duration = Duration::from_secs(60);
/// As long as a busy machine needs for all lookups of a topic.
const PATIENCE: Duration = Duration::from_secs(60);

/// A clock that is turned by hand.
#[derive(Debug, Clone)]
struct HandClock(Arc<AtomicI64>);

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

/// There are no rules, so nothing is asked.
struct Nothing;

impl Querier for Nothing {
    async fn query(&self, _: &Ask, _: Timestamp) -> Result<Answer, QueryFailure> {
        Ok(Answer::new(ResultType::Vector, Vec::new()))
    }
}

/// The real notifier, which waits for a busy machine and counts its lookups.
struct Patient {
    sns: SnsNotifier,
    lookups: AtomicUsize,
}

impl Notifier for Patient {
    async fn publish(&self, outgoing: &Outgoing<'_>) -> Result<(), PublishError> {
        self.sns.publish(outgoing).await
    }

    async fn subscribers(&self, topics: &[&SnsConfig], _: Duration) -> Vec<Found> {
        self.lookups.fetch_add(topics.len(), Ordering::SeqCst);
        self.sns.subscribers(topics, PATIENCE).await
    }
}

/// A ruler without rules on an AWS with an alert topic and an alarm topic; a queue hears the second.
struct World {
    ruler: Ruler<HandClock, Nothing, FileStore, Patient>,
    sns: aws_sdk_sns::Client,
    sqs: aws_sdk_sqs::Client,
    alerts: String,
    alarms: String,
    runs: usize,
    aws: String,
    _folder: TempDir,
    _moto: Leash,
}

fn sdk(url: &str) -> Result<SdkConfig> {
    let credentials = Credentials::new("a", "b", None, None, "test");
    let credentials = SharedCredentialsProvider::new(credentials);
    let http = http::client(&HttpOptions::default())?;
    Ok(sdk_config(http, REGION, credentials, Some(url)))
}

fn patient(url: &str) -> Result<SnsNotifier> {
    let options = SnsOptions {
        timeout: PATIENCE,
        attempt_timeout: PATIENCE,
        ..SnsOptions::default()
    };
    Ok(SnsNotifier::new(sdk(url)?, options))
}

impl World {
    async fn start() -> Result<Option<Self>> {
        let Some(moto) = parts::moto() else {
            return Ok(None);
        };
        let mut command = std::process::Command::new(moto);
        command.args(["-H", "127.0.0.1", "-p", "0"]);
        let leash = Leash::start(&command)?;
        let url = |line: &str| {
            let (_, rest) = line.split_once("Running on ")?;
            Some(rest.trim().to_owned())
        };
        let aws = leash.says(PATIENCE, url).await?;
        let sdk = sdk(&aws)?;
        // A busy machine is silent for longer than the SDK takes for stalled.
        let sns = aws_sdk_sns::config::Builder::from(&sdk)
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        let sns = aws_sdk_sns::Client::from_conf(sns.build());
        let sqs = aws_sdk_sqs::config::Builder::from(&sdk)
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        let topic = async |name: &str| -> Result<String> {
            let created = sns.create_topic().name(name).send().await?;
            Ok(created.topic_arn().context("a topic")?.to_owned())
        };
        let (alerts, alarms) = (topic("alerts").await?, topic("alarms").await?);
        let folder = crate::ruler::in_memory(1 << 20)?;
        let settings = Settings {
            workspace: "test".to_owned(),
            receivers: vec![Receiver {
                name: "default".to_owned(),
                sns: vec![SnsConfig::from_topic(alerts.parse()?)],
                terminal: false,
                labels: BTreeMap::new(),
                undelivered: Vec::new(),
            }],
            route: Route {
                group_wait: Duration::ZERO,
                ..Route::default()
            },
            alarm_topic: Some(alarms.parse()?),
            ..Settings::default()
        };
        let world = Self {
            ruler: Ruler {
                clock: HandClock(Arc::new(AtomicI64::new(START))),
                querier: Nothing,
                store: FileStore::new(folder.path().join("state.json")),
                notifier: Patient {
                    sns: patient(&aws)?,
                    lookups: AtomicUsize::new(0),
                },
                settings,
                options: RunOptions {
                    allow_empty: true,
                    ..RunOptions::default()
                },
            },
            sqs: aws_sdk_sqs::Client::from_conf(sqs.build()),
            sns,
            alerts,
            alarms,
            runs: 0,
            aws,
            _folder: folder,
            _moto: leash,
        };
        world.queue("alarms", None).await?;
        world
            .subscribe(&world.alarms, "sqs", &arn("alarms"))
            .await?;
        Ok(Some(world))
    }

    async fn subscribe(&self, topic: &str, protocol: &str, endpoint: &str) -> Result<String> {
        let subscribe = self.sns.subscribe().topic_arn(topic).protocol(protocol);
        let subscribed = subscribe.endpoint(endpoint).send().await?;
        Ok(subscribed.subscription_arn().context("an ARN")?.to_owned())
    }

    /// Makes a queue; its URL.
    async fn queue(&self, name: &str, dead: Option<&str>) -> Result<String> {
        let mut create = self.sqs.create_queue().queue_name(name);
        if let Some(dead) = dead {
            let policy = json!({"deadLetterTargetArn": arn(dead), "maxReceiveCount": 3});
            create = create.attributes(QueueAttributeName::RedrivePolicy, policy.to_string());
        }
        create.send().await?.queue_url.context("a queue")
    }

    /// A run after so many minutes.
    async fn run_after(&mut self, minutes: u32) -> Result<RunReport> {
        let passed = i64::try_from((MINUTE * minutes).as_millis())?;
        self.ruler.clock.0.fetch_add(passed, Ordering::SeqCst);
        self.runs += 1;
        let run = format!("run-{}", self.runs);
        Ok(self.ruler.run(&run, Ok(ConfigFiles::default())).await?)
    }

    fn looked_up(&self) -> usize {
        self.ruler.notifier.lookups.swap(0, Ordering::SeqCst)
    }

    /// Status and name of what the queue behind a topic has.
    async fn heard(&self, queue: &str) -> Result<Vec<String>> {
        let url = self.sqs.get_queue_url().queue_name(queue).send().await?;
        let url = url.queue_url.context("a URL")?;
        let mut heard = Vec::new();
        loop {
            let receive = self.sqs.receive_message().queue_url(&url);
            let answer = receive.max_number_of_messages(10).send().await?;
            let Some(message) = answer.messages().first() else {
                return Ok(heard);
            };
            let receipt = message.receipt_handle().context("a handle")?;
            let delete = self.sqs.delete_message().queue_url(&url);
            delete.receipt_handle(receipt).send().await?;
            let body: Value = serde_json::from_str(message.body().context("a body")?)?;
            let webhook = body["Message"].as_str().context("a message")?;
            let webhook: Value = serde_json::from_str(webhook)?;
            let name = &webhook["commonLabels"]["alertname"];
            heard.push(format!(
                "{} {}",
                webhook["status"].as_str().unwrap_or_default(),
                name.as_str().unwrap_or_default()
            ));
        }
    }
}

fn arn(queue: &str) -> String {
    format!("arn:aws:sqs:{REGION}:123456789012:{queue}")
}

#[tokio::test]
async fn an_unsubscription_is_found_and_reported_by_the_alarm_topic() -> Result<()> {
    let Some(mut world) = World::start().await? else {
        return Ok(());
    };
    let mail = "someone@example.com";
    let subscription = world.subscribe(&world.alerts, "email", mail).await?;
    ensure!(world.run_after(0).await?.undelivered == Default::default());
    ensure!(world.looked_up() == 2);
    // Somebody clicks "unsubscribe".
    let unsubscribe = world.sns.unsubscribe();
    unsubscribe.subscription_arn(subscription).send().await?;
    for _ in 0..59 {
        world.run_after(1).await?;
    }
    ensure!(world.looked_up() == 0, "once an hour");
    world.run_after(1).await?;
    ensure!(world.looked_up() == 2);
    ensure!(world.heard("alarms").await?.is_empty());
    let report = world.run_after(15).await?;
    ensure!(
        report.undelivered.topics == [world.alerts.clone()],
        "{report:?}"
    );
    ensure!(world.heard("alarms").await? == ["firing DnswatchNoSubscribers"]);
    ensure!(world.run_after(1).await?.undelivered.topics.len() == 1);

    world.subscribe(&world.alerts, "email", mail).await?;
    let report = world.run_after(5).await?;
    ensure!(report.undelivered == Default::default(), "{report:?}");
    ensure!(world.heard("alarms").await? == ["resolved DnswatchNoSubscribers"]);
    Ok(())
}

#[tokio::test]
async fn an_alarm_topic_without_a_subscriber_is_reported_by_the_alert_topic() -> Result<()> {
    let Some(mut world) = World::start().await? else {
        return Ok(());
    };
    world.queue("slack", None).await?;
    world.subscribe(&world.alerts, "sqs", &arn("slack")).await?;
    let listed = world.sns.list_subscriptions_by_topic();
    let listed = listed.topic_arn(&world.alarms).send().await?;
    let subscription = listed.subscriptions()[0].subscription_arn().context("it")?;
    let unsubscribe = world.sns.unsubscribe();
    unsubscribe.subscription_arn(subscription).send().await?;
    world.run_after(0).await?;
    let report = world.run_after(15).await?;
    ensure!(
        report.undelivered.topics == [world.alarms.clone()],
        "{report:?}"
    );
    ensure!(world.heard("slack").await? == ["firing DnswatchNoSubscribers"]);

    // That it is so on purpose is no fault.
    let alarms = world.alarms.parse()?;
    world.ruler.settings.unsubscribed_topics.insert(alarms);
    let report = world.run_after(5).await?;
    ensure!(report.undelivered == Default::default(), "{report:?}");
    ensure!(world.heard("slack").await? == ["resolved DnswatchNoSubscribers"]);
    Ok(())
}

/// The way of a webhook that answers 200 and accepts nothing: Slack's function refuses the answer,
/// the queue gives up, and what is in the dead letters is found.
#[tokio::test]
async fn what_a_queue_lost_and_a_lost_queue_are_found() -> Result<()> {
    let Some(mut world) = World::start().await? else {
        return Ok(());
    };
    let dead = world.queue("slack-dead", None).await?;
    let slack = world.queue("slack", Some("slack-dead")).await?;
    world.subscribe(&world.alerts, "sqs", &arn("slack")).await?;
    ensure!(world.run_after(0).await?.undelivered == Default::default());

    let lost = world.sqs.send_message().queue_url(&dead);
    lost.message_body("a notification").send().await?;
    let report = world.run_after(60).await?;
    ensure!(report.undelivered.queues == [arn("slack")], "{report:?}");
    ensure!(world.heard("alarms").await? == ["firing DnswatchQueueFailing"]);
    world.sqs.purge_queue().queue_url(&dead).send().await?;
    world.run_after(5).await?;
    ensure!(world.heard("alarms").await? == ["resolved DnswatchQueueFailing"]);

    // SNS still has the subscription as confirmed.
    world.sqs.delete_queue().queue_url(&slack).send().await?;
    let report = world.run_after(60).await?;
    ensure!(report.undelivered.queues == [arn("slack")], "{report:?}");
    ensure!(world.heard("alarms").await? == ["firing DnswatchQueueFailing"]);
    let report = world.run_after(15).await?;
    ensure!(
        report.undelivered.topics == [world.alerts.clone()],
        "{report:?}"
    );
    ensure!(world.heard("alarms").await? == ["firing DnswatchNoSubscribers"]);
    Ok(())
}

/// SNS's answer: subscriptions by their ARN's place, and whether there is another page.
fn page(arns: &[&str], next: Option<&str>) -> Page {
    let member = |arn: &&str| {
        format!(
            "<member><SubscriptionArn>{arn}</SubscriptionArn><Protocol>email</Protocol>\
             <Endpoint>a@example.com</Endpoint></member>"
        )
    };
    let members: String = arns.iter().map(member).collect();
    let next = next.map(|next| format!("<NextToken>{next}</NextToken>"));
    let body = format!(
        "<ListSubscriptionsByTopicResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\">\
         <ListSubscriptionsByTopicResult><Subscriptions>{members}</Subscriptions>{}\
         </ListSubscriptionsByTopicResult><ResponseMetadata><RequestId>1</RequestId>\
         </ResponseMetadata></ListSubscriptionsByTopicResponse>",
        next.unwrap_or_default()
    );
    (200, "text/xml", body)
}

fn denied() -> Page {
    let body = "<ErrorResponse><Error><Type>Sender</Type><Code>AuthorizationError</Code><Message>\
                not authorized to perform: SNS:ListSubscriptionsByTopic</Message></Error>\
                </ErrorResponse>";
    (403, "text/xml", body.to_owned())
}

/// What a topic's pages come to: moto confirms at once what a person has to, so SNS's answers are
/// written down.
#[tokio::test]
async fn pages_are_judged_together() -> Result<()> {
    const PENDING: &str = "PendingConfirmation";
    const CONFIRMED: &str = "arn:aws:sns:eu-central-1:123456789012:alerts:1";
    let topic = SnsConfig::from_topic("arn:aws:sns:eu-central-1:123456789012:alerts".parse()?);
    let many = [PENDING; 100];
    for (pages, expected) in [
        (vec![page(&[], None)], "none"),
        (vec![page(&[PENDING], None)], "pending"),
        (vec![page(&["Deleted"], None)], "pending"),
        (vec![page(&[PENDING, CONFIRMED], None)], "confirmed"),
        (
            vec![page(&many, Some("1")), page(&[CONFIRMED], None)],
            "confirmed",
        ),
        (
            vec![page(&many, Some("1")), page(&[PENDING], None)],
            "pending",
        ),
        (
            vec![page(&[], Some("1")), page(&[CONFIRMED], None)],
            "confirmed",
        ),
        // What is on the page that was not read is not known.
        (vec![page(&many, Some("1")), denied()], "unknown"),
        (vec![denied()], "unknown"),
        (
            (1..9)
                .map(|at| page(&many, Some(&at.to_string())))
                .collect(),
            "unknown",
        ),
    ] {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = pages.len();
        let front = Front::start("http://127.0.0.1:1", move |_| {
            let at = asked.fetch_add(1, Ordering::SeqCst);
            Fate::Answered(pages[at.min(pages.len() - 1)].clone())
        })
        .await?;
        let found = patient(&front.url)?.subscribers(&[&topic], PATIENCE).await;
        let [found] = found.as_slice() else {
            anyhow::bail!("{found:?}");
        };
        ensure!(found.subscribers.word() == expected, "{count}: {found:?}");
    }
    Ok(())
}

/// A topic whose subscribers may not be listed is neither a fault nor health.
#[tokio::test]
async fn a_topic_that_may_not_be_looked_at_is_unknown() -> Result<()> {
    let Some(mut world) = World::start().await? else {
        return Ok(());
    };
    let alerts = world.alerts.replace(':', "%3A");
    let front = Front::start(&world.aws, move |request| {
        let body = String::from_utf8_lossy(&request.body);
        let is_meant = body.contains("ListSubscriptionsByTopic") && body.contains(&alerts);
        is_meant.then(denied)
    })
    .await?;
    world.ruler.notifier.sns = patient(&front.url)?;
    for _ in 0..5 {
        let report = world.run_after(60).await?;
        ensure!(report.undelivered.topics.is_empty(), "{report:?}");
        let [unknown] = report.undelivered.unknown.as_slice() else {
            anyhow::bail!("{report:?}");
        };
        let expected = format!(
            "{}: ListSubscriptionsByTopic: AuthorizationError",
            world.alerts
        );
        ensure!(unknown.starts_with(&expected), "{unknown}");
    }
    ensure!(world.heard("alarms").await?.is_empty());
    Ok(())
}

/// What does not answer is unknown; what is not there is known.
#[tokio::test]
async fn a_lookup_that_hangs_is_unknown() -> Result<()> {
    let Some(world) = World::start().await? else {
        return Ok(());
    };
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", silent.local_addr()?);
    let hung = SnsConfig::from_topic(world.alerts.parse()?);
    let soon = Duration::from_millis(50);
    let found = patient(&url)?.subscribers(&[&hung], soon).await;
    ensure!(
        matches!(&found[0].subscribers, Subscribers::Unknown(why) if why.contains("50ms")),
        "{found:?}"
    );
    let queue = world
        .ruler
        .notifier
        .sns
        .queue_fault(&arn("not-there"))
        .await;
    ensure!(queue == Ok(Some(QueueFault::Gone)), "{queue:?}");
    Ok(())
}
