//! From answers to findings: no I/O, no clock.
//!
//! One file a kind of fault. A finding says what is wrong, the evidence for it, and how to fix it.
//! It never guesses.

mod collisions;
mod labels;
mod nodes;
mod presence;
mod timing;
mod version;

use std::collections::BTreeSet;
use std::time::Duration;

use alerting::labels::Labels;
use alerting::query::Series;
use serde::Serialize;

use super::questions::{Answers, Question};
use super::times::Times;
use super::windows::Windows;

/// How many examples evidence names.
const EXAMPLES: usize = 3;

/// What the answers are held against.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    /// How far back the rules ask.
    pub(super) query_offset: Duration,
    /// The shortest windows of the rules.
    pub(super) windows: Windows,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Severity {
    /// Alerts are missed, or are wrong.
    Fault,
    /// It works, and would work better otherwise.
    Advice,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    /// Its kind, for machines.
    pub(super) id: &'static str,
    pub(super) severity: Severity,
    /// What is wrong.
    pub(super) what: String,
    /// What was seen of it.
    pub(super) evidence: String,
    /// How to fix it.
    pub(super) fix: String,
}

impl Finding {
    fn fault(
        id: &'static str,
        what: impl Into<String>,
        evidence: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self {
            id,
            severity: Severity::Fault,
            what: what.into(),
            evidence: evidence.into(),
            fix: fix.into(),
        }
    }

    fn advice(self) -> Self {
        Self {
            severity: Severity::Advice,
            ..self
        }
    }
}

/// What there is, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Diagnosis {
    /// What there is, a line a source.
    pub(super) summary: Vec<String>,
    pub(super) findings: Vec<Finding>,
}

impl Diagnosis {
    /// Whether alerts can be relied on, as far as was asked.
    pub(super) fn is_well(&self) -> bool {
        let is_fault = |finding: &Finding| finding.severity == Severity::Fault;
        !self.findings.iter().any(is_fault)
    }
}

/// Where samples come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Exporter,
    CoreDns,
}

impl Source {
    fn name(self) -> &'static str {
        match self {
            Self::Exporter => "exporter",
            Self::CoreDns => "CoreDNS",
        }
    }

    /// The series as they are now.
    fn series(self, answers: &Answers) -> &[Series] {
        match self {
            Self::Exporter => answers.to(Question::Counters),
            Self::CoreDns if answers.to(Question::CoreDns).is_empty() => {
                answers.to(Question::CoreDnsQueries)
            }
            Self::CoreDns => answers.to(Question::CoreDns),
        }
    }

    /// When they have samples.
    fn times(self, answers: &Answers) -> Vec<Times> {
        let question = match self {
            Self::Exporter => Question::CounterTimes,
            Self::CoreDns => Question::CoreDnsTimes,
        };
        let read = |series| Times::read(series, answers.now);
        answers.to(question).iter().map(read).collect()
    }
}

/// All findings, the gravest kinds first.
pub(super) fn judge(answers: &Answers, wanted: &Wanted) -> Diagnosis {
    let empty = Question::ALL
        .iter()
        .all(|question| answers.to(*question).is_empty());
    if empty {
        return Diagnosis {
            summary: Vec::new(),
            findings: vec![presence::nothing()],
        };
    }
    let sources = [Source::Exporter, Source::CoreDns];
    let mut findings = presence::findings(answers);
    findings.extend(collisions::findings(answers));
    for source in sources {
        findings.extend(labels::findings(source, answers));
    }
    findings.extend(nodes::findings(answers));
    for source in sources {
        findings.extend(timing::findings(source, answers, wanted));
    }
    findings.extend(version::findings(answers));
    findings.sort_by_key(|finding| finding.severity == Severity::Advice);
    Diagnosis {
        summary: sources
            .into_iter()
            .map(|source| timing::summary(source, answers))
            .chain(labels::added(answers))
            .collect(),
        findings,
    }
}

/// The different values of a label, without the missing one.
fn values<'a>(series: &'a [Series], label: &str) -> BTreeSet<&'a str> {
    let value = |series: &'a Series| series.labels.get(label);
    series
        .iter()
        .map(value)
        .filter(|value| !value.is_empty())
        .collect()
}

/// The first few of `all`, and how many more there are.
fn examples<T: std::fmt::Display>(all: impl IntoIterator<Item = T>) -> String {
    let mut all = all.into_iter();
    let named: Vec<String> = all
        .by_ref()
        .take(EXAMPLES)
        .map(|one| one.to_string())
        .collect();
    match all.count() {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

/// The node of a series, by the names that collectors and the CloudWatch agent give the label.
fn node(labels: &Labels) -> &str {
    let names = ["node", "kubernetes_node", "InstanceId", "host"];
    let named = names.into_iter().map(|name| labels.get(name));
    named
        .into_iter()
        .find(|name| !name.is_empty())
        .unwrap_or_default()
}

/// ` of cluster`, where it has a name.
fn of_cluster(cluster: &str) -> String {
    match cluster {
        "" => String::new(),
        cluster => format!(" of cluster {cluster}"),
    }
}
