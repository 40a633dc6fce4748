//! What was posted: a notification's id is claimed before its message is posted and marked as
//! posted after.
//!
//! The order decides what a crash costs. Between claim and post: nothing is posted, the claim
//! runs out, the queue delivers again, it is posted then. Between post and mark: the claim runs
//! out and it is posted a second time. So a message can come twice, and none is lost.
//!
//! The items are in the state's table, beside the state, and expire by themselves:
//! - `slack#QUEUE#ID` / `posted`: one notification. `posted_at` once it was posted; until then
//!   `claimed_until` and `claimed_by`.
//! - `slack#QUEUE#group#HASH` / `sequence`: the highest sequence number of a group, receiver
//!   and topic that was begun to be posted.
//!
//! `QUEUE` is the ARN that the record came from: two functions that post the same topic to two
//! channels do not take each other's messages for their own.

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use jiff::Timestamp;

use crate::aws_error::why;

/// The partition key's attribute of the state's table.
const ID: &str = "id";
/// The sort key's.
const PART: &str = "part";
/// The attribute that DynamoDB expires items by, in seconds since the epoch.
const EXPIRES_AT: &str = "expires_at";
/// How long an id is known: as long as a message may stay in a queue (Amazon SQS, quotas).
const KNOWN_S: i64 = 14 * 24 * 3_600;

/// The table could not do it, or it is not known whether it did.
#[derive(Debug, thiserror::Error)]
#[error("{doing}: {why}")]
pub struct PostedError {
    doing: &'static str,
    why: String,
}

/// What came of claiming a notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// It is this run's to post.
    Taken,
    /// It was posted before.
    Posted,
    /// Another run is at it, or died at it, until then.
    Held(Timestamp),
}

/// The memory of what was posted from one queue.
#[derive(Debug, Clone)]
pub struct Posted {
    client: Client,
    table: String,
}

impl Posted {
    /// The memory in a table.
    pub fn new(client: Client, table: String) -> Self {
        Self { client, table }
    }

    /// Claims a notification for `by`, until `until`.
    pub async fn claim(
        &self,
        key: &str,
        by: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Claim, PostedError> {
        let attempt = self
            .client
            .put_item()
            .table_name(&self.table)
            .item(ID, text(key))
            .item(PART, text("posted"))
            .item("claimed_by", text(by))
            .item("claimed_until", seconds(until))
            .item(EXPIRES_AT, expiry(now))
            .condition_expression(
                "attribute_not_exists(#id) OR (attribute_not_exists(posted_at) AND \
                 (claimed_until <= :now OR claimed_by = :by))",
            )
            .expression_attribute_names("#id", ID)
            .expression_attribute_values(":now", seconds(now))
            .expression_attribute_values(":by", text(by))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        let failure = match attempt {
            Ok(_) => return Ok(Claim::Taken),
            Err(failure) => failure,
        };
        let failed = failed("claiming the notification", &failure);
        let Some(PutItemError::ConditionalCheckFailedException(refused)) =
            failure.as_service_error()
        else {
            return Err(failed);
        };
        let item = refused.item().ok_or(failed)?;
        if item.contains_key("posted_at") {
            return Ok(Claim::Posted);
        }
        let until = item
            .get("claimed_until")
            .and_then(|until| until.as_n().ok());
        let until = until.and_then(|until| Timestamp::from_second(until.parse().ok()?).ok());
        Ok(Claim::Held(until.unwrap_or(now)))
    }

    /// Gives a claim back: nothing was posted under it. A failure costs only time.
    pub async fn release(&self, key: &str, by: &str) -> Result<(), PostedError> {
        let attempt = self
            .client
            .delete_item()
            .table_name(&self.table)
            .key(ID, text(key))
            .key(PART, text("posted"))
            .condition_expression("claimed_by = :by AND attribute_not_exists(posted_at)")
            .expression_attribute_values(":by", text(by))
            .send()
            .await;
        match attempt {
            Ok(_) => Ok(()),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(|e| e.is_conditional_check_failed_exception()) =>
            {
                Ok(())
            }
            Err(error) => Err(failed("giving the notification back", &error)),
        }
    }

    /// Marks a notification as posted, whoever holds it: it was.
    pub async fn mark(&self, key: &str, now: Timestamp) -> Result<(), PostedError> {
        let attempt = self
            .client
            .put_item()
            .table_name(&self.table)
            .item(ID, text(key))
            .item(PART, text("posted"))
            .item("posted_at", seconds(now))
            .item(EXPIRES_AT, expiry(now))
            .send()
            .await;
        attempt
            .map(|_| ())
            .map_err(|error| failed("marking the notification as posted", &error))
    }

    /// Begins notification number `sequence` of a group. Whether one with a higher number was
    /// begun before: then this one is late.
    ///
    /// A newer notification counts from when it was begun, not from when Slack has it: it is
    /// tried until it is posted, so to say of an older one that another overtook it is true in
    /// the end, while the contrary would leave the older one standing as news.
    pub async fn is_late(
        &self,
        group: &str,
        sequence: u64,
        now: Timestamp,
    ) -> Result<bool, PostedError> {
        let attempt = self
            .client
            .update_item()
            .table_name(&self.table)
            .key(ID, text(group))
            .key(PART, text("sequence"))
            .update_expression("SET #sequence = :sequence, #expires = :expires")
            .condition_expression("attribute_not_exists(#sequence) OR #sequence <= :sequence")
            .expression_attribute_names("#sequence", "sequence")
            .expression_attribute_names("#expires", EXPIRES_AT)
            .expression_attribute_values(":sequence", AttributeValue::N(sequence.to_string()))
            .expression_attribute_values(":expires", expiry(now))
            .send()
            .await;
        match attempt {
            Ok(_) => Ok(false),
            Err(error)
                if matches!(
                    error.as_service_error(),
                    Some(UpdateItemError::ConditionalCheckFailedException(_))
                ) =>
            {
                Ok(true)
            }
            Err(error) => Err(failed("noting the sequence number", &error)),
        }
    }
}

/// The key of one notification of a queue.
pub fn notification_key(queue: &str, id: &str) -> String {
    format!("slack#{queue}#{id}")
}

/// The key of what is counted by one sequence: a group's notifications to a receiver by one topic.
pub fn sequence_key(queue: &str, topic: &str, receiver: &str, group: &str) -> String {
    let hash = alerting::fingerprint::hash_128(&[topic, receiver, group]);
    format!("slack#{queue}#group#{hash}")
}

fn text(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

fn seconds(at: Timestamp) -> AttributeValue {
    AttributeValue::N(at.as_second().to_string())
}

fn expiry(now: Timestamp) -> AttributeValue {
    AttributeValue::N(now.as_second().saturating_add(KNOWN_S).to_string())
}

fn failed<E, R>(doing: &'static str, error: &SdkError<E, R>) -> PostedError
where
    E: aws_sdk_dynamodb::error::ProvideErrorMetadata,
{
    PostedError {
        doing,
        why: why(error),
    }
}

/// How much longer than a run a claim lasts.
pub const CLAIM_MARGIN: Duration = Duration::from_secs(5);
