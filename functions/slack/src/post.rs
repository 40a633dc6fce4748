//! One POST to the webhook, and what became of it.

use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode};

use crate::webhook::Webhook;

/// How long to wait where Slack asks to wait, but does not say how long.
const UNSAID: Duration = Duration::from_secs(30);
/// A message's visibility in its queue can be put off by 12 hours at most (Amazon SQS, quotas).
const LONGEST: Duration = Duration::from_secs(43_200);

/// A message was not posted, or it is not known whether it was. The texts hold nothing of the
/// webhook.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PostError {
    /// Too many messages: none should be tried for so long.
    #[error("Slack asks to wait {} s (429)", .0.as_secs())]
    RateLimited(Duration),
    /// It may work later.
    #[error("{0}")]
    Transient(String),
    /// Slack does not take this message, or nothing by this webhook.
    #[error("Slack refused it: {status} {reason}")]
    Refused {
        /// HTTP's.
        status: u16,
        /// Slack's word for why.
        reason: String,
    },
}

impl PostError {
    /// Whether it may be the webhook that is refused, rather than the message.
    pub fn is_about_the_webhook(&self) -> bool {
        matches!(
            self,
            Self::Refused {
                status: 401 | 403 | 404 | 410,
                ..
            }
        )
    }
}

/// Posts a JSON body, within `timeout`.
pub async fn post(
    http: &Client,
    webhook: &Webhook,
    body: &[u8],
    timeout: Duration,
) -> Result<(), PostError> {
    let request = http
        .post(webhook.url())
        .header(CONTENT_TYPE, "application/json; charset=utf-8")
        .timeout(timeout)
        .body(body.to_vec());
    let answer = request.send().await.map_err(|error| unreached(&error))?;
    let status = answer.status();
    if status.is_success() {
        return Ok(());
    }
    if status == StatusCode::TOO_MANY_REQUESTS {
        return Err(PostError::RateLimited(retry_after(answer.headers())));
    }
    if status.is_server_error()
        || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY)
    {
        let reason = reason(answer).await;
        return Err(PostError::Transient(format!(
            "Slack failed: {} {reason}",
            status.as_u16()
        )));
    }
    Err(PostError::Refused {
        status: status.as_u16(),
        reason: reason(answer).await,
    })
}

/// The client's errors print the URL: only their kind is told.
fn unreached(error: &reqwest::Error) -> PostError {
    PostError::Transient(
        if error.is_timeout() {
            "Slack did not answer in time; it may have the message"
        } else if error.is_connect() {
            "no connection to Slack"
        } else {
            "the connection to Slack broke; it may have the message"
        }
        .to_owned(),
    )
}

/// Seconds, as Slack sends them, within what a queue can wait.
fn retry_after(headers: &HeaderMap) -> Duration {
    let said = headers
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok());
    let seconds = said.and_then(|seconds| seconds.trim().parse().ok());
    seconds
        .map_or(UNSAID, Duration::from_secs)
        .clamp(Duration::from_secs(1), LONGEST)
}

/// Slack's word for why (`invalid_payload`, `no_service`). Whatever is not a word is not
/// repeated: a page in its place may hold the address.
async fn reason(mut answer: Response) -> String {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = answer.chunk().await {
        body.extend_from_slice(&chunk);
        if body.len() > 1_000 {
            break;
        }
    }
    let word = String::from_utf8(body).unwrap_or_default();
    let word = word.trim();
    let is_word = (1..=64).contains(&word.len())
        && word
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    if is_word {
        word.to_owned()
    } else {
        "(with an answer that is no word of Slack's)".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(header: Option<&str>, seconds: u64) {
        let mut headers = HeaderMap::new();
        headers.extend(header.map(|value| (RETRY_AFTER, value.parse().unwrap())));
        assert_eq!(retry_after(&headers), Duration::from_secs(seconds));
    }

    #[test]
    fn waits_as_told_within_bounds() {
        check(Some("7"), 7);
        check(Some("0"), 1);
        check(Some("99999999"), 43_200);
        check(Some("99999999999999999999999"), 30);
        check(Some("Wed, 21 Oct 2026 07:28:00 GMT"), 30);
        check(None, 30);
    }
}
