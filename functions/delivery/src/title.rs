//! What a message is about, in the words of its group.

use std::collections::BTreeMap;

use crate::message::Webhook;

/// `LinkLocalThrottling prod`: the values of the group's labels, the alert's name first; those
/// that all alerts have, where the group has none. As they are: a channel cleans them.
pub fn words(webhook: &Webhook) -> Vec<&str> {
    let words = named(&webhook.group_labels);
    if words.is_empty() {
        named(&webhook.common_labels)
    } else {
        words
    }
}

fn named(labels: &BTreeMap<String, String>) -> Vec<&str> {
    let name = labels.get("alertname").map(String::as_str);
    let others = labels.iter().filter(|(name, _)| *name != "alertname");
    let mut words: Vec<&str> = name.into_iter().collect();
    words.extend(others.map(|(_, value)| value.as_str()));
    words.retain(|word| !word.is_empty());
    words
}
