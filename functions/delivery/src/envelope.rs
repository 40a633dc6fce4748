//! A record of the queue, unwrapped: SNS's envelope around the message, or, where the
//! subscription delivers raw, the message itself.

use aws_lambda_events::event::sqs::SqsMessage;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::message::Malformed;

/// A message as it was delivered.
#[derive(Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The same for every delivery of one publish: SNS's MessageId, or, delivered raw, the
    /// queue's.
    pub id: String,
    /// The topic it was published to; empty where it was delivered raw.
    pub topic: String,
    /// SNS's subject.
    pub subject: Option<String>,
    /// When it was published or, delivered raw, queued.
    pub published: Option<Timestamp>,
    /// The message.
    pub message: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Envelope {
    message_id: String,
    topic_arn: String,
    message: String,
    #[serde(default)]
    subject: Option<String>,
    #[serde(default)]
    timestamp: Option<String>,
}

impl Delivery {
    /// Unwraps a record, whose id in the queue is `sqs_id`.
    pub fn parse(record: &SqsMessage, sqs_id: &str) -> Result<Self, Malformed> {
        let body = record.body.as_deref().unwrap_or_default();
        let sent = record.attributes.get("SentTimestamp");
        let sent = sent.and_then(|millis| Timestamp::from_millisecond(millis.parse().ok()?).ok());
        let envelope = serde_json::from_str::<Value>(body).ok().filter(|value| {
            ["Type", "TopicArn", "MessageId"]
                .iter()
                .all(|key| value.get(key).is_some())
        });
        let Some(envelope) = envelope else {
            return Ok(Self {
                id: sqs_id.to_owned(),
                topic: String::new(),
                subject: None,
                published: sent,
                message: body.to_owned(),
            });
        };
        if envelope.get("Type").and_then(Value::as_str) != Some("Notification") {
            return Err(Malformed::Envelope("its type is another".to_owned()));
        }
        let Envelope {
            message_id,
            topic_arn,
            message,
            subject,
            timestamp,
        } = Envelope::deserialize(envelope)
            .map_err(|error| Malformed::Envelope(crate::message::brief(&error)))?;
        if message_id.is_empty() || message_id.len() > crate::message::LONGEST_ID {
            return Err(Malformed::Envelope("its MessageId is not valid".to_owned()));
        }
        Ok(Self {
            id: message_id,
            topic: topic_arn,
            subject: subject.filter(|subject| !subject.trim().is_empty()),
            published: timestamp.and_then(|at| at.parse().ok()).or(sent),
            message,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &str, expected: Result<(&str, &str, Option<&str>, &str), &str>) {
        let mut record = SqsMessage::default();
        record.body = Some(body.to_owned());
        record
            .attributes
            .insert("SentTimestamp".to_owned(), "1700000000000".to_owned());
        let expected = match expected {
            Ok((id, message, subject, published)) => Ok(Delivery {
                topic: if id == "m-1" { "t" } else { "" }.to_owned(),
                id: id.to_owned(),
                subject: subject.map(str::to_owned),
                published: published.parse().ok(),
                message: message.to_owned(),
            }),
            Err(why) => Err(format!(
                "the body is an SNS envelope, but holds no notification: {why}"
            )),
        };
        assert_eq!(
            Delivery::parse(&record, "sqs-1").map_err(|error| error.to_string()),
            expected
        );
    }

    #[test]
    fn unwraps() {
        let queued = "2023-11-14T22:13:20Z";
        check("a text", Ok(("sqs-1", "a text", None, queued)));
        check("", Ok(("sqs-1", "", None, queued)));
        check(
            r#"{"alerts":[]}"#,
            Ok(("sqs-1", r#"{"alerts":[]}"#, None, queued)),
        );
        let envelope = r#"{"Type":"Notification","MessageId":"m-1","TopicArn":"t","Subject":"S","Message":"hi","Timestamp":"2026-11-23T07:00:00.123Z"}"#;
        check(
            envelope,
            Ok(("m-1", "hi", Some("S"), "2026-11-23T07:00:00.123Z")),
        );
        check(
            r#"{"Type":"Notification","MessageId":"m-1","TopicArn":"t","Subject":null,"Message":"hi"}"#,
            Ok(("m-1", "hi", None, queued)),
        );
        check(
            r#"{"Type":"Notification","MessageId":"m-1","TopicArn":"t"}"#,
            Err("missing field `Message`"),
        );
        check(
            r#"{"Type":"SubscriptionConfirmation","MessageId":"m-1","TopicArn":"t","Message":"x"}"#,
            Err("its type is another"),
        );
    }
}
