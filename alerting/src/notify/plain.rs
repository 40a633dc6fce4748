//! A message as the user wrote it: `subject`, `message` and `attributes` of a topic, expanded as
//! Alertmanager does it (`notify/sns/sns.go`) and sent plain.
//!
//! Where SNS would reject Alertmanager's message, and it would be lost, this one is repaired: a
//! subject that is too long or holds what a subject cannot, a message that is empty or too long,
//! a template that fails.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::subject::{MAX_SUBJECT, ascii_line};
use super::{AlertEntry, Outgoing, SnsMessage, SnsText, common, size};
use crate::labels::Labels;
use crate::template::notification::{AlertData, Dot, NotificationData, NotificationTemplate};

/// What is said where a text is cut.
const CUT: &str = "\n… cut here: the whole is too long for one message.\n";
/// How much of a message attributes may take, in bytes.
const MAX_ATTRIBUTES: usize = 64 * 1024;

/// What has to outlive the data that templates see.
struct Shared {
    receiver: String,
    labels: Labels,
    annotations: BTreeMap<String, String>,
}

impl Shared {
    fn new(outgoing: &Outgoing<'_>) -> Self {
        let notification = outgoing.notification;
        Self {
            receiver: super::webhook::quoted_meta(&notification.receiver),
            labels: common::labels(notification),
            annotations: common::annotations(notification),
        }
    }

    /// The notification as templates see it, with the labels of its route.
    fn data<'a>(&'a self, outgoing: &Outgoing<'a>) -> NotificationData<'a> {
        let notification = outgoing.notification;
        let mut alerts: Vec<&AlertEntry> = notification.alerts.iter().collect();
        alerts.sort_by(|a, b| order(&a.labels, &b.labels));
        let alerts = alerts.into_iter().map(|alert| AlertData {
            labels: &alert.labels,
            annotations: &alert.annotations,
            starts_at: alert.starts_at,
            ends_at: alert.ends_at,
            generator_url: outgoing.generator_url(alert),
        });
        let mut data = NotificationData {
            receiver: &self.receiver,
            alerts: alerts.collect(),
            group_labels: &notification.group_labels,
            common_labels: &self.labels,
            common_annotations: &self.annotations,
            external_url: outgoing.external_url(),
            reason: notification.reason.to_string(),
            route_labels: BTreeMap::new(),
            now: outgoing.now,
        };
        data.route_labels = outgoing.expanded_route_labels(&data);
        data
    }
}

/// The labels of the notification's route, expanded.
pub(super) fn route_labels(outgoing: &Outgoing<'_>) -> BTreeMap<String, String> {
    if outgoing.route_labels().is_none() {
        return BTreeMap::new();
    }
    Shared::new(outgoing).data(outgoing).route_labels
}

/// Renders a notification by the user's templates.
pub(super) fn message(outgoing: &Outgoing<'_>, text: &SnsText) -> SnsMessage {
    let shared = Shared::new(outgoing);
    let data = shared.data(outgoing);
    let dot = Dot::new(&data);
    let expand =
        |template: &NotificationTemplate| template.expand(&outgoing.config.templates, &dot);
    let mut attributes = BTreeMap::new();
    let mut room = MAX_ATTRIBUTES;
    for (name, template) in &text.attributes {
        // An attribute without a value is refused by SNS, and one that fails says nothing.
        let value = expand(template).unwrap_or_default();
        let length = name.len() + value.len() + "String".len();
        if !value.is_empty() && length <= room {
            room -= length;
            attributes.insert(name.clone(), value);
        }
    }
    let taken = MAX_ATTRIBUTES - room;
    let body = match expand(&text.message) {
        Ok(body) if !body.trim().is_empty() => body,
        Ok(_) => outgoing.email(),
        Err(error) => format!(
            "The template of the message failed ({error}); this is the message without it.\n\n{}",
            outgoing.email()
        ),
    };
    SnsMessage {
        subject: subject(expand(&text.subject), outgoing),
        document: size::cut(&body, size::MAX_MESSAGE - taken, CUT),
        is_json: false,
        attributes,
    }
}

/// The order in which Alertmanager has alerts: by job and instance, then those of fewer labels
/// first, then label by label (`AlertSlice.Less`, `LabelSet.Before`).
fn order(a: &Labels, b: &Labels) -> Ordering {
    let first = |name: &str| match (a.has(name), b.has(name)) {
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        _ => a.get(name).cmp(b.get(name)),
    };
    let mut names: Vec<&str> = a.iter().chain(b.iter()).map(|(name, _)| name).collect();
    names.sort_unstable();
    let by_label = names
        .into_iter()
        .map(|name| match (a.has(name), b.has(name)) {
            (false, _) => Ordering::Less,
            (_, false) => Ordering::Greater,
            _ => a.get(name).cmp(b.get(name)),
        });
    first("job")
        .then_with(|| first("instance"))
        .then_with(|| a.len().cmp(&b.len()))
        .then_with(|| by_label.fold(Ordering::Equal, Ordering::then))
}

/// The subject as it is, if SNS takes it.
fn subject(expanded: Result<String, String>, outgoing: &Outgoing<'_>) -> String {
    let expanded = expanded.unwrap_or_else(|_| outgoing.subject());
    let is_fit = expanded.bytes().all(|byte| (b' '..=b'~').contains(&byte))
        && (1..=MAX_SUBJECT).contains(&expanded.len())
        && !expanded.starts_with(' ');
    if is_fit {
        return expanded;
    }
    let line = ascii_line(&expanded, MAX_SUBJECT);
    if line.is_empty() {
        ascii_line(&outgoing.subject(), MAX_SUBJECT)
    } else {
        line
    }
}
