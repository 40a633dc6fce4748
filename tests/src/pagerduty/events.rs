//! Whatever a message holds, its event keeps PagerDuty's rules and injects nothing.

use delivery::Received;
use delivery::envelope::Delivery;
use delivery::message::Message;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::server::judge;
use crate::slack::{alert, hostile, hostile_message, webhook};

/// The event of a message, as it goes over the wire.
fn event(message: &str, subject: Option<&str>) -> Value {
    let delivery = Delivery {
        id: "m-1".to_owned(),
        topic: "arn:aws:sns:eu-central-1:123456789012:alerts".to_owned(),
        subject: subject.map(str::to_owned),
        published: "2026-11-23T11:59:00Z".parse().ok(),
        message: message.to_owned(),
    };
    let message = Message::read(message).unwrap();
    let event = pagerduty::event::from_received(&Received {
        delivery: &delivery,
        message: &message,
        id: "0123456789abcdef0123456789abcdef",
        is_late: false,
        note: None,
        now: "2026-11-23T12:00:00Z".parse().unwrap(),
    });
    let mut event = serde_json::to_value(event).unwrap();
    event["routing_key"] = json!("0".repeat(32));
    event
}

fn bytes(event: &Value) -> usize {
    event.to_string().len()
}

#[test]
fn says_what_where_since_when_and_how_much() {
    let mut held = alert("firing", "b");
    held["hold"] = json!({"reason": "telemetry_stopped"});
    held["valueNow"] = json!(null);
    let mut gone = alert("resolved", "c");
    gone["end"] = json!("no_longer_reported");
    let event = event(
        &webhook(&[alert("firing", "a"), held, gone]).to_string(),
        None,
    );
    judge(&event, bytes(&event)).unwrap();
    let payload = &event["payload"];
    assert_eq!(payload["severity"], "critical");
    assert_eq!(payload["source"], "prod");
    assert_eq!(payload["class"], "LinkLocalThrottling");
    assert_eq!(payload["timestamp"], "2026-11-23T11:48:30Z");
    let details = &payload["custom_details"];
    assert_eq!(details["status"], "FIRING:2");
    assert_eq!(
        details["firing"],
        json!([
            "node=a: since 2026-11-23 11:48 UTC; value now 51000; ▁▁▂▅▇██",
            "node=b: kept open: no data, current state unknown; since \
             2026-11-23 11:48 UTC; last firing value 48213; ▁▁▂▅▇██",
        ])
    );
    assert_eq!(
        details["ended"],
        json!([
            "node=c: NO LONGER REPORTED (the series disappeared, current state unknown); from \
             2026-11-23 11:48 UTC to 2026-11-23 11:58 UTC; last firing value 48213; value now \
             51000; ▁▁▂▅▇██",
        ])
    );
    assert_eq!(event["links"][0]["text"], "Runbook");
    let of = |severity: &str| {
        let mut one = alert("firing", "a");
        one["labels"]["severity"] = json!(severity);
        self::event(&webhook(&[one]).to_string(), None)["payload"]["severity"].clone()
    };
    for (severity, expected) in [
        ("critical", "critical"),
        ("PAGE", "critical"),
        ("warning", "warning"),
        ("info", "info"),
        ("major", "error"),
        ("", "error"),
    ] {
        assert_eq!(of(severity), expected, "{severity}");
    }
}

#[test]
fn says_how_many_of_5000_it_left_out() {
    let alerts: Vec<Value> = (0..5_000)
        .map(|n| alert("firing", &format!("node-{n}")))
        .collect();
    let mut message = webhook(&alerts);
    message["truncatedAlerts"] = json!(7);
    let event = event(&message.to_string(), None);
    judge(&event, bytes(&event)).unwrap();
    let details = &event["payload"]["custom_details"];
    assert_eq!(details["firing"].as_array().map(Vec::len), Some(20));
    assert_eq!(details["left_out"], 5_000 - 20 + 7);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, max_shrink_iters: 500, ..ProptestConfig::default() })]

    #[test]
    fn hostile_alerts_inject_nothing(message in hostile_message()) {
        let event = event(&message.to_string(), None);
        let judged = judge(&event, bytes(&event));
        prop_assert!(judged.is_ok(), "{judged:?} of {event}");
    }

    #[test]
    fn hostile_text_injects_nothing(text in hostile(), subject in prop::option::of(hostile())) {
        prop_assume!(!text.trim().is_empty() && Message::read(&text).is_ok());
        let event = event(&text, subject.as_deref());
        let judged = judge(&event, bytes(&event));
        prop_assert!(judged.is_ok(), "{judged:?} of {event}");
    }
}

/// The judge sees what it is there to see: each of these breaks one rule.
#[test]
fn the_judge_sees_what_breaks_a_rule() {
    let good = event(&webhook(&[alert("firing", "a")]).to_string(), None);
    judge(&good, bytes(&good)).unwrap();
    for (path, bad) in [
        ("/routing_key", json!("short")),
        ("/event_action", json!("open")),
        ("/dedup_key", json!("x".repeat(256))),
        ("/payload/summary", json!("x".repeat(1_025))),
        ("/payload/summary", json!("a\nb")),
        ("/payload/summary", json!(" ")),
        ("/payload/source", json!("")),
        ("/payload/severity", json!("page")),
        ("/payload/timestamp", json!("yesterday")),
        ("/payload/custom_details/status", json!("\u{202e}")),
        ("/links/0/href", json!("javascript:alert(1)")),
        ("/client_url", json!("slack://x")),
    ] {
        let mut event = good.clone();
        *event.pointer_mut(path).unwrap() = bad;
        assert!(judge(&event, bytes(&event)).is_err(), "{path}");
    }
    assert!(judge(&good, 512 * 1024 + 1).is_err());
}
