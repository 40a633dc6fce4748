//! Whether what is published reaches somebody: SNS accepts a publish to a topic that has no
//! confirmed subscription, and then no one receives it.
//!
//! The shell looks the subscribers up ([`due`]) and hands over what it found ([`take`]). A topic
//! without a confirmed subscription, and a queue that loses notifications, are alerts of the ruler
//! itself. They are sent by the user's routing and, if that has no recipient, by another way
//! ([`super::fallback`]).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ruler_alerts::alert;
use super::text::clock;
use super::{Integration, NotifyState, Receiver, SnsConfig, TopicArn};
use crate::alert::Alert;
use crate::clock_step::not_after;
use crate::config::Config;
use crate::timestamp::Timestamp;

/// How often the subscribers of a topic are looked up.
const CHECK_INTERVAL: Duration = Duration::from_secs(60 * 60);
/// How often while something is wrong with them, so that the end of it is seen soon.
const CHECK_INTERVAL_WHILE_FAILING: Duration = Duration::from_secs(5 * 60);
/// How long a topic may be without a confirmed subscription before it is an alert: a person needs
/// some time to confirm an e-mail address after a deployment.
const TOLERATED_FOR: Duration = Duration::from_secs(15 * 60);

/// A topic in use that has no confirmed subscription.
pub(super) const NO_SUBSCRIBERS: &str = "DnswatchNoSubscribers";
/// A queue that is subscribed to a topic and loses what it is sent.
pub(super) const QUEUE_FAILING: &str = "DnswatchQueueFailing";

/// Who receives what is published to a topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subscribers {
    /// At least one subscription is confirmed.
    Confirmed,
    /// There are subscriptions, and all of them wait for their confirmation.
    Pending,
    /// There is no subscription.
    None,
    /// They may not be listed, or could not be: neither a fault nor health.
    Unknown(String),
}

/// What is wrong with a queue that is subscribed to a topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QueueFault {
    /// There is no such queue.
    Gone,
    /// So many notifications are in its dead-letter queue.
    DeadLetters(u64),
    /// There is no such queue as its redrive policy names.
    DeadLetterQueueGone,
}

/// What the shell found out about a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The topic.
    pub topic: TopicArn,
    /// Its subscribers.
    pub subscribers: Subscribers,
    /// The queues among them that lose notifications, by ARN.
    pub queues: BTreeMap<String, QueueFault>,
}

/// What is known of a topic's subscribers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicCheck {
    /// When they were last looked up.
    checked_at: Timestamp,
    /// Who they are.
    subscribers: Subscribers,
    /// Since when that is known to be so.
    since: Timestamp,
    /// The queues among them that lose notifications, by ARN.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    queues: BTreeMap<String, FailingQueue>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct FailingQueue {
    fault: QueueFault,
    since: Timestamp,
}

/// What does not reach its recipients, for the report of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Undelivered {
    /// Topics in use that have had no confirmed subscription for a while.
    pub topics: Vec<String>,
    /// Subscribed queues that lose notifications.
    pub queues: Vec<String>,
    /// Topics whose subscribers are unknown, each with the reason.
    pub unknown: Vec<String>,
}

impl Subscribers {
    /// Known to have no recipient.
    fn has_no_recipient(&self) -> bool {
        matches!(self, Self::Pending | Self::None)
    }

    /// In one word: `confirmed`, `pending`, `none` or `unknown`.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::Pending => "pending",
            Self::None => "none",
            Self::Unknown(_) => "unknown",
        }
    }
}

impl TopicCheck {
    /// Nothing of it was found out after `now`.
    pub(crate) fn not_after(&mut self, now: Timestamp) {
        not_after(&mut self.checked_at, now);
        not_after(&mut self.since, now);
        for queue in self.queues.values_mut() {
            not_after(&mut queue.since, now);
        }
    }

    fn is_due(&self, now: Timestamp) -> bool {
        let is_failing = self.subscribers.has_no_recipient() || !self.queues.is_empty();
        let interval = if is_failing {
            CHECK_INTERVAL_WHILE_FAILING
        } else {
            CHECK_INTERVAL
        };
        // One from the future was written under a clock that was ahead.
        now < self.checked_at || now.since(self.checked_at) >= interval
    }

    fn is_fault(&self, now: Timestamp) -> bool {
        self.subscribers.has_no_recipient() && now.since(self.since) >= TOLERATED_FOR
    }
}

/// The topics that a route or the alarm topic's receiver sends to, each once, but for those that
/// have no subscriber on purpose.
pub fn in_use(config: &Config) -> Vec<&SnsConfig> {
    let routed = config.route.nodes().into_iter();
    let mut receivers: BTreeSet<&str> = routed.map(|route| route.receiver.as_str()).collect();
    receivers.extend(config.alarm_receiver.as_deref());
    let mut seen = BTreeSet::new();
    config
        .receivers
        .iter()
        .filter(|receiver| receivers.contains(receiver.name.as_str()))
        .flat_map(|receiver| &receiver.sns)
        .filter(|sns| !config.unsubscribed_topics.contains(&sns.topic_arn))
        .filter(|sns| seen.insert(&sns.topic_arn))
        .collect()
}

/// The topics whose subscribers are to be looked up now.
pub fn due<'a>(notify: &NotifyState, config: &'a Config, now: Timestamp) -> Vec<&'a SnsConfig> {
    let mut due = in_use(config);
    due.retain(|sns| {
        let known = notify.subscribers.get(sns.topic_arn.as_str());
        known.is_none_or(|known| known.is_due(now))
    });
    due
}

