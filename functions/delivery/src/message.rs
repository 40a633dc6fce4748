//! A message as it was published: Alertmanager's webhook JSON with what dnswatch adds to it, or a
//! text. The shape decides: a JSON object that has `alerts` is the former.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// What was published.
#[derive(Debug)]
pub enum Message {
    /// Alerts of one group.
    Alerts(Box<Webhook>),
    /// A text of the user's own making.
    Text(String),
}

/// A message that no later try can post.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// There is no text in it.
    #[error("the message is empty")]
    Empty,
    /// It has alerts, but is not the JSON that they come in.
    #[error("the message has `alerts`, but is no Alertmanager webhook of version 4: {0}")]
    Webhook(String),
    /// An id that cannot be kept.
    #[error("the notificationId is not 1 to {LONGEST_ID} printable ASCII characters")]
    Id,
    /// It is SNS's envelope, but not of a notification.
    #[error("the body is an SNS envelope, but holds no notification: {0}")]
    Envelope(String),
}

/// The longest notification id, in bytes.
pub const LONGEST_ID: usize = 128;

/// Alertmanager's webhook, version 4, read leniently: what is missing is empty.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Webhook {
    /// Always `4`.
    pub version: String,
    /// Identifies the group.
    #[serde(deserialize_with = "or_null")]
    pub group_key: String,
    /// How many alerts were left out before.
    #[serde(deserialize_with = "or_null")]
    pub truncated_alerts: u64,
    /// The receiver's name.
    #[serde(deserialize_with = "or_null")]
    pub receiver: String,
    /// The labels that the group is grouped by.
    #[serde(deserialize_with = "or_null")]
    pub group_labels: BTreeMap<String, String>,
    /// What all alerts have in common.
    #[serde(deserialize_with = "or_null")]
    pub common_labels: BTreeMap<String, String>,
    /// Why it was sent, in Alertmanager's words.
    #[serde(rename = "notification_reason", deserialize_with = "or_null")]
    pub reason: String,
    /// The alerts.
    #[serde(deserialize_with = "or_null")]
    pub alerts: Vec<Alert>,
    /// The same for every delivery of one notification (ours, not Alertmanager's).
    pub notification_id: Option<String>,
    /// Counts the notifications of a group and receiver (ours).
    pub sequence: Option<u64>,
}

/// One alert.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Alert {
    /// `firing` or `resolved`.
    #[serde(deserialize_with = "or_null")]
    pub status: String,
    /// What identifies it.
    #[serde(deserialize_with = "or_null")]
    pub labels: BTreeMap<String, String>,
    /// What its rule says of it.
    #[serde(deserialize_with = "or_null")]
    pub annotations: BTreeMap<String, String>,
    /// RFC 3339.
    #[serde(deserialize_with = "or_null")]
    pub starts_at: String,
    /// RFC 3339; for one that fires, the year 1 or a moment to come.
    #[serde(deserialize_with = "or_null")]
    pub ends_at: String,
    /// The link to the expression.
    #[serde(rename = "generatorURL", deserialize_with = "or_null")]
    pub generator_url: String,
    /// The last value at which it fired, a number or a text like `NaN` (ours).
    pub value: Value,
    /// The value now, whether or not the condition holds (ours).
    pub value_now: Value,
    /// The way the value went, in bars (ours).
    pub sparkline: Option<String>,
    /// How it ended (ours).
    pub end: Option<String>,
    /// Set while the alert is kept open without data (a dnswatch extension).
    pub hold: Option<Hold>,
}

/// Why an alert is held.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Hold {
    /// `telemetry_stopped`, or `no_longer_reported` where others of its kind still are.
    #[serde(deserialize_with = "or_null")]
    pub reason: String,
}

impl Webhook {
    /// Whether it is the digest of a notification storm. It belongs to no single group: the groups
    /// report their own ends.
    pub fn is_flood(&self) -> bool {
        self.group_key == "flood:{}"
    }
}

impl Alert {
    /// Whether it fires. What is not said to be resolved does.
    pub fn is_firing(&self) -> bool {
        self.status != "resolved"
    }
}

impl Message {
    /// Reads a message.
    pub fn read(text: &str) -> Result<Self, Malformed> {
        if text.trim().is_empty() {
            return Err(Malformed::Empty);
        }
        let Ok(value @ Value::Object(_)) = serde_json::from_str::<Value>(text) else {
            return Ok(Self::Text(text.to_owned()));
        };
        if value.get("alerts").is_none() {
            return Ok(Self::Text(text.to_owned()));
        }
        let webhook =
            Webhook::deserialize(value).map_err(|error| Malformed::Webhook(brief(&error)))?;
        if webhook.version != "4" {
            return Err(Malformed::Webhook("its version is another".to_owned()));
        }
        if webhook.alerts.is_empty() {
            return Err(Malformed::Webhook("it has no alert".to_owned()));
        }
        let is_kept = |id: &String| {
            (1..=LONGEST_ID).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
        };
        if webhook
            .notification_id
            .as_ref()
            .is_some_and(|id| !is_kept(id))
        {
            return Err(Malformed::Id);
        }
        Ok(Self::Alerts(Box::new(webhook)))
    }
}

/// What serde says may repeat the message, which may be long.
pub(crate) fn brief(error: &serde_json::Error) -> String {
    const LONGEST: usize = 200;
    error.to_string().chars().take(LONGEST).collect()
}

/// Go writes an empty map or list as null.
fn or_null<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let read = match Message::read(text) {
            Ok(Message::Alerts(webhook)) => format!("{} alerts", webhook.alerts.len()),
            Ok(Message::Text(text)) => text,
            Err(error) => error.to_string(),
        };
        assert_eq!(read, expected);
    }

    #[test]
    fn the_shape_distinguishes_alerts_from_text() {
        check("a text", "a text");
        check(r#"{"a": 1}"#, r#"{"a": 1}"#);
        check(
            r#"{"alerts": [{}], "version": "4"#,
            r#"{"alerts": [{}], "version": "4"#,
        );
        check(
            r#"{"version":"4","alerts":[{"labels":null,"status":"firing"}]}"#,
            "1 alerts",
        );
        check(" \n", "the message is empty");
        let refused = "the message has `alerts`, but is no Alertmanager webhook of version 4: ";
        check(
            r#"{"version":"4","alerts":[]}"#,
            &format!("{refused}it has no alert"),
        );
        check(
            r#"{"version":"3","alerts":[{}]}"#,
            &format!("{refused}its version is another"),
        );
        check(
            r#"{"version":"4","alerts":{}}"#,
            &format!("{refused}invalid type: map, expected a sequence"),
        );
        check(
            r#"{"version":"4","alerts":[{}],"notificationId":"a b"}"#,
            "the notificationId is not 1 to 128 printable ASCII characters",
        );
        let deep = "[".repeat(100_000);
        check(&deep, &deep);
    }
}
