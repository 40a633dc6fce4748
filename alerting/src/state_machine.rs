//! One evaluation of one rule at one tick: Prometheus's `Eval` (`rules/alerting.go`), step for
//! step, on plain data.
//!
//! Nothing is changed unless the whole tick succeeds. Missing query results are returned as
//! [`Stop::Needs`]; calling again with the results is deterministic.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::alert::{Alert, AlertState, End, Hold};
use crate::histogram::Histogram;
use crate::labels::{ALERT_NAME, Labels, METRIC_NAME};
use crate::query::{Ask, QueryFailure, SampleValue};
use crate::rules::{AlertingRule, RuleGroup};
use crate::side_by_side::side_by_side;
use crate::template::{self, Allowance, AnswerFn, Data, Template};
use crate::timestamp::Timestamp;

/// How long Prometheus keeps a resolved alert (`resolvedRetention` in `rules/alerting.go`).
const RESOLVED_RETENTION: Duration = Duration::from_secs(15 * 60);

/// Where we differ from Prometheus on purpose, each with its switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Semantics {
    /// Whether to ask for the expression's inputs before a vanished series resolves its alert.
    /// Prometheus: false.
    pub ask_before_resolve: bool,
    /// How long an alert is held whose inputs stopped altogether.
    pub stale_hold: Duration,
    /// How long an alert is kept open when only its own series disappear.
    pub gone_hold: Duration,
    /// Whether exceeding `limit` forgets all alerts of the rule. Prometheus: true. Ours fails
    /// the evaluation and leaves them as they are.
    pub limit_wipes_state: bool,
}

impl Default for Semantics {
    fn default() -> Self {
        Self {
            ask_before_resolve: true,
            stale_hold: Duration::from_secs(60 * 60),
            gone_hold: Duration::from_secs(5 * 60),
            limit_wipes_state: false,
        }
    }
}

impl Semantics {
    /// As Prometheus has it.
    pub fn prometheus() -> Self {
        Self {
            ask_before_resolve: false,
            limit_wipes_state: true,
            ..Self::default()
        }
    }
}

/// What the alert templates of a rule may see besides labels and value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct External {
    /// `$externalLabels`; also added to the alerts that are sent, where they lack them.
    pub labels: Labels,
    /// `$externalURL`.
    pub url: String,
}

/// What is known of the inputs of an alert whose series vanished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    /// They have samples: the condition cleared.
    Answered,
    /// Its own have none, but others of the kind have.
    Gone,
    /// There are none at all.
    Silent,
}

/// Why a tick was not evaluated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stop {
    /// These questions must be answered first.
    Needs(BTreeSet<Ask>),
    /// A question that the tick depends on cannot be answered now.
    Unanswered(QueryFailure),
    /// The evaluation fails, at this tick, for good.
    Failed(String),
}

/// Says what is known of the inputs of vanished alerts, in their order.
pub(crate) type PresenceOf<'a> = dyn Fn(&[&Alert]) -> Result<Vec<Presence>, Stop> + 'a;

/// The tick, and what is known at it.
pub(crate) struct Tick<'a> {
    /// The tick's time; not moved by the group's offset.
    pub(crate) at: Timestamp,
    /// Whether it is evaluated long after its time.
    pub(crate) late: bool,
    /// The expression's result.
    pub(crate) vector: &'a [(Labels, f64)],
    /// The native histogram that an element of it is, if it is one; its value is 0 then.
    pub(crate) histogram: &'a dyn Fn(&Labels) -> Option<Arc<Histogram>>,
    /// Answers to what templates query, at the tick.
    pub(crate) template_query: &'a AnswerFn<'a>,
    /// The question behind a template's query.
    pub(crate) template_ask: &'a dyn Fn(String) -> Ask,
    /// What is known of the inputs of these vanished alerts, in their order.
    pub(crate) presence: &'a PresenceOf<'a>,
}

/// What a tick leaves.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) active: BTreeMap<Labels, Alert>,
    /// The alerts that ended at this tick.
    pub(crate) ended: Vec<Alert>,
    /// Why the tick counts as failed although it changed the alerts: `limit`, Prometheus's way.
    pub(crate) error: Option<String>,
}

