//! Aggregation groups and their deadlines (`dispatch/dispatch.go` in Alertmanager).

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::fallback::Fallback;
use super::{AlertEntry, NotifyState, Route};
use crate::fingerprint::Fingerprint;
use crate::labels::Labels;
use crate::timestamp::Timestamp;

/// A group of alerts that are notified together. Which alerts belong to it follows from their
/// labels; here is only what does not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AggrGroup {
    /// The labels that its alerts share.
    pub labels: Labels,
    /// The earliest time of its next notification.
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
    /// Whether it has no alerts to notify about.
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
    /// The alerts of each group.
    members: BTreeMap<String, Members<'a>>,
    /// The groups of each alert that ended.
    of_ended: BTreeMap<Labels, Vec<String>>,
}

/// The alerts of a group, in the order of their labels.
struct Members<'a> {
    route: &'a Route,
    labels: Labels,
    firing: Vec<Labels>,
    ended: Vec<Labels>,
    /// Those of the firing ones that began and ended before, unseen.
    past: Vec<Labels>,
}

/// Puts alerts into groups: makes those that are new, forgets those that are empty.
pub(super) fn assign<'a>(
    notify: &mut NotifyState,
    root: &'a Route,
    fallback: Option<&'a Fallback>,
    now: Timestamp,
) -> Membership<'a> {
    let mut membership = Membership::default();
    let mut old = std::mem::take(&mut notify.groups);
    // Alerts come in the order of their labels, and those of one group mostly one after the other:
    // a group's labels and key are worked out again only where the last one of the node is another.
    let mut groups: Vec<Group<'a>> = Vec::new();
    let mut by_key: BTreeMap<String, usize> = BTreeMap::new();
    let mut last_of: BTreeMap<&str, usize> = BTreeMap::new();
    let mut routes = Vec::new();
    for entry in notify.alerts.values() {
        routes.clear();
        root.collect(&entry.labels, &mut routes);
        if let Some(fallback) = fallback {
            fallback.collect(&entry.labels, &old, &mut routes);
        }
        for route in &routes {
            let last = last_of.get(route.key.as_str()).copied();
            let is_here = |at: &usize| {
                groups.get(*at).is_some_and(|Group { members, .. }| {
                    std::ptr::eq(members.route, *route)
                        && route.is_in_group(&entry.labels, &members.labels)
                })
            };
            let at = last.filter(is_here).unwrap_or_else(|| {
                let labels = route.group_labels(&entry.labels);
                let key = route.group_key(&labels);
                let at = *by_key.entry(key).or_insert_with_key(|key| {
                    groups.push(Group::new(key, route, labels, &mut old, now));
                    groups.len() - 1
                });
                last_of.insert(&route.key, at);
                at
            });
            let Some(group) = groups.get_mut(at) else {
                continue;
            };
            group.add(entry, now);
            if !entry.is_firing() {
                let of_ended = membership.of_ended.entry(entry.labels.clone());
                of_ended.or_default().push(group.key.clone());
            }
        }
    }
    for group in groups {
        notify.groups.insert(group.key.clone(), group.aggr);
        membership.members.insert(group.key, group.members);
    }
    membership
}

/// A group, and the alerts that were found in it.
struct Group<'a> {
    key: String,
    aggr: AggrGroup,
    members: Members<'a>,
}

impl<'a> Group<'a> {
    /// The group without its alerts, as it is among the `old` ones, or new.
    fn new(
        key: &str,
        route: &'a Route,
        labels: Labels,
        old: &mut BTreeMap<String, AggrGroup>,
        now: Timestamp,
    ) -> Self {
        let aggr = old.remove(key).unwrap_or_else(|| AggrGroup {
            labels: labels.clone(),
            next_flush: now.plus(route.group_wait),
            flushed: false,
            done: BTreeSet::new(),
        });
        Self {
            key: key.to_owned(),
            aggr,
            members: Members {
                route,
                labels,
                firing: Vec::new(),
                ended: Vec::new(),
                past: Vec::new(),
            },
        }
    }

    fn add(&mut self, entry: &AlertEntry, now: Timestamp) {
        let group = &mut self.aggr;
        // An alert that has waited long enough elsewhere makes a new group speak at once.
        if !group.flushed && entry.starts_at.plus(self.members.route.group_wait) < now {
            group.next_flush = group.next_flush.min(now);
        }
        if !entry.is_firing() {
            self.members.ended.push(entry.labels.clone());
            return;
        }
        if !group.done.is_empty() {
            group.done.remove(&entry.labels.fingerprint());
        }
        if entry.past {
            self.members.past.push(entry.labels.clone());
        }
        self.members.firing.push(entry.labels.clone());
    }
}

/// The groups whose deadline has come, with their alerts; their next deadline is set.
pub(super) fn flush<'a>(
    notify: &mut NotifyState,
    membership: &mut Membership<'a>,
    now: Timestamp,
) -> Vec<Flushed<'a>> {
    let mut all = Vec::new();
    for (key, group) in &mut notify.groups {
        let Some(members) = membership
            .members
            .get_mut(key)
            .filter(|_| group.next_flush <= now)
        else {
            continue;
        };
        // Notified now or before: its earlier firing needs no notification of its own.
        for labels in &members.past {
            if let Some(entry) = notify.alerts.get_mut(labels) {
                entry.past = false;
            }
        }
        let mut resolved = std::mem::take(&mut members.ended);
        if !group.done.is_empty() {
            resolved.retain(|labels| !group.done.contains(&labels.fingerprint()));
        }
        all.push(Flushed {
            key: key.clone(),
            route: members.route,
            labels: members.labels.clone(),
            firing: std::mem::take(&mut members.firing),
            resolved,
        });
        group.flushed = true;
        group.next_flush = now.plus(members.route.group_interval);
    }
    all
}

/// After a flush the resolved alerts are notified or need not be. They are removed when every group
/// of theirs has flushed them.
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
