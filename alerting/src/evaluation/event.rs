//! What happened at a tick, for the replay of history.

use std::collections::BTreeMap;

use crate::alert::{Alert, AlertState};
use crate::labels::Labels;
use crate::rules::{AlertingRule, RuleGroup};
use crate::side_by_side::side_by_side;
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

/// The alerts whose state a tick changed: first those that it knows, then those that it forgot.
pub(super) fn changes(
    before: &BTreeMap<Labels, Alert>,
    after: &BTreeMap<Labels, Alert>,
) -> impl Iterator<Item = Happened> {
    let mut changed = Vec::new();
    let mut forgotten = Vec::new();
    for (_, before, after) in side_by_side(before, after) {
        let from = before.map_or(AlertState::Inactive, |alert| alert.state);
        let to = after.map_or(AlertState::Inactive, |alert| alert.state);
        let Some(alert) = after.or(before).filter(|_| from != to) else {
            continue;
        };
        let list = match after {
            Some(_) => &mut changed,
            None => &mut forgotten,
        };
        list.push(Happened::Changed {
            from,
            to,
            alert: alert.clone(),
        });
    }
    changed.into_iter().chain(forgotten)
}
