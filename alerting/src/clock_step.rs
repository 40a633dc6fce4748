//! State that was written under a clock that was ahead.
//!
//! Time is not monotonic: a host's clock is set, a virtual machine is resumed, two hosts disagree.
//! A state then holds moments that have not come yet. This module finds them ([`ahead`]) and, once
//! it is known that the clock is right *now*, moves them back ([`continue_from`]). It never reads a
//! clock: the caller says what time it is, and what a witness says ([`Verdict::from_offsets`]).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::alert::{Alert, AlertState, End, Hold};
use crate::config::Config;
use crate::labels::Labels;
use crate::notify::{AlertEntry, NotifyState, Route, sent_labels};
use crate::rules::{AlertingRule, RuleKey};
use crate::state::{RuleState, State};
use crate::timestamp::Timestamp;

/// Up to here state from the future is waited out.
pub const WAIT_OUT: Duration = Duration::from_secs(60);

/// A clock that is further from its witness than this is wrong. It is half of [`WAIT_OUT`], so that
/// of two hosts whose clocks are both taken for right none finds the other's state beyond it.
pub const MAX_SKEW: Duration = Duration::from_secs(30);

/// What witnesses say of a host's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// A witness agrees with it.
    Right,
    /// There are witnesses, and none agrees with it. It is ahead of the nearest one by so many
    /// milliseconds (behind it, if negative).
    Wrong {
        /// How far the clock is ahead, in milliseconds.
        ahead_ms: i64,
    },
    /// There is no witness.
    Unknown,
}

impl Verdict {
    /// The verdict of witnesses that are so many milliseconds ahead of the clock. One that agrees is
    /// enough: two clocks that agree are not both wrong in the same way.
    pub fn from_offsets(offsets: impl IntoIterator<Item = i64>) -> Self {
        let nearest = offsets
            .into_iter()
            .min_by_key(|offset| offset.unsigned_abs());
        match nearest {
            None => Self::Unknown,
            Some(offset) if Duration::from_millis(offset.unsigned_abs()) <= MAX_SKEW => Self::Right,
            Some(offset) => Self::Wrong {
                ahead_ms: offset.saturating_neg(),
            },
        }
    }
}

/// State was found that was written under a clock that was ahead, and evaluation went on from the
/// right time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockStep {
    /// The run time at which it was found.
    pub at: Timestamp,
    /// The latest moment that the state held, which must have been past when it was written.
    pub until: Timestamp,
}

/// How far the state is ahead of `now`: zero where it holds no moment after it that was past when it
/// was written. `claim` is how long a claim holds.
pub fn ahead(state: &State, config: &Config, claim: Duration, now: Timestamp) -> Duration {
    newest(state, config, claim).map_or(Duration::ZERO, |newest| newest.since(now))
}

/// The latest moment in the state that its writer's clock had reached.
fn newest(state: &State, config: &Config, claim: Duration) -> Option<Timestamp> {
    let rules = state.rules.values().map(|rule| rule.evaluated_until);
    let notify = &state.notify;
    let notified = notify.nflog.iter().map(|entry| entry.timestamp);
    let pending = notify.outbox.pending().iter();
    let pending = pending.flat_map(|pending| {
        let claimed = pending.claim.as_ref().map(|held| held.until.minus(claim));
        std::iter::once(pending.created_at).chain(claimed)
    });
    let flushed = notify.groups.iter().map(|(key, group)| {
        let (wait, interval) = waits(config, key);
        group.next_flush.minus(wait.max(interval))
    });
    let read = notify.workspace_silences.as_ref();
    let read = read.map(|silences| silences.read_at);
    let refused = notify.outbox.dead_letters().iter().map(|dead| dead.at);
    rules
        .chain(notified)
        .chain(pending)
        .chain(flushed)
        .chain(refused)
        .chain(read)
        .max()
}

/// How long the group of that key waits: `group_wait`, `group_interval`. Where its route is gone,
/// the longest of all.
fn waits(config: &Config, group_key: &str) -> (Duration, Duration) {
    let nodes = config.route.nodes();
    let is_of = |route: &Route| {
        let rest = group_key.strip_prefix(route.key.as_str());
        rest.is_some_and(|rest| rest.starts_with(":{"))
    };
    let of: Vec<&&Route> = nodes.iter().filter(|route| is_of(route)).collect();
    let of = if of.is_empty() {
        nodes.iter().collect()
    } else {
        of
    };
    let wait = of.iter().map(|route| route.group_wait).max();
    let interval = of.iter().map(|route| route.group_interval).max();
    (wait.unwrap_or_default(), interval.unwrap_or_default())
}

/// Moves what lies in the future back to `now`, which is known to be right, and notes it for the
/// alert.
///
/// A rule whose cursor is in the future has its newest tick evaluated next. No alert is dropped: an
/// end that lies in the future has not happened, and the alert fires on until that tick says
/// otherwise. What was notified counts as notified now, so nothing is repeated before its time.
/// Deadlines and claims are kept, and none is longer than one that is made now. Silences stay: their
/// times are the user's.
pub fn continue_from(state: &mut State, config: &Config, claim: Duration, now: Timestamp) {
    let until = newest(state, config, claim).unwrap_or(now).max(now);
    let mut firing: BTreeMap<RuleKey, BTreeSet<Labels>> = BTreeMap::new();
    for group in &config.groups {
        for rule in &group.rules {
            if let Some(state) = state.rules.get_mut(&rule.key) {
                set_back_rule(rule, state, group.interval, now);
                let alerts = state.active.values();
                let fires = alerts.filter(|alert| alert.state == AlertState::Firing);
                let labels = fires.map(|alert| sent_labels(&alert.labels, config));
                firing.insert(rule.key.clone(), labels.collect());
            }
        }
    }
    // The alerts of a removed rule: notification is about to end them, as "rule removed".
    for (key, rule) in &mut state.rules {
        if !firing.contains_key(key) {
            for alert in rule.active.values_mut() {
                set_back_alert(alert, Duration::ZERO, now);
            }
            let fires = rule.active.values();
            let fires = fires.filter(|alert| alert.state == AlertState::Firing);
            let labels = fires.map(|alert| sent_labels(&alert.labels, config));
            firing.insert(key.clone(), labels.collect());
        }
    }
    for entry in state.notify.alerts.values_mut() {
        let rule = firing.get(&entry.rule);
        let fires = rule.is_some_and(|labels| labels.contains(&entry.labels));
        set_back_entry(entry, fires, now);
    }
    set_back_notify(&mut state.notify, config, claim, now);
    if let Some(server) = &mut state.server {
        not_after(&mut server.since, now);
    }
    state.clock_step = Some(ClockStep { at: now, until });
}

