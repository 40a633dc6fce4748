//! Native histograms as the HTTP API returns them: count, sum and the buckets that are not empty.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::labels::Labels;
use crate::template::shortest_float;
use crate::timestamp::Timestamp;

/// A native histogram.
#[derive(Debug, Clone, PartialEq)]
pub struct Histogram {
    /// How many observations there are.
    pub count: f64,
    /// Their sum.
    pub sum: f64,
    /// The buckets that have observations, lowest first.
    pub buckets: Vec<Bucket>,
}

/// A bucket of a [`Histogram`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bucket {
    /// Whether the lower bound is in it.
    pub has_lower: bool,
    /// Whether the upper bound is in it.
    pub has_upper: bool,
    /// The lower bound.
    pub lower: f64,
    /// The upper bound.
    pub upper: f64,
    /// How many observations are in it.
    pub count: f64,
}

/// The histograms of an answer: of which series, at which moments. Such samples have the value 0.
pub type Histograms = BTreeMap<Labels, BTreeMap<Timestamp, Arc<Histogram>>>;

impl fmt::Display for Histogram {
    /// As Prometheus prints it (`FloatHistogram.String` in `model/histogram`).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (count, sum) = (shortest_float(self.count), shortest_float(self.sum));
        write!(f, "{{count:{count}, sum:{sum}")?;
        for bucket in &self.buckets {
            write!(f, ", {bucket}")?;
        }
        f.write_str("}")
    }
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}{},{}{}:{}",
            if self.has_lower { '[' } else { '(' },
            shortest_float(self.lower),
            shortest_float(self.upper),
            if self.has_upper { ']' } else { ')' },
            shortest_float(self.count),
        )
    }
}
