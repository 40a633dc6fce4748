//! What a comparison covered: transitions, by kind and by what the timelines had in them.

use std::collections::BTreeMap;

use alerting::alert::AlertState;
use alerting::labels::Labels;
use anyhow::{Result, ensure};

use super::timeline::Timeline;
use crate::planner::Seen;

/// Counts by name.
#[derive(Debug, Default)]
pub(super) struct Covered {
    counts: BTreeMap<String, usize>,
}

/// The fewest of each that a thousand timelines must have for the comparison to mean anything,
/// whatever their seeds: rare things come in half or twice their number.
const FLOORS: &[(&str, usize)] = &[
    ("ticks", 24_000),
    ("transition inactive -> pending", 2_800),
    ("transition inactive -> firing", 1_400),
    ("transition pending -> firing", 850),
    ("transition pending -> inactive", 1_800),
    ("transition firing -> inactive", 1_700),
    ("failure", 60),
    ("annotations of firing alerts", 46_000),
    ("failing template", 10_000),
    ("with for", 6_500),
    ("with keep_firing_for", 6_900),
    ("with gaps", 2_800),
    ("with staleness markers", 4_000),
    ("with counter resets", 4_500),
    ("with NaN", 1_300),
    ("with infinities", 1_400),
    ("with labels", 6_900),
    ("with label templates", 6_600),
    ("with annotation templates", 7_500),
    ("with templates that query", 2_500),
    ("with query_offset", 1_500),
    ("with group labels", 1_000),
    ("with two rules of one name", 1_200),
    ("with limit", 40),
    ("with labels that may collide", 80),
    ("with joins that may fail", 150),
];

impl Covered {
    fn count(&mut self, what: &str, n: usize) {
        *self.counts.entry(what.to_owned()).or_default() += n;
    }

    /// Counts what was compared of a timeline: all up to its first failure.
    pub(super) fn add(&mut self, timeline: &Timeline, seen: &[Seen]) {
        let failed = seen.iter().position(|seen| seen.failed.is_some());
        self.count("failure", usize::from(failed.is_some()));
        let seen = &seen[..failed.unwrap_or(seen.len())];
        self.count("timelines", 1);
        self.count("ticks", seen.len());
        let mut before: BTreeMap<&Labels, AlertState> = BTreeMap::new();
        let mut transitions = 0;
        for seen in seen {
            let now: BTreeMap<&Labels, AlertState> = seen
                .active
                .iter()
                .map(|alert| (&alert.labels, alert.state))
                .collect();
            for labels in before
                .keys()
                .chain(now.keys())
                .collect::<std::collections::BTreeSet<_>>()
            {
                let state = |at: &BTreeMap<&Labels, AlertState>| {
                    at.get(*labels).copied().unwrap_or(AlertState::Inactive)
                };
                let (from, to) = (state(&before), state(&now));
                if from != to {
                    transitions += 1;
                    self.count(&format!("transition {} -> {}", word(from), word(to)), 1);
                }
            }
            for alert in &seen.active {
                if alert.state == AlertState::Firing {
                    self.count("annotations of firing alerts", alert.annotations.len());
                    let texts = alert.annotations.iter().map(|(_, text)| text.as_str());
                    let labels = alert.labels.iter().map(|(_, text)| text);
                    let failing = texts.chain(labels);
                    let failing = failing.filter(|text| text.starts_with("<error expanding"));
                    self.count("failing template", failing.count());
                }
            }
            before = now;
        }
        for feature in &timeline.features {
            self.count(&format!("with {feature}"), transitions);
        }
    }

    /// Whether a run of `timelines` had enough of everything. A few show nothing.
    pub(super) fn is_enough(&self, timelines: usize) -> Result<()> {
        if timelines < 500 {
            return Ok(());
        }
        for (what, floor) in FLOORS {
            let floor = floor * timelines / 1_000;
            let n = self.counts.get(*what).copied().unwrap_or(0);
            ensure!(n >= floor, "{what}: {n}, and {floor} are to be compared");
        }
        Ok(())
    }
}

impl std::fmt::Display for Covered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (what, n) in &self.counts {
            writeln!(f, "{n:>8} {what}")?;
        }
        Ok(())
    }
}

fn word(state: AlertState) -> &'static str {
    match state {
        AlertState::Inactive => "inactive",
        AlertState::Pending => "pending",
        AlertState::Firing => "firing",
    }
}
