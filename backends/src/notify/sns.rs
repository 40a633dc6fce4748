//! Notifications published to SNS topics, one publish each.
//!
//! **What is refused for good.** Only what SNS finds wrong with the message itself: the same
//! message will be refused again, whatever anybody does, so it becomes a dead letter and an
//! alert. All else can be fixed without changing the message: a missing permission, a disabled
//! key, a topic that was deleted, a throttle, an outage. Then the notification stays pending and
//! each run retries it. Pending notifications do not pile up, because a newer notification of the
//! same group supersedes the older one. Giving up instead would lose an alert for a typing error in
//! a policy. Until it is fixed each run's log line reports it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;
use std::time::Duration;

use alerting::notify::{
    Found, Integration, Outgoing, PublishRole, QueueFault, SnsConfig, Subscribers, TopicArn,
};
use aws_sdk_sns::Client;
use aws_sdk_sns::config::retry::RetryConfig;
use aws_sdk_sns::config::timeout::TimeoutConfig;
use aws_sdk_sns::config::{Builder, Region};
use aws_sdk_sns::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sns::operation::publish::PublishError as Refusal;
use aws_sdk_sns::types::MessageAttributeValue;
use aws_types::SdkConfig;
use futures_util::{StreamExt as _, stream};

use super::subscriptions::{self, Subscription};
use super::{Notifier, PublishError, queues};
use crate::aws;
use crate::sts::AssumedRole;

/// What the other account's CloudTrail shows.
const SESSION_NAME: &str = "dnswatch-notify";

/// How many of a topic's queues are checked.
const MAX_QUEUES: usize = 20;

/// How long and how often one publish is tried.
#[derive(Debug, Clone)]
pub struct SnsOptions {
    /// How long one publish may take, with all that is tried again. A run starts none after its
    /// budget, so budget and this together must end within the function's time.
    pub timeout: Duration,
    /// How long one try may take.
    pub attempt_timeout: Duration,
    /// How often it is tried in all.
    pub attempts: u32,
}

impl Default for SnsOptions {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(8),
            attempt_timeout: Duration::from_secs(3),
            attempts: 3,
        }
    }
}

/// Publishes to the topics of the configuration, each in its own region.
#[derive(Debug)]
pub struct SnsNotifier {
    sdk: SdkConfig,
    options: SnsOptions,
    clients: Mutex<BTreeMap<(String, Option<PublishRole>), Client>>,
}

impl SnsNotifier {
    /// Publishes with the connections and credentials of `sdk`.
    pub fn new(sdk: SdkConfig, options: SnsOptions) -> Self {
        let notifier = Self {
            sdk,
            options,
            clients: Mutex::default(),
        };
        // Most topics are in the caller's own region. What makes their client can take its time now,
        // before there is something to publish.
        if let Some(region) = notifier.sdk.region() {
            notifier.client(region.as_ref(), None);
        }
        notifier
    }

    /// The client for a region, by a role if there is one: made once, without any I/O.
    fn client(&self, region: &str, role: Option<&PublishRole>) -> Client {
        let mut clients = self
            .clients
            .lock()
            .unwrap_or_else(|broken| broken.into_inner());
        let key = (region.to_owned(), role.cloned());
        if let Some(client) = clients.get(&key) {
            return client.clone();
        }
        let options = &self.options;
        let timeouts = TimeoutConfig::builder()
            .operation_timeout(options.timeout)
            .operation_attempt_timeout(options.attempt_timeout)
            .build();
        let retries = RetryConfig::standard()
            .with_max_attempts(options.attempts.max(1))
            .with_initial_backoff(Duration::from_millis(200))
            .with_max_backoff(Duration::from_secs(2));
        let mut config = Builder::from(&self.sdk)
            .region(Region::new(region.to_owned()))
            .timeout_config(timeouts)
            .retry_config(retries);
        if let Some(role) = role {
            let assumed = AssumedRole::new(&self.sdk, &role.arn, SESSION_NAME)
                .with_external_id(role.external_id.clone());
            config = config.credentials_provider(assumed);
        }
        let client = Client::from_conf(config.build());
        clients.insert(key, client.clone());
        client
    }
}