/// Takes what was found at `now`, and forgets topics that are no longer in use. A topic that had no
/// subscriber stays so while its subscribers are unknown: that is no all-clear.
pub fn take(notify: &mut NotifyState, config: &Config, found: Vec<Found>, now: Timestamp) {
    let in_use: BTreeSet<&str> = in_use(config)
        .into_iter()
        .map(|sns| sns.topic_arn.as_str())
        .collect();
    let checks = &mut notify.subscribers;
    checks.retain(|topic, _| in_use.contains(topic.as_str()));
    for found in found {
        let topic = found.topic.as_str();
        if !in_use.contains(topic) {
            continue;
        }
        let known = checks.remove(topic);
        let is_unknown = matches!(found.subscribers, Subscribers::Unknown(_));
        let (subscribers, since, mut old_queues) = match known {
            Some(known) if is_unknown && known.subscribers.has_no_recipient() => {
                (known.subscribers, known.since, known.queues)
            }
            Some(known)
                if known.subscribers.has_no_recipient() && found.subscribers.has_no_recipient()
                    || known.subscribers.word() == found.subscribers.word() =>
            {
                (found.subscribers, known.since, known.queues)
            }
            Some(known) => (found.subscribers, now, known.queues),
            None => (found.subscribers, now, BTreeMap::new()),
        };
        let queues = if is_unknown {
            old_queues
        } else {
            let taken = found.queues.into_iter().map(|(queue, fault)| {
                let known = old_queues.remove(&queue);
                let since = known.map_or(now, |known| known.since.min(now));
                (queue, FailingQueue { fault, since })
            });
            taken.collect()
        };
        checks.insert(
            topic.to_owned(),
            TopicCheck {
                checked_at: now,
                subscribers,
                since: since.min(now),
                queues,
            },
        );
    }
}

/// What does not reach its recipients.
pub fn undelivered(notify: &NotifyState, now: Timestamp) -> Undelivered {
    let mut undelivered = Undelivered::default();
    let mut queues = BTreeSet::new();
    for (topic, check) in &notify.subscribers {
        if check.is_fault(now) {
            undelivered.topics.push(topic.clone());
        }
        if let Subscribers::Unknown(why) = &check.subscribers {
            undelivered.unknown.push(format!("{topic}: {why}"));
        }
        queues.extend(check.queues.keys().cloned());
    }
    undelivered.queues = queues.into_iter().collect();
    undelivered
}

/// Whether a notification to the receiver reaches somebody; None where that is unknown. A topic
/// that is empty on purpose has no recipient.
pub(super) fn reaches(notify: &NotifyState, receiver: &Receiver) -> Option<bool> {
    let channels = receiver.integrations().map(|(_, channel)| match channel {
        Integration::Terminal => Some(true),
        Integration::Sns(sns) => {
            let check = notify.subscribers.get(sns.topic_arn.as_str())?;
            match check.subscribers {
                Subscribers::Confirmed => {
                    // Where all that is lost is known, what is left is not.
                    check.queues.is_empty().then_some(true)
                }
                Subscribers::Unknown(_) => None,
                Subscribers::Pending | Subscribers::None => Some(false),
            }
        }
    });
    let mut reaches = Some(false);
    for channel in channels {
        match channel {
            Some(true) => return Some(true),
            None => reaches = None,
            Some(false) => {}
        }
    }
    reaches
}

/// The alerts about it.
pub(super) fn alerts(notify: &NotifyState, now: Timestamp) -> Vec<Alert> {
    let mut alerts = Vec::new();
    let mut queues: BTreeMap<&str, (&FailingQueue, &str)> = BTreeMap::new();
    for (topic, check) in &notify.subscribers {
        if check.is_fault(now) {
            let why = match check.subscribers {
                Subscribers::Pending => {
                    "none of its subscriptions is confirmed. Follow the link in the message that \
                     SNS sent to each address, or subscribe it again"
                }
                _ => {
                    "it has no subscription. Subscribe a recipient (an e-mail subscription also ends \
                      when a reader clicks its unsubscribe link)"
                }
            };
            let mut alert = alert(
                NO_SUBSCRIBERS,
                None,
                check.since,
                "Notifications are not delivered: an SNS topic has no confirmed subscription",
                format!(
                    "Since {} at the latest, notifications published to {topic} reach no recipient: {why}. If this is intended, add the topic to the stack's UnsubscribedTopicArns.",
                    clock(check.since)
                ),
            );
            alert.labels = alert.labels.with([("topic", topic.as_str())]);
            alerts.push(alert);
        }
        for (queue, failing) in &check.queues {
            queues.entry(queue).or_insert((failing, topic));
        }
    }
    for (queue, (failing, topic)) in queues {
        let (summary, why) = match failing.fault {
            QueueFault::Gone => (
                "Notifications are lost: a queue that is subscribed to an SNS topic does not exist",
                format!(
                    "The queue {queue} is subscribed to {topic} and does not exist. Deploy the \
                     stack again, or delete the subscription."
                ),
            ),
            QueueFault::DeadLetters(count) => (
                "Notifications were not delivered and are in a dead-letter queue",
                format!(
                    "{count} notification(s) of the queue {queue} are in its dead-letter queue. The \
                     log of the function that reads the queue says why. Once that is fixed, start \
                     a redrive of the dead-letter queue, or purge it."
                ),
            ),
            QueueFault::DeadLetterQueueGone => (
                "Notifications can be lost: a queue has no dead-letter queue any more",
                format!(
                    "The redrive policy of the queue {queue} names a dead-letter queue that does \
                     not exist. Deploy the stack again."
                ),
            ),
        };
        let mut alert = alert(QUEUE_FAILING, None, failing.since, summary, why);
        alert.labels = alert.labels.with([("queue", queue)]);
        alerts.push(alert);
    }
    alerts
}
