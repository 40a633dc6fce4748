//! What the core may ask of Prometheus, and what comes back.
//!
//! The core never queries: it returns [`Ask`]s, and whoever runs it answers them.

use std::time::Duration;

use crate::labels::Labels;
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

/// One sample. A native histogram counts as the value 0, as in Prometheus's rule evaluation.
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
