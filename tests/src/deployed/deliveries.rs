//! Every publish that reached SNS, and whether one that came again had to.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::sandbox::Sandbox;
use crate::front::Request;

/// What happened, in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Event {
    /// SNS got a notification.
    Published(Publish),
    /// A sandbox was killed.
    Killed(Sandbox),
}

/// SNS got a notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Publish {
    id: String,
    by: Option<Sandbox>,
    /// Whether the answer was let through to a client that still waited for it.
    pub(super) is_answered: bool,
    /// Whether the SDK itself sends it again, since it saw no answer in time.
    is_retry: bool,
}

impl Publish {
    pub(super) fn read(request: &Request, by: Option<Sandbox>) -> Result<Self> {
        let form = String::from_utf8(request.body.clone())?;
        let form = reqwest::Url::parse(&format!("http://sns/?{form}"))?;
        let message = form.query_pairs().find(|(name, _)| name == "Message");
        let bodies: Value = serde_json::from_str(&message.context("a message")?.1)?;
        let webhook = bodies["default"].as_str().context("a body")?;
        let webhook: Value = serde_json::from_str(webhook)?;
        let id = webhook["notificationId"].as_str().context("an id")?;
        let head = request.head.to_ascii_lowercase();
        let attempt = head
            .lines()
            .find_map(|line| line.strip_prefix("amz-sdk-request: attempt="))
            .context("the number of the attempt")?;
        Ok(Self {
            id: id.to_owned(),
            by,
            is_answered: false,
            is_retry: !attempt.starts_with("1;"),
        })
    }
}

/// How many times SNS got a notification.
pub(super) fn published(events: &[Event]) -> usize {
    let published = |event: &&Event| matches!(event, Event::Published(_));
    events.iter().filter(published).count()
}

/// Checks that a notification was published again only where its publisher could not know
/// that it had, or was killed before it could say so.
pub(super) fn none_without_a_cause(events: &[Event]) -> Result<()> {
    let mut last: BTreeMap<&str, &Publish> = BTreeMap::new();
    let mut killed: BTreeMap<&str, bool> = BTreeMap::new();
    for event in events {
        match event {
            Event::Killed(sandbox) => {
                for publish in last.values().filter(|last| last.by == Some(*sandbox)) {
                    killed.insert(&publish.id, true);
                }
            }
            Event::Published(publish) => {
                let before = last.insert(&publish.id, publish);
                let was_killed = killed.insert(&publish.id, false).unwrap_or_default();
                let is_due = before.is_none_or(|before| !before.is_answered || was_killed);
                ensure!(
                    is_due || publish.is_retry,
                    "{before:?} was answered, and yet came {publish:?}"
                );
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn publish(id: &str, by: u32, is_answered: bool) -> Event {
        Event::Published(Publish {
            id: id.to_owned(),
            by: Some(Sandbox::of(by)),
            is_answered,
            is_retry: false,
        })
    }

    #[track_caller]
    fn check(events: &[Event], is_fine: bool) {
        let found = none_without_a_cause(events);
        assert_eq!(found.is_ok(), is_fine, "{found:?}");
    }

    #[test]
    fn a_double_needs_a_cause() {
        let killed = |pid| Event::Killed(Sandbox::of(pid));
        let (one, again) = (publish("a", 1, true), publish("a", 2, true));
        check(&[one.clone(), publish("b", 2, true)], true);
        check(&[one.clone(), again.clone()], false);
        check(&[one.clone(), killed(1), again.clone()], true);
        check(&[one.clone(), killed(3), again.clone()], false);
        check(&[killed(1), one.clone(), again.clone()], false);
        check(&[one.clone(), killed(1), again.clone(), one], false);
        check(&[publish("a", 1, false), again], true);
    }

    #[test]
    fn what_the_sdk_sends_is_read() {
        let message = r#"{"default": "{\"notificationId\": \"0af\"}"}"#;
        let form = [("Action", "Publish"), ("Message", message)];
        let form = reqwest::Url::parse_with_params("http://sns/", form).unwrap();
        let request = Request {
            peer: ([127, 0, 0, 1], 1).into(),
            head: "POST / HTTP/1.1\r\nAmz-Sdk-Request: attempt=2; max=3".to_owned(),
            body: form.query().unwrap().as_bytes().to_vec(),
        };
        let publish = Publish::read(&request, None).unwrap();
        assert_eq!((&*publish.id, publish.is_retry), ("0af", true));
    }
}
