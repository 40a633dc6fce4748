//! The answer as one reads it who has all the memory and time in the world.

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
            return Some(Answer {
                result_type: ResultType::Scalar,
                series: vec![series],
            });
        }
        _ => return None,
    };
    let mut series = Vec::new();
    for element in data["result"].as_array()? {
        let mut samples = Vec::new();
        for key in [one, many] {
            match element.get(key) {
                Some(found) if result_type == ResultType::Vector => {
                    samples.push(naive_sample(found)?);
                }
                Some(found) => {
                    for point in found.as_array()? {
                        samples.push(naive_sample(point)?);
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
        series.push(Series {
            labels: labels.into_iter().collect(),
            samples,
        });
    }
    Some(Answer {
        result_type,
        series,
    })
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
