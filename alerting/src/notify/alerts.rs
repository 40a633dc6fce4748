//! The alerts as notification knows them: by their labels alone, firing while any rule fires
//! them. It takes what Prometheus would send to Alertmanager.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::ruler_alerts;
use crate::alert::{Alert, AlertState, Annotations, End, Hold};
use crate::config::Config;
use crate::labels::Labels;
use crate::rules::RuleKey;
use crate::state::{RuleState, State};
use crate::timestamp::Timestamp;

/// An alert as its rules last reported it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AlertEntry {
    /// The alert's labels, with the external ones that it lacked.
    pub labels: Labels,
    /// The annotations as last expanded.
    pub annotations: Annotations,
    /// The expression's value when it was last seen.
    #[serde(with = "crate::float")]
    pub value: f64,
    /// The tick at which it fired.
    pub starts_at: Timestamp,
    /// The tick at which it ended; None while it fires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<Timestamp>,
    /// How it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<End>,
    /// Set while the alert is kept open without data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Hold>,
    /// Whether it fired and resolved while ticks were evaluated late; sent once, for information.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub past: bool,
    /// The rules that fire it.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub fired_by: BTreeSet<RuleKey>,
    /// The rule that reported it last.
    pub rule: RuleKey,
}

impl AlertEntry {
    /// Whether some rule fires it.
    pub fn is_firing(&self) -> bool {
        self.ends_at.is_none()
    }

    fn resolve(&mut self, at: Timestamp, end: End) {
        self.ends_at = Some(at);
        self.end = Some(end);
        self.hold = None;
    }
}

/// Takes the news of all rules that are up to date, and of the ruler itself (`own`).
pub(super) fn collect(state: &mut State, config: &Config, own: Vec<Alert>, now: Timestamp) {
    let alerts = &mut state.notify.alerts;
    // The alerts that fired at the last plan matter only to late ends.
    let mut ended = state.rules.values().flat_map(|rule| rule.ended.values());
    let fired: BTreeSet<Labels> = if ended.any(|alert| alert.late) {
        let firing = alerts.values().filter(|entry| entry.is_firing());
        firing.map(|entry| entry.labels.clone()).collect()
    } else {
        BTreeSet::new()
    };
    let mut ends = Ends::new();
    // Rules of one name may fire one alert, and what one reports depends on the others.
    let mut names = BTreeSet::new();
    let mut namesakes = BTreeSet::new();
    for rule in config.groups.iter().flat_map(|group| &group.rules) {
        if !names.insert(rule.id.alert.as_str()) {
            namesakes.insert(rule.id.alert.as_str());
        }
    }
    for group in &config.groups {
        for rule in &group.rules {
            let Some(rule_state) = state.rules.get_mut(&rule.key) else {
                continue;
            };
            if rule_state.evaluated_until >= now.align_down(group.interval) {
                let was_taken = std::mem::replace(&mut rule_state.is_taken, true);
                if was_taken && !namesakes.contains(rule.id.alert.as_str()) {
                    continue;
                }
                take_news(alerts, &fired, &mut ends, &rule.key, rule_state, config);
            }
        }
    }
    let own = take_own(alerts, own, config);
    end_abandoned(alerts, &own, &state.rules, now);
}

/// The alert's labels with the external ones that it lacks (`notifier/alert.go`).
pub fn sent_labels(alert: &Labels, config: &Config) -> Labels {
    let external = &config.evaluation.external.labels;
    if external.iter().all(|(name, _)| alert.has(name)) {
        return alert.clone();
    }
    external.with(alert.iter())
}

/// How alerts ended that rules fired, each as the rule has it that counts.
type Ends = BTreeMap<Labels, Ended>;

struct Ended {
    at: Timestamp,
    end: End,
    value: f64,
    annotations: Annotations,
}

impl Ended {
    /// Of two rules that fired one alert the later end counts, and of two at once the one that is
    /// no all-clear.
    fn counts_before(&self, other: &Self) -> bool {
        let rank = |ended: &Self| (ended.at, ended.end != End::Cleared);
        rank(self) >= rank(other)
    }
}

