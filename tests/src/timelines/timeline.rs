//! One made-up case: a rule group, and all that happened to the series that it looks at.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use alerting::rules::SourceFile;
use alerting::timestamp::Timestamp;
use serde_json::{Value, json};

use crate::history::START;

/// What stands for a timeline's own prefix in expressions and templates: with it, many timelines
/// share one server and never see each other.
pub(super) const OWN: char = '§';

/// `externalLabels` of all timelines.
pub(super) const EXTERNAL_LABELS: [(&str, &str); 2] = [("cluster", "prod"), ("region", "eu")];

/// What is at one moment of a series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Point {
    /// No sample: the collector missed it.
    Gap,
    /// A staleness marker: the target went away.
    Stale,
    Value(f64),
}

#[derive(Debug, Clone)]
pub(super) struct Series {
    pub(super) metric: &'static str,
    pub(super) labels: Vec<(String, String)>,
    pub(super) points: Vec<Point>,
}

#[derive(Debug, Clone)]
pub(super) struct Rule {
    pub(super) expr: String,
    pub(super) hold_for: Duration,
    pub(super) keep_firing_for: Duration,
    pub(super) labels: Vec<(String, String)>,
    pub(super) annotations: Vec<(String, String)>,
}

#[derive(Debug, Clone)]
pub(super) struct Timeline {
    /// The group's interval.
    pub(super) interval: Duration,
    /// From sample to sample.
    pub(super) step: Duration,
    /// How many ticks there are; the first is [`START`].
    pub(super) ticks: u32,
    pub(super) limit: usize,
    pub(super) query_offset: Duration,
    /// The group's labels.
    pub(super) labels: Vec<(String, String)>,
    pub(super) rules: Vec<Rule>,
    pub(super) series: Vec<Series>,
    /// What the case has in it, by name: what is counted.
    pub(super) features: BTreeSet<&'static str>,
}

impl Timeline {
    /// The ticks, first to last.
    pub(super) fn ticks(&self) -> impl Iterator<Item = Timestamp> + use<> {
        let interval = self.interval;
        (0..self.ticks).map(move |n| START.plus(interval * n))
    }

    /// The rule file of the timeline that is `id`th in its batch.
    pub(super) fn rule_file(&self, id: usize) -> SourceFile {
        let rules: Vec<Value> = self.rules.iter().map(|rule| rule.as_json(id)).collect();
        let mut group = json!({
            "name": "group",
            "interval": in_go(self.interval),
            "rules": rules,
        });
        if self.limit > 0 {
            group["limit"] = json!(self.limit);
        }
        if !self.query_offset.is_zero() {
            group["query_offset"] = json!(in_go(self.query_offset));
        }
        if !self.labels.is_empty() {
            group["labels"] = mapping(&self.labels, id);
        }
        SourceFile {
            name: format!("{}.yml", name(id)),
            text: json!({"groups": [group]}).to_string(),
        }
    }

    /// promtool's `input_series`.
    pub(super) fn input_series(&self, id: usize) -> Value {
        let written = |series: &Series| {
            json!({
                "series": series.name(id),
                "values": series.points.iter().map(in_promtool).collect::<String>(),
            })
        };
        self.series.iter().map(written).collect()
    }
}

/// How the `id`th timeline of a batch is called: its file and its metrics.
pub(super) fn name(id: usize) -> String {
    format!("t{id}")
}

/// A text with the timeline's own names in it.
pub(super) fn own(text: &str, id: usize) -> String {
    text.replace(OWN, &format!("{}_", name(id)))
}

fn mapping(pairs: &[(String, String)], id: usize) -> Value {
    let pairs = pairs
        .iter()
        .map(|(name, text)| (name.clone(), json!(own(text, id))));
    Value::Object(pairs.collect())
}

/// A duration as rule files have it.
pub(super) fn in_go(duration: Duration) -> String {
    match duration.subsec_millis() {
        0 => format!("{}s", duration.as_secs()),
        millis => format!("{}s{millis}ms", duration.as_secs()),
    }
}

impl Rule {
    /// All rules have one name, so that promtool is asked once a tick.
    pub(super) const NAME: &str = "A";

    fn as_json(&self, id: usize) -> Value {
        let mut rule = json!({"alert": Self::NAME, "expr": own(&self.expr, id)});
        for (field, duration) in [
            ("for", self.hold_for),
            ("keep_firing_for", self.keep_firing_for),
        ] {
            if !duration.is_zero() {
                rule[field] = json!(in_go(duration));
            }
        }
        for (field, pairs) in [("labels", &self.labels), ("annotations", &self.annotations)] {
            if !pairs.is_empty() {
                rule[field] = mapping(pairs, id);
            }
        }
        rule
    }
}

impl Series {
    fn name(&self, id: usize) -> String {
        let mut text = format!("{}_{}{{", name(id), self.metric);
        for (n, (name, value)) in self.labels.iter().enumerate() {
            let comma = if n == 0 { "" } else { "," };
            write!(text, "{comma}{name}={value:?}").expect("a String takes all");
        }
        text + "}"
    }
}

fn in_promtool(point: &Point) -> String {
    match point {
        Point::Gap => "_ ".to_owned(),
        Point::Stale => "stale ".to_owned(),
        Point::Value(value) if value.is_infinite() => {
            format!("{}Inf ", if *value < 0.0 { "-" } else { "" })
        }
        Point::Value(value) => format!("{value} "),
    }
}
