//! Aggregation groups and their deadlines (`dispatch/dispatch.go` in Alertmanager).

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{NotifyState, Route};
use crate::fingerprint::Fingerprint;
use crate::labels::Labels;
use crate::timestamp::Timestamp;

/// A group of alerts that are told together. Which alerts belong to it follows from their
/// labels; here is only what does not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AggrGroup {
    /// The labels that its alerts share.
    pub labels: Labels,
    /// When it may be told next.
    pub next_flush: Timestamp,
    /// Whether it has ever been flushed.
    pub flushed: bool,
    /// The alerts that ended and that it is done with, while other groups are not.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub done: BTreeSet<Fingerprint>,
}

/// A group whose deadline has come.
#[derive(Debug, Clone)]
pub(super) struct Flushed<'a> {
    pub(super) key: String,
    pub(super) route: &'a Route,
    pub(super) labels: Labels,
    /// The alerts that fire, in the order of their labels.
    pub(super) firing: Vec<Labels>,
    /// The alerts that ended since the last flush.
    pub(super) resolved: Vec<Labels>,
}

impl Flushed<'_> {
    /// Whether there is nothing in it to tell of.
    pub(super) fn is_empty(&self) -> bool {
        self.firing.is_empty() && self.resolved.is_empty()
    }

    /// The same without the alerts that are muted.
    pub(super) fn without(mut self, mut is_muted: impl FnMut(&Labels) -> bool) -> Self {
        self.firing.retain(|labels| !is_muted(labels));
        self.resolved.retain(|labels| !is_muted(labels));
        self
    }
}

/// The groups that alerts belong to: of each alert one in each node that it ends up in.
#[derive(Default)]
pub(super) struct Membership<'a> {
    /// The alerts of each group, in the order of their labels.
    members: BTreeMap<String, Members<'a>>,
    /// The groups of each alert that ended.
    of_ended: BTreeMap<Labels, Vec<String>>,
}

struct Members<'a> {
    route: &'a Route,
    labels: Labels,
    alerts: Vec<Labels>,
}

/// Puts alerts into groups: makes those that are new, forgets those that are empty.
pub(super) fn assign<'a>(
    notify: &mut NotifyState,
    root: &'a Route,
    now: Timestamp,
) -> Membership<'a> {
    let mut membership = Membership::default();
    let mut old = std::mem::take(&mut notify.groups);
    for entry in notify.alerts.values() {
        for route in root.matching(&entry.labels) {
            let labels = route.group_labels(&entry.labels);
            let key = route.group_key(&labels);
            if let Some(known) = old.remove(&key) {
                notify.groups.insert(key.clone(), known);
            }
            let group = notify
                .groups
                .entry(key.clone())
                .or_insert_with(|| AggrGroup {
                    labels: labels.clone(),
                    next_flush: now.plus(route.group_wait),
                    flushed: false,
                    done: BTreeSet::new(),
                });
            // An alert that has waited long enough elsewhere makes a new group speak at once.
            if !group.flushed && entry.starts_at.plus(route.group_wait) < now {
                group.next_flush = group.next_flush.min(now);
            }
            if entry.is_firing() {
                if !group.done.is_empty() {
                    group.done.remove(&entry.labels.fingerprint());
                }
            } else {
                let groups = membership.of_ended.entry(entry.labels.clone());
                groups.or_default().push(key.clone());
            }
            let members = membership.members.entry(key).or_insert_with(|| Members {
                route,
                labels,
                alerts: Vec::new(),
            });
            members.alerts.push(entry.labels.clone());
        }
    }
    membership
}

/// The groups whose deadline has come, with their alerts; their next deadline is set.
pub(super) fn flush<'a>(
    notify: &mut NotifyState,
    membership: &Membership<'a>,
    now: Timestamp,
) -> Vec<Flushed<'a>> {
    let mut all = Vec::new();
    for (key, group) in &mut notify.groups {
        let Some(members) = membership
            .members
            .get(key)
            .filter(|_| group.next_flush <= now)
        else {
            continue;
        };
        let mut flushed = Flushed {
            key: key.clone(),
            route: members.route,
            labels: members.labels.clone(),
            firing: Vec::new(),
            resolved: Vec::new(),
        };
        for labels in &members.alerts {
            let Some(entry) = notify.alerts.get_mut(labels) else {
                continue;
            };
            if entry.is_firing() {
                // Told now, or known: what it was before need not be told by itself.
                entry.past = false;
                flushed.firing.push(labels.clone());
            } else if group.done.is_empty() || !group.done.contains(&labels.fingerprint()) {
                flushed.resolved.push(labels.clone());
            }
        }
        group.flushed = true;
        group.next_flush = now.plus(members.route.group_interval);
        all.push(flushed);
    }
    all
}

/// After a flush the alerts that ended are told, or need not be. They are forgotten once every
/// group of theirs is done with them.
pub(super) fn forget_resolved(
    notify: &mut NotifyState,
    membership: &Membership<'_>,
    flushed: &Flushed<'_>,
) {
    for labels in &flushed.resolved {
        let fingerprint = labels.fingerprint();
        if let Some(group) = notify.groups.get_mut(&flushed.key) {
            group.done.insert(fingerprint);
        }
        let groups = membership
            .of_ended
            .get(labels)
            .map_or(&[][..], Vec::as_slice);
        let is_done = |key: &String| {
            let group = notify.groups.get(key);
            group.is_none_or(|group| group.done.contains(&fingerprint))
        };
        if groups.iter().all(is_done) {
            notify.alerts.remove(labels);
            for key in groups {
                if let Some(group) = notify.groups.get_mut(key) {
                    group.done.remove(&fingerprint);
                }
            }
        }
    }
}
