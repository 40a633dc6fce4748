//! The `result` of an answer, read straight into samples.
//!
//! `resultType` may come after `result`, so what it must be like is settled afterwards, from the
//! [`Shape`] in which each series came.

use std::fmt;

use alerting::histogram::{Bucket, Histogram};
use alerting::labels::Labels;
use alerting::query::{Sample, Series};
use alerting::timestamp::Timestamp;
use serde::Deserialize;
use serde::de::{self, Deserializer, IgnoredAny, Visitor};

use super::floats;
use super::json::{Error, Reader};

/// A `result`.
#[derive(Debug)]
pub(super) enum Outcome {
    /// A vector or a matrix.
    Series(Vec<Found>),
    /// A scalar or a string.
    Pair(Timestamp, String),
}

/// A series as it was written.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) shape: Shape,
    pub(super) series: Series,
    /// What its samples are that are no floats, in the order of time.
    pub(super) histograms: Vec<(Timestamp, Histogram)>,
}

/// How a series' samples were written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// `value` or `histogram`: an element of a vector.
    One,
    /// `values`, `histograms` or both: an element of a matrix.
    Many,
}

/// Reads a sample's value as the API writes it.
pub(super) fn value(text: &str) -> Option<f64> {
    text.parse().ok()
}

impl Outcome {
    pub(super) fn read(json: &mut Reader<'_>) -> Result<Self, Error> {
        let mut all = Vec::new();
        let (mut time, mut text) = (None, None);
        json.list(|json| {
            match (json.peek(), time) {
                (Some(b'{'), None) => all.push(series(json)?),
                (_, None) if all.is_empty() => time = Some(json.value::<Time>()?.0),
                (_, Some(_)) if text.is_none() => text = Some(json.value()?),
                _ => return Err(json.error("neither a series nor a pair of time and value")),
            }
            Ok(())
        })?;
        match (time, text) {
            (None, _) => Ok(Self::Series(all)),
            (Some(at), Some(text)) => Ok(Self::Pair(at, text)),
            (Some(_), None) => Err(json.error("a time without a value")),
        }
    }
}

fn series(json: &mut Reader<'_>) -> Result<Found, Error> {
    let mut labels: Option<Labels> = None;
    let mut one: Option<Sample> = None;
    let mut floats: Option<Vec<Sample>> = None;
    let mut others: Option<Vec<Sample>> = None;
    let mut histograms: Vec<(Timestamp, Histogram)> = Vec::new();
    json.object(|json, key| {
        match key {
            Key::Metric => json.fill(&mut labels)?,
            Key::Value => {
                let Float(sample) = json.value()?;
                json.set(&mut one, sample)?;
            }
            Key::Histogram => {
                let point: Point = json.value()?;
                json.set(&mut one, point.sample())?;
                histograms.push((point.at, point.histogram));
            }
            Key::Values => {
                let samples = all_floats(json)?;
                json.set(&mut floats, samples)?;
            }
            Key::Histograms => {
                let points: Vec<Point> = json.value()?;
                json.set(&mut others, points.iter().map(Point::sample).collect())?;
                let points = points.into_iter();
                histograms.extend(points.map(|point| (point.at, point.histogram)));
            }
            Key::Other => {
                json.value::<IgnoredAny>()?;
            }
        }
        Ok(())
    })?;
    let labels = labels.ok_or_else(|| json.error("missing field `metric`"))?;
    let (shape, samples) = match (one, floats, others) {
        (Some(sample), None, None) => (Shape::One, vec![sample]),
        (None, Some(samples), None) | (None, None, Some(samples)) => (Shape::Many, samples),
        (None, Some(floats), Some(others)) => (Shape::Many, merge(floats, others)),
        (None, None, None) => return Err(json.error("a series without samples")),
        (Some(_), _, _) => {
            return Err(json.error("a series that is both of a vector and a matrix"));
        }
    };
    if samples.is_empty() {
        return Err(json.error("a series without samples"));
    }
    if !samples.is_sorted_by(|earlier, later| earlier.at < later.at) {
        return Err(json.error("samples that are doubled or out of order"));
    }
    Ok(Found {
        shape,
        series: Series { labels, samples },
        histograms,
    })
}

/// The keys of a series.
#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "lowercase")]
enum Key {
    Metric,
    Value,
    Values,
    Histogram,
    Histograms,
    #[serde(other)]
    Other,
}

