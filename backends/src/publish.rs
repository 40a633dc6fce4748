//! The second half of a run: what it claimed it publishes, and strikes off.

use std::collections::BTreeMap;

use alerting::config::Config;
use alerting::notify::{Details, Notification, Outbox, Outgoing};
use alerting::state::State;
use alerting::timestamp::Timestamp;

use crate::clock::Clock;
use crate::notify::{Notifier, PublishError};
use crate::run::{Querier, Ruler, RunError};
use crate::state::{CommitError, StateStore};

/// After how many failures a channel is left alone for the rest of a run, so that one that does not
/// answer takes no other's time.
const MAX_FAILURES: usize = 2;

/// How often a strike-off is tried again that another run's commit got in the way of.
const MAX_RACES: usize = 20;

/// What a run published.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Published {
    /// Notifications that were delivered.
    pub delivered: usize,
    /// Notifications that stay owed, with the reason.
    pub postponed: Vec<String>,
    /// Notifications that were refused for good, with the reason.
    pub refused: Vec<String>,
}

impl<C: Clock, Q: Querier, S: StateStore, N: Notifier> Ruler<C, Q, S, N> {
    /// Publishes what the state says `run_id` has claimed.
    pub(crate) async fn publish(
        &self,
        run_id: &str,
        config: &Config,
        state: &State,
        deadline: Timestamp,
    ) -> Published {
        let mut published = Published::default();
        let outbox = &state.notify.outbox;
        let mut failures: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        for notification in outbox.claimed_by(run_id, self.clock.now()) {
            let id = &notification.id;
            let channel = (
                notification.receiver.as_str(),
                notification.integration.as_str(),
            );
            let outcome = if failures.get(&channel).is_some_and(|n| *n >= MAX_FAILURES) {
                Err(PublishError::Transient(format!(
                    "{} of {} fails, and is left alone until the next run",
                    notification.integration, notification.receiver
                )))
            } else if self.clock.now() < deadline {
                let details = self.details(notification, config, state, deadline).await;
                // Whatever took long until now, the claim must still be ours.
                match self.still_claimed(run_id, id).await {
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
                        continue;
                    }
                    Err(error) => Err(PublishError::Transient(error.to_string())),
                }
            } else {
                Err(PublishError::Transient(
                    "the run's time is used up".to_owned(),
                ))
            };
            let settled = match &outcome {
                Ok(()) => {
                    published.delivered += 1;
                    self.settle(|outbox| {
                        outbox.delivered(id, run_id);
                    })
                    .await
                }
                Err(PublishError::Transient(error)) => {
                    *failures.entry(channel).or_default() += 1;
                    published.postponed.push(format!("{id}: {error}"));
                    self.settle(|outbox| outbox.release(id, run_id)).await
                }
                Err(PublishError::Refused(error)) => {
                    published.refused.push(format!("{id}: {error}"));
                    let now = self.clock.now();
                    self.settle(|outbox| outbox.refused(id, run_id, error.clone(), now))
                        .await
                }
            };
            if let Err(error) = settled {
                // The claim expires, and the notification comes again with the same id.
                published
                    .postponed
                    .push(format!("{id}: its outcome was not recorded: {error}"));
            }
        }
        published
    }

    async fn details(
        &self,
        notification: &Notification,
        config: &Config,
        state: &State,
        deadline: Timestamp,
    ) -> Details {
        let mut details = Details::of(notification, config, state);
        let asks = details.asks().cloned().collect();
        for (ask, answer) in self.fetch(asks, deadline).await {
            if let Ok(answer) = answer {
                details.answer(&ask, &answer, notification, config);
            }
        }
        details
    }

    async fn still_claimed(&self, run_id: &str, id: &str) -> Result<bool, RunError> {
        let Some((document, _)) = self.store.load().await? else {
            return Ok(false);
        };
        let state = State::from_json(&document)?;
        let now = self.clock.now();
        Ok(state
            .notify
            .outbox
            .claimed_by(run_id, now)
            .any(|claimed| claimed.id == id))
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
