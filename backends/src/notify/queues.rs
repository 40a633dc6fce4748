//! Queues that are subscribed to a topic: whether they are there, and what they gave up on. SNS
//! counts a subscription as confirmed whatever became of its queue.

use std::collections::HashMap;

use alerting::notify::QueueFault;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::{Builder, Region};
use aws_sdk_sqs::error::SdkError;
use aws_sdk_sqs::types::QueueAttributeName;
use aws_types::SdkConfig;
use serde_json::Value;

use crate::aws::reason;

/// A queue's ARN in its parts.
#[derive(Debug, PartialEq, Eq)]
struct QueueArn<'a> {
    region: &'a str,
    account: &'a str,
    name: &'a str,
}

impl<'a> QueueArn<'a> {
    fn parse(arn: &'a str) -> Option<Self> {
        match arn.split(':').collect::<Vec<_>>().as_slice() {
            ["arn", _, "sqs", region, account, name] => Some(Self {
                region,
                account,
                name,
            }),
            _ => None,
        }
    }
}

/// What is wrong with the queue, if that can be known; the error says why it cannot.
pub(super) async fn fault(sdk: &SdkConfig, queue: &str) -> Result<Option<QueueFault>, String> {
    let Some(found) = attributes(sdk, queue, QueueAttributeName::RedrivePolicy).await? else {
        return Ok(Some(QueueFault::Gone));
    };
    let policy = found.get(&QueueAttributeName::RedrivePolicy);
    let policy: Value = policy
        .and_then(|policy| serde_json::from_str(policy).ok())
        .unwrap_or_default();
    let Some(dead) = policy.get("deadLetterTargetArn").and_then(Value::as_str) else {
        return Ok(None);
    };
    let count = QueueAttributeName::ApproximateNumberOfMessages;
    let Some(found) = attributes(sdk, dead, count.clone()).await? else {
        return Ok(Some(QueueFault::DeadLetterQueueGone));
    };
    let count = found.get(&count).and_then(|count| count.parse().ok());
    Ok(count
        .filter(|count| *count > 0)
        .map(QueueFault::DeadLetters))
}

/// An attribute of a queue; None if there is no such queue.
async fn attributes(
    sdk: &SdkConfig,
    queue: &str,
    name: QueueAttributeName,
) -> Result<Option<HashMap<QueueAttributeName, String>>, String> {
    let arn = QueueArn::parse(queue).ok_or_else(|| format!("{queue}: not the ARN of a queue"))?;
    let region = Region::new(arn.region.to_owned());
    let client = Client::from_conf(Builder::from(sdk).region(region).build());
    let url = client
        .get_queue_url()
        .queue_name(arn.name)
        .queue_owner_aws_account_id(arn.account)
        .send()
        .await;
    let url = match url {
        Ok(answer) => answer.queue_url.unwrap_or_default(),
        Err(error) if is_gone(&error, |error| error.is_queue_does_not_exist()) => return Ok(None),
        Err(error) => return Err(format!("{queue}: GetQueueUrl: {}", reason(&error))),
    };
    let answer = client
        .get_queue_attributes()
        .queue_url(url)
        .attribute_names(name)
        .send()
        .await;
    match answer {
        Ok(answer) => Ok(Some(answer.attributes.unwrap_or_default())),
        Err(error) if is_gone(&error, |error| error.is_queue_does_not_exist()) => Ok(None),
        Err(error) => Err(format!("{queue}: GetQueueAttributes: {}", reason(&error))),
    }
}

/// Known for certain: SQS also says "or you do not have access to it", which is not.
fn is_gone<E: std::fmt::Display + aws_sdk_sqs::error::ProvideErrorMetadata, R>(
    error: &SdkError<E, R>,
    is_missing: impl Fn(&E) -> bool,
) -> bool {
    error.as_service_error().is_some_and(|error| {
        let said = error.message().unwrap_or_default();
        is_missing(error) && !said.contains("access")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_known_by_its_arn() {
        let parsed = QueueArn::parse("arn:aws:sqs:eu-west-1:123456789012:slack");
        let expected = QueueArn {
            region: "eu-west-1",
            account: "123456789012",
            name: "slack",
        };
        assert_eq!(parsed, Some(expected));
        for other in ["", "slack", "arn:aws:sns:eu-west-1:123456789012:slack"] {
            assert_eq!(QueueArn::parse(other), None, "{other}");
        }
    }
}
