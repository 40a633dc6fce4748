//! A run's metrics, as a line that CloudWatch takes from the log: its embedded metric format.
//!
//! One dimension, the function's name, and none a rule: their number, and so their price, is the
//! same whatever the rules are.

use std::time::Duration;

use alerting::timestamp::Timestamp;
use backends::run::RunReport;
use serde_json::{Map, Value, json};

use crate::report::ms;

const NAMESPACE: &str = "dnswatch";
const DIMENSION: &str = "FunctionName";

/// The line of a run of `function` that ended at `now` and took `took`; `report` is None if it
/// failed, or if another run was faster. A run that evaluated nothing of what was due, or whose server
/// does not answer, has not succeeded.
pub(crate) fn from_run(
    function: &str,
    now: Timestamp,
    took: Duration,
    report: Option<&RunReport>,
) -> Value {
    let count = |number: usize| json!(number);
    let mut metrics = vec![
        (
            "RunsSucceeded",
            "Count",
            count(usize::from(
                report.is_some_and(|report| !report.evaluated_nothing()),
            )),
        ),
        ("RunMilliseconds", "Milliseconds", json!(ms(took))),
    ];
    if let Some(report) = report {
        metrics.extend([
            (
                "RulesFailing",
                "Count",
                count(report.failing.len() + report.without_answer),
            ),
            ("TicksDue", "Count", count(report.evaluated.due)),
            ("TicksEvaluated", "Count", count(report.evaluated.evaluated)),
            ("TicksSkipped", "Count", json!(report.evaluated.skipped)),
            ("LagSeconds", "Seconds", json!(report.lag.as_secs())),
            (
                "NotificationsDelivered",
                "Count",
                count(report.published.delivered),
            ),
            (
                "NotificationsRefused",
                "Count",
                count(report.published.refused.len()),
            ),
            ("NotificationsPending", "Count", count(report.pending)),
            (
                "TopicsWithoutSubscribers",
                "Count",
                count(report.undelivered.topics.len()),
            ),
            (
                "QueuesFailing",
                "Count",
                count(report.undelivered.queues.len()),
            ),
            (
                "StateAheadSeconds",
                "Seconds",
                json!(
                    report
                        .state_ahead
                        .as_millis()
                        .div_ceil(1000)
                        .min(u128::from(u32::MAX))
                ),
            ),
        ]);
    }
    let definitions: Vec<Value> = metrics
        .iter()
        .map(|(name, unit, _)| json!({"Name": name, "Unit": unit}))
        .collect();
    let mut line = Map::new();
    line.insert(
        "_aws".to_owned(),
        json!({
            "Timestamp": now.as_millis(),
            "CloudWatchMetrics": [{
                "Namespace": NAMESPACE,
                "Dimensions": [[DIMENSION]],
                "Metrics": definitions,
            }],
        }),
    );
    line.insert(DIMENSION.to_owned(), json!(function));
    for (name, _, value) in metrics {
        line.insert(name.to_owned(), value);
    }
    Value::Object(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTCOME: &[&str] = &["RunsSucceeded:Count", "RunMilliseconds:Milliseconds"];

    const ALL: &[&str] = &[
        "RunsSucceeded:Count",
        "RunMilliseconds:Milliseconds",
        "RulesFailing:Count",
        "TicksDue:Count",
        "TicksEvaluated:Count",
        "TicksSkipped:Count",
        "LagSeconds:Seconds",
        "NotificationsDelivered:Count",
        "NotificationsRefused:Count",
        "NotificationsPending:Count",
        "TopicsWithoutSubscribers:Count",
        "QueuesFailing:Count",
        "StateAheadSeconds:Seconds",
    ];

    /// What CloudWatch's specification of the format demands, and which metrics there are.
    #[track_caller]
    fn check(report: Option<&RunReport>, succeeded: u64, expected: &[&str]) {
        let now = Timestamp::from_millis(1_700_000_000_123);
        let line = from_run("the-ruler", now, Duration::from_millis(321), report);
        assert_eq!(line["_aws"]["Timestamp"], 1_700_000_000_123_i64);
        let directive = &line["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(directive["Namespace"], "dnswatch");
        assert_eq!(directive["Dimensions"], json!([["FunctionName"]]));
        assert_eq!(line["FunctionName"], "the-ruler");
        let declared: Vec<String> = directive["Metrics"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|metric| {
                let name = metric["Name"].as_str().expect("a name");
                assert!(line[name].is_u64(), "{name}");
                format!("{name}:{}", metric["Unit"].as_str().expect("a unit"))
            })
            .collect();
        assert_eq!(declared, expected);
        assert_eq!(line["RunsSucceeded"], succeeded);
        assert_eq!(line["RunMilliseconds"], 321);
    }

    #[test]
    fn every_metric_is_declared_and_there() {
        check(None, 0, OUTCOME);
        check(Some(&RunReport::default()), 1, ALL);
        let mut report = RunReport::default();
        report.evaluated.due = 2;
        check(Some(&report), 0, ALL);
        report.evaluated.evaluated = 1;
        check(Some(&report), 1, ALL);
    }
}
