//! What all alerts of a notification have in common.

use std::collections::BTreeMap;

use super::Notification;
use crate::labels::Labels;

/// The labels that each of the alerts has with the same value.
pub(super) fn labels(notification: &Notification) -> Labels {
    common(notification.alerts.iter().map(|alert| alert.labels.iter()))
        .into_iter()
        .collect()
}

/// The annotations that each of the alerts has with the same text.
pub(super) fn annotations(notification: &Notification) -> BTreeMap<String, String> {
    let all = notification.alerts.iter().map(|alert| {
        let annotations = alert.annotations.iter();
        annotations.map(|(name, text)| (name.as_str(), text.as_str()))
    });
    common(all)
        .into_iter()
        .map(|(name, text)| (name.to_owned(), text.to_owned()))
        .collect()
}

fn common<'a, P>(all: impl IntoIterator<Item = P>) -> BTreeMap<&'a str, &'a str>
where
    P: Iterator<Item = (&'a str, &'a str)>,
{
    let mut all = all.into_iter();
    let mut common: BTreeMap<&str, &str> = all.next().into_iter().flatten().collect();
    for pairs in all {
        if common.is_empty() {
            break;
        }
        let pairs: BTreeMap<&str, &str> = pairs.collect();
        common.retain(|name, value| pairs.get(name) == Some(value));
    }
    common
}