fn set_back_rule(rule: &AlertingRule, state: &mut RuleState, interval: Duration, now: Timestamp) {
    let next = now.align_down(interval);
    if state.evaluated_until > now {
        state.evaluated_until = next.minus(interval);
    }
    for alert in state.active.values_mut() {
        set_back_alert(alert, rule.hold_for, next);
    }
    let active = &state.active;
    state.ended.retain(|labels, ended| {
        let has_ended = ended.resolved_at.is_none_or(|at| at <= next);
        has_ended || !active.contains_key(labels)
    });
    for alert in state.ended.values_mut() {
        if alert.resolved_at.is_some_and(|at| at > next) {
            alert.end = Some(End::NoLongerReported);
        }
        for at in [&mut alert.fired_at, &mut alert.resolved_at] {
            set_back_some(at, next);
        }
    }
    if let Some(failure) = &mut state.health.failure {
        not_after(&mut failure.since, next);
    }
    if let Some(skipped) = &mut state.health.skipped {
        for at in [&mut skipped.from, &mut skipped.to, &mut skipped.at] {
            not_after(at, now);
        }
    }
}

/// No alert of a rule began or ended after `next`, the tick that is evaluated next.
fn set_back_alert(alert: &mut Alert, hold_for: Duration, next: Timestamp) {
    if alert.resolved_at.is_some_and(|at| at > next) {
        alert.state = AlertState::Firing;
        alert.resolved_at = None;
        alert.end = None;
    }
    let latest = match alert.state {
        // What fires has waited for `for`, by whatever clock, and was notified: it fires on.
        AlertState::Firing => next.minus(hold_for),
        AlertState::Pending | AlertState::Inactive => next,
    };
    not_after(&mut alert.active_at, latest);
    set_back_some(&mut alert.fired_at, next);
    set_back_some(&mut alert.keep_firing_since, next);
    set_back_hold(&mut alert.hold, next);
}

fn set_back_hold(hold: &mut Option<Hold>, latest: Timestamp) {
    if let Some(hold) = hold {
        not_after(&mut hold.since, latest);
        if let Some(gone) = &mut hold.gone_since {
            not_after(gone, latest);
        }
    }
}

/// The same of an alert as notification knows it. Whether its rule fires it decides what an end in
/// the future becomes: none, or, where nothing is known any more, no all-clear.
fn set_back_entry(entry: &mut AlertEntry, fires: bool, now: Timestamp) {
    not_after(&mut entry.starts_at, now);
    if entry.ends_at.is_some_and(|at| at > now) {
        if fires {
            entry.ends_at = None;
            entry.end = None;
            entry.fired_by = BTreeSet::from([entry.rule.clone()]);
        } else {
            entry.ends_at = Some(now);
            if entry.rule != RuleKey::ruler() {
                entry.end = Some(End::NoLongerReported);
            }
        }
    }
    set_back_hold(&mut entry.hold, now);
}

fn set_back_notify(notify: &mut NotifyState, config: &Config, claim: Duration, now: Timestamp) {
    for (key, group) in &mut notify.groups {
        let (wait, interval) = waits(config, key);
        let longest = if group.flushed { interval } else { wait };
        not_after(&mut group.next_flush, now.plus(longest));
    }
    for check in notify.subscribers.values_mut() {
        check.not_after(now);
    }
    notify.nflog.not_after(now);
    notify.outbox.not_after(now, now.plus(claim));
    if let Some(workspace) = &mut notify.workspace_silences {
        not_after(&mut workspace.read_at, now);
        if let Some((since, _)) = &mut workspace.failing {
            not_after(since, now);
        }
    }
}

fn set_back_some(at: &mut Option<Timestamp>, latest: Timestamp) {
    if let Some(at) = at {
        not_after(at, latest);
    }
}

/// Leaves a moment as it is, or sets it back to `latest`.
pub(crate) fn not_after(at: &mut Timestamp, latest: Timestamp) {
    *at = (*at).min(latest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_witness_that_agrees_is_enough() {
        let wrong = |ahead_ms| Verdict::Wrong { ahead_ms };
        for (offsets, expected) in [
            (&[][..], Verdict::Unknown),
            (&[0], Verdict::Right),
            (&[30_000], Verdict::Right),
            (&[-30_000], Verdict::Right),
            (&[-30_001], wrong(30_001)),
            (&[600_000], wrong(-600_000)),
            (&[600_000, 1_000], Verdict::Right),
            (&[600_000, -90_000], wrong(90_000)),
            (&[i64::MIN], wrong(i64::MAX)),
        ] {
            assert_eq!(
                Verdict::from_offsets(offsets.iter().copied()),
                expected,
                "{offsets:?}"
            );
        }
    }
}
