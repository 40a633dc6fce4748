//! One publish to SNS, within what SNS takes: alerts and text are left out and said to be, JSON
//! is never cut.
//!
//! The body is `MessageStructure: json`, a JSON document with a text for each protocol. The
//! default, which every machine gets, is the webhook JSON; what people read has its own.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Outgoing;
use super::subject::{MAX_SUBJECT, ascii_line};
use super::webhook::Webhook;

/// What SNS takes of one message, in bytes of UTF-8.
pub(super) const MAX_MESSAGE: usize = 262_144;
/// The limit of an e-mail's text. It is sent twice, as `email` and as
/// `email-json`, and with every character escaped that is still a quarter of a message.
const MAX_EMAIL: usize = 16 * 1024;
/// What is said where a text is cut.
const CUT: &str = "\n\n… cut here: the whole is too long for one message.\n";
/// The lengths that texts of an alert are cut to, one after the other, where not even one alert
/// fits as it is.
const SHORTER: [usize; 3] = [2048, 256, 64];

/// A publish to an SNS topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnsMessage {
    /// The subject: printable ASCII, fewer than 100 characters.
    pub subject: String,
    /// The message: a document for `MessageStructure: json`, or the user's own plain text; at
    /// most 262,144 bytes with the attributes.
    pub document: String,
    /// Whether it is such a document.
    pub is_json: bool,
    /// The message attributes, all of them texts.
    pub attributes: BTreeMap<String, String>,
}

#[derive(Serialize)]
struct Document<'a> {
    default: &'a str,
    email: &'a str,
    #[serde(rename = "email-json")]
    email_json: &'a str,
    sms: &'a str,
}

/// Renders a notification.
pub(super) fn fit(outgoing: &Outgoing<'_>) -> SnsMessage {
    let email = cut(&outgoing.email(), MAX_EMAIL, CUT);
    let sms = outgoing.sms();
    let document = |default: &str| {
        json(&Document {
            default,
            email: &email,
            email_json: &email,
            sms: &sms,
        })
    };
    let room = MAX_MESSAGE.saturating_sub(document("").len());
    SnsMessage {
        subject: ascii_line(&outgoing.subject(), MAX_SUBJECT),
        document: document(&default_body(Webhook::new(outgoing), room)),
        is_json: true,
        attributes: BTreeMap::new(),
    }
}

/// The webhook JSON with as many alerts as fit into `room` once it is a string in JSON itself.
fn default_body(webhook: Webhook, room: usize) -> String {
    let has_alerts = !webhook.alerts.is_empty();
    if let Some(body) = with_alerts_that_fit(webhook.clone(), room, has_alerts) {
        return body;
    }
    for bytes in SHORTER {
        let shorter = webhook.clone().shortened(bytes);
        if let Some(body) = with_alerts_that_fit(shorter, room, has_alerts) {
            return body;
        }
    }
    // Unreachable with the lengths above: 64 labels and 64 annotations of 64 bytes fit.
    with_alerts_that_fit(webhook.shortened(0), room, false).unwrap_or_default()
}

/// None if what must be there does not fit: all but the alerts, and (if `needs_one`) the first
/// alert.
fn with_alerts_that_fit(mut webhook: Webhook, room: usize, needs_one: bool) -> Option<String> {
    let mut alerts = std::mem::take(&mut webhook.alerts);
    let notified_before = webhook.truncated_alerts;
    // The longest number that may come to stand there.
    webhook.truncated_alerts = usize::MAX;
    let mut left = room.checked_sub(length_in_json(&body(&webhook)))?;
    let mut fitting = 0;
    for alert in &alerts {
        let with_comma = length_in_json(&body(alert)) + 1;
        let Some(rest) = left.checked_sub(with_comma) else {
            break;
        };
        left = rest;
        fitting += 1;
    }
    if needs_one && fitting == 0 {
        return None;
    }
    webhook.truncated_alerts = notified_before + alerts.len().saturating_sub(fitting);
    alerts.truncate(fitting);
    webhook.alerts = alerts;
    Some(body(&webhook))
}

/// JSON whose characters every channel takes. U+FFFE and U+FFFF, which SQS refuses, are written
/// as escapes; they can only stand within strings.
fn body(value: &impl Serialize) -> String {
    let text = json(value);
    if !text.contains(['\u{fffe}', '\u{ffff}']) {
        return text;
    }
    text.replace('\u{fffe}', "\\ufffe")
        .replace('\u{ffff}', "\\uffff")
}

/// The values at hand have text keys and no failing parts, so they can always be written.
fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// How long a text is as a JSON string, without its quotes.
fn length_in_json(text: &str) -> usize {
    json(&text).len().saturating_sub(2)
}

/// The text, or as much of it as fits into `bytes` together with `mark`; whole characters only.
pub(super) fn cut(text: &str, bytes: usize, mark: &str) -> String {
    if text.len() <= bytes {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(bytes.saturating_sub(mark.len()));
    let kept = text.get(..end).unwrap_or_default();
    format!("{kept}{mark}")
}
