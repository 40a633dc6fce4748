//! One event sent to the Events API, and what became of it.

use std::time::Duration;

use delivery::plain::one_line;
use delivery::{Budget, SendError};
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode, Url};
use serde::{Deserialize, Serialize};

use crate::event::Event;
use crate::key::RoutingKey;

/// How long to wait where PagerDuty has too much to do: a few minutes, as it asks for
/// (developer.pagerduty.com, "Events API v2 overview").
const UNSAID: Duration = Duration::from_secs(180);
/// A message's visibility in its queue can be put off by 12 hours at most (Amazon SQS, quotas).
const LONGEST: Duration = Duration::from_secs(43_200);
/// The most that is read of an answer, and shown of it.
const MAX_ANSWER: usize = 8 * 1024;
const SHOWN: usize = 200;

#[derive(Serialize)]
struct Request<'a> {
    routing_key: &'a str,
    #[serde(flatten)]
    event: &'a Event,
}

/// Sends an event. PagerDuty took it only if it says so: 202, and `success` in the body
/// (developer.pagerduty.com, "Send an alert event"). A proxy's page is not PagerDuty.
pub async fn enqueue(
    http: &Client,
    url: Url,
    key: &RoutingKey,
    event: &Event,
    budget: Budget,
) -> Result<(), SendError> {
    let request = Request {
        routing_key: key.secret(),
        event,
    };
    let body =
        serde_json::to_vec(&request).map_err(|error| SendError::Refused(error.to_string()))?;
    let request = http
        .post(url)
        .header(CONTENT_TYPE, "application/json")
        .timeout(budget.next()?)
        .body(body);
    let answer = request.send().await.map_err(|error| unreached(&error))?;
    let status = answer.status();
    if status.is_success() {
        let body = read(answer).await;
        let accepted = serde_json::from_slice::<Accepted>(&body);
        if status == StatusCode::ACCEPTED && accepted.is_ok_and(|it| it.status == "success") {
            return Ok(());
        }
        return Err(SendError::Refused(format!(
            "PagerDuty did not accept it: {}, and not its own answer to an event that it took",
            status.as_u16()
        )));
    }
    if status == StatusCode::TOO_MANY_REQUESTS {
        let wait = retry_after(answer.headers());
        return Err(SendError::RateLimited {
            why: format!("PagerDuty asks to wait {} s (429)", wait.as_secs()),
            wait,
        });
    }
    let text = format!("{} {}", status.as_u16(), said(answer, key).await);
    if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT {
        return Err(SendError::Transient(format!("PagerDuty failed: {text}")));
    }
    Err(SendError::Refused(format!("PagerDuty refused it: {text}")))
}

/// The client's errors print the URL, so only their kind is reported.
fn unreached(error: &reqwest::Error) -> SendError {
    SendError::Transient(
        if error.is_timeout() {
            "PagerDuty did not answer in time; it may have the event"
        } else if error.is_connect() {
            "no connection to PagerDuty"
        } else {
            "the connection to PagerDuty broke; it may have the event"
        }
        .to_owned(),
    )
}

fn retry_after(headers: &HeaderMap) -> Duration {
    let said = headers
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok());
    let seconds = said.and_then(|seconds| seconds.trim().parse().ok());
    seconds
        .map_or(UNSAID, Duration::from_secs)
        .clamp(Duration::from_secs(1), LONGEST)
}

/// The answer to an event that was taken.
#[derive(Deserialize)]
struct Accepted {
    status: String,
}

#[derive(Deserialize)]
struct Answer {
    message: String,
    #[serde(default)]
    errors: Vec<String>,
}

/// `Event object is invalid: Length of 'routing_key' is incorrect`. What is no answer of
/// PagerDuty's is not repeated.
async fn said(answer: Response, key: &RoutingKey) -> String {
    let body = read(answer).await;
    let Ok(answer) = serde_json::from_slice::<Answer>(&body) else {
        return "(the answer is not PagerDuty's)".to_owned();
    };
    let mut said = vec![answer.message];
    said.extend(answer.errors);
    one_line(&said.join(": ").replace(key.secret(), "(the key)"), SHOWN)
}

async fn read(mut answer: Response) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = answer.chunk().await {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_ANSWER {
            break;
        }
    }
    body
}
