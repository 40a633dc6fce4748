//! A Prometheus that knows the truth: it answers the questions that rules of [`world::RULES`]
//! lead to, and refuses all others.
//!
//! [`world::RULES`]: super::world::RULES

use std::collections::BTreeMap;
use std::time::Duration;

use alerting::labels::Labels;
use alerting::query::{Answer, Ask, At, ResultType, Sample, Series};
use alerting::timestamp::Timestamp;

use super::wire::Response;
use super::world::{Metric, Millis, NODES, RULES, Truth};

/// A question, understood.
enum Question<'a> {
    /// A rule's expression.
    Rule(usize),
    /// What a rule compares.
    Compared(usize),
    /// Which nodes have a metric: `count by (node) (metric{…})`.
    Count { metric: Metric, nodes: &'a str },
    /// Whether anything has it: `count(metric)`.
    CountAll(Metric),
}

/// The rule whose expression this is.
pub(super) fn rule_of(expr: &str) -> Option<usize> {
    RULES.iter().position(|rule| rule.expr == expr)
}

/// The moments that a question is about.
pub(super) fn moments(at: At) -> Vec<Millis> {
    match at {
        At::Instant(at) => vec![at.as_millis()],
        At::Range { start, end, step } => {
            let step = Timestamp::from_millis(0).plus(step.max(Duration::from_millis(1)));
            (start.as_millis()..=end.as_millis())
                .step_by(usize::try_from(step.as_millis()).expect("a step is small"))
                .collect()
        }
    }
}

/// Answers from the truth.
pub(super) fn answer(truth: &Truth, ask: &Ask) -> Response {
    if ask.expr == "vector(1)" {
        return Response::Answered(Answer::new(ResultType::Vector, Vec::new()));
    }
    let Some(question) = understand(&ask.expr) else {
        return Response::Refused(format!("this server does not know {}", ask.expr));
    };
    let moments = moments(ask.at);
    let mut series: BTreeMap<Labels, Vec<Sample>> = BTreeMap::new();
    for at in moments {
        let mut put = |labels: Labels, value: f64| {
            let at = Timestamp::from_millis(at);
            series.entry(labels).or_default().push(Sample { at, value });
        };
        match question {
            Question::Rule(rule) if truth.refuses(rule, at) => {
                return Response::Refused("many-to-many matching not allowed".to_owned());
            }
            Question::Rule(rule) => {
                for (node, labels) in nodes() {
                    if let Some(value) = truth.holds(&RULES[rule], node, at) {
                        put(labels, value);
                    }
                }
            }
            Question::Compared(rule) => {
                for (node, labels) in nodes() {
                    if let Some(value) = truth.compared(&RULES[rule], node, at) {
                        put(labels, value);
                    }
                }
            }
            Question::Count {
                metric,
                nodes: asked,
            } => {
                for (node, labels) in nodes() {
                    let asked = matches(asked, NODES[node]);
                    if asked && truth.sample(metric, node, at).is_some() {
                        put(labels, 1.0);
                    }
                }
            }
            Question::CountAll(metric) => {
                if nodes().any(|(node, _)| truth.sample(metric, node, at).is_some()) {
                    put(Labels::default(), 1.0);
                }
            }
        }
    }
    let result_type = match ask.at {
        At::Instant(_) => ResultType::Vector,
        At::Range { .. } => ResultType::Matrix,
    };
    let series = series.into_iter();
    let series = series.map(|(labels, samples)| Series { labels, samples });
    Response::Answered(Answer::new(result_type, series.collect()))
}

/// The nodes by number, with the labels of their series.
pub(super) fn nodes() -> impl Iterator<Item = (usize, Labels)> {
    NODES
        .iter()
        .enumerate()
        .map(|(node, name)| (node, Labels::from_iter([("node", *name)])))
}

/// Whether a `node=~"…"` of plain alternatives means the node.
pub(super) fn matches(alternatives: &str, node: &str) -> bool {
    alternatives
        .split('|')
        .any(|one| one.replace("\\\\", "") == node)
}

/// The alternatives of `count by (node) (metric{node=~"alternatives"})`, and the metric.
pub(super) fn narrowed_count(expr: &str) -> Option<(&str, &str)> {
    let inner = expr
        .strip_prefix("count by (node) (")?
        .strip_suffix("\"})")?;
    inner.split_once("{node=~\"")
}

fn understand(expr: &str) -> Option<Question<'_>> {
    if let Some(rule) = rule_of(expr) {
        return Some(Question::Rule(rule));
    }
    if let Some((metric, nodes)) = narrowed_count(expr) {
        let metric = metric_called(metric)?;
        return Some(Question::Count { metric, nodes });
    }
    if let Some(inner) = expr.strip_prefix("count(") {
        return Some(Question::CountAll(metric_called(inner.strip_suffix(')')?)?));
    }
    // A message asks for the compared value, narrowed; which nodes it gets does not matter.
    RULES
        .iter()
        .position(|rule| {
            let metrics = rule.expr.split(['>', '/']).next().unwrap_or_default();
            expr.starts_with(metrics.trim())
        })
        .map(Question::Compared)
}

fn metric_called(name: &str) -> Option<Metric> {
    match name {
        "drops" => Some(Metric::Drops),
        "servfail" => Some(Metric::Servfail),
        "requests" => Some(Metric::Requests),
        _ => None,
    }
}
