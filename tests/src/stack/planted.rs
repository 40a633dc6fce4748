//! Faults of the template, planted one at a time: each must be found.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::{Stack, alarms, numbers, policies};
use crate::parts;

fn wrong(stack: &Stack) -> Vec<String> {
    let mut wrong = alarms::wrong(stack);
    wrong.extend(policies::wrong(stack));
    wrong.extend(numbers::wrong(stack));
    wrong
}

#[test]
fn alarms_policies_and_numbers_agree_with_the_code() -> Result<()> {
    let Some(sam) = parts::sam() else {
        return Ok(());
    };
    let wrong = wrong(&Stack::read(&sam)?);
    ensure!(wrong.is_empty(), "{wrong:#?}");
    Ok(())
}

/// Where in `Resources`, and what is there instead; null takes it away.
fn planted() -> Vec<(&'static str, Value)> {
    let other = json!({"Ref": "AlertTopic"});
    vec![
        // An alarm that watches the wrong metric, dimension or resource.
        (
            "NoSuccessfulRun/Properties/MetricName",
            json!("RunSucceeded"),
        ),
        ("NoSuccessfulRun/Properties/Namespace", json!("Dnswatch")),
        (
            "NoSuccessfulRun/Properties/TreatMissingData",
            json!("notBreaching"),
        ),
        ("NoSuccessfulRun/Properties/Statistic", json!("Average")),
        ("NoSuccessfulRun/Properties/Period", json!(3600)),
        (
            "NoSuccessfulRun/Properties/ComparisonOperator",
            json!("GreaterThanThreshold"),
        ),
        (
            "NoSuccessfulRun/Properties/Dimensions/0/Name",
            json!("Function"),
        ),
        (
            "RulerErrors/Properties/Dimensions/0/Value",
            json!({"Ref": "SlackFunction"}),
        ),
        ("RulerThrottles/Properties/MetricName", json!("Errors")),
        ("RulerDuration/Properties/Threshold", json!(50_000)),
        (
            "RulerDuration/Properties/TreatMissingData",
            json!("breaching"),
        ),
        (
            "RefusedNotifications/Properties/MetricName",
            json!("NotificationsRejected"),
        ),
        ("RefusedNotifications/Properties/AlarmActions", json!([])),
        (
            "TopicsWithoutSubscribers/Properties/TreatMissingData",
            json!("notBreaching"),
        ),
        (
            "TopicsWithoutSubscribers/Properties/MetricName",
            json!("QueuesFailing"),
        ),
        ("TopicsWithoutSubscribers/Properties/Threshold", json!(2)),
        ("QueuesFailing", Value::Null),
        (
            "DeliveryFailures/Properties/Dimensions/0/Value",
            json!({"Fn::GetAtt": "AlarmTopic.TopicName"}),
        ),
        (
            "DeliveryFailures/Properties/MetricName",
            json!("NumberOfNotificationsDelivered"),
        ),
        ("SlackErrors/Condition", json!("HasPagerDuty")),
        ("SlackDuration/Properties/Threshold", json!(30_000)),
        (
            "SlackDelay/Properties/Dimensions/0/Value",
            json!({"Fn::GetAtt": "SlackDeadLetters.QueueName"}),
        ),
        ("SlackDelay/Properties/Threshold", json!(600_000)),
        (
            "SlackDeadLetterAlarm/Properties/Dimensions/0/Value",
            json!({"Fn::GetAtt": "SlackQueue.QueueName"}),
        ),
        (
            "SlackDeadLetterAlarm/Properties/Statistic",
            json!("Minimum"),
        ),
        (
            "PagerDutyDeadLetterAlarm/Properties/MetricName",
            json!("ApproximateAgeOfOldestMessage"),
        ),
        ("PagerDutyThrottles/Properties/OKActions", json!([other])),
        ("PagerDutyDelay/Properties/EvaluationPeriods", json!(120)),
        // Who may use the key and publish to the topics.
        (
            "Key/Properties/KeyPolicy/Statement/1/Principal/Service",
            json!("events.amazonaws.com"),
        ),
        ("Key/Properties/KeyPolicy/Statement/1", Value::Null),
        (
            "Key/Properties/KeyPolicy/Statement/2/Action",
            json!(["kms:Decrypt"]),
        ),
        (
            "Key/Properties/KeyPolicy/Statement/2/Condition",
            Value::Null,
        ),
        (
            "Key/Properties/KeyPolicy/Statement/0/Principal",
            json!({"AWS": "*"}),
        ),
        (
            "AlertTopic/Properties/KmsMasterKeyId",
            json!("alias/aws/sns"),
        ),
        (
            "AlarmTopicPolicy/Properties/PolicyDocument/Statement/0/Principal/Service",
            json!("sns.amazonaws.com"),
        ),
        (
            "AlarmTopicPolicy/Properties/PolicyDocument/Statement/0/Resource",
            other.clone(),
        ),
        (
            "AlarmTopicPolicy/Properties/PolicyDocument/Statement/0/Condition",
            Value::Null,
        ),
        ("AlarmTopicPolicy/Properties/Topics/0", other.clone()),
        ("AlertTopicPolicy", Value::Null),
        (
            "AlertTopicPolicy/Properties/PolicyDocument/Statement/0/Effect",
            json!("Allow"),
        ),
        (
            "SlackQueuePolicy/Properties/PolicyDocument/Statement/0/Resource",
            json!([{"Fn::GetAtt": "SlackQueue.Arn"}]),
        ),
        (
            "SlackQueuePolicy/Properties/PolicyDocument/Statement/0/Condition/ArnEquals",
            json!({"aws:SourceArn": {"Ref": "AlarmTopic"}}),
        ),
        (
            "SlackQueuePolicy/Properties/Queues",
            json!([{"Ref": "SlackQueue"}]),
        ),
        (
            "SlackSubscription/Properties/RedrivePolicy/deadLetterTargetArn",
            json!({"Fn::GetAtt": "PagerDutyDeadLetters.Arn"}),
        ),
        (
            "PagerDutySubscription/Properties/Endpoint",
            json!({"Fn::GetAtt": "SlackQueue.Arn"}),
        ),
        (
            "PagerDutySubscription/Properties/RawMessageDelivery",
            json!(true),
        ),
        (
            "RulerRole/Properties/Policies/2/PolicyDocument/Statement/0/Resource",
            json!([other]),
        ),
        (
            "RulerRole/Properties/Policies/2/PolicyDocument/Statement/1/Condition",
            Value::Null,
        ),
        (
            "SlackRole/Properties/Policies/3/PolicyDocument/Statement/0/Condition",
            Value::Null,
        ),
        (
            "ScheduleRole/Properties/Policies/0/PolicyDocument/Statement/0/Resource",
            json!({"Fn::GetAtt": "SlackFunction.Arn"}),
        ),
        // Which address gets the alarms.
        (
            "AlarmEmailSubscription/Properties/Endpoint",
            json!({"Ref": "Email"}),
        ),
        ("AlarmEmailSubscription/Properties/TopicArn", other),
        (
            "EmailSubscription/Properties/TopicArn",
            json!({"Ref": "AlarmTopic"}),
        ),
        // Numbers that must agree.
        ("RulerFunction/Properties/Timeout", json!(45)),
        ("RulerFunction/Properties/Timeout", json!(120)),
        (
            "RulerFunction/Properties/Environment/Variables/SCHEDULE_SECONDS",
            json!("300"),
        ),
        (
            "RulerFunction/Properties/Environment/Variables/ALARM_TOPIC_ARN",
            json!({"Ref": "AlertTopic"}),
        ),
        (
            "RulerFunction/Properties/EventInvokeConfig/MaximumRetryAttempts",
            json!(2),
        ),
        (
            "Schedule/Properties/ScheduleExpression",
            json!("rate(5 minutes)"),
        ),
        (
            "Schedule/Properties/Target/RetryPolicy/MaximumEventAgeInSeconds",
            json!(86_400),
        ),
        ("SlackFunction/Properties/Timeout", json!(60)),
        (
            "SlackFunction/Properties/Events/Notifications/Properties/FunctionResponseTypes",
            Value::Null,
        ),
        (
            "SlackFunction/Properties/Environment/Variables/QUEUE_URL",
            json!({"Ref": "PagerDutyQueue"}),
        ),
        ("SlackQueue/Properties/VisibilityTimeout", json!(30)),
        (
            "SlackQueue/Properties/RedrivePolicy/maxReceiveCount",
            json!(3),
        ),
        (
            "PagerDutyQueue/Properties/MessageRetentionPeriod",
            json!(3_600),
        ),
        (
            "PagerDutyDeadLetters/Properties/MessageRetentionPeriod",
            json!(345_600),
        ),
        (
            "PagerDutyQueue/Properties/RedrivePolicy/deadLetterTargetArn",
            json!({"Fn::GetAtt": "SlackDeadLetters.Arn"}),
        ),
        (
            "StateTable/Properties/TimeToLiveSpecification/AttributeName",
            json!("expires"),
        ),
        (
            "StateTable/Properties/TimeToLiveSpecification/Enabled",
            json!(false),
        ),
        (
            "StateTable/Properties/KeySchema/1/AttributeName",
            json!("sort"),
        ),
    ]
}

#[test]
fn every_planted_fault_is_found() -> Result<()> {
    let Some(sam) = parts::sam() else {
        return Ok(());
    };
    let mut stack = Stack::read(&sam)?;
    let right = stack.template.clone();
    let planted = planted();
    let count = planted.len();
    let mut survivors = Vec::new();
    for (at, instead) in planted {
        let path = format!("/Resources/{at}");
        let place = stack.template.pointer_mut(&path);
        // One that changes nothing would always survive, or prove nothing.
        let place = place.with_context(|| format!("{at} is not there"))?;
        ensure!(*place != instead, "{at} is so already");
        *place = instead.clone();
        if wrong(&stack).is_empty() {
            survivors.push(format!("{at}: {instead}"));
        }
        stack.template.clone_from(&right);
    }
    eprintln!(
        "stack: {count} faults planted in the template, {} survive",
        survivors.len()
    );
    ensure!(survivors.is_empty(), "{survivors:#?}");
    Ok(())
}
