//! What makes events those of one incident.
//!
//! A notification is about a group, so a group is an incident: `group_by` says how much is one,
//! as it does for every other channel, and a storm over a hundred nodes pages once. (A key for
//! each alert would page a hundred times, and PagerDuty throttles a service that does so.)
//!
//! The key is a hash of the topic, the receiver and the group's key: the same for trigger and
//! resolve, whatever changes in between; another for each stack and receiver that notify the same
//! PagerDuty service, so that none resolves what another opened.

use alerting::fingerprint::hash_128;
use delivery::Received;
use delivery::message::Message;

/// The key of a notification's incident, at most 255 characters.
pub fn from_received(received: &Received<'_>) -> String {
    match received.message {
        Message::Alerts(webhook) => {
            let topic = &received.delivery.topic;
            let hash = hash_128(&[topic, &webhook.receiver, &webhook.group_key]);
            format!("dnswatch/{hash}")
        }
        // A text belongs to nothing that is known.
        Message::Text(_) => format!("dnswatch/text/{}", hash_128(&[received.id])),
    }
}
