//! What the core may ask of Prometheus, and what comes back.
//!
//! The core never queries: it returns [`Ask`]s, and the caller answers them.

use std::sync::Arc;
use std::time::Duration;

use crate::histogram::{Histogram, Histograms};
use crate::labels::Labels;
use crate::server::ServerFailure;
use crate::timestamp::Timestamp;

/// One question to the Prometheus HTTP API.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ask {
    /// The PromQL expression.
    pub expr: String,
    /// The moment or moments to evaluate it at.
    pub at: At,
}

/// When an [`Ask`]'s expression is evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum At {
    /// `/api/v1/query` at one moment.
    Instant(Timestamp),
    /// `/api/v1/query_range`: at `start`, `start + step`, … up to and with `end`.
    Range {
        /// The first moment.
        start: Timestamp,
        /// The last moment that may be evaluated.
        end: Timestamp,
        /// From one moment to the next; at least a millisecond.
        step: Duration,
    },
}

/// A successful answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// What kind of value the expression has.
    pub result_type: ResultType,
    /// The series; a scalar is one series without labels.
    pub series: Vec<Series>,
    /// What the samples are that are no floats.
    pub histograms: Histograms,
}

impl Answer {
    /// An answer of floats alone.
    pub fn new(result_type: ResultType, series: Vec<Series>) -> Self {
        Self {
            result_type,
            series,
            histograms: Histograms::new(),
        }
    }

    /// The native histogram that a series has at a moment, if it has one.
    pub fn histogram(&self, labels: &Labels, at: Timestamp) -> Option<&Arc<Histogram>> {
        self.histograms.get(labels)?.get(&at)
    }
}

/// `resultType` of the Prometheus HTTP API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResultType {
    /// One sample a series.
    Vector,
    /// One sample without labels.
    Scalar,
    /// Many samples a series.
    Matrix,
    /// A string: never the result of an alerting rule.
    String,
}

/// One series of an [`Answer`].
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// The labels, `__name__` among them where the expression kept it.
    pub labels: Labels,
    /// The samples, in the order of time.
    pub samples: Vec<Sample>,
}

/// A value of any kind.
#[derive(Debug, Clone, PartialEq)]
pub enum SampleValue {
    /// A number.
    Float(f64),
    /// A native histogram.
    Histogram(Arc<Histogram>),
}

impl From<f64> for SampleValue {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

/// One sample. A native histogram counts as the value 0, as in Prometheus's rule evaluation; what
/// it is stands in [`Answer::histograms`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// The moment it was evaluated at.
    pub at: Timestamp,
    /// The value; may be NaN or infinite.
    pub value: f64,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct QueryFailure {
    /// Whether the same question may be answered later.
    pub kind: FailureKind,
    /// What the server or the connection said, fit to be shown.
    pub message: String,
    /// What it says of the server as a whole, if anything.
    pub server: Option<Box<ServerFailure>>,
}

/// What a [`QueryFailure`] means for the ticks that waited for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// The server was not reached, was busy, stopped short, or answered what cannot be read:
    /// ask again later.
    Transient,
    /// The server refused the expression: asking again is of no use.
    Refused,
}
