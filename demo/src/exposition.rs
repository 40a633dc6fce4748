//! Prometheus's text exposition format.

use std::fmt::{Display, Write as _};

use crate::histogram::Histogram;

/// A page of metrics under construction.
#[derive(Debug, Default)]
pub struct Exposition {
    text: String,
}

/// What `# TYPE` says.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Buckets, a sum and a count.
    Histogram,
}

impl Exposition {
    /// Begins a metric family.
    pub fn family(&mut self, name: &str, kind: Kind, help: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        self.line(format_args!("# HELP {name} {help}"));
        self.line(format_args!("# TYPE {name} {kind}"));
    }

    /// One sample.
    pub fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        let labels = label_set(labels);
        self.line(format_args!("{name}{labels} {value}"));
    }

    /// A family of one sample.
    pub fn single(
        &mut self,
        name: &str,
        kind: Kind,
        help: &str,
        labels: &[(&str, &str)],
        value: u64,
    ) {
        self.family(name, kind, help);
        self.sample(name, labels, value);
    }

    /// A histogram's buckets, sum and count, in seconds.
    pub fn histogram(&mut self, name: &str, labels: &[(&str, &str)], histogram: &Histogram) {
        let bucket = format!("{name}_bucket");
        let with_le = |le: &str| {
            let mut labels = labels.to_vec();
            labels.push(("le", le));
            label_set(&labels)
        };
        for (bound, count) in histogram.cumulative() {
            let labels = with_le(&seconds(bound).to_string());
            self.line(format_args!("{bucket}{labels} {count}"));
        }
        let count = histogram.count();
        let labels_inf = with_le("+Inf");
        self.line(format_args!("{bucket}{labels_inf} {count}"));
        self.sample(
            &format!("{name}_sum"),
            labels,
            seconds(histogram.sum_micros()),
        );
        self.sample(&format!("{name}_count"), labels, count);
    }

    /// The whole page.
    pub fn finish(self) -> String {
        self.text
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "{line}");
    }
}

fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}

fn label_set(labels: &[(&str, &str)]) -> String {
    if labels.is_empty() {
        return String::new();
    }
    let pairs: Vec<String> = labels
        .iter()
        .map(|(name, value)| format!("{name}=\"{}\"", escape(value)))
        .collect();
    format!("{{{}}}", pairs.join(","))
}

fn escape(value: &str) -> String {
    value
        .replace('\\', r"\\")
        .replace('"', "\\\"")
        .replace('\n', r"\n")
}
