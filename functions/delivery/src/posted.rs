//! What was sent: a notification's id is claimed before it is sent and marked as sent after.
//!
//! The order decides what a crash costs. Between claim and sending: nothing is sent, the claim
//! runs out, the queue delivers again, it is sent then. Between sending and mark: the claim runs
//! out and it is sent a second time. So a message can come twice, and none is lost.
//!
//! The item is in the state's table, beside the state: `CHANNEL#QUEUE#ID` / `posted`, with
//! `posted_at` once it was sent; until then `claimed_until` and `claimed_by`. `QUEUE` is the ARN
//! that the record came from: two functions that hand the same topic on to two places do not
//! take each other's messages for their own.

use std::time::Duration;

use alerting::clock_step::MAX_SKEW;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;
use jiff::Timestamp;

use crate::table::{EXPIRES_AT, ID, PART, TableError, expiry, failed, moment, seconds, text};

/// How much longer than a run a claim lasts. Two hosts may each be [`MAX_SKEW`] off, one ahead and one
/// behind, and both count as right: by the clock of the one ahead, the claim of the one behind must
/// not end while its run lives.
pub const CLAIM_MARGIN: Duration = Duration::from_secs(2 * MAX_SKEW.as_secs() + 5);

/// What came of claiming a notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// It is this run's to send.
    Taken,
    /// It was sent before.
    Posted,
    /// Another run is at it, or died at it, until then.
    Held(Timestamp),
}

/// The memory of what was sent from one queue.
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

    /// Claims a notification for `by`, until `until`. A claim that lasts beyond `longest` was made
    /// under a clock that was ahead, and stops nothing.
    pub async fn claim(
        &self,
        key: &str,
        by: &str,
        now: Timestamp,
        until: Timestamp,
        longest: Timestamp,
    ) -> Result<Claim, TableError> {
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
                 (claimed_until <= :now OR claimed_until > :longest OR claimed_by = :by))",
            )
            .expression_attribute_names("#id", ID)
            .expression_attribute_values(":now", seconds(now))
            .expression_attribute_values(":longest", seconds(longest))
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
        Ok(Claim::Held(
            moment(item.get("claimed_until")).unwrap_or(now),
        ))
    }

    /// Gives a claim back: nothing was sent under it. A failure costs only time.
    pub async fn release(&self, key: &str, by: &str) -> Result<(), TableError> {
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

    /// Marks a notification as sent, whichever run holds the claim.
    pub async fn mark(&self, key: &str, now: Timestamp) -> Result<(), TableError> {
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
}

/// The key of one notification of a queue.
pub fn notification_key(channel: &str, queue: &str, id: &str) -> String {
    format!("{channel}#{queue}#{id}")
}
