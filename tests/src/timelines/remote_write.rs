//! Samples for a running Prometheus, staleness markers included, which no text format has: by its
//! remote-write endpoint.
//!
//! The request is Prometheus's `prompb/remote.proto`, of which only four messages are needed, in
//! snappy's block format, of which only literals are.

use std::time::Duration;

use alerting::timestamp::Timestamp;
use anyhow::{Result, ensure};

use super::timeline::{Point, Series, Timeline, name};
use crate::history::START;

/// How much history one request carries. A head takes what is within an hour of its newest sample.
const WINDOW: Duration = Duration::from_secs(20 * 60);

/// `StaleNaN` of Prometheus's `model/value`.
const STALE: u64 = 0x7ff0_0000_0000_0002;
/// `NormalNaN` there.
const NAN: u64 = 0x7ff8_0000_0000_0001;

/// Sends all samples of `timelines`, each under the name of its place.
pub(super) async fn send(url: &str, timelines: &[Timeline]) -> Result<()> {
    let mut from = START;
    let length = |timeline: &Timeline| {
        let points = timeline.series.iter().map(|series| series.points.len());
        timeline.step * u32::try_from(points.max().unwrap_or(0)).expect("a short history")
    };
    let end = START.plus(timelines.iter().map(length).max().unwrap_or_default());
    while from < end {
        let until = from.plus(WINDOW);
        let mut request = Vec::new();
        for (id, timeline) in timelines.iter().enumerate() {
            for series in &timeline.series {
                let within = |at: &Timestamp| from <= *at && *at < until;
                if let Some(message) = time_series(id, timeline, series, within) {
                    field(&mut request, 1, &message);
                }
            }
        }
        post(url, &request).await?;
        from = until;
    }
    Ok(())
}

async fn post(url: &str, request: &[u8]) -> Result<()> {
    let http = reqwest::Client::builder().no_proxy().build()?;
    let answer = http
        .post(format!("{url}/api/v1/write"))
        .header("content-encoding", "snappy")
        .header("content-type", "application/x-protobuf")
        .header("x-prometheus-remote-write-version", "0.1.0")
        .body(snappy(request))
        .send()
        .await?;
    let status = answer.status();
    ensure!(status.is_success(), "{status}: {}", answer.text().await?);
    Ok(())
}

/// A series with its samples of some time, if it has any.
fn time_series(
    id: usize,
    timeline: &Timeline,
    from: &Series,
    within: impl Fn(&Timestamp) -> bool,
) -> Option<Vec<u8>> {
    let name = format!("{}_{}", name(id), from.metric);
    let mut labels: Vec<(&str, &str)> = vec![("__name__", &name)];
    labels.extend(
        from.labels
            .iter()
            .map(|(name, text)| (name.as_str(), text.as_str())),
    );
    labels.sort_unstable();
    let samples: Vec<(Timestamp, u64)> = (0..)
        .zip(&from.points)
        .filter_map(|(n, point)| {
            let bits = match point {
                Point::Gap => return None,
                Point::Stale => STALE,
                Point::Value(value) if value.is_nan() => NAN,
                Point::Value(value) => value.to_bits(),
            };
            Some((START.plus(timeline.step * n), bits))
        })
        .filter(|(at, _)| within(at))
        .collect();
    (!samples.is_empty()).then(|| series(labels.into_iter(), samples))
}

/// A `TimeSeries`: labels sorted by name, samples as the bits of their values.
fn series<'a>(
    labels: impl Iterator<Item = (&'a str, &'a str)>,
    samples: impl IntoIterator<Item = (Timestamp, u64)>,
) -> Vec<u8> {
    let mut message = Vec::new();
    for (name, value) in labels {
        let mut label = Vec::new();
        field(&mut label, 1, name.as_bytes());
        field(&mut label, 2, value.as_bytes());
        field(&mut message, 1, &label);
    }
    for (at, bits) in samples {
        let at = u64::try_from(at.as_millis()).expect("after 1970");
        let mut sample = vec![1 << 3 | 1];
        sample.extend(bits.to_le_bytes());
        sample.push(2 << 3);
        varint(&mut sample, at);
        field(&mut message, 2, &sample);
    }
    message
}

/// A length-delimited field.
fn field(message: &mut Vec<u8>, number: u8, content: &[u8]) {
    message.push(number << 3 | 2);
    varint(message, content.len() as u64);
    message.extend(content);
}

fn varint(message: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        message.push(u8::try_from(number & 0x7f).expect("seven bits") | 0x80);
        number >>= 7;
    }
    message.push(u8::try_from(number).expect("seven bits"));
}

fn snappy(content: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    varint(&mut packed, content.len() as u64);
    for literal in content.chunks(0x1_0000) {
        packed.push(61 << 2);
        let length = u16::try_from(literal.len() - 1).expect("a chunk");
        packed.extend(length.to_le_bytes());
        packed.extend(literal);
    }
    packed
}

/// A sample of a series: its name, its labels, its value.
pub(crate) type NamedSample<'a> = (&'a str, &'a [(&'a str, &'a str)], f64);