/// Two lists in the order of time as one; where they are not in order, neither is the result.
fn merge(left: Vec<Sample>, right: Vec<Sample>) -> Vec<Sample> {
    let mut merged = Vec::with_capacity(left.len().saturating_add(right.len()));
    let mut right = right.into_iter().peekable();
    for sample in left {
        while let Some(earlier) = right.next_if(|other| other.at < sample.at) {
            merged.push(earlier);
        }
        merged.push(sample);
    }
    merged.extend(right);
    merged
}

/// A list of `[time, "value"]`.
fn all_floats(json: &mut Reader<'_>) -> Result<Vec<Sample>, Error> {
    if let Some(samples) = json.value_by(floats::read) {
        return Ok(samples);
    }
    let points: Vec<Float> = json.value()?;
    Ok(points.into_iter().map(|Float(sample)| sample).collect())
}

/// `[time, "value"]`.
struct Float(Sample);

impl<'de> Deserialize<'de> for Float {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // A list of more or less than two is refused by serde and serde_json.
        let (Time(at), Number(value)) = <(Time, Number)>::deserialize(deserializer)?;
        Ok(Self(Sample { at, value }))
    }
}

/// `[time, {…}]`: a native histogram.
struct Point {
    at: Timestamp,
    histogram: Histogram,
}

impl Point {
    /// As a sample it counts as 0.
    fn sample(&self) -> Sample {
        Sample {
            at: self.at,
            value: 0.0,
        }
    }
}

impl<'de> Deserialize<'de> for Point {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (Time(at), written) = <(Time, Written)>::deserialize(deserializer)?;
        let (Number(count), Number(sum)) = (written.count, written.sum);
        let buckets = written.buckets.unwrap_or_default().into_iter();
        let buckets = buckets.map(|(bounds, Number(lower), Number(upper), Number(count))| {
            // `MarshalHistogram` in Prometheus's `util/jsonutil`.
            let (has_lower, has_upper) = match bounds {
                0 => (false, true),
                1 => (true, false),
                2 => (false, false),
                3 => (true, true),
                _ => return Err(de::Error::custom("a bucket with unknown bounds")),
            };
            Ok(Bucket {
                has_lower,
                has_upper,
                lower,
                upper,
                count,
            })
        });
        let buckets = buckets.collect::<Result<_, _>>()?;
        let histogram = Histogram {
            count,
            sum,
            buckets,
        };
        Ok(Self { at, histogram })
    }
}

/// A native histogram as the API writes it.
#[derive(Deserialize)]
#[serde(expecting = "a native histogram")]
struct Written {
    count: Number,
    sum: Number,
    buckets: Option<Vec<(u8, Number, Number, Number)>>,
}

/// Seconds since the epoch, rounded to milliseconds.
struct Time(Timestamp);

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TimeVisitor).map(Self)
    }
}

struct TimeVisitor;

impl Visitor<'_> for TimeVisitor {
    type Value = Timestamp;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("seconds since the epoch")
    }

    fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<Timestamp, E> {
        i64::try_from(seconds)
            .map_err(|_| E::custom("a time out of range"))
            .and_then(|seconds| self.visit_i64(seconds))
    }

    fn visit_i64<E: de::Error>(self, seconds: i64) -> Result<Timestamp, E> {
        seconds
            .checked_mul(1000)
            .map(Timestamp::from_millis)
            .ok_or_else(|| E::custom("a time out of range"))
    }

    fn visit_f64<E: de::Error>(self, seconds: f64) -> Result<Timestamp, E> {
        let millis = (seconds * 1000.0).round();
        // Beyond 2^53 a float skips milliseconds.
        if millis.abs() > 9_007_199_254_740_992.0 || millis.is_nan() {
            return Err(E::custom("a time out of range"));
        }
        #[expect(clippy::cast_possible_truncation, reason = "whole, and checked above")]
        let millis = millis as i64;
        Ok(Timestamp::from_millis(millis))
    }
}

/// A value, which is written as a string because JSON has no NaN.
struct Number(f64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(NumberVisitor)
    }
}

struct NumberVisitor;

impl Visitor<'_> for NumberVisitor {
    type Value = Number;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number in a string")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Number, E> {
        value(text)
            .map(Number)
            .ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
    }
}
