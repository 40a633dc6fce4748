//! One notification to each topic, marked as a test, so that an unconfirmed e-mail address is
//! found on the first day and not in the first storm.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use alerting::config::Config;
use alerting::labels::{ALERT_NAME, Labels};
use alerting::notify::{
    AlertEntry, Details, Integration, Notification, NotifyReason, Outgoing, QueueFault, Route,
    SnsConfig, Subscribers,
};
use alerting::rules::RuleKey;
use alerting::timestamp::Timestamp;
use backends::notify::subscriptions::{self, Subscription};
use backends::notify::{Notifier, SnsNotifier};
use futures_util::future::join_all;
use serde::Serialize;

const NAME: &str = "DnswatchTestNotification";

/// What became of the test for one topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Outcome {
    /// The receiver that has the topic.
    receiver: String,
    /// The topic.
    topic: String,
    /// Whether SNS took it. Who gets it is another question.
    pub(crate) published: bool,
    /// Its id, which is in what machines get.
    notification_id: String,
    /// Whether somebody receives it: `confirmed`, `pending`, `none` or `unknown`.
    subscription: &'static str,
    /// Whom SNS will hand it to.
    subscribers: Vec<Subscriber>,
    /// What a person should know or do.
    notes: Vec<String>,
    /// Whether it is empty on purpose.
    #[serde(skip)]
    is_on_purpose: bool,
}

