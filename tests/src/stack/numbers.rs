//! Numbers in different files that must agree, each from the code that has it.

use std::path::Path;

use backends::notify::SnsOptions;
use backends::run::RunOptions;
use delivery::posted::CLAIM_MARGIN;
use serde_json::json;

use super::{ROOT, Stack, rust_files};

/// The functions behind queues, with their queue and its dead letters.
const BEHIND_QUEUES: [(&str, &str, &str); 2] = [
    ("SlackFunction", "SlackQueue", "SlackDeadLetters"),
    (
        "PagerDutyFunction",
        "PagerDutyQueue",
        "PagerDutyDeadLetters",
    ),
];

/// The most that Lambda waits for, and SQS keeps (Amazon SQS, quotas).
const LONGEST_RETENTION: f64 = 1_209_600.0;

/// What does not agree.
pub(super) fn wrong(stack: &Stack) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut check = |holds: bool, what: &str| {
        if !holds {
            wrong.push(what.to_owned());
        }
    };
    let options = RunOptions::default();
    let (budget, claim) = (options.budget.as_secs_f64(), options.claim.as_secs_f64());
    let publish = SnsOptions::default().timeout.as_secs_f64();
    let timeout = stack.number("RulerFunction/Properties/Timeout");
    let schedule = stack.number("RulerFunction/Properties/Environment/Variables/SCHEDULE_SECONDS");
    check(
        budget + publish < timeout,
        "a publish that begins at the end of the budget outlives the ruler",
    );
    check(timeout < schedule, "runs overlap");
    check(claim >= timeout + 60.0, "a run may outlive its claims");
    let schedule_of = stack.properties("Schedule");
    check(
        schedule_of["ScheduleExpression"] == "rate(1 minute)" && schedule == 60.0,
        "the ruler does not know how often it runs",
    );
    for age in [
        "Schedule/Properties/Target/RetryPolicy/MaximumEventAgeInSeconds",
        "RulerFunction/Properties/EventInvokeConfig/MaximumEventAgeInSeconds",
    ] {
        check(
            stack.number(age) == schedule,
            "an event outlives the next one",
        );
    }
    for retries in [
        "Schedule/Properties/Target/RetryPolicy/MaximumRetryAttempts",
        "RulerFunction/Properties/EventInvokeConfig/MaximumRetryAttempts",
    ] {
        check(stack.number(retries) == 0.0, "the next run is the retry");
    }
    let duration = stack.properties("RulerDuration")["AlarmDescription"].as_str();
    let says = format!("{budget} of their {timeout} seconds");
    check(
        duration.is_some_and(|text| text.contains(&says)),
        "RulerDuration's description has other numbers",
    );

    for (function, queue, dead) in BEHIND_QUEUES {
        let timeout = stack.number(&format!("{function}/Properties/Timeout"));
        let visibility = stack.number(&format!("{queue}/Properties/VisibilityTimeout"));
        let retention = stack.number(&format!("{queue}/Properties/MessageRetentionPeriod"));
        let dead_retention = stack.number(&format!("{dead}/Properties/MessageRetentionPeriod"));
        // As AWS asks for: so that a record is not handed out again while it is worked at.
        check(
            visibility >= 6.0 * timeout,
            "the queue's visibility timeout is too short",
        );
        check(
            timeout + CLAIM_MARGIN.as_secs_f64() < visibility,
            "a claim outlives the queue's visibility timeout",
        );
        // A service that is away for an hour costs nothing.
        let tries: f64 = stack.tries(queue).iter().sum();
        check(tries >= 3_600.0, "a queue gives up within an hour");
        // SQS keeps a message's age when it becomes a dead letter.
        check(
            tries < retention && retention < dead_retention,
            "a dead letter is gone before its queue gave up",
        );
        check(
            dead_retention == LONGEST_RETENTION,
            "dead letters are kept for a shorter time",
        );
        check(
            delivery::REMEMBERED.as_secs_f64() >= dead_retention,
            "what was sent is forgotten while it may be delivered again",
        );
        let policy = &stack.properties(queue)["RedrivePolicy"];
        let target = &policy["deadLetterTargetArn"]["Fn::GetAtt"];
        check(
            *target == json!(format!("{dead}.Arn")) || *target == json!([dead, "Arn"]),
            "a queue has another queue's dead letters",
        );
        let event = &stack.properties(function)["Events"]["Notifications"]["Properties"];
        check(
            event["FunctionResponseTypes"] == json!(["ReportBatchItemFailures"]),
            "what failed is not kept apart from what was sent",
        );
        let own = format!("{queue}.Arn");
        let from = &event["Queue"]["Fn::GetAtt"];
        check(
            *from == json!(own) || *from == json!([queue, "Arn"]),
            "a function reads another queue",
        );
        let url = &stack.properties(function)["Environment"]["Variables"]["QUEUE_URL"];
        check(
            *url == json!({"Ref": queue}),
            "a function puts off records of another queue",
        );
    }

    // Items expire by themselves, under the name that both writers use.
    let ttl = &stack.properties("StateTable")["TimeToLiveSpecification"];
    let attribute = ttl["AttributeName"].as_str().unwrap_or_default();
    check(ttl["Enabled"] == true, "nothing expires");
    for folder in [
        "functions/delivery/src/table.rs",
        "backends/src/state/dynamodb",
    ] {
        let files = rust_files(&Path::new(ROOT).join(folder)).unwrap_or_default();
        let code: String = files
            .iter()
            .filter_map(|file| std::fs::read_to_string(file).ok())
            .collect();
        for name in [attribute, "id", "part"] {
            check(
                !name.is_empty() && code.contains(&format!("\"{name}\"")),
                &format!("{folder} does not write {name}"),
            );
        }
    }
    let keys = &stack.properties("StateTable")["KeySchema"];
    let expected = json!([
        {"AttributeName": "id", "KeyType": "HASH"},
        {"AttributeName": "part", "KeyType": "RANGE"},
    ]);
    check(*keys == expected, "the table has other keys");

    // Which topic the ruler takes for which.
    let variables = &stack.properties("RulerFunction")["Environment"]["Variables"];
    for (name, topic) in [
        ("TOPIC_ARN", "AlertTopic"),
        ("ALARM_TOPIC_ARN", "AlarmTopic"),
    ] {
        check(
            variables[name] == json!({"Ref": topic}),
            &format!("{name} is not {topic}"),
        );
    }
    wrong
}
