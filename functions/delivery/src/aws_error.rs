//! What AWS says about a failure, without what was in the request or the answer.

use std::error::Error;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};

/// The code and the message of a refusal; of anything else its kind and the causes that name no
/// content. The debug form of an SDK error would print the whole answer, secrets too.
pub(crate) fn why<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> String {
    match error {
        SdkError::ServiceError(refused) => {
            let said = refused.err();
            let code = said.code().unwrap_or("an error without a code");
            match said.message() {
                Some(message) => format!("{code}: {message}"),
                None => code.to_owned(),
            }
        }
        SdkError::DispatchFailure(failure) => {
            let mut why = "AWS was not reached".to_owned();
            let mut source: Option<&dyn Error> = failure.as_connector_error().map(|e| e as _);
            while let Some(error) = source {
                why.push_str(": ");
                why.push_str(&error.to_string());
                source = error.source();
            }
            why
        }
        SdkError::TimeoutError(_) => "AWS did not answer in time".to_owned(),
        SdkError::ResponseError(_) => "AWS gave an answer that cannot be read".to_owned(),
        _ => "the request to AWS could not be made".to_owned(),
    }
}
