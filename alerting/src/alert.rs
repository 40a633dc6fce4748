//! An alert of a rule, as Prometheus keeps it (`Alert` in `rules/alerting.go`).

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::labels::Labels;
use crate::timestamp::Timestamp;

/// Expanded annotations. Other than labels they may be empty texts.
pub type Annotations = Arc<BTreeMap<String, String>>;

fn annotations_are_none(annotations: &Annotations) -> bool {
    annotations.is_empty()
}

/// Where an alert stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AlertState {
    /// It fired and ended; kept for a while.
    Inactive,
    /// The expression holds, but not yet as long as `for` asks.
    Pending,
    /// It fires.
    Firing,
}

/// How an alert ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// The expression's inputs are there, and it no longer holds: all clear.
    Cleared,
    /// The inputs are gone; the current state is unknown.
    NoLongerReported,
    /// The rule was removed or renamed.
    RuleRemoved,
    /// The rule was changed so that it no longer fires: `for` was raised, for example.
    RuleChanged,
}

/// One alert of a rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// What identifies it, `alertname` among them.
    pub labels: Labels,
    /// As expanded at the last tick that it was seen at.
    #[serde(default, skip_serializing_if = "annotations_are_none")]
    pub annotations: Annotations,
    /// The expression's value at the last tick that it was seen at.
    #[serde(with = "crate::float")]
    pub value: f64,
    /// Where it stands.
    pub state: AlertState,
    /// The tick from which the expression has held.
    pub active_at: Timestamp,
    /// The tick at which it fired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fired_at: Option<Timestamp>,
    /// The tick at which it ended; set if and only if the state is inactive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved_at: Option<Timestamp>,
    /// The first tick at which only `keep_firing_for` kept it firing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_firing_since: Option<Timestamp>,
    /// Set while the alert is kept open without data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Hold>,
    /// How it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<End>,
    /// Whether the tick at which it fired was evaluated long after its time, and the one at
    /// which it ended, if it has: then it cannot have been notified.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub late: bool,
}

/// A firing alert whose series vanished together with its inputs: it is held, for a bounded
/// time, instead of being declared over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// The first tick of the hold.
    pub since: Timestamp,
    /// The first tick at which others of its kind were still reported: the node or pod is gone.
    /// None while nothing of the kind is reported: the telemetry stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gone_since: Option<Timestamp>,
}
