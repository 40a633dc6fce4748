//! The first message of a group, which later ones change, and in whose thread they answer.

use delivery::message::Webhook;
use serde::{Deserialize, Serialize};

/// What is stored for a group: where its message is, and whether it still fires.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thread {
    /// The channel's id: another one may be configured by now.
    pub channel: String,
    /// The message's timestamp, which is its name.
    pub ts: String,
    /// Whether anything of the group fired when it was last changed. Where nothing did, what
    /// fires next is another story, and gets a message of its own.
    pub is_open: bool,
}

impl Thread {
    /// Reads a note. An unreadable note counts as absent: the group gets a new message.
    pub fn read(note: Option<&str>) -> Option<Self> {
        serde_json::from_str(note?).ok()
    }

    /// The note.
    pub fn note(&self) -> String {
        // Strings and a flag are always JSON.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// Whether an answer in the thread is shown in the channel, too: changing a message notifies no
/// one, so a reply that everyone should see is also sent to the channel.
pub fn is_for_all(webhook: &Webhook) -> bool {
    matches!(
        webhook.reason.as_str(),
        "first notification" | "new alerts added" | "repeat interval elapsed"
    )
}