/// Sends one sample of each series.
pub(crate) async fn send_at(url: &str, at: Timestamp, samples: &[NamedSample<'_>]) -> Result<()> {
    let mut request = Vec::new();
    for (name, labels, value) in samples {
        let mut labels = labels.to_vec();
        labels.push(("__name__", *name));
        labels.sort_unstable();
        let labels = labels.iter().copied();
        field(&mut request, 1, &series(labels, [(at, value.to_bits())]));
    }
    post(url, &request).await
}

/// Sends what was taken at several moments, of the same series each time, oldest first: it is all
/// there at once.
pub(crate) async fn send_all(url: &str, taken: &[(Timestamp, Vec<NamedSample<'_>>)]) -> Result<()> {
    let Some((_, first)) = taken.first() else {
        return Ok(());
    };
    let mut request = Vec::new();
    for (index, (name, labels, _)) in first.iter().enumerate() {
        let mut labels = labels.to_vec();
        labels.push(("__name__", *name));
        labels.sort_unstable();
        let values = taken.iter().map(|(at, samples)| (*at, samples[index].2));
        let samples = values.map(|(at, value)| (at, value.to_bits()));
        field(&mut request, 1, &series(labels.into_iter(), samples));
    }
    post(url, &request).await
}

/// A native histogram of floats. Bucket counts begin at an index, and follow each other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NativeHistogram {
    pub(crate) schema: i32,
    pub(crate) count: f64,
    pub(crate) sum: f64,
    /// The threshold and the count.
    pub(crate) zero: (f64, f64),
    pub(crate) negative: (i32, &'static [f64]),
    pub(crate) positive: (i32, &'static [f64]),
    /// The bounds of schema -53.
    pub(crate) custom: &'static [f64],
}

impl NativeHistogram {
    /// As promtool's tests write it.
    pub(crate) fn in_promtool(&self) -> String {
        let list = |numbers: &[f64]| {
            let numbers: Vec<String> = numbers.iter().map(f64::to_string).collect();
            format!("[{}]", numbers.join(" "))
        };
        let mut fields = vec![
            format!("schema:{}", self.schema),
            format!("count:{}", self.count),
            format!("sum:{}", self.sum),
        ];
        if self.zero.1 > 0.0 {
            fields.push(format!("z_bucket:{}", self.zero.1));
            fields.push(format!("z_bucket_w:{}", self.zero.0));
        }
        for (offset, buckets, (first, counts)) in [
            ("offset", "buckets", self.positive),
            ("n_offset", "n_buckets", self.negative),
        ] {
            if !counts.is_empty() {
                fields.push(format!("{offset}:{first}"));
                fields.push(format!("{buckets}:{}", list(counts)));
            }
        }
        if !self.custom.is_empty() {
            fields.push(format!("custom_values:{}", list(self.custom)));
        }
        format!("{{{{{}}}}}", fields.join(" "))
    }

    /// `Histogram` of `prompb/types.proto`.
    fn message(&self, at: Timestamp) -> Vec<u8> {
        let mut message = Vec::new();
        let double = |message: &mut Vec<u8>, number: u8, value: f64| {
            message.push(number << 3 | 1);
            message.extend(value.to_bits().to_le_bytes());
        };
        double(&mut message, 2, self.count);
        double(&mut message, 3, self.sum);
        message.push(4 << 3);
        varint(&mut message, zigzag(self.schema));
        double(&mut message, 5, self.zero.0);
        double(&mut message, 7, self.zero.1);
        for (spans, counts, (offset, buckets)) in [(8, 10, self.negative), (11, 13, self.positive)]
        {
            if buckets.is_empty() {
                continue;
            }
            let mut span = vec![1 << 3];
            varint(&mut span, zigzag(offset));
            span.push(2 << 3);
            varint(&mut span, buckets.len() as u64);
            field(&mut message, spans, &span);
            field(&mut message, counts, &packed(buckets));
        }
        message.push(15 << 3);
        varint(
            &mut message,
            u64::try_from(at.as_millis()).expect("after 1970"),
        );
        if !self.custom.is_empty() {
            // Field 16, whose key no longer fits one byte.
            let bounds = packed(self.custom);
            varint(&mut message, 16 << 3 | 2);
            varint(&mut message, bounds.len() as u64);
            message.extend(bounds);
        }
        message
    }
}

fn zigzag(number: i32) -> u64 {
    u64::from(((number << 1) ^ (number >> 31)).cast_unsigned())
}

fn packed(numbers: &[f64]) -> Vec<u8> {
    numbers
        .iter()
        .flat_map(|number| number.to_bits().to_le_bytes())
        .collect()
}

/// Sends one native histogram; labels sorted by name.
pub(crate) async fn send_histogram(
    url: &str,
    at: Timestamp,
    labels: &[(&str, &str)],
    histogram: &NativeHistogram,
) -> Result<()> {
    let mut message = series(labels.iter().copied(), []);
    field(&mut message, 4, &histogram.message(at));
    let mut request = Vec::new();
    field(&mut request, 1, &message);
    post(url, &request).await
}
