//! The second half of a run: what it claimed it publishes, and strikes off.

use std::borrow::Cow;
use std::collections::BTreeSet;

use alerting::config::Config;
use alerting::notify::{
    self, Details, Integration, MAX_MESSAGES, Notification, Outbox, Outgoing, TopicArn,
};
use alerting::state::State;
use alerting::timestamp::Timestamp;
use futures_util::{StreamExt as _, stream};
use tokio::sync::Mutex;

use crate::clock::Clock;
use crate::notify::{Notifier, PublishError};
use crate::run::{Querier, Ruler, RunError};
use crate::state::{CommitError, StateStore};

/// After how many failures a channel is left alone for the rest of a run, so that one that does not
/// answer takes no other's time.
const MAX_FAILURES: usize = 2;

/// How many targets are published to side by side.
const MAX_TARGETS: usize = 16;

/// How often a strike-off is tried again that another run's commit got in the way of.
const MAX_RACES: usize = 20;

/// What a run published.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Published {
    /// Notifications that were delivered.
    pub delivered: usize,
    /// Notifications that stay pending, with the reason.
    pub postponed: Vec<String>,
    /// Notifications that were refused for good, with the reason.
    pub refused: Vec<String>,
}

impl Published {
    fn add(&mut self, other: Self) {
        self.delivered += other.delivered;
        self.postponed.extend(other.postponed);
        self.refused.extend(other.refused);
    }
}

/// What a run publishes with.
struct Publishing<'a> {
    run_id: &'a str,
    config: &'a Config,
    state: &'a State,
    deadline: Timestamp,
    /// Held while an outcome is stored: the targets of one run do not race each other for that.
    settling: Mutex<()>,
}

/// One message to a target, and the notifications that it strikes off.
struct Message<'a> {
    notification: Cow<'a, Notification>,
    ids: Vec<&'a str>,
}

/// The topic that a notification goes to.
fn topic<'a>(config: &'a Config, notification: &Notification) -> Option<&'a TopicArn> {
    let receiver = config.receiver(&notification.receiver)?;
    match receiver.integration(&notification.integration)? {
        Integration::Sns(sns) => Some(&sns.topic_arn),
        Integration::Terminal => None,
    }
}

/// The target of a notification: its topic, or else the receiver's integration.
fn target(config: &Config, notification: &Notification) -> String {
    topic(config, notification).map_or_else(
        || format!("{}/{}", notification.receiver, notification.integration),
        ToString::to_string,
    )
}

/// The messages that a target is sent: each notification by itself, or of a flood the first ones,
/// and the rest in one. A terminal takes whatever comes.
fn messages<'a>(config: &Config, of: &[&'a Notification], now: Timestamp) -> Vec<Message<'a>> {
    let is_topic = of.first().is_some_and(|one| topic(config, one).is_some());
    let singly = if is_topic && of.len() > MAX_MESSAGES {
        MAX_MESSAGES.saturating_sub(1)
    } else {
        of.len()
    };
    let (first, rest) = of.split_at(singly.min(of.len()));
    let mut messages: Vec<Message<'a>> = first
        .iter()
        .map(|one| Message {
            notification: Cow::Borrowed(*one),
            ids: vec![&one.id],
        })
        .collect();
    if let Some(digest) = notify::digest(rest, now) {
        messages.push(Message {
            notification: Cow::Owned(digest),
            ids: rest.iter().map(|one| one.id.as_str()).collect(),
        });
    }
    messages
}

impl<C: Clock, Q: Querier, S: StateStore, N: Notifier> Ruler<C, Q, S, N> {
    /// Publishes what the state says `run_id` has claimed. Of more than a few for one topic the
    /// first ones go out each by itself, and the rest in one message.
    ///
    /// Targets are published to side by side, so that one that does not answer takes none of the
    /// others' time.
    pub(crate) async fn publish(
        &self,
        run_id: &str,
        config: &Config,
        state: &State,
        deadline: Timestamp,
    ) -> Published {
        let publishing = Publishing {
            run_id,
            config,
            state,
            deadline,
            settling: Mutex::new(()),
        };
        let claimed: Vec<&Notification> = state
            .notify
            .outbox
            .claimed_by(run_id, self.clock.now())
            .collect();
        let mut targets: Vec<(String, Vec<&Notification>)> = Vec::new();
        for notification in claimed {
            let target = target(config, notification);
            match targets.iter_mut().find(|(known, _)| *known == target) {
                Some((_, of)) => of.push(notification),
                None => targets.push((target, vec![notification])),
            }
        }
        let publishing = &publishing;
        let targets = targets.into_iter().map(|(_, of)| {
            let messages = messages(config, &of, self.clock.now());
            self.publish_all(publishing, messages)
        });
        let mut published = Published::default();
        let mut done = stream::iter(targets).buffered(MAX_TARGETS);
        while let Some(of_target) = done.next().await {
            published.add(of_target);
        }
        published
    }

