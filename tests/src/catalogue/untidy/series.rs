//! A series of a story: its name, its labels, and its samples at even times, as promtool reads them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// One time of a series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Sample {
    Value(f64),
    /// What Prometheus writes when a target stops having the series.
    Stale,
    Nothing,
}

/// What a series has at its times.
#[derive(Debug, Clone)]
pub(super) enum Samples {
    Number(Vec<Sample>),
    /// Answers under 0.5 s, and answers between 2 and 4 s.
    Histogram {
        fast: Vec<Sample>,
        slow: Vec<Sample>,
        native: bool,
    },
}

#[derive(Debug, Clone)]
pub(super) struct Series {
    /// Of a histogram without `_bucket` and `_count`.
    pub(super) name: String,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) samples: Samples,
}

impl Series {
    pub(super) fn new(name: &str, labels: &[(&str, &str)], samples: Vec<Sample>) -> Self {
        let labels = labels.iter();
        Self {
            name: name.to_owned(),
            labels: labels
                .map(|(k, v)| (k.to_string(), v.to_string()))
                .collect(),
            samples: Samples::Number(samples),
        }
    }

    /// The same with other labels; an empty value takes the label away.
    pub(super) fn with(&self, labels: &[(&str, &str)]) -> Self {
        let mut changed = self.clone();
        for (label, value) in labels {
            changed.labels.remove(*label);
            if !value.is_empty() {
                changed.labels.insert(label.to_string(), value.to_string());
            }
        }
        changed
    }

    pub(super) fn label(&self, label: &str) -> &str {
        self.labels.get(label).map_or("", String::as_str)
    }

    /// The same with other samples.
    pub(super) fn map(&self, change: impl Fn(&[Sample]) -> Vec<Sample>) -> Self {
        let mut changed = self.clone();
        match &mut changed.samples {
            Samples::Number(samples) => *samples = change(samples),
            Samples::Histogram { fast, slow, .. } => {
                *fast = change(fast);
                *slow = change(slow);
            }
        }
        changed
    }

    /// As promtool's `input_series`: its selector and its values.
    pub(super) fn written(&self) -> Vec<(String, String)> {
        match &self.samples {
            Samples::Number(samples) => vec![(self.selector("", &[]), values(samples))],
            Samples::Histogram {
                fast,
                slow,
                native: true,
            } => vec![(self.selector("", &[]), native_values(fast, slow))],
            Samples::Histogram { fast, slow, .. } => {
                let all = sum(fast, slow);
                let bucket =
                    |le, samples| (self.selector("_bucket", &[("le", le)]), values(samples));
                vec![
                    bucket("0.512", fast),
                    bucket("1.024", fast),
                    bucket("2.048", fast),
                    bucket("4.096", &all),
                    bucket("+Inf", &all),
                    (self.selector("_count", &[]), values(&all)),
                ]
            }
        }
    }

    fn selector(&self, suffix: &str, more: &[(&str, &str)]) -> String {
        let own = self.labels.iter().map(|(k, v)| (k.as_str(), v.as_str()));
        let labels: Vec<String> = own
            .chain(more.iter().copied())
            .map(|(label, value)| format!("{label}=\"{value}\""))
            .collect();
        format!("{}{suffix}{{{}}}", self.name, labels.join(","))
    }
}

fn sum(fast: &[Sample], slow: &[Sample]) -> Vec<Sample> {
    let pairs = fast.iter().zip(slow);
    let sums = pairs.map(|pair| match pair {
        (Sample::Value(fast), Sample::Value(slow)) => Sample::Value(fast + slow),
        (other, _) => *other,
    });
    sums.collect()
}

fn values(samples: &[Sample]) -> String {
    let written = samples.iter().map(|sample| match sample {
        Sample::Value(value) => value.to_string(),
        Sample::Stale => "stale".to_owned(),
        Sample::Nothing => "_".to_owned(),
    });
    written.collect::<Vec<_>>().join(" ")
}

/// Schema 0: the bucket at offset -1 ends at 0.5, the fourth from there at 4.
fn native_values(fast: &[Sample], slow: &[Sample]) -> String {
    let mut text = String::new();
    for (fast, slow) in fast.iter().zip(slow) {
        let (Sample::Value(fast), Sample::Value(slow)) = (fast, slow) else {
            text.push_str(if *fast == Sample::Stale {
                "stale "
            } else {
                "_ "
            });
            continue;
        };
        let count = fast + slow;
        let _ = write!(
            text,
            "{{{{schema:0 sum:{count} count:{count} offset:-1 buckets:[{fast} 0 0 {slow}]}}}} "
        );
    }
    text
}

/// A counter that begins at `from` and grows by so much at each time.
pub(super) fn counter(from: f64, len: usize, step: impl Fn(usize) -> f64) -> Vec<Sample> {
    let mut value = from;
    let grown = (0..len).map(|at| {
        value += step(at);
        Sample::Value(value)
    });
    grown.collect()
}
