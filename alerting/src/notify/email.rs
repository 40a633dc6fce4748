//! The text of an e-mail: what a person needs who reads it on a phone at night. SNS sends plain
//! text only and appends its own words about unsubscribing.

use std::fmt::Write as _;

use super::{Outgoing, common, text};
use crate::labels::ALERT_NAME;

/// The text. It is not bounded: [`super::size`] cuts it.
pub(super) fn body(outgoing: &Outgoing<'_>) -> String {
    let notification = outgoing.notification;
    let common = common::labels(notification);
    let mut body = String::new();
    // Writing into a String cannot fail.
    let _ = text::write_headline(&mut body, notification);
    let shared = common.without(|name| name == ALERT_NAME);
    if !shared.is_empty() {
        let _ = writeln!(body, "Where: {}", text::clean_line(&text::pairs(&shared)));
    }
    let link = |alert: &_| outgoing.generator_url(alert);
    let _ = text::write_alerts(
        &mut body,
        outgoing.notification,
        outgoing.details,
        outgoing.now,
        &link,
    );
    let _ = writeln!(
        body,
        "\n-- \nNotification {} of this group to {}, sent {}, id {}",
        notification.sequence,
        text::clean_line(&notification.receiver),
        text::clock(outgoing.now),
        notification.id,
    );
    body
}