impl Outcome {
    /// Whether a recipient is known, or the topic is empty on purpose.
    pub(crate) fn is_as_intended(&self) -> bool {
        self.is_on_purpose || self.subscription == Subscribers::Confirmed.word()
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Subscriber {
    protocol: String,
    endpoint: String,
    confirmed: bool,
}

/// Sends to every topic of the configuration, the alarm topic's among them, once each and all at
/// once; `run` makes the ids unique.
pub(crate) async fn send(
    config: &Config,
    sns: &SnsNotifier,
    run: &str,
    now: Timestamp,
) -> Vec<Outcome> {
    // One topic that does not answer takes no time of the others.
    let sent = topics(config)
        .into_iter()
        .map(|topic| send_one(config, sns, topic, run, now));
    join_all(sent).await
}

async fn send_one(
    config: &Config,
    sns: &SnsNotifier,
    (receiver, integration, topic): (&str, String, &SnsConfig),
    run: &str,
    now: Timestamp,
) -> Outcome {
    let notification = notification(receiver, integration, run, now);
    let outgoing = Outgoing {
        notification: &notification,
        details: &Details::default(),
        config,
        now,
    };
    let published = sns.publish(&outgoing).await;
    let mut notes: Vec<String> = published
        .as_ref()
        .err()
        .map(ToString::to_string)
        .into_iter()
        .collect();
    let is_on_purpose = config.unsubscribed_topics.contains(&topic.topic_arn);
    let (subscribers, subscription) = match sns.subscriptions(topic).await {
        Ok(subscriptions) => {
            notes.extend(remarks(&subscriptions, is_on_purpose));
            notes.extend(queues(sns, &subscriptions).await);
            let subscription = subscriptions::judge(&subscriptions);
            if let Subscribers::Unknown(why) = &subscription {
                notes.push(format!("who is subscribed is unknown: {why}"));
            }
            (subscriptions, subscription.word())
        }
        Err(error) => {
            notes.push(format!(
                "who is subscribed is unknown ({error}): look at the topic in the console, or \
                 allow sns:ListSubscriptionsByTopic"
            ));
            (Vec::new(), Subscribers::Unknown(error).word())
        }
    };
    Outcome {
        receiver: receiver.to_owned(),
        topic: topic.topic_arn.to_string(),
        published: published.is_ok(),
        notification_id: notification.id.clone(),
        subscription,
        subscribers: subscribers
            .into_iter()
            .map(|subscription| Subscriber {
                protocol: subscription.protocol,
                endpoint: subscription.endpoint,
                confirmed: subscription.is_confirmed,
            })
            .collect(),
        notes,
        is_on_purpose,
    }
}

/// What is wrong with the queues that are subscribed, or why that is unknown.
async fn queues(sns: &SnsNotifier, subscriptions: &[Subscription]) -> Vec<String> {
    let queues = subscriptions.iter().filter(|one| one.protocol == "sqs");
    let notes = queues.map(|queue| async move {
        let queue = &queue.endpoint;
        match sns.queue_fault(queue).await {
            Ok(None) => None,
            Ok(Some(QueueFault::Gone)) => Some(format!("the queue {queue} does not exist")),
            Ok(Some(QueueFault::DeadLetterQueueGone)) => {
                Some(format!("the dead-letter queue of {queue} does not exist"))
            }
            Ok(Some(QueueFault::DeadLetters(count))) => Some(format!(
                "{count} notification(s) of {queue} are in its dead-letter queue"
            )),
            Err(error) => Some(format!("whether the queue is there is unknown: {error}")),
        }
    });
    join_all(notes).await.into_iter().flatten().collect()
}

/// Each topic once, with the receiver and the channel that has it first.
fn topics(config: &Config) -> Vec<(&str, String, &SnsConfig)> {
    let mut seen = BTreeSet::new();
    let mut topics = Vec::new();
    for receiver in &config.receivers {
        for (name, integration) in receiver.integrations() {
            if let Integration::Sns(sns) = integration
                && seen.insert(sns.topic_arn.as_str())
            {
                topics.push((receiver.name.as_str(), name, sns));
            }
        }
    }
    topics
}

fn notification(receiver: &str, integration: String, run: &str, now: Timestamp) -> Notification {
    let labels = Labels::from_iter([(ALERT_NAME, NAME), ("severity", "none")]);
    let group_labels = Labels::from_iter([(ALERT_NAME, NAME)]);
    let annotations = BTreeMap::from([
        (
            "summary".to_owned(),
            "This is a test. Nothing is wrong.".to_owned(),
        ),
        (
            "description".to_owned(),
            "A test notification was requested from dnswatch. Recipients of this message also get alerts."
                .to_owned(),
        ),
    ]);
    Notification {
        id: format!("test-{run}-{receiver}-{integration}"),
        sequence: 1,
        receiver: receiver.to_owned(),
        integration,
        group_key: Route::default().group_key(&group_labels),
        group_labels,
        reason: NotifyReason::FirstNotification,
        firing: 1,
        resolved: 0,
        alerts: vec![AlertEntry {
            labels,
            annotations: Arc::new(annotations),
            value: 1.0,
            starts_at: now,
            ends_at: None,
            end: None,
            hold: None,
            past: false,
            fired_by: BTreeSet::from([RuleKey::ruler()]),
            rule: RuleKey::ruler(),
        }],
        truncated: 0,
        groups: 0,
        created_at: now,
        attempts: 1,
        claim: None,
    }
}

fn remarks(subscriptions: &[Subscription], is_on_purpose: bool) -> Vec<String> {
    if subscriptions.is_empty() {
        return vec![if is_on_purpose {
            "this topic has no subscription, on purpose (UNSUBSCRIBED_TOPIC_ARNS)".to_owned()
        } else {
            "this topic has no subscription: its notifications reach no recipient".to_owned()
        }];
    }
    subscriptions
        .iter()
        .filter(|subscription| !subscription.is_confirmed)
        .map(|pending| {
            let Subscription {
                protocol, endpoint, ..
            } = pending;
            format!(
                "{protocol} {endpoint} has not confirmed the subscription and gets nothing: follow \
                 the link in the message that SNS sent there, or subscribe again"
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(subscriptions: &[(&str, bool)], is_on_purpose: bool, expected: &[&str]) {
        let subscriptions: Vec<Subscription> = subscriptions
            .iter()
            .map(|(endpoint, is_confirmed)| Subscription {
                protocol: "email".to_owned(),
                endpoint: (*endpoint).to_owned(),
                is_confirmed: *is_confirmed,
            })
            .collect();
        let remarks = remarks(&subscriptions, is_on_purpose);
        assert_eq!(remarks.len(), expected.len(), "{remarks:?}");
        for (remark, beginning) in remarks.iter().zip(expected) {
            assert!(remark.starts_with(beginning), "{remark}");
        }
    }

    #[test]
    fn who_gets_nothing_is_named() {
        check(&[], false, &["this topic has no subscription: its"]);
        check(&[], true, &["this topic has no subscription, on purpose"]);
        check(&[("a@example.com", true)], false, &[]);
        check(
            &[("a@example.com", false), ("b@example.com", true)],
            false,
            &["email a@example.com has not confirmed"],
        );
    }
}
