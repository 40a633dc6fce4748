//! A notification on its way out, with what a channel renders its message from.

use std::collections::BTreeMap;

use super::size::{self, SnsMessage};
use super::subject::{MAX_SUBJECT, ascii_line};
use super::text::TextInput;
use super::{
    AlertEntry, Details, Integration, Message, Notification, SnsConfig, amazon_q, email, plain,
    sms, text,
};
use crate::config::Config;
use crate::timestamp::Timestamp;

/// A notification that is about to be published.
#[derive(Debug, Clone, Copy)]
pub struct Outgoing<'a> {
    /// The notification.
    pub notification: &'a Notification,
    /// What was found out about its alerts' values.
    pub details: &'a Details,
    /// The configuration in force, which may be a later one than the notification's.
    pub config: &'a Config,
    /// The time of sending, from which ages are computed.
    pub now: Timestamp,
}

impl<'a> Outgoing<'a> {
    /// The channel that it goes out by; None if the configuration no longer has it.
    pub fn integration(&self) -> Option<Integration<'a>> {
        self.config
            .receiver(&self.notification.receiver)?
            .integration(&self.notification.integration)
    }

    /// The message as text, for a terminal.
    pub fn text(&self) -> Message {
        Message {
            subject: self.subject(),
            body: self.words(),
        }
    }

    /// The text below the subject.
    pub(super) fn words(&self) -> String {
        text::body(&TextInput {
            notification: self.notification,
            details: self.details,
            now: self.now,
            graph: &|alert| self.generator_url(alert),
        })
    }

    /// The message for a topic that Amazon Q Developer in chat applications reads.
    pub fn amazon_q(&self) -> SnsMessage {
        SnsMessage {
            subject: ascii_line(&self.subject(), MAX_SUBJECT),
            document: amazon_q::body(self),
            is_json: false,
            attributes: BTreeMap::new(),
        }
    }

    /// The message as one publish to an SNS topic.
    pub fn sns(&self) -> SnsMessage {
        match self.integration() {
            Some(Integration::Sns(sns)) if self.config.amazon_q.contains(&sns.topic_arn) => {
                self.amazon_q()
            }
            Some(Integration::Sns(SnsConfig {
                text: Some(text), ..
            })) => plain::message(self, text),
            _ => size::fit(self),
        }
    }

    /// The text of an e-mail.
    pub(super) fn email(&self) -> String {
        email::body(self)
    }

    /// The one line of an SMS.
    pub(super) fn sms(&self) -> String {
        sms::line(self)
    }

    /// The one line to triage by.
    pub(super) fn subject(&self) -> String {
        text::subject(self.notification)
    }

    /// The URL that the product is reached by, as templates see it, without a slash at its end;
    /// or empty.
    pub(super) fn external_url(&self) -> &'a str {
        self.config.evaluation.external.url.trim_end_matches('/')
    }

    /// The link to an alert's expression: Grafana's Explore, or else Prometheus's table view. Empty
    /// without either's URL, and for alerts without an expression.
    pub(super) fn generator_url(&self, alert: &AlertEntry) -> String {
        let Some((_, rule)) = self.config.rule(&alert.rule) else {
            return String::new();
        };
        let expr = rule.expr.text();
        if let Some(grafana) = &self.config.grafana {
            return grafana.explore(expr, alert, self.now);
        }
        let base = self.external_url();
        if base.is_empty() {
            return String::new();
        }
        format!("{base}/graph?g0.expr={}&g0.tab=1", query_escaped(expr))
    }
}

/// As Go's `url.QueryEscape` does it.
pub(super) fn query_escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                escaped.push(char::from(byte));
            }
            b' ' => escaped.push('+'),
            other => escaped.push_str(&format!("%{other:02X}")),
        }
    }
    escaped
}
