//! Stretches of time in which there is nothing to tell, for those who replay history: they need
//! not plan at every run.

use std::time::Duration;

use super::dedup::time_to_live;
use super::{AggrGroup, NotifyState, Route};
use crate::timestamp::Timestamp;

/// The first moment from which [`super::plan`] may find something to tell, if no rule has news.
/// `changed_at` says of a group's key when its alerts last had news.
pub fn next_plan(
    notify: &NotifyState,
    route: &Route,
    changed_at: impl Fn(&str) -> Timestamp,
) -> Option<Timestamp> {
    let groups = notify.groups.iter();
    groups
        .map(|(key, group)| {
            if !group.flushed || last_flush(group, route) < changed_at(key) {
                return group.next_flush;
            }
            let told = notify.nflog.iter().filter(|told| told.group_key == *key);
            let again = told.map(|told| {
                let repeat = told.timestamp.plus(route.repeat_interval);
                repeat.min(told.timestamp.plus(time_to_live(route)))
            });
            group.next_flush.max(again.min().unwrap_or_default())
        })
        .min()
}

fn last_flush(group: &AggrGroup, route: &Route) -> Timestamp {
    group.next_flush.minus(route.group_interval)
}

/// Moves the groups' deadlines as the runs before `until` would have, which had nothing to tell.
pub fn pass_over(notify: &mut NotifyState, route: &Route, schedule: Duration, until: Timestamp) {
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
