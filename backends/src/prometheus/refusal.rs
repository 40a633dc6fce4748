//! What an answer that is an error means.
//!
//! Prometheus's errors (`web/api/v1/api.go`): `bad_data` 400, `execution` 422, `canceled` 499
//! (once 503), `timeout` 503, `internal` 500, `unavailable` 500, `not_found` 404; since 3.16 with
//! `query-cost` also `cost_limit` 422, where it was `execution` before: too many series or samples.
//! `execution` is all that the engine could not classify, so it also holds what is no fault of
//! the expression:
//! - a storage that did not answer: `expanding series: …`;
//! - AMP and Cortex answer 422 for a query that ran out of time.
//!
//! VictoriaMetrics writes the status code as the `errorType`. API gateways and AWS's
//! authorization answer with a body of their own: `{"message": …}`.

use alerting::server::ServerTrouble;
use reqwest::StatusCode;
use serde::Deserialize;

use super::failure::Failure;
use crate::line::one_line;

/// The most characters of a server's own words.
const MAX_WORDS: usize = 300;

/// The body of an error, from the server or a proxy. Unknown fields are skipped.
#[derive(Debug, Default, Deserialize)]
pub(super) struct ErrorBody {
    #[serde(default)]
    pub(super) status: String,
    #[serde(default, rename = "errorType")]
    pub(super) error_type: String,
    #[serde(default)]
    error: String,
    #[serde(default, alias = "Message")]
    message: String,
}

impl ErrorBody {
    /// Reads what can be read.
    pub(super) fn read(body: &[u8]) -> Self {
        serde_json::from_slice(body).unwrap_or_default()
    }

    /// Whether Prometheus, or one that speaks its language, made it.
    pub(super) fn is_prometheus(&self) -> bool {
        self.status == "error"
    }
}

/// The failure that an HTTP status and a body describe.
pub(super) fn failure(status: StatusCode, body: &[u8], secrets: &[String]) -> Failure {
    let error = ErrorBody::read(body);
    let words = words(&error, body, secrets);
    let message = if words.is_empty() {
        status.to_string()
    } else {
        format!("{status}: {words}")
    };
    match status.as_u16() {
        401 | 403 => {
            return Failure::lasting(format!(
                "{message}: check the credentials, and that they may query (AMP: aps:QueryMetrics \
                 on this workspace, in this region)"
            ))
            .of_server(ServerTrouble::Denied);
        }
        404 | 405 => {
            return Failure::lasting(format!(
                "{message}: check the URL, which is what stands before /api/v1/query"
            ))
            .of_server(ServerTrouble::NotAnApi);
        }
        407 => {
            return Failure::lasting(format!("{message}: the proxy asks for credentials"))
                .of_server(ServerTrouble::Denied);
        }
        429 => return Failure::passing(message).of_server(ServerTrouble::Throttled),
        _ => {}
    }
    if error.is_prometheus() {
        match error.error_type.as_str() {
            // It took the server all the time it has: to ask again at once is to make it worse.
            "timeout" => return Failure::lasting(message).perhaps(ServerTrouble::TimedOut),
            "canceled" | "unavailable" | "internal" => return Failure::passing(message),
            "too_many_requests" => {
                return Failure::passing(message).of_server(ServerTrouble::Throttled);
            }
            "bad_data" | "execution" | "cost_limit" | "400" | "422"
                if matches!(status.as_u16(), 200 | 400 | 422) =>
            {
                return by_words(&error.error, message);
            }
            _ => {}
        }
    }
    match status.as_u16() {
        408 | 425 | 499 => Failure::passing(message).perhaps(ServerTrouble::TimedOut),
        // A gateway's or a proxy's, since Prometheus itself says what is wrong.
        500..=599 if !error.is_prometheus() => {
            Failure::passing(message).of_server(ServerTrouble::Failing)
        }
        500..=599 => Failure::passing(message),
        _ => Failure::lasting(message),
    }
}

/// The failure that Prometheus's own message describes, if it blames the expression.
fn by_words(error: &str, message: String) -> Failure {
    let ran_out = ["timed out", "deadline exceeded", "context canceled"];
    if ran_out.iter().any(|words| error.contains(words)) {
        return Failure::lasting(message).perhaps(ServerTrouble::TimedOut);
    }
    // A limit on series, chunks or samples is met while series are expanded, too.
    if error.contains("expanding series") && !error.contains("limit") {
        return Failure::passing(message);
    }
    Failure::refused(message)
}

/// What the server says, in one line.
fn words(error: &ErrorBody, body: &[u8], secrets: &[String]) -> String {
    let said = if error.error.is_empty() {
        &error.message
    } else {
        &error.error
    };
    if !said.is_empty() {
        let said = one_line(said, secrets, MAX_WORDS);
        return match error.error_type.as_str() {
            "" => said,
            kind => format!("{}: {said}", one_line(kind, secrets, 40)),
        };
    }
    if is_web_page(body) {
        return "a web page".to_owned();
    }
    one_line(&String::from_utf8_lossy(body), secrets, MAX_WORDS)
}

/// Whether a body is HTML (or XML), which no API answers with.
pub(super) fn is_web_page(body: &[u8]) -> bool {
    body.trim_ascii_start().starts_with(b"<")
}

/// The failure that a redirect is.
///
/// It is not followed: the form would be lost or the credentials carried elsewhere.
pub(super) fn redirect(status: StatusCode, location: Option<&str>) -> Failure {
    // Without its query: that is where a login page's tokens are.
    let to = location
        .and_then(|to| to.split(['?', '#']).next())
        .map(|to| one_line(to, &[], MAX_WORDS))
        .filter(|to| !to.is_empty())
        .map_or_else(String::new, |to| format!(" to {to}"));
    Failure::lasting(format!(
        "{status}: the server redirects{to}, and that is not followed: configure the URL of the \
         API itself"
    ))
    .of_server(ServerTrouble::NotAnApi)
}