/// Evaluates one tick: from the alerts before it to the alerts after it.
pub(crate) fn evaluate(
    group: &RuleGroup,
    rule: &AlertingRule,
    before: &BTreeMap<Labels, Alert>,
    tick: &Tick<'_>,
    external: &External,
    semantics: &Semantics,
) -> Result<Outcome, Stop> {
    let seen = expand(rule, tick, external)?;
    let mut vanished: Vec<Labels> = Vec::new();
    let mut ended = Vec::new();

    let active = side_by_side(before, &seen).filter_map(|(labels, known, seen)| {
        let alert = match (known, seen) {
            (Some(known), Some(seen)) if known.state != AlertState::Inactive => Alert {
                value: seen.value,
                annotations: seen.annotations.clone(),
                hold: None,
                keep_firing_since: None,
                ..known.clone()
            },
            (_, Some(seen)) => seen.clone(),
            (known, None) => {
                let mut alert = known?.clone();
                let kept_long_enough = alert
                    .resolved_at
                    .is_some_and(|at| tick.at.since(at) > RESOLVED_RETENTION);
                if alert.state == AlertState::Pending || kept_long_enough {
                    return None;
                }
                if alert.state == AlertState::Firing && !keeps_firing(rule, &mut alert, tick.at) {
                    vanished.push(labels.clone());
                }
                alert
            }
        };
        Some((labels.clone(), alert))
    });
    let mut active: BTreeMap<Labels, Alert> = active.collect();

    for (labels, verdict) in judge(&active, vanished, tick, semantics)? {
        let Some(alert) = active.get_mut(&labels) else {
            continue;
        };
        match verdict {
            Verdict::Held(hold) => alert.hold = Some(hold),
            Verdict::Ends(end) => {
                alert.state = AlertState::Inactive;
                alert.resolved_at = Some(tick.at);
                alert.end = Some(end);
                alert.hold = None;
                alert.late &= tick.late;
                ended.push(alert.clone());
            }
        }
    }

    for alert in active.values_mut() {
        let held = tick.at.since(alert.active_at);
        if alert.state == AlertState::Pending && held >= rule.hold_for {
            alert.state = AlertState::Firing;
            alert.fired_at = Some(tick.at);
            alert.late = tick.late;
        }
        // `for` was raised under a firing alert.
        if alert.state == AlertState::Firing && held < rule.hold_for {
            alert.state = AlertState::Pending;
            alert.fired_at = None;
            alert.late = false;
            alert.keep_firing_since = None;
            alert.hold = None;
        }
    }

    let count = active
        .values()
        .filter(|alert| alert.state != AlertState::Inactive)
        .count();
    if group.limit > 0 && count > group.limit {
        let message = format!("exceeded limit of {} with {count} alerts", group.limit);
        return if semantics.limit_wipes_state {
            Ok(Outcome {
                error: Some(message),
                ..Outcome::default()
            })
        } else {
            Err(Stop::Failed(message))
        };
    }
    Ok(Outcome {
        active,
        ended,
        error: None,
    })
}

/// Whether `keep_firing_for` holds an alert that is no longer in the result; notes since when.
fn keeps_firing(rule: &AlertingRule, alert: &mut Alert, at: Timestamp) -> bool {
    if rule.keep_firing_for.is_zero() {
        return false;
    }
    let since = *alert.keep_firing_since.get_or_insert(at);
    at.since(since) < rule.keep_firing_for
}

/// What becomes of a vanished alert.
enum Verdict {
    Ends(End),
    Held(Hold),
}

/// Decides for each vanished alert whether it ends, and how (the design's "no false all-clear").
fn judge(
    active: &BTreeMap<Labels, Alert>,
    vanished: Vec<Labels>,
    tick: &Tick<'_>,
    semantics: &Semantics,
) -> Result<Vec<(Labels, Verdict)>, Stop> {
    if !semantics.ask_before_resolve {
        return Ok(vanished
            .into_iter()
            .map(|labels| (labels, Verdict::Ends(End::Cleared)))
            .collect());
    }
    let alerts: Vec<&Alert> = vanished
        .iter()
        .filter_map(|labels| active.get(labels))
        .collect();
    if alerts.is_empty() {
        return Ok(Vec::new());
    }
    let presence = (tick.presence)(&alerts)?;
    Ok(alerts
        .iter()
        .zip(presence)
        .map(|(alert, presence)| {
            let verdict = verdict(alert.hold, presence, tick.at, semantics);
            (alert.labels.clone(), verdict)
        })
        .collect())
}

