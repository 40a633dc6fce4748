//! What happened, counted: a simulation that never gets somewhere proves nothing about it.

use std::collections::BTreeMap;
use std::fmt;

/// What must have happened in any fair number of seeds.
const EXPECTED: [&str; 38] = [
    "answers without a Date",
    "calls failed",
    "calls that acted long after they failed",
    "clocks set ahead",
    "clocks set back",
    "commits",
    "commits refused by the fence",
    "documents torn",
    "ended as cleared",
    "ended as no_longer_reported",
    "ended as rule_removed",
    "notifications refused for good",
    "notifications superseded",
    "publishes",
    "publishes after the claim ran out",
    "publishes of what was published before",
    "runs",
    "runs finished",
    "runs frozen",
    "runs killed",
    "runs missed",
    "runs out of time",
    "runs refused for a wrong clock",
    "runs that lost a race",
    "runs that waited for a witness",
    "runs whose clock was set",
    "runs with a rule file that is being written",
    "runs with other rules",
    "runs without readable rules",
    "states from the future put right",
    "states from the future waited out",
    "steps",
    "ticks skipped for age",
    "notified: all_alerts_resolved",
    "notified: ended_unseen",
    "notified: first_notification",
    "notified: new_alerts_in_group",
    "notified: repeat_interval_elapsed",
];

/// Counts by name.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Totals(BTreeMap<String, u64>);

impl Totals {
    pub(super) fn count(&mut self, what: &str) {
        self.count_many(what, 1);
    }

    pub(super) fn count_many(&mut self, what: &str, many: u64) {
        match self.0.get_mut(what) {
            Some(count) => *count += many,
            None => {
                self.0.insert(what.to_owned(), many);
            }
        }
    }

    pub(super) fn get(&self, what: &str) -> u64 {
        self.0.get(what).copied().unwrap_or(0)
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (what, many) in &other.0 {
            self.count_many(what, *many);
        }
    }

    /// What never happened, and should have.
    pub(super) fn missing(&self) -> Vec<&'static str> {
        let missing = EXPECTED.into_iter().filter(|what| self.get(what) == 0);
        missing.collect()
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (what, count) in &self.0 {
            writeln!(f, "{count:9}  {what}")?;
        }
        Ok(())
    }
}
