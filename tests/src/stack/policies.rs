//! Every resource policy against who uses the resource, and every role against whose it is.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Stack, statements};

/// The logical ids in a value.
fn named(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                match (key.as_str(), value) {
                    ("Ref", Value::String(name)) => {
                        found.insert(name.clone());
                    }
                    ("Fn::GetAtt", Value::String(path)) => {
                        found.extend(path.split('.').next().map(str::to_owned));
                    }
                    ("Fn::GetAtt", Value::Array(path)) => {
                        found.extend(path.first().and_then(Value::as_str).map(str::to_owned));
                    }
                    _ => named(value, found),
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| named(value, found)),
        _ => {}
    }
}

fn names(value: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    named(value, &mut found);
    found
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn all(value: &Value) -> Vec<Value> {
    let mut found = Vec::new();
    statements(value, &mut |statement| found.push(statement.clone()));
    found
}

/// The services that a policy allows something, each with what and on which condition.
fn services(policy: &Value) -> Vec<(String, Value)> {
    let allowed = all(policy).into_iter().filter(|it| it["Effect"] == "Allow");
    allowed
        .map(|it| {
            let service = it["Principal"]["Service"].as_str().unwrap_or_default();
            (service.to_owned(), it)
        })
        .collect()
}

/// What is wrong with the policies.
pub(super) fn wrong(stack: &Stack) -> Vec<String> {
    let mut wrong = Vec::new();
    key(stack, &mut wrong);
    topics(stack, &mut wrong);
    queues(stack, &mut wrong);
    roles(stack, &mut wrong);
    wrong
}

fn key(stack: &Stack, wrong: &mut Vec<String>) {
    let policy = &stack.properties("Key")["KeyPolicy"];
    let mut users = set(&[""]);
    // An alarm publishes to a topic that the key encrypts; a topic sends to a queue that it does.
    let encrypted =
        |resource: &str| stack.properties(resource)["KmsMasterKeyId"] == json!({"Ref": "Key"});
    for kind in ["AWS::SNS::Topic", "AWS::SQS::Queue"] {
        for (name, _) in stack.of_type(kind) {
            if !encrypted(name) {
                wrong.push(format!("{name} is not encrypted by the key"));
            }
        }
    }
    users.insert("cloudwatch.amazonaws.com".to_owned());
    users.insert("sns.amazonaws.com".to_owned());
    let account = json!({"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}});
    let mut found = BTreeSet::new();
    for (service, statement) in services(policy) {
        if service.is_empty() {
            let root =
                json!({"AWS": {"Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:root"}});
            if statement["Principal"] != root || statement["Action"] != "kms:*" {
                wrong.push(format!("the key is for somebody else: {statement}"));
            }
        } else if statement["Action"] != json!(["kms:Decrypt", "kms:GenerateDataKey*"])
            || statement["Condition"] != account
        {
            wrong.push(format!("the key's {service}: {statement}"));
        }
        found.insert(service);
    }
    if found != users {
        wrong.push(format!("the key is for {found:?}, and used by {users:?}"));
    }
}

fn topics(stack: &Stack, wrong: &mut Vec<String>) {
    let mut alarmed = BTreeSet::new();
    for (_, alarm) in stack.of_type("AWS::CloudWatch::Alarm") {
        named(&alarm["Properties"]["AlarmActions"], &mut alarmed);
    }
    for (topic, _) in stack.of_type("AWS::SNS::Topic") {
        let policies = stack.of_type("AWS::SNS::TopicPolicy");
        let policy = policies
            .iter()
            .find(|(_, policy)| names(&policy["Properties"]["Topics"]) == set(&[topic]));
        let Some((name, policy)) = policy else {
            wrong.push(format!("{topic} has no policy"));
            continue;
        };
        for statement in all(&policy["Properties"]["PolicyDocument"]) {
            if names(&statement["Resource"]) != set(&[topic])
                || statement["Action"] != "sns:Publish"
            {
                wrong.push(format!("{name} is about another topic: {statement}"));
            }
        }
        let document = &policy["Properties"]["PolicyDocument"];
        let account = json!({"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}});
        let allowed: Vec<_> = services(document);
        let cloudwatch = allowed.iter().any(|(service, statement)| {
            service == "cloudwatch.amazonaws.com" && statement["Condition"] == account
        });
        if cloudwatch != alarmed.contains(topic) || allowed.len() != usize::from(cloudwatch) {
            wrong.push(format!("{name} allows {allowed:?}"));
        }
        let denied = all(document).into_iter().any(|it| denies_plain(&it));
        if !denied {
            wrong.push(format!("{topic} takes what comes without TLS"));
        }
    }
    // Which address gets what.
    let own = json!({"Fn::If": ["HasOwnAlarmEmail", {"Ref": "AlarmEmail"}, {"Ref": "Email"}]});
    for (name, topic, address, condition) in [
        (
            "EmailSubscription",
            "AlertTopic",
            json!({"Ref": "Email"}),
            "HasEmail",
        ),
        ("AlarmEmailSubscription", "AlarmTopic", own, "HasAlarmEmail"),
    ] {
        let subscription = stack.properties(name);
        let right = subscription["TopicArn"] == json!({"Ref": topic})
            && subscription["Endpoint"] == address
            && subscription["Protocol"] == "email"
            && stack.template["Resources"][name]["Condition"] == condition;
        if !right {
            wrong.push(format!("{name}: {subscription}"));
        }
    }
    let has = json!({"Fn::Not": [{"Fn::Equals": [{"Ref": "AlarmEmail"}, ""]}]});
    if stack.template["Conditions"]["HasOwnAlarmEmail"] != has {
        wrong.push("HasOwnAlarmEmail is about another parameter".to_owned());
    }
}

fn denies_plain(statement: &Value) -> bool {
    statement["Effect"] == "Deny"
        && statement["Principal"] == "*"
        && statement["Condition"] == json!({"Bool": {"aws:SecureTransport": "false"}})
}

fn queues(stack: &Stack, wrong: &mut Vec<String>) {
    let mut fed = BTreeSet::new();
    for (name, subscription) in stack.of_type("AWS::SNS::Subscription") {
        let subscription = &subscription["Properties"];
        if subscription["Protocol"] != "sqs" {
            continue;
        }
        let mut queues = names(&subscription["Endpoint"]);
        let dead = names(&subscription["RedrivePolicy"]);
        for queue in &queues {
            if names(&stack.properties(queue)["RedrivePolicy"]) != dead {
                wrong.push(format!("{name}: another dead-letter queue than {queue}'s"));
            }
        }
        if subscription["RawMessageDelivery"] != false {
            wrong.push(format!("{name} is raw: the envelope's id is lost"));
        }
        queues.extend(dead);
        let policies = stack.of_type("AWS::SQS::QueuePolicy");
        let policy = policies
            .iter()
            .find(|(_, policy)| names(&policy["Properties"]["Queues"]) == queues);
        let Some((policy_name, policy)) = policy else {
            wrong.push(format!("{name}: no policy for exactly {queues:?}"));
            continue;
        };
        let document = &policy["Properties"]["PolicyDocument"];
        let condition = json!({"ArnEquals": {"aws:SourceArn": subscription["TopicArn"]}});
        let allowed = services(document);
        let right = allowed.len() == 1
            && allowed.iter().all(|(service, it)| {
                service == "sns.amazonaws.com"
                    && it["Action"] == "sqs:SendMessage"
                    && it["Condition"] == condition
                    && names(&it["Resource"]) == queues
            });
        if !right {
            wrong.push(format!("{policy_name} allows {allowed:?}"));
        }
        let denied = all(document)
            .into_iter()
            .any(|it| denies_plain(&it) && names(&it["Resource"]) == queues);
        if !denied {
            wrong.push(format!("{policy_name} takes what comes without TLS"));
        }
        fed.extend(queues);
    }
    for (name, _) in stack.of_type("AWS::SQS::Queue") {
        if !fed.contains(name) {
            wrong.push(format!("{name} is filled by nothing"));
        }
    }
}

/// Whose resources each role is about. Beside them each has the key and the table.
fn roles(stack: &Stack, wrong: &mut Vec<String>) {
    let ruler = set(&[
        "AlarmTopic",
        "AlertTopic",
        "AmazonQTopicArns",
        "Key",
        "OtherTopicArns",
        "PagerDutyDeadLetters",
        "PagerDutyQueue",
        "PublishRoleArns",
        "QueryRoleArn",
        "RulerLogGroup",
        "SlackDeadLetters",
        "SlackQueue",
        "StateTable",
    ]);
    let slack = set(&[
        "Key",
        "SlackLogGroup",
        "SlackQueue",
        "SlackWebhookKeyArn",
        "SlackWebhookSecretArn",
        "StateTable",
    ]);
    let pagerduty = set(&[
        "Key",
        "PagerDutyKeyArn",
        "PagerDutyLogGroup",
        "PagerDutyQueue",
        "PagerDutySecretArn",
        "StateTable",
    ]);
    for (role, expected, by, keys) in [
        ("RulerRole", ruler, "sns", None),
        ("ScheduleRole", set(&["RulerFunction"]), "", None),
        ("SlackRole", slack, "sqs", Some("slack#*")),
        ("PagerDutyRole", pagerduty, "sqs", Some("pagerduty#*")),
    ] {
        let mut found = BTreeSet::new();
        for statement in all(&stack.properties(role)["Policies"]) {
            let resources = names(&statement["Resource"]);
            let actions = statement["Action"].to_string();
            let condition = &statement["Condition"];
            if actions.contains("kms:") {
                let service = if resources.contains("Key") {
                    by
                } else {
                    "secretsmanager"
                };
                let via = format!("{service}.${{AWS::Region}}.${{AWS::URLSuffix}}");
                let via = json!({"StringEquals": {"kms:ViaService": {"Fn::Sub": via}}});
                if *condition != via {
                    wrong.push(format!("{role}: {actions} by {condition}"));
                }
            } else if actions.contains("dynamodb:") {
                let leading = keys.map(
                    |keys| json!({"ForAllValues:StringLike": {"dynamodb:LeadingKeys": [keys]}}),
                );
                if *condition != leading.unwrap_or_default() {
                    wrong.push(format!("{role}: {actions} by {condition}"));
                }
            }
            found.extend(resources);
        }
        if found != expected {
            let odd: Vec<_> = found.symmetric_difference(&expected).collect();
            wrong.push(format!("{role} is about another set of resources: {odd:?}"));
        }
    }
    // Who may publish to which topic: the ruler to its own two and to those that are given.
    for statement in all(&stack.properties("RulerRole")["Policies"]) {
        let publishes = statement["Action"].to_string().contains("sns:Publish");
        let resources = names(&statement["Resource"]);
        let is_for_q = resources == set(&["AmazonQTopicArns"]);
        let own = ["AlertTopic", "AlarmTopic", "OtherTopicArns"];
        if publishes && !is_for_q && resources != set(&own) {
            wrong.push(format!("the ruler publishes to {resources:?}"));
        }
    }
}
