//! A history, written down for Prometheus to load.

use std::fmt::Write as _;
use std::time::Duration;

use alerting::timestamp::Timestamp;

/// Samples as an OpenMetrics text, for `promtool tsdb create-blocks-from openmetrics`.
///
/// The text knows no staleness marker: a series that stops is seen for the five minutes that
/// Prometheus looks back, as one whose collector died, not as one whose target went away. For
/// the latter let a server scrape a page.
#[derive(Debug, Clone, Default)]
pub(crate) struct Samples {
    text: String,
}

impl Samples {
    /// No samples.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds the samples of a series, the first at `start`, the others `step` after each other.
    /// A value is a number, or an `Option` of which `None` leaves a gap. A series may be added to
    /// again, later in its time.
    ///
    /// `start` and `step` are whole seconds: promtool multiplies the text's seconds as floating
    /// point, and a fraction could lose a millisecond on the way.
    #[track_caller]
    pub(crate) fn series<V: Into<Option<f64>>>(
        mut self,
        series: &str,
        start: Timestamp,
        step: Duration,
        values: impl IntoIterator<Item = V>,
    ) -> Self {
        assert_eq!(
            (start.as_millis() % 1000, step.subsec_nanos()),
            (0, 0),
            "{series}: whole seconds"
        );
        let mut time = start;
        for value in values {
            if let Some(value) = value.into() {
                let seconds = time.as_millis() / 1000;
                let value = in_openmetrics(value);
                writeln!(self.text, "{series} {value} {seconds}").expect("a String takes all");
            }
            time = time.plus(step);
        }
        self
    }

    /// Adds one sample; its value as it is to be written.
    pub(crate) fn push(&mut self, series: &str, value: &str, time: Timestamp) {
        let seconds = time.as_millis() / 1000;
        writeln!(self.text, "{series} {value} {seconds}").expect("a String takes all");
    }

    /// The text, with its closing line.
    pub(crate) fn to_openmetrics(&self) -> String {
        format!("{}# EOF\n", self.text)
    }
}

fn in_openmetrics(value: f64) -> String {
    match value {
        f64::INFINITY => "+Inf".to_owned(),
        f64::NEG_INFINITY => "-Inf".to_owned(),
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_a_line_a_sample_and_leaves_gaps_out() {
        let text = Samples::new()
            .series(
                "up{node=\"a\"}",
                Timestamp::from_secs(1_700_000_000),
                Duration::from_secs(15),
                [Some(1.0), None, Some(f64::NAN), Some(f64::NEG_INFINITY)],
            )
            .series(
                "big",
                Timestamp::from_secs(0),
                Duration::from_secs(60),
                [0.1, 1e21],
            )
            .to_openmetrics();
        let expected = "\
up{node=\"a\"} 1 1700000000
up{node=\"a\"} NaN 1700000030
up{node=\"a\"} -Inf 1700000045
big 0.1 0
big 1000000000000000000000 60
# EOF
";
        assert_eq!(text, expected);
    }
}
