//! Pending notifications: stored in the same commit as the state that caused them, claimed before
//! they are published, removed after.
//!
//! For each group and channel of a receiver at most one is claimed and at most one waits behind it, so they
//! are published in their order.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{AlertEntry, NotifyReason};
use crate::clock_step::not_after;
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
    /// Why it is sent.
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
    /// How many groups a storm digest combines; else 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub groups: usize,
    /// The run time at which it was planned.
    pub created_at: Timestamp,
    /// How often it was tried.
    #[serde(default)]
    pub attempts: u32,
    /// The run that publishes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<Claim>,
}

fn is_zero(count: &usize) -> bool {
    *count == 0
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

/// The pending notifications, in the order of planning.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Outbox {
    /// Not yet delivered.
    #[serde(default, rename = "owed", skip_serializing_if = "Vec::is_empty")]
    pending: Vec<Notification>,
    /// Refused for good; the last ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    dead: Vec<DeadLetter>,
}

/// Group, receiver, channel.
type Key = (String, String, String);

impl Notification {
    fn is_claimed(&self, now: Timestamp) -> bool {
        self.claim.as_ref().is_some_and(|claim| claim.until > now)
    }

    /// What the order of notifications is kept within.
    fn key(&self) -> Key {
        (
            self.group_key.clone(),
            self.receiver.clone(),
            self.integration.clone(),
        )
    }

    /// Replaces `older`, which may not have been delivered: alerts that resolved in it and do not
    /// fire again must still be notified.
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
    /// The pending notifications, oldest first.
    pub fn pending(&self) -> &[Notification] {
        &self.pending
    }

    /// The notifications that were refused for good, oldest first.
    pub fn dead_letters(&self) -> &[DeadLetter] {
        &self.dead
    }

    /// Adds notifications. Older unclaimed ones of the same group and integration are superseded by
    /// them.
    pub(super) fn put_all(&mut self, more: Vec<Notification>, now: Timestamp) {
        if !more.is_empty() {
            self.pending.extend(more);
            self.supersede(now);
        }
    }

    /// Keeps only the newest unclaimed notification of each group and integration.
    fn supersede(&mut self, now: Timestamp) {
        let mut kept: Vec<Option<Notification>> = Vec::with_capacity(self.pending.len());
        let mut newest: BTreeMap<Key, usize> = BTreeMap::new();
        for mut pending in std::mem::take(&mut self.pending) {
            if !pending.is_claimed(now) {
                let older = newest.insert(pending.key(), kept.len());
                if let Some(older) = older.and_then(|at| kept.get_mut(at)?.take()) {
                    pending.supersede(older);
                }
            }
            kept.push(Some(pending));
        }
        self.pending = kept.into_iter().flatten().collect();
    }

    /// Claims for `run`, until `until`, everything that may be published now: of each group and
    /// integration the newest pending one, unless another run's claim is in force.
    pub fn claim(&mut self, run: &str, now: Timestamp, until: Timestamp) {
        self.supersede(now);
        let claimed = self
            .pending
            .iter()
            .filter(|pending| pending.is_claimed(now));
        let claimed: BTreeSet<Key> = claimed.map(Notification::key).collect();
        for pending in &mut self.pending {
            if !pending.is_claimed(now) && !claimed.contains(&pending.key()) {
                pending.attempts += 1;
                pending.claim = Some(Claim {
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
        self.pending.iter().filter(move |pending| {
            pending
                .claim
                .as_ref()
                .is_some_and(|claim| claim.run == run && claim.until > now)
        })
    }

    /// Removes what `run` delivered. False if it was no longer its claim.
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
        for pending in &mut self.pending {
            if pending.id == id && pending.claim.as_ref().is_some_and(|claim| claim.run == run) {
                pending.claim = None;
            }
        }
    }

    /// Nothing was planned or refused after `now`, and no claim holds after `claim_until`. What a
    /// notification says stays: it may be on its way.
    pub(crate) fn not_after(&mut self, now: Timestamp, claim_until: Timestamp) {
        for pending in &mut self.pending {
            not_after(&mut pending.created_at, now);
            if let Some(claim) = &mut pending.claim {
                not_after(&mut claim.until, claim_until);
            }
        }
        for dead in &mut self.dead {
            not_after(&mut dead.at, now);
        }
    }

    fn take(&mut self, id: &str, run: &str) -> Option<Notification> {
        let at = self.pending.iter().position(|pending| {
            pending.id == id && pending.claim.as_ref().is_some_and(|claim| claim.run == run)
        })?;
        Some(self.pending.remove(at))
    }
}
