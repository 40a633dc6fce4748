//! Prometheus rule files, and the groups and rules that they become.
//!
//! [`load`] turns what was typed into what runs: nothing downstream checks it again.

mod file;
pub mod lint;
mod load;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::fingerprint::hash_128;
use crate::labels::Labels;
use crate::promql::Expression;
pub use crate::source::{Place, SourceFile};
use crate::template::Template;
pub use load::{Defaults, load};

/// A group of rules that are evaluated at the same ticks.
#[derive(Debug, Clone)]
pub struct RuleGroup {
    /// The rule file's base name without `.yml` or `.yaml`.
    pub namespace: String,
    /// The group's name, unique in its file.
    pub name: String,
    /// From one tick to the next.
    pub interval: Duration,
    /// How far back of a tick its samples are asked for, so that late ones have arrived.
    pub query_offset: Duration,
    /// How many alerts one rule may have pending or firing; 0: any number.
    pub limit: usize,
    /// The alerting rules, in the order of the file.
    pub rules: Vec<AlertingRule>,
    /// The names of the series that the group records. Recording is left to the server's ruler.
    pub records: Vec<String>,
}

/// One alerting rule, ready to be evaluated.
#[derive(Debug, Clone)]
pub struct AlertingRule {
    /// What the rule is recognised by from run to run.
    pub id: RuleId,
    /// [`RuleId::key`] of `id`.
    pub key: RuleKey,
    /// The expression.
    pub expr: Expression,
    /// `for`: how long the expression must hold before the alert fires.
    pub hold_for: Duration,
    /// How long the alert keeps firing after the expression stopped to match.
    pub keep_firing_for: Duration,
    /// Labels of the rule, and of its group where the rule does not set them.
    pub labels: Vec<(String, Template)>,
    /// Annotations.
    pub annotations: Vec<(String, Template)>,
    /// Where the rule is written.
    pub place: Place,
}

impl AlertingRule {
    /// Whether the rule itself sets the label `name` on its alerts, whatever the query says.
    pub fn sets(&self, name: &str) -> bool {
        name == crate::labels::ALERT_NAME || self.labels.iter().any(|(label, _)| label == name)
    }
}

/// What a rule is recognised by from run to run. Expression, `for` and annotations may change
/// under it, as in Prometheus's `CopyState` (`rules/group.go`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RuleId {
    /// The group's namespace.
    pub namespace: String,
    /// The group's name.
    pub group: String,
    /// The rule's name.
    pub alert: String,
    /// The rule's labels, not expanded, with those of the group.
    pub labels: Labels,
    /// Which one it is among equals of the group, from 0.
    pub ordinal: usize,
}

impl RuleId {
    /// A short name for the rule, the same in every run and release.
    pub fn key(&self) -> RuleKey {
        let ordinal = self.ordinal.to_string();
        let mut parts = vec![
            self.namespace.as_str(),
            self.group.as_str(),
            self.alert.as_str(),
            ordinal.as_str(),
        ];
        for (name, value) in self.labels.iter() {
            parts.extend([name, value]);
        }
        RuleKey(hash_128(&parts))
    }
}

/// A hash of a [`RuleId`]: what alerts name their rule by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RuleKey(String);

impl RuleKey {
    /// The key of the ruler's own alerts; no rule has it.
    pub fn ruler() -> Self {
        Self("dnswatch".to_owned())
    }
}
