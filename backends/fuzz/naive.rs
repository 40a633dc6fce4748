//! The answer as one reads it who has all the memory and time in the world.

use std::sync::Arc;

use alerting::histogram::{Bucket, Histogram};
use alerting::labels::Labels;
use alerting::query::{Answer, ResultType, Sample, Series};
use alerting::timestamp::Timestamp;
use serde_json::Value;

/// Reads a body, if it is an answer.
pub(crate) fn naive(body: &Value) -> Option<Answer> {
    if body["status"] != "success" {
        return None;
    }
    let data = &body["data"];
    let (result_type, one, many) = match data["resultType"].as_str()? {
        "vector" => (ResultType::Vector, "value", "histogram"),
        "matrix" => (ResultType::Matrix, "values", "histograms"),
        "scalar" => {
            let sample = naive_sample(&data["result"])?;
            let series = Series {
                labels: Labels::default(),
                samples: vec![sample],
            };
            return Some(Answer::new(ResultType::Scalar, vec![series]));
        }
        _ => return None,
    };
    let mut answer = Answer::new(result_type, Vec::new());
    for element in data["result"].as_array()? {
        let mut samples = Vec::new();
        let mut histograms = Vec::new();
        for key in [one, many] {
            match element.get(key) {
                Some(found) if result_type == ResultType::Vector => {
                    samples.push(naive_sample(found)?);
                    histograms.extend(naive_histogram(found)?);
                }
                Some(found) => {
                    for point in found.as_array()? {
                        samples.push(naive_sample(point)?);
                        histograms.extend(naive_histogram(point)?);
                    }
                }
                None => {}
            }
        }
        samples.sort_by_key(|sample| sample.at);
        let labels = element["metric"]
            .as_object()?
            .iter()
            .map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
            .collect::<Option<Vec<_>>>()?;
        let labels: Labels = labels.into_iter().collect();
        if !histograms.is_empty() {
            let of_series = answer.histograms.entry(labels.clone()).or_default();
            of_series.extend(histograms);
        }
        answer.series.push(Series { labels, samples });
    }
    Some(answer)
}

/// The histogram that a point holds, if it holds one; none at all where it cannot be read.
fn naive_histogram(point: &Value) -> Option<Option<(Timestamp, Arc<Histogram>)>> {
    let Some(histogram) = point[1].as_object() else {
        return Some(None);
    };
    let number = |value: &Value| value.as_str()?.parse().ok();
    let buckets = match histogram.get("buckets") {
        Some(buckets) => buckets.as_array()?.clone(),
        None => Vec::new(),
    };
    let buckets = buckets.iter().map(|bucket| {
        let bounds = bucket[0].as_u64()?;
        Some(Bucket {
            has_lower: bounds == 1 || bounds == 3,
            has_upper: bounds == 0 || bounds == 3,
            lower: number(&bucket[1])?,
            upper: number(&bucket[2])?,
            count: number(&bucket[3])?,
        })
    });
    let histogram = Histogram {
        count: number(histogram.get("count")?)?,
        sum: number(histogram.get("sum")?)?,
        buckets: buckets.collect::<Option<_>>()?,
    };
    Some(Some((naive_sample(point)?.at, Arc::new(histogram))))
}

fn naive_sample(point: &Value) -> Option<Sample> {
    let [at, value] = point.as_array()?.as_slice() else {
        return None;
    };
    #[expect(clippy::cast_possible_truncation, reason = "as naive as can be")]
    let at = Timestamp::from_millis((at.as_f64()? * 1000.0).round() as i64);
    let value = match value {
        Value::String(text) => text.parse().ok()?,
        Value::Object(_) => 0.0,
        _ => return None,
    };
    Some(Sample { at, value })
}

/// Equal, NaN being equal to itself.
pub(crate) fn same(left: &Answer, right: &Answer) -> bool {
    format!("{left:?}") == format!("{right:?}")
}
