//! One notification to each topic, marked as a test, so that an unconfirmed e-mail address is
//! found on the first day and not in the first storm.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use alerting::config::Config;
use alerting::labels::{ALERT_NAME, Labels};
use alerting::notify::{
    AlertEntry, Details, Integration, Notification, NotifyReason, Outgoing, Route, TopicArn,
};
use alerting::rules::RuleKey;
use alerting::timestamp::Timestamp;
use aws_types::SdkConfig;
use backends::notify::subscriptions::{self, Subscription};
use backends::notify::{Notifier, SnsNotifier};
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
    /// Whom SNS will hand it to.
    subscribers: Vec<Subscriber>,
    /// What a person should know or do.
    notes: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Subscriber {
    protocol: String,
    endpoint: String,
    confirmed: bool,
}

/// Sends to every topic of the configuration, once each; `run` makes the ids unique.
pub(crate) async fn send(
    config: &Config,
    sns: &SnsNotifier,
    sdk: &SdkConfig,
    run: &str,
    now: Timestamp,
) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    for (receiver, integration, topic) in topics(config) {
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
        let subscribers = match subscriptions::of_topic(sdk, topic).await {
            Ok(subscribers) => {
                notes.extend(remarks(&subscribers));
                subscribers
            }
            Err(error) => {
                notes.push(format!(
                    "who is subscribed is not known ({error}): look at the topic in the console"
                ));
                Vec::new()
            }
        };
        outcomes.push(Outcome {
            receiver: receiver.to_owned(),
            topic: topic.to_string(),
            published: published.is_ok(),
            notification_id: notification.id.clone(),
            subscribers: subscribers
                .into_iter()
                .map(|subscription| Subscriber {
                    protocol: subscription.protocol,
                    endpoint: subscription.endpoint,
                    confirmed: subscription.is_confirmed,
                })
                .collect(),
            notes,
        });
    }
    outcomes
}

/// Each topic once, with the receiver and the channel that has it first.
fn topics(config: &Config) -> Vec<(&str, String, &TopicArn)> {
    let mut seen = BTreeSet::new();
    let mut topics = Vec::new();
    for receiver in &config.receivers {
        for (name, integration) in receiver.integrations() {
            if let Integration::Sns(sns) = integration
                && seen.insert(sns.topic_arn.as_str())
            {
                topics.push((receiver.name.as_str(), name, &sns.topic_arn));
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
            "Somebody asked dnswatch for a test notification. Whoever gets this one gets alerts."
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

fn remarks(subscriptions: &[Subscription]) -> Vec<String> {
    if subscriptions.is_empty() {
        return vec!["nobody is subscribed to this topic".to_owned()];
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
    fn check(subscriptions: &[(&str, bool)], expected: &[&str]) {
        let subscriptions: Vec<Subscription> = subscriptions
            .iter()
            .map(|(endpoint, is_confirmed)| Subscription {
                protocol: "email".to_owned(),
                endpoint: (*endpoint).to_owned(),
                is_confirmed: *is_confirmed,
            })
            .collect();
        let remarks = remarks(&subscriptions);
        assert_eq!(remarks.len(), expected.len(), "{remarks:?}");
        for (remark, beginning) in remarks.iter().zip(expected) {
            assert!(remark.starts_with(beginning), "{remark}");
        }
    }

    #[test]
    fn who_gets_nothing_is_named() {
        check(&[], &["nobody is subscribed"]);
        check(&[("a@example.com", true)], &[]);
        check(
            &[("a@example.com", false), ("b@example.com", true)],
            &["email a@example.com has not confirmed"],
        );
    }
}
