//! What an answer of DynamoDB, or the lack of one, says about a write.

use std::fmt::Debug;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use crate::state::StoreError;

/// Error codes by which DynamoDB says that it did nothing, and may do it later.
/// (Developer Guide, "Error handling with DynamoDB".)
const THROTTLED: [&str; 4] = [
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "ThrottlingException",
    "LimitExceededException",
];

/// What became of a conditional write that was not confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unconfirmed {
    /// The condition did not hold.
    ConditionFailed,
    /// It was not done; it may work a moment later.
    Throttled,
    /// It was not done, and will not be.
    Refused,
    /// It may have been done: the answer was lost, or says no more than that something broke.
    InDoubt,
}

impl Unconfirmed {
    pub(super) fn of<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> Self {
        match error {
            SdkError::ServiceError(answer) => {
                let code = answer.err().code().unwrap_or_default();
                if code == "ConditionalCheckFailedException" {
                    Self::ConditionFailed
                } else if THROTTLED.contains(&code) {
                    Self::Throttled
                } else if answer.raw().status().is_client_error() {
                    Self::Refused
                } else {
                    Self::InDoubt
                }
            }
            SdkError::ConstructionFailure(_) => Self::Refused,
            _ => Self::InDoubt,
        }
    }
}

/// A failure of the SDK while `doing`.
pub(super) fn failed<E>(doing: String, error: SdkError<E, HttpResponse>) -> StoreError
where
    E: std::error::Error + Send + Sync + 'static,
{
    StoreError {
        doing,
        source: Box::new(error),
    }
}
