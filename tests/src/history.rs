//! What happened: samples of some series, the same for a server to load and for promtool to test
//! with.

use std::fmt::Write as _;
use std::time::Duration;

use alerting::timestamp::Timestamp;
use serde_json::{Value, json};

use crate::samples::Samples;

/// When histories begin: with a day, so that expressions which look at the time of day see what
/// promtool sees, whose time begins at 0.
pub(crate) const START: Timestamp = Timestamp::from_secs(1_767_225_600);

/// Series whose samples are `step` apart, each from the beginning; None is a gap.
///
/// Neither form has staleness markers: a series that ends is seen for the look-back.
#[derive(Debug, Clone)]
pub(crate) struct History {
    pub(crate) step: Duration,
    pub(crate) series: Vec<(String, Vec<Option<f64>>)>,
}

impl History {
    /// No series yet.
    pub(crate) fn new(step: Duration) -> Self {
        Self {
            step,
            series: Vec::new(),
        }
    }

    /// Adds a series.
    pub(crate) fn push(&mut self, series: &str, values: Vec<Option<f64>>) {
        self.series.push((series.to_owned(), values));
    }

    /// From the first moment to the end.
    pub(crate) fn length(&self) -> Duration {
        let longest = self.series.iter().map(|(_, values)| values.len()).max();
        let longest = u32::try_from(longest.unwrap_or_default()).expect("a short history");
        self.step * longest
    }

    /// The samples, the first of them at `start`.
    pub(crate) fn samples(&self, start: Timestamp) -> Samples {
        self.series
            .iter()
            .fold(Samples::new(), |samples, (series, values)| {
                samples.series(series, start, self.step, values.iter().copied())
            })
    }

    /// promtool's `input_series`, whose time begins at 0.
    pub(crate) fn input_series(&self) -> Value {
        self.series
            .iter()
            .map(|(series, values)| json!({"series": series, "values": in_promtool(values)}))
            .collect()
    }
}

fn in_promtool(values: &[Option<f64>]) -> String {
    let mut text = String::new();
    for value in values {
        let written = match value {
            None => write!(text, "_ "),
            Some(value) if value.is_infinite() => {
                let sign = if *value < 0.0 { "-" } else { "" };
                write!(text, "{sign}Inf ")
            }
            Some(value) => write!(text, "{value} "),
        };
        written.expect("a String takes all");
    }
    text
}