    /// Publishes the messages of one target, one after the other.
    async fn publish_all(
        &self,
        publishing: &Publishing<'_>,
        messages: Vec<Message<'_>>,
    ) -> Published {
        let mut published = Published::default();
        let mut failures = 0;
        for message in &messages {
            self.publish_one(publishing, message, &mut failures, &mut published)
                .await;
        }
        published
    }

    /// Publishes one message about the pending notifications `ids` and removes them.
    async fn publish_one(
        &self,
        publishing: &Publishing<'_>,
        Message { notification, ids }: &Message<'_>,
        failures: &mut usize,
        published: &mut Published,
    ) {
        let Publishing {
            run_id,
            config,
            state,
            deadline,
            ..
        } = *publishing;
        let id = &notification.id;
        let outcome = if *failures >= MAX_FAILURES {
            Err(PublishError::Transient(format!(
                "{} of {} fails, and is left alone until the next run",
                notification.integration, notification.receiver
            )))
        } else if self.clock.now() < deadline {
            let details = self.details(notification, config, state, deadline).await;
            // Whatever took long until now, the claim must still be ours.
            match self.still_claimed(run_id, ids).await {
                Ok(true) => {
                    let outgoing = Outgoing {
                        notification,
                        details: &details,
                        config,
                        now: self.clock.now(),
                    };
                    self.notifier.publish(&outgoing).await
                }
                Ok(false) => {
                    published
                        .postponed
                        .push(format!("{id}: another run took it over"));
                    return;
                }
                Err(error) => Err(PublishError::Transient(error.to_string())),
            }
        } else {
            Err(PublishError::Transient("run deadline exceeded".to_owned()))
        };
        let settling = publishing.settling.lock().await;
        let settled = match &outcome {
            Ok(()) => {
                published.delivered += ids.len();
                self.settle(|outbox| {
                    for id in ids {
                        outbox.delivered(id, run_id);
                    }
                })
                .await
            }
            Err(PublishError::Transient(error)) => {
                *failures += 1;
                published.postponed.push(format!("{id}: {error}"));
                self.settle(|outbox| {
                    for id in ids {
                        outbox.release(id, run_id);
                    }
                })
                .await
            }
            Err(PublishError::Refused(error)) => {
                published.refused.push(format!("{id}: {error}"));
                let now = self.clock.now();
                self.settle(|outbox| {
                    for id in ids {
                        outbox.refused(id, run_id, error.clone(), now);
                    }
                })
                .await
            }
        };
        drop(settling);
        if let Err(error) = settled {
            // The claim expires, and the notification is published again with the same id.
            published
                .postponed
                .push(format!("{id}: its outcome was not recorded: {error}"));
        }
    }

    async fn details(
        &self,
        notification: &Notification,
        config: &Config,
        state: &State,
        deadline: Timestamp,
    ) -> Details {
        let mut details = Details::from_notification(notification, config, state);
        // A server that does not answer would take the time in which others are notified.
        if state.server.is_some() {
            return details;
        }
        let asks = details.asks().cloned().collect();
        for (ask, answer) in self.fetch(asks, deadline).await {
            if let Ok(answer) = answer {
                details.answer(&ask, &answer, notification, config);
            }
        }
        details
    }

    /// Whether all of them are still the run's to publish.
    async fn still_claimed(&self, run_id: &str, ids: &[&str]) -> Result<bool, RunError> {
        let Some((document, _)) = self.store.load().await? else {
            return Ok(false);
        };
        let state = State::from_json(&document)?;
        let now = self.clock.now();
        let claimed = state.notify.outbox.claimed_by(run_id, now);
        let claimed: BTreeSet<&str> = claimed.map(|claimed| claimed.id.as_str()).collect();
        Ok(ids.iter().all(|id| claimed.contains(id)))
    }

    /// Changes the stored outbox, whatever else was committed meanwhile.
    async fn settle(&self, change: impl Fn(&mut Outbox)) -> Result<(), RunError> {
        for _ in 0..MAX_RACES {
            let Some((document, version)) = self.store.load().await? else {
                return Ok(());
            };
            let mut state = State::from_json(&document)?;
            change(&mut state.notify.outbox);
            match self.store.commit(&state.to_json()?, Some(version)).await {
                Err(CommitError::Conflict) => {}
                Err(CommitError::Store(error)) => return Err(error.into()),
                Ok(_) => return Ok(()),
            }
        }
        Err(RunError::LostRace)
    }
}
