//! One request to Slack, and what became of it.

use std::time::Duration;

use delivery::{Budget, SendError};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode, Url};
use serde::{Deserialize, Serialize};

use crate::access::{Bot, Webhook};
use crate::refusal::Refusal;

/// How long to wait where Slack asks to wait, but does not say how long.
const UNSAID: Duration = Duration::from_secs(30);
/// A message's visibility in its queue can be put off by 12 hours at most (Amazon SQS, quotas).
const LONGEST: Duration = Duration::from_secs(43_200);
/// The most that is read of an answer: it repeats the message.
const MAX_ANSWER: usize = 512 * 1024;

/// A request did not do what it was for, or it is not known whether it did. The texts hold
/// nothing of what lets us in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PostError {
    /// Not a matter of what was asked.
    #[error(transparent)]
    Failed(#[from] SendError),
    /// Slack refused it, in a word.
    #[error("Slack refused it: {text}")]
    Refused {
        /// What the word means.
        refusal: Refusal,
        /// HTTP's status or the method, and the word.
        text: String,
    },
}

impl PostError {
    /// Whether Slack refused it for that.
    pub fn is(&self, meaning: Refusal) -> bool {
        matches!(self, Self::Refused { refusal, .. } if *refusal == meaning)
    }
}

impl From<PostError> for SendError {
    fn from(error: PostError) -> Self {
        match error {
            PostError::Failed(error) => error,
            PostError::Refused { .. } => Self::Refused(error.to_string()),
        }
    }
}

/// Posts to an incoming webhook. It took the message only if its answer is `ok` (docs.slack.dev,
/// "Sending messages using incoming webhooks"): whatever else answers 200, a proxy's page for
/// example, is not Slack.
pub async fn by_webhook(
    http: &Client,
    webhook: &Webhook,
    message: &impl Serialize,
    budget: Budget,
) -> Result<(), PostError> {
    let answer = ask(http, webhook.url(), None, message, budget).await?;
    let status = answer.status();
    let said = body(answer).await;
    if status.is_success() {
        if said.trim_ascii() == b"ok" {
            return Ok(());
        }
        let text = format!(
            "Slack did not accept it: {} {}",
            status.as_u16(),
            word(&said)
        );
        return Err(SendError::Refused(text).into());
    }
    let reason = word(&said);
    let text = format!("{} {reason}", status.as_u16());
    if status.is_server_error()
        || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY)
    {
        return Err(SendError::Transient(format!("Slack failed: {text}")).into());
    }
    let refusal = match status.as_u16() {
        401 | 403 | 404 | 410 => Refusal::Access,
        _ => Refusal::ForGood,
    };
    Err(PostError::Refused { refusal, text })
}

#[derive(Deserialize)]
struct Answer {
    ok: bool,
    #[serde(default)]
    error: String,
    #[serde(default)]
    ts: String,
}

/// Calls a method of the Web API, which answers 200 and says in the body whether it was done.
/// What it gives is the message's timestamp, by which it is known in its channel.
pub async fn by_bot(
    http: &Client,
    bot: &Bot,
    url: Url,
    arguments: &impl Serialize,
    budget: Budget,
) -> Result<String, PostError> {
    let method = url.path().rsplit('/').next().unwrap_or_default().to_owned();
    let answer = ask(http, url, Some(bot.authorization()), arguments, budget).await?;
    let status = answer.status();
    let retry_after = retry_after(answer.headers());
    let body = body(answer).await;
    if !status.is_success() {
        let text = format!(
            "Slack failed: {method}: {} {}",
            status.as_u16(),
            word(&body)
        );
        return Err(SendError::Transient(text).into());
    }
    let Ok(answer) = serde_json::from_slice::<Answer>(&body) else {
        let text = format!("{method}: Slack's answer cannot be read; it may have the message");
        return Err(SendError::Transient(text).into());
    };
    if answer.ok && !answer.ts.is_empty() {
        return Ok(answer.ts);
    }
    if answer.ok {
        let text = format!("{method}: the answer names no message, so it is not Slack's");
        return Err(SendError::Refused(text).into());
    }
    let said = word(answer.error.as_bytes());
    match Refusal::parse(&answer.error) {
        Refusal::TooMany => Err(too_many(retry_after, &said).into()),
        Refusal::Passing => {
            Err(SendError::Transient(format!("Slack failed: {method}: {said}")).into())
        }
        refusal => Err(PostError::Refused {
            refusal,
            text: format!("{method}: {said}"),
        }),
    }
}

/// Sends a JSON body. An answer that asks to wait is an error.
async fn ask(
    http: &Client,
    url: Url,
    authorization: Option<HeaderValue>,
    body: &impl Serialize,
    budget: Budget,
) -> Result<Response, SendError> {
    let body = serde_json::to_vec(body).map_err(|error| SendError::Refused(error.to_string()))?;
    let mut request = http
        .post(url)
        .header(CONTENT_TYPE, "application/json; charset=utf-8")
        .timeout(budget.next()?)
        .body(body);
    if let Some(authorization) = authorization {
        request = request.header(AUTHORIZATION, authorization);
    }
    let answer = request.send().await.map_err(|error| unreached(&error))?;
    if answer.status() == StatusCode::TOO_MANY_REQUESTS {
        return Err(too_many(retry_after(answer.headers()), "429"));
    }
    Ok(answer)
}

fn too_many(wait: Duration, said: &str) -> SendError {
    SendError::RateLimited {
        why: format!("Slack asks to wait {} s ({said})", wait.as_secs()),
        wait,
    }
}

/// The client's errors print the URL, so only their kind is reported.
fn unreached(error: &reqwest::Error) -> SendError {
    SendError::Transient(
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

async fn body(mut answer: Response) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = answer.chunk().await {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_ANSWER {
            break;
        }
    }
    body
}

/// Slack's word for why (`invalid_payload`, `no_service`). Whatever is not a word is not
/// repeated: a page in its place may hold the address.
fn word(body: &[u8]) -> String {
    let word = String::from_utf8_lossy(body);
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
    fn waits_as_requested_within_bounds() {
        check(Some("7"), 7);
        check(Some("0"), 1);
        check(Some("99999999"), 43_200);
        check(Some("99999999999999999999999"), 30);
        check(Some("Wed, 21 Oct 2026 07:28:00 GMT"), 30);
        check(None, 30);
    }
}
