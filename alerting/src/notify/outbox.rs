//! The notifications that are owed: stored together with the state that owes them, claimed
//! before they are published, struck off after.
//!
//! For each group and channel of a receiver at most one is claimed and at most one waits behind it, so they
//! are published in their order.

use serde::{Deserialize, Serialize};

use super::{AlertEntry, NotifyReason};
use crate::labels::Labels;
use crate::timestamp::Timestamp;

/// How many refused notifications are remembered.
const MAX_DEAD_LETTERS: usize = 100;

/// One notification of one group to one channel of one receiver.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Notification {
    /// The same for each try to deliver it, and for nothing else.
    pub id: String,
    /// Counts up within group and channel.
    pub sequence: u64,
    /// The receiver's name.
    pub receiver: String,
    /// The receiver's channel, `sns[0]` for example.
    #[serde(default)]
    pub integration: String,
    /// The group's key.
    pub group_key: String,
    /// The labels that the group's alerts share.
    pub group_labels: Labels,
    /// Why it is told.
    pub reason: NotifyReason,
    /// How many alerts fire.
    pub firing: usize,
    /// How many alerts ended.
    pub resolved: usize,
    /// The alerts, firing ones first, without those that are left out.
    pub alerts: Vec<AlertEntry>,
    /// How many alerts are left out for size.
    #[serde(default)]
    pub truncated: usize,
    /// The run time at which it was planned.
    pub created_at: Timestamp,
    /// How often it was tried.
    #[serde(default)]
    pub attempts: u32,
    /// The run that publishes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<Claim>,
}

/// A run's right to publish a notification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The run.
    pub run: String,
    /// Until when; later than the run can live.
    pub until: Timestamp,
}

/// A notification that was refused for good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// The notification's id.
    pub id: String,
    /// The receiver that it was for.
    pub receiver: String,
    /// The receiver's channel.
    #[serde(default)]
    pub integration: String,
    /// The group that it was about.
    pub group_labels: Labels,
    /// Why it was refused.
    pub error: String,
    /// When.
    pub at: Timestamp,
}

/// The notifications that are owed, in the order of planning.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Outbox {
    /// Not yet delivered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    owed: Vec<Notification>,
    /// Refused for good; the last ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    dead: Vec<DeadLetter>,
}

impl Notification {
    fn is_claimed(&self, now: Timestamp) -> bool {
        self.claim.as_ref().is_some_and(|claim| claim.until > now)
    }

    /// What the order of notifications is kept within.
    fn key(&self) -> (&str, &str, &str) {
        (&self.group_key, &self.receiver, &self.integration)
    }

    fn is_for_the_same(&self, other: &Self) -> bool {
        self.key() == other.key()
    }

    /// Takes the place of `older`, which nobody may have got: what ended in it and does not
    /// fire again must still be told.
    fn supersede(&mut self, older: Self) {
        let missing: Vec<AlertEntry> = older
            .alerts
            .into_iter()
            .filter(|alert| !alert.is_firing())
            .filter(|alert| self.alerts.iter().all(|known| known.labels != alert.labels))
            .collect();
        self.resolved += missing.len();
        self.alerts.extend(missing);
    }
}

impl Outbox {
    /// The notifications that are owed, oldest first.
    pub fn owed(&self) -> &[Notification] {
        &self.owed
    }

    /// The notifications that were refused for good, oldest first.
    pub fn dead_letters(&self) -> &[DeadLetter] {
        &self.dead
    }

    /// Adds a notification. Older ones of the same group and channel that nobody has claimed
    /// are superseded by it.
    pub(super) fn put(&mut self, mut notification: Notification, now: Timestamp) {
        let (waiting, rest) = std::mem::take(&mut self.owed)
            .into_iter()
            .partition(|older| older.is_for_the_same(&notification) && !older.is_claimed(now));
        self.owed = rest;
        let waiting: Vec<Notification> = waiting;
        for older in waiting {
            notification.supersede(older);
        }
        self.owed.push(notification);
    }

    /// Claims for `run`, until `until`, everything that may be published now: of each group and
    /// channel the newest that is owed, unless another run's claim is in force.
    pub fn claim(&mut self, run: &str, now: Timestamp, until: Timestamp) {
        for newest in std::mem::take(&mut self.owed) {
            if newest.is_claimed(now) {
                self.owed.push(newest);
            } else {
                self.put(newest, now);
            }
        }
        let (claimed, free): (Vec<&mut Notification>, Vec<_>) =
            self.owed.iter_mut().partition(|owed| owed.is_claimed(now));
        for owed in free {
            if !claimed.iter().any(|claimed| claimed.is_for_the_same(owed)) {
                owed.attempts += 1;
                owed.claim = Some(Claim {
                    run: run.to_owned(),
                    until,
                });
            }
        }
    }

    /// What `run` may publish at `now`, oldest first.
    pub fn claimed_by<'a>(
        &'a self,
        run: &'a str,
        now: Timestamp,
    ) -> impl Iterator<Item = &'a Notification> {
        self.owed.iter().filter(move |owed| {
            owed.claim
                .as_ref()
                .is_some_and(|claim| claim.run == run && claim.until > now)
        })
    }

    /// Strikes off what `run` delivered. False if it was no longer its claim.
    pub fn delivered(&mut self, id: &str, run: &str) -> bool {
        self.take(id, run).is_some()
    }

    /// Gives up what was refused for good.
    pub fn refused(&mut self, id: &str, run: &str, error: String, at: Timestamp) {
        if let Some(notification) = self.take(id, run) {
            self.dead.push(DeadLetter {
                id: notification.id,
                receiver: notification.receiver,
                integration: notification.integration,
                group_labels: notification.group_labels,
                error,
                at,
            });
            let excess = self.dead.len().saturating_sub(MAX_DEAD_LETTERS);
            self.dead.drain(..excess);
        }
    }

    /// Gives back what could not be delivered now; the next run tries again.
    pub fn release(&mut self, id: &str, run: &str) {
        for owed in &mut self.owed {
            if owed.id == id && owed.claim.as_ref().is_some_and(|claim| claim.run == run) {
                owed.claim = None;
            }
        }
    }

    fn take(&mut self, id: &str, run: &str) -> Option<Notification> {
        let at = self.owed.iter().position(|owed| {
            owed.id == id && owed.claim.as_ref().is_some_and(|claim| claim.run == run)
        })?;
        Some(self.owed.remove(at))
    }
}
