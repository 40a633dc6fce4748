//! The body that Alertmanager's webhook receiver posts, version 4 (`notify/webhook/webhook.go`
//! and `template/template.go`), with what dnswatch knows beyond it under names of its own.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{AlertEntry, Outgoing, common, sparkline};
use crate::alert::End;
use crate::labels::Labels;
use crate::timestamp::Timestamp;

/// What Go writes for a time that is not set.
const ZERO_TIME: &str = "0001-01-01T00:00:00Z";

/// A notification as JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Webhook {
    /// The receiver's name, escaped as a regular expression, as Alertmanager has it.
    pub receiver: String,
    /// `firing` if any alert of the group fires, else `resolved`.
    pub status: String,
    /// The alerts, those that fire first.
    pub alerts: Vec<WebhookAlert>,
    /// The labels that the group was made by.
    pub group_labels: Labels,
    /// The labels that all alerts share.
    pub common_labels: Labels,
    /// The annotations that all alerts share.
    pub common_annotations: BTreeMap<String, String>,
    /// The labels of the group's route, expanded.
    #[serde(default)]
    pub route_labels: BTreeMap<String, String>,
    /// Where the product is reached, or empty.
    #[serde(rename = "externalURL")]
    pub external_url: String,
    /// `4`.
    pub version: String,
    /// The group's key.
    pub group_key: String,
    /// How many alerts are left out for size.
    pub truncated_alerts: usize,
    /// Why it is sent, in the words of Alertmanager, whose later releases have this field.
    #[serde(rename = "notification_reason")]
    pub notification_reason: String,
    /// The same for each try to deliver the notification, and for nothing else.
    pub notification_id: String,
    /// Counts up within group and channel.
    pub sequence: u64,
}

/// One alert of a notification.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WebhookAlert {
    /// `firing` or `resolved`; what is not known to be over, but no longer reported, is
    /// `resolved` too, since Alertmanager has no other word: see `end`.
    pub status: String,
    /// What identifies it.
    pub labels: Labels,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
    /// When it fired.
    pub starts_at: String,
    /// When it ended; Go's zero time while it fires.
    pub ends_at: String,
    /// The link to its expression, or empty.
    #[serde(rename = "generatorURL")]
    pub generator_url: String,
    /// The hash of its labels that Prometheus and Alertmanager show.
    pub fingerprint: String,
    /// The expression's value when the alert was last seen to fire.
    pub value: Number,
    /// The value at the last evaluated tick, where it is known; also of what ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_now: Option<Number>,
    /// The value over the last ticks, oldest first, as a row of bars.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sparkline: Option<String>,
    /// How it ended: `cleared`, `no_longer_reported`, `rule_removed`, `rule_changed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<End>,
    /// Set while the alert is kept open without data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<WebhookHold>,
}

/// Why an alert is held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WebhookHold {
    /// `telemetry_stopped`, or `no_longer_reported` where others of its kind still are.
    pub reason: String,
    /// Since when.
    pub since: String,
}

/// A value: a JSON number, or `"NaN"`, `"+Inf"`, `"-Inf"`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Number(#[serde(with = "crate::float")] pub f64);

impl Webhook {
    /// The notification with all of its alerts.
    pub(super) fn new(outgoing: &Outgoing<'_>) -> Self {
        let notification = outgoing.notification;
        let alerts = notification.alerts.iter();
        Self {
            receiver: quoted_meta(&notification.receiver),
            status: status(notification.firing > 0).to_owned(),
            alerts: alerts
                .map(|alert| WebhookAlert::new(alert, outgoing))
                .collect(),
            group_labels: notification.group_labels.clone(),
            common_labels: common::labels(notification),
            common_annotations: common::annotations(notification),
            route_labels: super::plain::route_labels(outgoing),
            external_url: outgoing.external_url().to_owned(),
            version: "4".to_owned(),
            group_key: notification.group_key.clone(),
            truncated_alerts: notification.truncated,
            notification_reason: notification.reason.to_string(),
            notification_id: notification.id.clone(),
            sequence: notification.sequence,
        }
    }

    /// The same with every text of foreign origin cut to at most `bytes`, and without the
    /// repetition of what alerts share.
    pub(super) fn shortened(mut self, bytes: usize) -> Self {
        self.common_labels = Labels::default();
        self.common_annotations = BTreeMap::new();
        self.route_labels = BTreeMap::new();
        self.group_labels = short_labels(&self.group_labels, bytes);
        for text in [
            &mut self.receiver,
            &mut self.external_url,
            &mut self.group_key,
        ] {
            *text = short(text, bytes);
        }
        for alert in &mut self.alerts {
            alert.labels = short_labels(&alert.labels, bytes);
            let annotations = std::mem::take(&mut alert.annotations);
            alert.annotations = annotations
                .iter()
                .take(MOST)
                .map(|(name, text)| (short(name, bytes), short(text, bytes)))
                .collect();
            alert.generator_url = if alert.generator_url.len() > bytes {
                String::new()
            } else {
                std::mem::take(&mut alert.generator_url)
            };
        }
        self
    }
}

/// How many labels or annotations of an alert that is too big are kept.
const MOST: usize = 64;

fn short_labels(labels: &Labels, bytes: usize) -> Labels {
    labels
        .iter()
        .take(MOST)
        .map(|(name, value)| (short(name, bytes), short(value, bytes)))
        .collect()
}

fn short(text: &str, bytes: usize) -> String {
    super::size::cut(text, bytes, "… (cut)")
}

impl WebhookAlert {
    fn new(alert: &AlertEntry, outgoing: &Outgoing<'_>) -> Self {
        let detail = outgoing.details.get(&alert.labels);
        let drawn = detail.filter(|detail| detail.points.iter().any(Option::is_some));
        Self {
            status: status(alert.is_firing()).to_owned(),
            labels: alert.labels.clone(),
            annotations: alert.annotations.as_ref().clone(),
            starts_at: alert.starts_at.to_string(),
            ends_at: alert
                .ends_at
                .map_or_else(|| ZERO_TIME.to_owned(), |at: Timestamp| at.to_string()),
            generator_url: outgoing.generator_url(alert),
            fingerprint: alert.labels.fingerprint().to_string(),
            value: Number(alert.value),
            value_now: detail.and_then(|detail| detail.now).map(Number),
            sparkline: drawn.map(|detail| sparkline(&detail.points)),
            end: alert.ends_at.map(|_| alert.end.unwrap_or(End::Cleared)),
            hold: alert.hold.map(|hold| WebhookHold {
                reason: match hold.gone_since {
                    None => "telemetry_stopped",
                    Some(_) => "no_longer_reported",
                }
                .to_owned(),
                since: hold.since.to_string(),
            }),
        }
    }
}

fn status(is_firing: bool) -> &'static str {
    if is_firing { "firing" } else { "resolved" }
}

/// As Go's `regexp.QuoteMeta` does it, which Alertmanager puts the receiver's name through.
pub(super) fn quoted_meta(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len());
    for c in text.chars() {
        if r"\.+*?()|[]{}^$".contains(c) {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted
}
