//! Whatever a notification holds, it can be published: within each channel's limits, and nothing in
//! it is taken for markup.

use std::collections::BTreeMap;
use std::sync::Arc;

use alerting::alert::End;
use alerting::config::Config;
use alerting::labels::Labels;
use alerting::notify::{AlertEntry, Details, Notification, Outgoing, Webhook};
use alerting::rules::RuleKey;
use alerting::timestamp::Timestamp;
use proptest::prelude::*;
use serde_json::Value;

use super::{alert, config, notification, sns, start, texts, throttled};

/// The rules that each message keeps, whatever is in it.
#[track_caller]
fn check(notification: &Notification) -> Webhook {
    let config = config("https://prom.example");
    let message = sns(&config, notification, &Details::default());

    let subject = &message.subject;
    assert!((1..100).contains(&subject.len()), "{subject:?}");
    assert!(
        subject.bytes().all(|b| (b' '..=b'~').contains(&b)),
        "{subject:?}"
    );
    assert!(
        !subject.starts_with(' ') && !subject.ends_with(' '),
        "{subject:?}"
    );

    assert!(
        message.document.len() <= 262_144,
        "{}",
        message.document.len()
    );
    let texts = texts(&message);
    let protocols: Vec<&str> = texts.keys().map(String::as_str).collect();
    assert_eq!(protocols, ["default", "email", "email-json", "sms"]);
    let sms = &texts["sms"];
    assert!(
        sms.len() <= 140 && sms.bytes().all(|b| (b' '..=b'~').contains(&b)),
        "{sms:?}"
    );
    assert!(!texts["email"].chars().any(|c| c.is_control() && c != '\n'));

    check_amazon_q(&config, notification);

    let default = &texts["default"];
    assert!(!default.contains(['\u{fffe}', '\u{ffff}']));
    let webhook: Webhook = serde_json::from_str(default).expect("the default is webhook JSON");
    assert_eq!(
        webhook.alerts.len() + webhook.truncated_alerts,
        notification.alerts.len() + notification.truncated
    );
    assert_eq!(webhook.notification_id, notification.id);
    webhook
}

/// Amazon Q's schema, and nothing in it that any chat takes for markup, mention or link but what
/// is ours: bold words, code, addresses.
#[track_caller]
fn check_amazon_q(config: &Config, notification: &Notification) {
    let body = Outgoing {
        notification,
        details: &Details::default(),
        config,
        now: start(),
    }
    .amazon_q()
    .document;
    assert!(body.len() <= 262_144, "{}", body.len());
    let body: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(body["version"], "1.0");
    assert_eq!(body["source"], "custom");
    let content = body["content"].as_object().expect("a content");
    assert_eq!(content["textType"], "client-markdown");
    let known = ["textType", "title", "description", "nextSteps", "keywords"];
    assert!(content.keys().all(|key| known.contains(&key.as_str())));
    let metadata = body["metadata"].as_object().expect("metadata");
    let known = ["threadId", "summary", "eventType", "additionalContext"];
    assert!(metadata.keys().all(|key| known.contains(&key.as_str())));
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let description = text(&content["description"]);
    assert!(description.chars().count() <= 3_000, "{description}");
    assert!(!description.trim().is_empty());
    let mut texts = vec![text(&content["title"]), text(&metadata["summary"])];
    for list in ["nextSteps", "keywords"] {
        texts.extend(
            content
                .get(list)
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .map(text),
        );
    }
    for text in &texts {
        check_calm(text.replacen("[", "", 1).replacen("]", "", 1).as_str());
    }
    for line in description.lines() {
        // Our own: a bold word first, and code, which ends where it began.
        let line = line.strip_prefix('*').map_or(line.to_owned(), |line| {
            let (word, rest) = line.split_once('*').expect("a bold word");
            assert!(
                word.chars()
                    .all(|c| "ABCDEFGHIJKLMNOPQRSTUVWXYZ (held)".contains(c)),
                "{word}"
            );
            rest.to_owned()
        });
        assert_eq!(line.matches('`').count() % 2, 0, "{line}");
        check_calm(&line.replace('`', ""));
    }
}

#[track_caller]
fn check_calm(text: &str) {
    assert!(
        !text.chars().any(|c| c.is_control() && c != '\n'),
        "{text:?}"
    );
    assert!(
        !text.contains(['<', '>', '@', '`', '*', '|', '[', ']', '\\']),
        "{text:?}"
    );
    assert!(
        !text.contains(|c: char| matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}')),
        "{text:?}"
    );
}