/// `fired` are the alerts that fired at the last plan: their ends are no surprise. `ends` are the
/// ends that other rules reported.
fn take_news(
    alerts: &mut BTreeMap<Labels, AlertEntry>,
    fired: &BTreeSet<Labels>,
    ends: &mut Ends,
    key: &RuleKey,
    rule: &mut RuleState,
    config: &Config,
) {
    let ended = std::mem::take(&mut rule.ended);
    let active = rule.active.values();
    let fires: Vec<(Labels, &Alert)> = active
        .filter(|alert| alert.state == AlertState::Firing)
        .map(|alert| (sent_labels(&alert.labels, config), alert))
        .collect();
    let firing: BTreeSet<Labels> = fires.iter().map(|(labels, _)| labels.clone()).collect();
    for (labels, alert) in fires {
        fire(alerts, labels, key, alert);
    }
    for alert in ended.into_values() {
        let labels = sent_labels(&alert.labels, config);
        let at = alert.resolved_at.unwrap_or(rule.evaluated_until);
        let end = alert.end.unwrap_or(End::Cleared);
        let entry = alerts
            .entry(labels.clone())
            .or_insert_with(|| entry(labels.clone(), key, &alert));
        entry.past |= alert.late && !fired.contains(&labels);
        if firing.contains(&labels) {
            continue;
        }
        entry.fired_by.remove(key);
        // It may have ended and fired again since it was last heard of; what other rules fired
        // as well keeps the start of the first of them.
        if entry.fired_by.is_empty() && !ends.contains_key(&labels) {
            entry.starts_at = alert.fired_at.unwrap_or(alert.active_at);
        }
        let ended = Ended {
            at,
            end,
            value: alert.value,
            annotations: alert.annotations,
        };
        if ends
            .get(&labels)
            .is_none_or(|known| ended.counts_before(known))
        {
            ends.insert(labels.clone(), ended);
        }
        if entry.fired_by.is_empty()
            && let Some(ended) = ends.get(&labels)
        {
            entry.value = ended.value;
            entry.annotations = ended.annotations.clone();
            entry.resolve(ended.at, ended.end);
        }
    }
    // It fired at the last plan, no longer fires, and never ended: `for` was raised under it, or
    // its state was wiped.
    for (labels, entry) in alerts.iter_mut() {
        let fired_it = entry.is_firing() && entry.fired_by.contains(key);
        let no_more = fired_it && !firing.contains(labels) && entry.fired_by.remove(key);
        if no_more && entry.fired_by.is_empty() {
            entry.resolve(rule.evaluated_until, End::RuleChanged);
        }
    }
}

/// Takes the alerts that the ruler raises itself, and says which those are.
fn take_own(
    alerts: &mut BTreeMap<Labels, AlertEntry>,
    own: Vec<Alert>,
    config: &Config,
) -> BTreeSet<Labels> {
    let key = RuleKey::ruler();
    let mut firing = BTreeSet::new();
    for alert in own {
        let labels = sent_labels(&alert.labels, config);
        firing.insert(labels.clone());
        fire(alerts, labels, &key, &alert);
    }
    firing
}

/// Ends the alerts of the ruler that it no longer raises (it raises `own`), and those of rules that
/// are no more.
fn end_abandoned(
    alerts: &mut BTreeMap<Labels, AlertEntry>,
    own: &BTreeSet<Labels>,
    rules: &BTreeMap<RuleKey, RuleState>,
    now: Timestamp,
) {
    let ruler = RuleKey::ruler();
    for (labels, entry) in alerts.iter_mut() {
        let is_raised = |key: &RuleKey| {
            if *key == ruler {
                own.contains(labels)
            } else {
                rules.contains_key(key)
            }
        };
        if !entry.fired_by.iter().all(is_raised) {
            let was_own = !own.contains(labels) && entry.fired_by.remove(&ruler);
            if was_own && entry.fired_by.is_empty() {
                entry.resolve(now, ruler_alerts::how_it_ended(entry, rules));
            }
            entry.fired_by.retain(is_raised);
        }
        if entry.is_firing() && entry.fired_by.is_empty() {
            entry.resolve(now, End::RuleRemoved);
        }
    }
}

fn fire(alerts: &mut BTreeMap<Labels, AlertEntry>, labels: Labels, key: &RuleKey, alert: &Alert) {
    // It still fires unchanged: the common case, and there may be thousands.
    if let Some(known) = alerts.get_mut(&labels)
        && known.is_firing()
        && known.rule == *key
        && *key != RuleKey::ruler()
        && known.fired_by.len() == 1
        && known.fired_by.contains(key)
    {
        known.annotations = alert.annotations.clone();
        known.value = alert.value;
        known.starts_at = alert.fired_at.unwrap_or(alert.active_at);
        known.hold = alert.hold;
        return;
    }
    let known = alerts.get(&labels).filter(|entry| entry.is_firing());
    let (starts_at, mut fired_by) = known.map_or_else(
        || (None, BTreeSet::new()),
        |entry| (Some(entry.starts_at), entry.fired_by.clone()),
    );
    let mut entry = entry(labels.clone(), key, alert);
    entry.past = alerts.get(&labels).is_some_and(|entry| entry.past);
    // The same alert of another rule, or a new firing that began before the end of the old one was
    // notified, keeps firing.
    let others = fired_by.iter().any(|other| other != key);
    if let Some(starts_at) = starts_at
        && (others || *key == RuleKey::ruler())
    {
        entry.starts_at = entry.starts_at.min(starts_at);
    }
    fired_by.insert(key.clone());
    entry.fired_by = fired_by;
    alerts.insert(labels, entry);
}

fn entry(labels: Labels, key: &RuleKey, alert: &Alert) -> AlertEntry {
    AlertEntry {
        labels,
        annotations: alert.annotations.clone(),
        value: alert.value,
        starts_at: alert.fired_at.unwrap_or(alert.active_at),
        ends_at: None,
        end: None,
        hold: alert.hold,
        past: false,
        fired_by: BTreeSet::new(),
        rule: key.clone(),
    }
}