impl SnsNotifier {
    /// The subscriptions of a topic, asked for as it is published to.
    pub async fn subscriptions(&self, sns: &SnsConfig) -> Result<Vec<Subscription>, String> {
        let client = self.client(sns.topic_arn.region(), sns.role.as_ref());
        subscriptions::of_topic(&client, &sns.topic_arn).await
    }

    /// What is wrong with a queue that is subscribed, if that can be known.
    pub async fn queue_fault(&self, queue: &str) -> Result<Option<QueueFault>, String> {
        queues::fault(&self.sdk, queue).await
    }

    async fn look_up(&self, sns: &SnsConfig) -> Found {
        let topic = sns.topic_arn.clone();
        let mut failing = BTreeMap::new();
        let subscribers = match self.subscriptions(sns).await {
            Err(why) => Subscribers::Unknown(why),
            Ok(mut subscriptions) => {
                let queues = subscriptions
                    .iter()
                    .filter(|one| one.protocol == "sqs" && one.is_confirmed);
                let queues: Vec<String> = queues.map(|one| one.endpoint.clone()).collect();
                for queue in queues.iter().take(MAX_QUEUES) {
                    // A queue that may not be read counts as healthy.
                    let Ok(Some(fault)) = self.queue_fault(queue).await else {
                        continue;
                    };
                    if fault == QueueFault::Gone {
                        subscriptions.retain(|one| one.endpoint != *queue);
                    }
                    failing.insert(queue.clone(), fault);
                }
                subscriptions::judge(&subscriptions)
            }
        };
        Found {
            topic,
            subscribers,
            queues: failing,
        }
    }
}

impl Notifier for SnsNotifier {
    async fn publish(&self, outgoing: &Outgoing<'_>) -> Result<(), PublishError> {
        let config = match outgoing.integration() {
            Some(Integration::Sns(config)) => config,
            Some(Integration::Terminal) | None => {
                let notification = outgoing.notification;
                return Err(PublishError::Refused(format!(
                    "the configuration no longer has a topic for {} of the receiver {}",
                    notification.integration, notification.receiver
                )));
            }
        };
        let topic = &config.topic_arn;
        let message = outgoing.sns();
        let attributes = message.attributes.into_iter().filter_map(|(name, value)| {
            let value = MessageAttributeValue::builder()
                .data_type("String")
                .string_value(value);
            Some((name, value.build().ok()?))
        });
        let attributes: HashMap<_, _> = attributes.collect();
        self.client(topic.region(), config.role.as_ref())
            .publish()
            .topic_arn(topic.as_str())
            .subject(message.subject)
            .set_message_structure(message.is_json.then(|| "json".to_owned()))
            .set_message_attributes((!attributes.is_empty()).then_some(attributes))
            .message(message.document)
            .send()
            .await
            .map(|_| ())
            .map_err(|error| failure(topic, &error))
    }

    async fn subscribers(&self, topics: &[&SnsConfig], within: Duration) -> Vec<Found> {
        let found = stream::iter(topics)
            .map(|sns| async move {
                let found = tokio::time::timeout(within, self.look_up(sns)).await;
                found.unwrap_or_else(|_| Found {
                    topic: sns.topic_arn.clone(),
                    subscribers: Subscribers::Unknown(format!("no answer within {within:?}")),
                    queues: BTreeMap::new(),
                })
            })
            // All at once: one that does not answer takes no time of the others.
            .buffer_unordered(topics.len().max(1));
        found.collect().await
    }
}

/// Whether it may work later, and what SNS said, in one line.
fn failure<R>(topic: &TopicArn, error: &SdkError<Refusal, R>) -> PublishError {
    let text = format!("publishing to {topic}: {}", aws::reason(error));
    let Some(refusal) = error.as_service_error() else {
        return PublishError::Transient(text);
    };
    let about_the_message = refusal.is_invalid_parameter_exception()
        || refusal.is_invalid_parameter_value_exception()
        || refusal.is_validation_exception();
    // The topic is configuration, which can be fixed.
    let about_the_topic = refusal
        .message()
        .is_some_and(|said| said.contains("TopicArn"));
    if about_the_message && !about_the_topic {
        PublishError::Refused(text)
    } else {
        PublishError::Transient(text)
    }
}
