//! Every alarm against the metrics, dimensions and resources that the code and the template have:
//! one that watches something else never speaks.

use std::collections::BTreeSet;
use std::path::Path;

use backends::run::RunOptions;
use serde_json::{Value, json};

use super::{ROOT, Stack};

/// The metrics of the ruler's own that must have an alarm, and what no data means there: runs that
/// do not report are the fault that the first is for. The next two are reported run by run. The
/// last two say how things stand, which runs that fail do not change.
const OWN: [(&str, &str); 4] = [
    ("RunsSucceeded", "breaching"),
    ("NotificationsRefused", "notBreaching"),
    ("TopicsWithoutSubscribers", "ignore"),
    ("QueuesFailing", "ignore"),
];

/// What is watched of each kind of resource, and by which dimension. AWS reports nothing where nothing
/// happened, so that no data is no fault there.
const FUNCTION: [&str; 3] = ["Errors", "Throttles", "Duration"];

/// The names of the ruler's metrics, from the code that writes them.
fn metrics() -> BTreeSet<String> {
    let file = Path::new(ROOT).join("functions/ruler/src/metrics.rs");
    let code = std::fs::read_to_string(file).expect("the ruler's metrics");
    let code = code.split("#[cfg(test)]").next().unwrap_or_default();
    let texts: Vec<&str> = code.split('"').collect();
    // `("Name", "Unit", value)`.
    texts
        .windows(3)
        .filter(|text| matches!(text[2], "Count" | "Milliseconds" | "Seconds"))
        .map(|text| text[0].to_owned())
        .collect()
}

/// What an alarm watches: namespace, metric, dimension, and the resource behind it.
fn watched(alarm: &Value) -> (String, String, String, String) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let dimension = &alarm["Dimensions"][0];
    let value = &dimension["Value"];
    let resource = match value.pointer("/Fn::GetAtt") {
        Some(Value::Array(parts)) => {
            let parts: Vec<String> = parts.iter().map(text).collect();
            parts.join(".")
        }
        Some(path) => text(path),
        None => text(&value["Ref"]),
    };
    (
        text(&alarm["Namespace"]),
        text(&alarm["MetricName"]),
        text(&dimension["Name"]),
        resource,
    )
}

/// What is wrong with the alarms.
pub(super) fn wrong(stack: &Stack) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut expected: BTreeSet<(String, String, String, String)> = BTreeSet::new();
    let mut expect = |namespace: &str, metric: &str, dimension: &str, of: String| {
        expected.insert((namespace.into(), metric.into(), dimension.into(), of));
    };
    let metrics = metrics();
    for (metric, _) in OWN {
        if !metrics.contains(metric) {
            wrong.push(format!("the ruler has no metric {metric}"));
        }
        expect(
            "dnswatch",
            metric,
            "FunctionName",
            "RulerFunction".to_owned(),
        );
    }
    for (name, _) in stack.of_type("AWS::Serverless::Function") {
        for metric in FUNCTION {
            expect("AWS/Lambda", metric, "FunctionName", name.to_owned());
        }
    }
    for (name, queue) in stack.of_type("AWS::SQS::Queue") {
        let metric = if queue["Properties"]["RedrivePolicy"].is_null() {
            "ApproximateNumberOfMessagesVisible"
        } else {
            "ApproximateAgeOfOldestMessage"
        };
        expect("AWS/SQS", metric, "QueueName", format!("{name}.QueueName"));
    }
    let failed = "NumberOfNotificationsFailed";
    expect(
        "AWS/SNS",
        failed,
        "TopicName",
        "AlertTopic.TopicName".to_owned(),
    );

    let mut found = BTreeSet::new();
    for (name, alarm) in stack.of_type("AWS::CloudWatch::Alarm") {
        let condition = &alarm["Condition"];
        let alarm = &alarm["Properties"];
        let what = watched(alarm);
        let resource = what.3.split('.').next().unwrap_or_default();
        if stack.template["Resources"][resource]["Condition"] != *condition {
            wrong.push(format!("{name} is not there when {resource} is"));
        }
        for actions in ["AlarmActions", "OKActions"] {
            if alarm[actions] != json!([{"Ref": "AlarmTopic"}]) {
                wrong.push(format!("{name}: {actions}: {}", alarm[actions]));
            }
        }
        if alarm["Dimensions"].as_array().map(Vec::len) != Some(1) {
            wrong.push(format!("{name}: {}", alarm["Dimensions"]));
        }
        let own = OWN.iter().find(|(metric, _)| *metric == what.1);
        let missing = own.map_or("notBreaching", |(_, missing)| missing);
        if alarm["TreatMissingData"] != missing {
            wrong.push(format!("{name}: no data is to be {missing}"));
        }
        let (statistic, comparison) = match what.1.as_str() {
            "RunsSucceeded" => ("Sum", "LessThanThreshold"),
            "Errors" | "Throttles" | "NotificationsRefused" | "NumberOfNotificationsFailed" => {
                ("Sum", "GreaterThanOrEqualToThreshold")
            }
            "Duration" | "ApproximateAgeOfOldestMessage" => ("Maximum", "GreaterThanThreshold"),
            _ => ("Maximum", "GreaterThanOrEqualToThreshold"),
        };
        if alarm["Statistic"] != statistic || alarm["ComparisonOperator"] != comparison {
            wrong.push(format!("{name} is not the {statistic} by {comparison}"));
        }
        let threshold = alarm["Threshold"].as_f64().unwrap_or_default();
        let timeout = stack.number(&format!("{resource}/Properties/Timeout"));
        let fits = match what.1.as_str() {
            // From when on a run leaves work to the next one, or a record is in danger.
            "Duration" if resource == "RulerFunction" => {
                threshold == RunOptions::default().budget.as_secs_f64() * 1000.0
            }
            "Duration" => threshold > 0.0 && threshold < timeout * 1000.0,
            // Some tries have failed, and some are left.
            "ApproximateAgeOfOldestMessage" => {
                let tries = stack.tries(resource);
                threshold > tries.iter().take(3).sum::<f64>() && threshold < tries.iter().sum()
            }
            _ => threshold == 1.0,
        };
        if !fits {
            wrong.push(format!("{name}: a threshold of {threshold}"));
        }
        let number = |name: &str| alarm[name].as_f64().unwrap_or(1.0);
        let soon = number("Period") * number("EvaluationPeriods");
        if !(60.0..=900.0).contains(&soon) || number("DatapointsToAlarm") > 5.0 {
            wrong.push(format!("{name} looks at {soon} s"));
        }
        if !found.insert(what.clone()) {
            wrong.push(format!("{name} watches what another one does: {what:?}"));
        }
    }
    let schedule = stack.number("RulerFunction/Properties/Environment/Variables/SCHEDULE_SECONDS");
    if stack.number("NoSuccessfulRun/Properties/Period") != schedule {
        wrong.push("NoSuccessfulRun does not look at each run".to_owned());
    }
    for missing in expected.difference(&found) {
        wrong.push(format!("no alarm watches {missing:?}"));
    }
    for odd in found.difference(&expected) {
        wrong.push(format!("an alarm watches what is not there: {odd:?}"));
    }
    wrong
}
