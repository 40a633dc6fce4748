//! What happened at a tick, for those who replay history and tell all of it.

use std::collections::BTreeMap;

use crate::alert::{Alert, AlertState};
use crate::labels::Labels;
use crate::rules::{AlertingRule, RuleGroup};
use crate::timestamp::Timestamp;

/// Something that happened to a rule at a tick.
#[derive(Debug, Clone)]
pub struct Event<'a> {
    /// The rule's group.
    pub group: &'a RuleGroup,
    /// The rule.
    pub rule: &'a AlertingRule,
    /// The tick.
    pub at: Timestamp,
    /// What happened.
    pub what: Happened,
}

/// What can happen to a rule.
#[derive(Debug, Clone)]
pub enum Happened {
    /// An alert went from one state to another.
    Changed {
        /// Where it stood before the tick; an alert that was not there was inactive.
        from: AlertState,
        /// Where it stands after the tick.
        to: AlertState,
        /// The alert after the tick; as it last was, where the tick forgot it.
        alert: Alert,
    },
    /// The evaluation failed.
    Failed(String),
}

/// The alerts whose state a tick changed.
pub(super) fn changes(
    before: &BTreeMap<Labels, Alert>,
    after: &BTreeMap<Labels, Alert>,
) -> impl Iterator<Item = Happened> {
    let changed = after.values().filter_map(|alert| {
        let from = before
            .get(&alert.labels)
            .map_or(AlertState::Inactive, |alert| alert.state);
        (from != alert.state).then(|| Happened::Changed {
            from,
            to: alert.state,
            alert: alert.clone(),
        })
    });
    let forgotten = before
        .values()
        .filter(|alert| alert.state != AlertState::Inactive && !after.contains_key(&alert.labels))
        .map(|alert| Happened::Changed {
            from: alert.state,
            to: AlertState::Inactive,
            alert: alert.clone(),
        });
    changed.chain(forgotten)
}
