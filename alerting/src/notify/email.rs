//! The text of an e-mail: what a person needs who reads it on a phone at night. SNS sends plain
//! text only and appends its own words about unsubscribing.

use super::{Outgoing, text};

/// The text. It is not bounded: [`super::size`] cuts it.
pub(super) fn body(outgoing: &Outgoing<'_>) -> String {
    let notification = outgoing.notification;
    format!(
        "{}\n-- \nNotification {} of this group to {}\nsent {}\nid {}\n",
        outgoing.words(),
        notification.sequence,
        text::clean_line(&notification.receiver),
        text::clock(outgoing.now),
        notification.id,
    )
}
