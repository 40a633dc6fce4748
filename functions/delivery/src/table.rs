//! The state's table, as these functions use it: items of their own, which expire by themselves.

use std::time::Duration;

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;

use crate::aws_error::why;

/// The partition key's attribute of the state's table.
pub(crate) const ID: &str = "id";
/// The sort key's.
pub(crate) const PART: &str = "part";
/// The attribute that DynamoDB expires items by, in seconds since the epoch.
pub(crate) const EXPIRES_AT: &str = "expires_at";
/// How long it is remembered what was sent: as long as a message may stay in a queue (Amazon SQS,
/// quotas).
pub const REMEMBERED: Duration = Duration::from_secs(14 * 24 * 3_600);

/// The table could not do it, or it is not known whether it did.
#[derive(Debug, thiserror::Error)]
#[error("{doing}: {why}")]
pub struct TableError {
    doing: &'static str,
    why: String,
}

pub(crate) fn text(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

pub(crate) fn seconds(at: Timestamp) -> AttributeValue {
    AttributeValue::N(at.as_second().to_string())
}

pub(crate) fn moment(value: Option<&AttributeValue>) -> Option<Timestamp> {
    Timestamp::from_second(value?.as_n().ok()?.parse().ok()?).ok()
}

pub(crate) fn expiry(now: Timestamp) -> AttributeValue {
    let remembered = i64::try_from(REMEMBERED.as_secs()).unwrap_or(i64::MAX);
    AttributeValue::N(now.as_second().saturating_add(remembered).to_string())
}

pub(crate) fn failed<E, R>(doing: &'static str, error: &SdkError<E, R>) -> TableError
where
    E: aws_sdk_dynamodb::error::ProvideErrorMetadata,
{
    TableError {
        doing,
        why: why(error),
    }
}
