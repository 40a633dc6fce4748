//! Who is subscribed to a topic, and who of them has not confirmed it yet: SNS accepts a publish
//! also if the topic has no subscriber.

use alerting::notify::{Subscribers, TopicArn};
use aws_sdk_sns::Client;

use crate::aws::reason;

/// How many subscriptions are read of a topic.
const MAX_SUBSCRIPTIONS: usize = 500;

/// One subscription to a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// `email`, `sms`, `sqs`, `https` and so on.
    pub protocol: String,
    /// The address: of a web hook only its origin, since its path is often its key.
    pub endpoint: String,
    /// Whether it is confirmed; one that is not gets nothing.
    pub is_confirmed: bool,
}

/// `ListSubscriptionsByTopic`: the topic's first 500 subscriptions, or why they are unknown.
///
/// `client` is one of the topic's region and, where it is published to by a role, of that role.
pub async fn of_topic(client: &Client, topic: &TopicArn) -> Result<Vec<Subscription>, String> {
    let mut pages = client
        .list_subscriptions_by_topic()
        .topic_arn(topic.as_str())
        .into_paginator()
        .send();
    let mut subscriptions = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| format!("ListSubscriptionsByTopic: {}", reason(&error)))?;
        subscriptions.extend(page.subscriptions().iter().map(|subscription| {
            let protocol = subscription.protocol().unwrap_or_default();
            let arn = subscription.subscription_arn().unwrap_or_default();
            Subscription {
                protocol: protocol.to_owned(),
                endpoint: shown(protocol, subscription.endpoint().unwrap_or_default()),
                // Only a confirmed subscription has an ARN: `PendingConfirmation` and, for a while
                // after an unsubscription, `Deleted` stand in its place.
                is_confirmed: arn.starts_with("arn:"),
            }
        }));
        if subscriptions.len() >= MAX_SUBSCRIPTIONS {
            subscriptions.truncate(MAX_SUBSCRIPTIONS);
            break;
        }
    }
    Ok(subscriptions)
}

/// What that means for the topic.
pub fn judge(subscriptions: &[Subscription]) -> Subscribers {
    if subscriptions.iter().any(|one| one.is_confirmed) {
        Subscribers::Confirmed
    } else if subscriptions.is_empty() {
        Subscribers::None
    } else if subscriptions.len() >= MAX_SUBSCRIPTIONS {
        // There may be more, and one of those may be confirmed.
        Subscribers::Unknown(format!(
            "the first {MAX_SUBSCRIPTIONS} subscriptions are not confirmed, and no more are read"
        ))
    } else {
        Subscribers::Pending
    }
}

fn shown(protocol: &str, endpoint: &str) -> String {
    if !protocol.starts_with("http") {
        return endpoint.to_owned();
    }
    match reqwest::Url::parse(endpoint) {
        Ok(url) => url.origin().ascii_serialization(),
        Err(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(protocol: &str, endpoint: &str, expected: &str) {
        assert_eq!(shown(protocol, endpoint), expected);
    }

    #[test]
    fn the_key_in_a_web_hook_is_not_shown() {
        check(
            "https",
            "https://user:pass@events.pagerduty.com/integration/0a1b2c/enqueue?k=1",
            "https://events.pagerduty.com",
        );
        check("http", "http://127.0.0.1:8080/x", "http://127.0.0.1:8080");
        check("https", "secret", "");
        check("email", "a@example.com", "a@example.com");
        check(
            "sqs",
            "arn:aws:sqs:eu-west-1:123456789012:q",
            "arn:aws:sqs:eu-west-1:123456789012:q",
        );
    }
}
