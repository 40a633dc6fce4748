//! What a message shows beyond what is stored: how the value went, and what it is now. Asked
//! for when the message is sent, and never waited for: without an answer it is left out.

use std::collections::{BTreeMap, BTreeSet};

use super::{AlertEntry, Notification};
use crate::config::Config;
use crate::labels::{Labels, METRIC_NAME};
use crate::promql::{Narrowing, Part};
use crate::query::{Answer, Ask, At};
use crate::rules::{AlertingRule, RuleGroup, RuleKey};
use crate::state::State;
use crate::timestamp::Timestamp;

/// How many ticks a sparkline goes back.
const POINTS: u32 = 30;
/// How many alerts of a notification get details.
const DETAILED: usize = 20;

/// What is known of the value of one alert.
#[derive(Debug, Clone, PartialEq)]
pub struct Detail {
    /// The value at the last ticks, oldest first; None where there was none.
    pub points: Vec<Option<f64>>,
    /// The value at the last evaluated tick, whether or not the condition holds; None if the
    /// expression is no comparison with a number or there is no sample.
    pub now: Option<f64>,
}

/// The details of one notification's alerts: first the questions, then the answers.
#[derive(Debug, Clone, Default)]
pub struct Details {
    wanted: Vec<Wanted>,
    found: BTreeMap<Labels, Detail>,
}

#[derive(Debug, Clone)]
struct Wanted {
    ask: Ask,
    rule: RuleKey,
    /// Whether the expression is a comparison and its other side was asked for.
    compared: bool,
}

impl Details {
    /// What to ask for a notification, one question for each rule in it.
    pub fn from_notification(notification: &Notification, config: &Config, state: &State) -> Self {
        let shown = || notification.alerts.iter().take(DETAILED);
        let rules: BTreeSet<&RuleKey> = shown().map(|alert| &alert.rule).collect();
        let wanted = rules
            .into_iter()
            .filter_map(|key| {
                let (group, rule) = config.rule(key)?;
                let until = state.rules.get(key)?.evaluated_until;
                let alerts = shown().filter(|alert| alert.rule == *key);
                let labels: Vec<Labels> = alerts
                    .map(|alert| alert.labels.without(|name| rule.sets(name)))
                    .collect();
                let narrowing = Narrowing::of(&labels);
                let compared = rule.expr.narrowed(Part::Compared, &narrowing);
                let is_comparison = compared.is_some();
                let expr = compared.or_else(|| rule.expr.narrowed(Part::Whole, &narrowing))?;
                Some(Wanted {
                    ask: Ask {
                        expr,
                        at: span(group, until),
                    },
                    rule: key.clone(),
                    compared: is_comparison,
                })
            })
            .collect();
        Self {
            wanted,
            found: BTreeMap::new(),
        }
    }

    /// The questions.
    pub fn asks(&self) -> impl Iterator<Item = &Ask> {
        self.wanted.iter().map(|wanted| &wanted.ask)
    }

    /// Takes an answer.
    pub fn answer(
        &mut self,
        ask: &Ask,
        answer: &Answer,
        notification: &Notification,
        config: &Config,
    ) {
        let At::Range { start, end, step } = ask.at else {
            return;
        };
        let moments: Vec<Timestamp> =
            std::iter::successors(Some(start), |moment| Some(moment.plus(step)))
                .take_while(|moment| *moment <= end)
                .collect();
        for wanted in self.wanted.iter().filter(|wanted| wanted.ask == *ask) {
            let Some((_, rule)) = config.rule(&wanted.rule) else {
                continue;
            };
            for series in &answer.series {
                let values: BTreeMap<Timestamp, f64> = series
                    .samples
                    .iter()
                    .map(|sample| (sample.at, sample.value))
                    .collect();
                let points: Vec<Option<f64>> = moments
                    .iter()
                    .map(|moment| values.get(moment).copied())
                    .collect();
                let now = points.last().copied().flatten().filter(|_| wanted.compared);
                for alert in &notification.alerts {
                    if alert.rule == wanted.rule && is_of(&series.labels, alert, rule, config) {
                        let detail = Detail {
                            points: points.clone(),
                            now,
                        };
                        self.found.insert(alert.labels.clone(), detail);
                    }
                }
            }
        }
    }

    /// What was found for an alert.
    pub fn get(&self, alert: &Labels) -> Option<&Detail> {
        self.found.get(alert)
    }
}

/// The moments that the last ticks up to `until` asked for.
fn span(group: &RuleGroup, until: Timestamp) -> At {
    let end = until.minus(group.query_offset);
    At::Range {
        start: end.minus(group.interval.saturating_mul(POINTS - 1)),
        end,
        step: group.interval,
    }
}

/// Whether a series of the rule's expression is the one that the alert stands for: the same
/// labels, but for the metric name, what the rule sets, and what was added on the way out.
fn is_of(series: &Labels, alert: &AlertEntry, rule: &AlertingRule, config: &Config) -> bool {
    let external = &config.evaluation.external.labels;
    let own = series.without(|name| name == METRIC_NAME || rule.sets(name));
    let alert = alert
        .labels
        .without(|name| rule.sets(name) || (external.has(name) && !own.has(name)));
    own == alert
}
