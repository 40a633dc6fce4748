//! Times at which a route is muted (`TimeMuteStage` and `TimeActiveStage` in Alertmanager).

use std::collections::BTreeMap;

use super::{Route, TimeInterval};
use crate::timestamp::Timestamp;

/// The named times of a configuration.
pub type TimeIntervals = BTreeMap<String, Vec<TimeInterval>>;

/// Whether the route is muted at `now`.
pub(super) fn mutes(route: &Route, intervals: &TimeIntervals, now: Timestamp) -> bool {
    let within_one = |names: &[String]| {
        let named = names.iter().filter_map(|name| intervals.get(name));
        named.flatten().any(|interval| interval.contains(now))
    };
    let is_active =
        route.active_time_intervals.is_empty() || within_one(&route.active_time_intervals);
    !is_active || within_one(&route.mute_time_intervals)
}
