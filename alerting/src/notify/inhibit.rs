//! Inhibition: while a source alert fires, its target alerts are not notified (`inhibit/inhibit.go`
//! in Alertmanager).

use std::collections::BTreeMap;

use super::AlertEntry;
use crate::labels::Labels;
use crate::matchers::Matchers;

/// One of `inhibit_rules`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InhibitRule {
    /// What it is called, or empty.
    pub name: String,
    /// The alerts that inhibit.
    pub source: Matchers,
    /// The alerts that are inhibited.
    pub target: Matchers,
    /// The labels whose values must be the same in both; a missing one counts as empty.
    pub equal: Vec<String>,
}

/// What is inhibited now.
pub(super) struct Inhibitor<'a> {
    rules: Vec<(&'a InhibitRule, Sources)>,
}

/// The firing sources of a rule, by their values of `equal`: whether one of them is no target
/// itself. Those that are both do not inhibit each other.
type Sources = BTreeMap<Vec<String>, bool>;

impl<'a> Inhibitor<'a> {
    /// All firing `alerts` can be sources, also those that are not notified themselves.
    pub(super) fn new(rules: &'a [InhibitRule], alerts: &BTreeMap<Labels, AlertEntry>) -> Self {
        let rules = rules.iter().map(|rule| {
            let mut sources = Sources::new();
            for alert in alerts.values().filter(|alert| alert.is_firing()) {
                if rule.source.matches(&alert.labels) {
                    let is_source_alone = !rule.target.matches(&alert.labels);
                    *sources.entry(rule.values(&alert.labels)).or_default() |= is_source_alone;
                }
            }
            (rule, sources)
        });
        Self {
            rules: rules.collect(),
        }
    }

    /// Whether an alert is inhibited.
    pub(super) fn mutes(&self, alert: &Labels) -> bool {
        self.rules.iter().any(|(rule, sources)| {
            if sources.is_empty() || !rule.target.matches(alert) {
                return false;
            }
            match sources.get(&rule.values(alert)) {
                Some(is_source_alone) => *is_source_alone || !rule.source.matches(alert),
                None => false,
            }
        })
    }
}

impl InhibitRule {
    fn values(&self, labels: &Labels) -> Vec<String> {
        let values = self.equal.iter().map(|name| labels.get(name).to_owned());
        values.collect()
    }
}
