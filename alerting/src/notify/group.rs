//! Aggregation groups and their deadlines (`dispatch/dispatch.go` in Alertmanager).

use serde::{Deserialize, Serialize};

use super::{NotifyState, Route};
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
}

/// A group whose deadline has come.
pub(super) struct Flushed {
    pub(super) key: String,
    pub(super) labels: Labels,
    /// The alerts that fire, in the order of their labels.
    pub(super) firing: Vec<Labels>,
    /// The alerts that ended since the last flush.
    pub(super) resolved: Vec<Labels>,
}

/// Puts alerts into groups: makes those that are new, forgets those that are empty.
pub(super) fn assign(notify: &mut NotifyState, route: &Route, now: Timestamp) {
    let mut old = std::mem::take(&mut notify.groups);
    let mut last: Option<(&Labels, String)> = None;
    for entry in notify.alerts.values() {
        // Neighbours are mostly of one group.
        if let Some((like, key)) = &last
            && route.is_one_group(like, &entry.labels)
            && let Some(group) = notify.groups.get_mut(key)
        {
            group.hurry(entry.starts_at, route, now);
            continue;
        }
        let labels = route.group_labels(&entry.labels);
        let key = Route::group_key(&labels);
        if let Some(known) = old.remove(&key) {
            notify.groups.insert(key.clone(), known);
        }
        let group = notify
            .groups
            .entry(key.clone())
            .or_insert_with(|| AggrGroup {
                labels,
                next_flush: now.plus(route.group_wait),
                flushed: false,
            });
        group.hurry(entry.starts_at, route, now);
        last = Some((&entry.labels, key));
    }
}

impl AggrGroup {
    /// An alert that has waited long enough elsewhere makes a new group speak at once.
    fn hurry(&mut self, starts_at: Timestamp, route: &Route, now: Timestamp) {
        if !self.flushed && starts_at.plus(route.group_wait) < now {
            self.next_flush = self.next_flush.min(now);
        }
    }
}

/// The groups whose deadline has come, with their alerts; their next deadline is set.
pub(super) fn flush(notify: &mut NotifyState, route: &Route, now: Timestamp) -> Vec<Flushed> {
    let mut due: std::collections::BTreeMap<&str, Flushed> = notify
        .groups
        .iter()
        .filter(|(_, group)| group.next_flush <= now)
        .map(|(key, group)| {
            let flushed = Flushed {
                key: key.clone(),
                labels: group.labels.clone(),
                firing: Vec::new(),
                resolved: Vec::new(),
            };
            (key.as_str(), flushed)
        })
        .collect();
    if due.is_empty() {
        return Vec::new();
    }
    let mut last: Option<(&Labels, String)> = None;
    for (labels, entry) in &mut notify.alerts {
        let key = match last.take() {
            Some((like, key)) if route.is_one_group(like, labels) => key,
            _ => Route::group_key(&route.group_labels(labels)),
        };
        let key = &last.insert((labels, key)).1;
        if let Some(flushed) = due.get_mut(key.as_str()) {
            if entry.is_firing() {
                // Told now, or known: what it was before need not be told by itself.
                entry.past = false;
                flushed.firing.push(labels.clone());
            } else {
                flushed.resolved.push(labels.clone());
            }
        }
    }
    let flushed: Vec<Flushed> = due.into_values().collect();
    for group in &flushed {
        if let Some(group) = notify.groups.get_mut(&group.key) {
            group.flushed = true;
            group.next_flush = now.plus(route.group_interval);
        }
    }
    flushed
}

/// After a flush the alerts that ended are told, or need not be.
pub(super) fn forget_resolved(notify: &mut NotifyState, flushed: &Flushed) {
    for labels in &flushed.resolved {
        notify.alerts.remove(labels);
    }
}