/// The message shows what was given.
#[track_caller]
fn check_whole(notification: &Notification) {
    let webhook = check(notification);
    assert!(!webhook.alerts.is_empty());
    assert_eq!(webhook.group_labels, notification.group_labels);
    for (notified, alert) in webhook.alerts.iter().zip(&notification.alerts) {
        assert_eq!(notified.labels, alert.labels);
        assert_eq!(notified.annotations, *alert.annotations);
        assert_eq!(notified.fingerprint, alert.labels.fingerprint().to_string());
    }
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        "[a-z]{1,8}",
        proptest::collection::vec(any::<char>(), 0..30).prop_map(String::from_iter),
        "[\u{0}-\u{1f}\u{7f}-\u{9f}\"\\\\\u{fffe}\u{ffff}]{1,20}",
        "[א-ת\u{202e}\u{2066} 😀👩‍🚀]{1,20}",
        ("[\"é漢\u{1}]", 1..4096usize).prop_map(|(c, n)| c.repeat(n / c.len())),
    ]
}

fn pairs() -> impl Strategy<Value = BTreeMap<String, String>> {
    proptest::collection::btree_map(text(), text(), 0..5)
}

fn some_alert() -> impl Strategy<Value = AlertEntry> {
    (
        pairs(),
        pairs(),
        any::<f64>(),
        any::<i64>(),
        any::<Option<(i64, u8)>>(),
    )
        .prop_map(|(labels, annotations, value, starts_at, ends)| {
            let rule = RuleKey::ruler();
            let labels: Labels = labels.into_iter().collect();
            let labels = labels.with([("alertname", "A")]);
            AlertEntry {
                labels,
                annotations: Arc::new(annotations),
                value,
                starts_at: Timestamp::from_millis(starts_at),
                ends_at: ends.map(|(at, _)| Timestamp::from_millis(at)),
                end: ends.and_then(|(_, end)| {
                    [Some(End::Cleared), Some(End::NoLongerReported), None][usize::from(end) % 3]
                }),
                ..alert(&[], &[], &rule)
            }
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(50))]

    #[test]
    fn any_notification_can_be_published(
        alerts in proptest::collection::vec(some_alert(), 1..4),
        group_by in pairs(),
    ) {
        let mut notified = notification(&["alertname"], alerts);
        notified.group_labels = notified.group_labels.with(group_by);
        notified.group_key = format!("{{}}:{}", notified.group_labels);
        let webhook = check(&notified);
        prop_assert!(!webhook.alerts.is_empty());
        if webhook.common_labels.has("alertname") && webhook.truncated_alerts == 0 {
            check_whole(&notified);
        }
    }
}

#[test]
fn many_alerts_are_counted_where_they_are_left_out() {
    let rule = config("").groups[0].rules[0].key.clone();
    let alerts = (0..5000)
        .map(|at| throttled(&format!("node-{at}"), &rule))
        .collect();
    let mut notified = notification(&["alertname"], alerts);
    notified.truncated = 7;
    let webhook = check(&notified);
    check_whole(&notified);
    assert!(
        (200..5000).contains(&webhook.alerts.len()),
        "{}",
        webhook.alerts.len()
    );

    // Nothing more would have fitted in: the document is nearly full.
    let message = sns(&config(""), &notified, &Details::default());
    assert!(
        message.document.len() > 260_000,
        "{}",
        message.document.len()
    );
    let email = &texts(&message)["email"];
    assert!(email.contains("… and 4987 more, left out here."), "{email}");
}

#[test]
fn an_alert_that_alone_is_too_big_is_shortened() {
    let rule = config("").groups[0].rules[0].key.clone();
    let huge = "\u{1}漢\"".repeat(60_000);
    let names: Vec<String> = (0..1200)
        .map(|at| format!("{at:04}{}", "\u{2}".repeat(200)))
        .collect();
    let wide: Vec<(&str, &str)> = names
        .iter()
        .map(|name| (name.as_str(), "\"\"\"\""))
        .collect();
    for (labels, annotations) in [
        (vec![("alertname", "A")], vec![("summary", huge.as_str())]),
        (vec![("alertname", "A"), ("b", huge.as_str())], vec![]),
        (
            vec![(huge.as_str(), "A")],
            vec![(huge.as_str(), huge.as_str())],
        ),
        (wide.clone(), wide),
    ] {
        let alert = alert(&labels, &annotations, &rule);
        let mut notified = notification(&["alertname", "b"], vec![alert]);
        notified.receiver = huge.clone();
        notified.group_labels = notified.alerts[0].labels.clone();
        let webhook = check(&notified);
        assert_eq!(webhook.alerts.len(), 1);
        let text = serde_json::to_string(&webhook).expect("JSON");
        assert!(
            labels.len() > 64 || text.contains("… (cut)"),
            "it says that it was cut"
        );
    }
}

#[test]
fn an_email_is_cut_between_characters_and_says_so() {
    let rule = config("").groups[0].rules[0].key.clone();
    for shift in 0..4 {
        let long = format!("{}{}", "x".repeat(shift), "😀".repeat(5000));
        let alert = alert(&[("alertname", "A")], &[("summary", &long)], &rule);
        let notified = notification(&["alertname"], vec![alert]);
        check_whole(&notified);
        let message = sns(&config(""), &notified, &Details::default());
        let email = &texts(&message)["email"];
        assert!(email.len() <= 16 * 1024);
        assert!(email.ends_with("😀\n\n… cut here: the whole is too long for one message.\n"));
    }
}
