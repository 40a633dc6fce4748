//! Stretches of time without a due notification: a replay of history need not plan at every run.

use std::collections::BTreeMap;
use std::time::Duration;

use super::dedup::time_to_live;
use super::{AggrGroup, NotifyState, Route, group};
use crate::timestamp::Timestamp;

/// Of each group, by its key, the first moment from which [`super::plan`] may find something to
/// notify about it, if no rule has news. `changed_at` says when its alerts last had news.
pub fn next_plans<'a>(
    notify: &'a NotifyState,
    route: &'a Route,
    changed_at: impl Fn(&str) -> Timestamp + 'a,
) -> impl Iterator<Item = (&'a str, Timestamp)> {
    let mut notified: BTreeMap<&str, Timestamp> = BTreeMap::new();
    for entry in notify.nflog.iter() {
        let first = notified.entry(&entry.group_key).or_insert(entry.timestamp);
        *first = entry.timestamp.min(*first);
    }
    notify.groups.iter().map(move |(key, group)| {
        let next = match notified.get(key.as_str()) {
            // Alerts that waited in another group may make it notify at any run.
            _ if !group.flushed => Timestamp::default(),
            Some(notified) if last_flush(group, route) >= changed_at(key) => {
                let repeat = notified.plus(route.repeat_interval);
                let forgotten = notified.plus(time_to_live(route));
                group.next_flush.max(repeat).min(forgotten)
            }
            _ => group.next_flush,
        };
        (key.as_str(), next)
    })
}

fn last_flush(group: &AggrGroup, route: &Route) -> Timestamp {
    group.next_flush.minus(route.group_interval)
}

/// Drops the groups that became empty since the previous plan. `now` is the run's time.
pub fn forget_empty(notify: &mut NotifyState, route: &Route, now: Timestamp) {
    group::assign(notify, route, None, now);
}

/// Advances `next_flush` of every group whose deadline falls before `until`, as the skipped runs
/// would have.
pub fn move_deadlines(
    notify: &mut NotifyState,
    route: &Route,
    schedule: Duration,
    until: Timestamp,
) {
    for group in notify.groups.values_mut() {
        while group.flushed {
            let aligned = group.next_flush.align_down(schedule);
            let run = if aligned < group.next_flush {
                aligned.plus(schedule)
            } else {
                aligned
            };
            if run >= until {
                break;
            }
            group.next_flush = run.plus(route.group_interval.max(Duration::from_millis(1)));
        }
    }
}