/// The whole hold is bounded by `stale_hold`; the part of it in which only the alert's own
/// inputs are missing by `gone_hold`.
fn verdict(
    hold: Option<Hold>,
    presence: Presence,
    at: Timestamp,
    semantics: &Semantics,
) -> Verdict {
    let since = hold.map_or(at, |hold| hold.since);
    let gone_since = match presence {
        Presence::Answered => return Verdict::Ends(End::Cleared),
        Presence::Gone => Some(hold.and_then(|hold| hold.gone_since).unwrap_or(at)),
        Presence::Silent => None,
    };
    let gone_long_enough =
        gone_since.is_some_and(|gone_since| at.since(gone_since) >= semantics.gone_hold);
    if gone_long_enough || at.since(since) >= semantics.stale_hold {
        Verdict::Ends(End::NoLongerReported)
    } else {
        Verdict::Held(Hold { since, gone_since })
    }
}

/// The alerts that the expression's result stands for, with labels and annotations expanded.
fn expand(
    rule: &AlertingRule,
    tick: &Tick<'_>,
    external: &External,
) -> Result<BTreeMap<Labels, Alert>, Stop> {
    let mut seen = BTreeMap::new();
    let mut needs = BTreeSet::new();
    let mut for_labels = Allowance::default();
    // Of each annotation by itself, so that none spoils another.
    let mut for_annotations = vec![Allowance::default(); rule.annotations.len()];
    for (metric, value) in tick.vector {
        let data = Data {
            alert: &rule.id.alert,
            labels: metric,
            external_labels: &external.labels,
            external_url: &external.url,
            value: match (tick.histogram)(metric) {
                Some(histogram) => SampleValue::Histogram(histogram),
                None => SampleValue::Float(*value),
            },
            at: tick.at,
        };
        let mut text = |template: &Template, together: &mut Allowance| match template.expand_within(
            &data,
            tick.template_query,
            together,
        ) {
            Ok(text) => text,
            Err(template::Stop::Failed(message)) => template::failed_text(&message),
            Err(template::Stop::Needs(expressions)) => {
                needs.extend(expressions.into_iter().map(tick.template_ask));
                String::new()
            }
        };
        let mut own: Vec<(&str, String)> = rule
            .labels
            .iter()
            .map(|(name, template)| (name.as_str(), text(template, &mut for_labels)))
            .collect();
        // Labels identify an alert: without them there is no alert.
        if let Some(spent) = for_labels.spent() {
            return Err(Stop::Failed(format!("in labels, {spent}")));
        }
        let annotations: BTreeMap<String, String> = rule
            .annotations
            .iter()
            .zip(&mut for_annotations)
            .map(|((name, template), together)| (name.clone(), text(template, together)))
            .collect();
        if !needs.is_empty() {
            continue;
        }
        own.push((ALERT_NAME, rule.id.alert.clone()));
        let series = metric.iter().filter(|(name, _)| *name != METRIC_NAME);
        let own = own.iter().map(|(name, value)| (*name, value.as_str()));
        let labels: Labels = series.chain(own).collect();
        let alert = Alert {
            labels: labels.clone(),
            annotations: Arc::new(annotations),
            value: *value,
            state: AlertState::Pending,
            active_at: tick.at,
            fired_at: None,
            resolved_at: None,
            keep_firing_since: None,
            hold: None,
            end: None,
            late: false,
        };
        if seen.insert(labels, alert).is_some() {
            return Err(Stop::Failed(
                "vector contains metrics with the same labelset after applying alert labels"
                    .to_owned(),
            ));
        }
    }
    if needs.is_empty() {
        Ok(seen)
    } else {
        Err(Stop::Needs(needs))
    }
}
