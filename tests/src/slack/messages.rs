//! Whatever a message holds, what is posted keeps Slack's rules, injects nothing and says what it
//! left out.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, Result, ensure};
use delivery::message::Message;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use slack::render::{self, Circumstances};

use super::judge::{Shown, judge};
use crate::parts;

const VALIDATE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/oracles/slack/validate.py");

fn circumstances(is_late: bool, published: &str) -> Circumstances {
    Circumstances {
        is_late,
        published: published.parse().ok(),
        now: "2026-11-23T12:00:00Z".parse().unwrap(),
    }
}

/// The post of a message, as it goes over the wire.
fn rendered(message: &str, subject: Option<&str>, circumstances: Circumstances) -> Value {
    let message = Message::read(message).unwrap();
    let payload = render::message(&message, subject, circumstances);
    serde_json::to_value(payload).unwrap()
}

fn shown(message: &Value) -> Shown {
    let soon = circumstances(false, "2026-11-23T11:59:00Z");
    judge(&rendered(&message.to_string(), None, soon)).unwrap()
}

pub(crate) fn alert(status: &str, node: &str) -> Value {
    json!({
        "status": status,
        "labels": {"alertname": "LinkLocalThrottling", "cluster": "prod", "severity": "critical", "node": node},
        "annotations": {
            "summary": format!("{node} drops DNS packets"),
            "description": "The ENI is over 1024 packets a second to link-local services.",
            "runbook_url": "https://example.com/runbooks/LinkLocalThrottling",
        },
        "startsAt": "2026-11-23T11:48:30Z",
        "endsAt": if status == "resolved" { "2026-11-23T11:58:30Z" } else { "0001-01-01T00:00:00Z" },
        "generatorURL": "https://grafana.example.com/explore?left=%7B%22a%22%3A1%7D&x=<1>|2",
        "fingerprint": "0123456789abcdef",
        "value": 48213.25,
        "valueNow": 51000,
        "sparkline": "▁▁▂▅▇██",
    })
}

pub(crate) fn webhook(alerts: &[Value]) -> Value {
    let is_firing = alerts.iter().any(|alert| alert["status"] == "firing");
    json!({
        "receiver": "team",
        "status": if is_firing { "firing" } else { "resolved" },
        "alerts": alerts,
        "groupLabels": {"alertname": "LinkLocalThrottling", "cluster": "prod"},
        "commonLabels": {"alertname": "LinkLocalThrottling", "cluster": "prod", "severity": "critical"},
        "commonAnnotations": {},
        "externalURL": "",
        "version": "4",
        "groupKey": "{}:{alertname=\"LinkLocalThrottling\"}",
        "truncatedAlerts": 0,
        "notification_reason": "first notification",
    })
}

#[test]
fn shows_the_status() {
    #[track_caller]
    fn check(alerts: &[Value], header: &str, color: &str, words: &[&str]) {
        let shown = shown(&webhook(alerts));
        assert_eq!(shown.header, header);
        assert_eq!(shown.color, color);
        for word in words {
            assert!(
                shown.text.contains(word),
                "{word:?} is not in {}",
                shown.text
            );
        }
    }
    let with = |mut alert: Value, key: &str, value: Value| {
        alert[key] = value;
        alert
    };
    let of = "LinkLocalThrottling prod";
    check(
        &[alert("firing", "a"), alert("resolved", "b")],
        &format!("[FIRING:1] {of}"),
        "#d72b3f",
        &[
            "*FIRING*  `node=a`",
            "*RESOLVED*  `node=b`",
            "a drops DNS packets\nThe ENI",
            "*Last firing value*",
            "*Value now*\n`51000`",
            "`▁▁▂▅▇██`",
            "*Since*\n<!date^1795434510^",
            "*To*\n<!date^1795435110^",
            "<https://example.com/runbooks/LinkLocalThrottling|Runbook>",
            "x=%3C1%3E%7C2|Query>",
        ],
    );
    check(
        &[alert("resolved", "a")],
        &format!("[RESOLVED] {of}"),
        "#2eb67d",
        &["*RESOLVED*"],
    );
    let gone = with(alert("resolved", "a"), "end", json!("no_longer_reported"));
    check(
        std::slice::from_ref(&gone),
        &format!("[NO LONGER REPORTED] {of}"),
        "#868686",
        &["*NO LONGER REPORTED* (the series disappeared, current state unknown)"],
    );
    check(
        &[gone, alert("resolved", "b")],
        &format!("[ENDED] {of}"),
        "#868686",
        &["*RESOLVED*"],
    );
    let held = json!({"reason": "telemetry_stopped", "since": "2026-11-23T11:50:00Z"});
    check(
        &[with(alert("firing", "a"), "hold", held)],
        &format!("[FIRING:1] {of}"),
        "#d72b3f",
        &[
            "*FIRING* (kept open: no data, current state unknown)",
            "*Last value*\n`48213`",
        ],
    );
    let warning = with(
        alert("firing", "a"),
        "labels",
        json!({"severity": "warning"}),
    );
    let warning = with(warning, "valueNow", json!(null));
    check(
        &[with(warning, "value", json!("+Inf"))],
        &format!("[FIRING:1] {of}"),
        "#e8a317",
        &["`severity=warning`", "*Value*\n`+Inf`"],
    );
}

#[test]
fn says_that_it_is_late_and_when_it_was_published() {
    let message = webhook(&[alert("firing", "a")]).to_string();
    let shown = judge(&rendered(
        &message,
        None,
        circumstances(true, "2026-11-23T11:00:00Z"),
    ));
    let shown = shown.unwrap();
    assert_eq!(
        shown.header,
        "[LATE, was FIRING:1] LinkLocalThrottling prod"
    );
    assert_eq!(shown.color, "#868686");
    assert!(
        shown
            .text
            .contains("*Late:* a newer message about this group was sent before")
    );
    assert!(
        shown
            .text
            .contains("*Delayed:* published <!date^1795431600^")
    );
}

#[test]
fn says_how_many_of_5000_it_left_out() {
    let all = |firing: usize, ended: usize| {
        let firing = (0..firing).map(|n| alert("firing", &format!("node-{n}")));
        let ended = (0..ended).map(|n| alert("resolved", &format!("old-{n}")));
        webhook(&firing.chain(ended).collect::<Vec<_>>())
    };
    #[track_caller]
    fn check(message: &Value, firing: usize, ended: usize, truncated: usize) {
        let shown = shown(message);
        let notified = |word: &str| shown.text.matches(word).count();
        let number = |what: &str| {
            let words: Vec<&str> = shown.text.split([' ', '.', ',', '\n']).collect();
            let at = words.iter().rposition(|word| *word == what);
            at.and_then(|at| words[at - 1].parse::<usize>().ok())
                .unwrap_or(0)
        };
        assert_eq!(notified("*FIRING*") + number("firing"), firing);
        assert_eq!(notified("*RESOLVED*") + number("ended"), ended);
        assert_eq!(number("that"), truncated);
        assert!(
            notified("*FIRING*") + notified("*RESOLVED*") >= 10.min(firing + ended),
            "{}",
            shown.text
        );
    }
    check(&all(5_000, 0), 5_000, 0, 0);
    check(&all(3, 4_997), 3, 4_997, 0);
    check(&all(1, 1), 1, 1, 0);
    let mut truncated = all(1_000, 4_000);
    truncated["truncatedAlerts"] = json!(77);
    check(&truncated, 1_000, 4_000, 77);
}

/// What somebody who controls a label would write.
pub(crate) fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        8 => prop::sample::select(vec![
            "<!channel>", "<!here|x>", "<@U012345>", "<#C012345>", "<https://evil.example|Runbook>",
            "@channel", "`", "```", "*", "_", "~", "&", "&amp;", "&lt;!channel&gt;", "<", ">", "|", "\n",
            "\r\n> quote", "\0", "\u{7}", "\u{202e}", "\u{2066}", "\u{200b}", "\u{2028}", ":tada:", "🙂",
            "https://evil.example/", "javascript:alert(1)", "\\", "\"", "}", "^", "<!date^0^x|y>", " ", "é",
        ]).prop_map(str::to_owned),
        2 => any::<char>().prop_map(String::from),
        1 => (1_usize..6_000).prop_map(|n| "x".repeat(n)),
        1 => (1_usize..2_000).prop_map(|n| "&<".repeat(n)),
        1 => (1_usize..2_000).prop_map(|n| "🙂`".repeat(n)),
    ];
    prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

fn hostile_labels() -> impl Strategy<Value = Value> {
    prop::collection::btree_map(hostile(), hostile(), 0..12).prop_map(|labels| json!(labels))
}

pub(crate) fn hostile_message() -> impl Strategy<Value = Value> {
    let value = || {
        prop_oneof![
            hostile().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            Just(Value::Null),
            Just(json!({"a": []})),
        ]
    };
    let word = || {
        prop_oneof![
            Just("no_longer_reported".to_owned()),
            Just("telemetry_stopped".to_owned()),
            Just("cleared".to_owned()),
            hostile(),
        ]
    };
    let address = || {
        prop_oneof![
            hostile(),
            hostile().prop_map(|path| format!("https://example.com/{path}"))
        ]
    };
    let one = (
        prop_oneof![
            Just("firing".to_owned()),
            Just("resolved".to_owned()),
            hostile()
        ],
        hostile_labels(),
        (hostile(), hostile(), address(), address(), address()),
        (hostile(), hostile()),
        (
            value(),
            value(),
            hostile(),
            word(),
            prop::option::of(word()),
        ),
    );
    let one = one.prop_map(|(status, labels, words, times, ours)| {
        json!({
            "status": status, "labels": labels, "startsAt": times.0, "endsAt": times.1,
            "annotations": {"summary": words.0, "description": words.1, "runbook_url": words.2, "dashboard": words.3},
            "generatorURL": words.4,
            "value": ours.0, "valueNow": ours.1, "sparkline": ours.2, "end": ours.3,
            "hold": ours.4.map(|reason| json!({"reason": reason})),
        })
    });
    let alerts = prop::collection::vec(one, 1..16);
    (
        alerts,
        hostile_labels(),
        hostile_labels(),
        hostile(),
        any::<u64>(),
    )
        .prop_map(|(alerts, group, common, receiver, truncated)| {
            json!({
                "version": "4", "alerts": alerts, "groupLabels": group, "commonLabels": common,
                "receiver": receiver, "groupKey": receiver, "truncatedAlerts": truncated,
            })
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, max_shrink_iters: 500, ..ProptestConfig::default() })]

    #[test]
    fn hostile_alerts_inject_nothing(message in hostile_message(), is_late: bool) {
        let now = circumstances(is_late, "2026-11-23T11:59:00Z");
        let post = rendered(&message.to_string(), None, now);
        let shown = judge(&post);
        prop_assert!(shown.is_ok(), "{shown:?} in {post}");
        // One alert at least is shown, however long it is.
        let shown = shown.unwrap_or_default();
        prop_assert!(["*FIRING*", "*RESOLVED*", "*NO LONGER", "*ENDED*"].iter().any(|word| shown.text.contains(word)));
    }

    #[test]
    fn hostile_text_injects_nothing(text in hostile(), subject in prop::option::of(hostile())) {
        prop_assume!(!text.trim().is_empty());
        let post = rendered(&text, subject.as_deref(), circumstances(false, "2026-11-23T11:59:00Z"));
        let shown = judge(&post);
        prop_assert!(shown.is_ok(), "{shown:?} in {post}");
    }
}

#[test]
fn slacks_own_models_know_every_block() -> Result<()> {
    let Some(python) = parts::python() else {
        return Ok(());
    };
    let mut runner = TestRunner::deterministic();
    let soon = circumstances(false, "2026-11-23T11:00:00Z");
    let mut posts = vec![
        rendered(&webhook(&[alert("firing", "a")]).to_string(), None, soon),
        rendered("a text", Some("a subject"), soon),
    ];
    for _ in 0..100 {
        let new = |error| anyhow::anyhow!("{error}");
        let message = hostile_message()
            .new_tree(&mut runner)
            .map_err(new)?
            .current();
        posts.push(rendered(&message.to_string(), None, soon));
    }
    let said = validate(&python, &posts)?;
    ensure!(said.status.success(), "{said:?}");
    ensure!(String::from_utf8(said.stdout)?.trim() == "102 messages, 0 wrong");

    // The judge sees what it is there to see.
    let mut long = posts.swap_remove(0);
    long["blocks"][0]["text"]["text"] = json!("x".repeat(151));
    ensure!(validate(&python, &[long])?.status.code() == Some(1));
    Ok(())
}

fn validate(python: &std::path::Path, posts: &[Value]) -> Result<Output> {
    let mut child = Command::new(python)
        .arg(VALIDATE)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("running {}", python.display()))?;
    let mut lines = Vec::new();
    for post in posts {
        writeln!(lines, "{post}")?;
    }
    // It reads all of it before it writes.
    child.stdin.take().context("stdin")?.write_all(&lines)?;
    Ok(child.wait_with_output()?)
}

/// The strict reader is strict: each of these breaks one rule.
#[test]
fn the_judge_sees_what_breaks_a_rule() {
    let soon = circumstances(false, "2026-11-23T11:59:00Z");
    let good = rendered(&webhook(&[alert("firing", "a")]).to_string(), None, soon);
    judge(&good).unwrap();
    let text = "/attachments/0/blocks/1/text/text";
    for (path, bad) in [
        ("/blocks/0/text/text", json!("")),
        ("/blocks/0/text/text", json!("x".repeat(151))),
        ("/blocks/0/text/type", json!("mrkdwn")),
        (text, json!("<!channel>")),
        (text, json!("a & b")),
        (text, json!("`open")),
        (text, json!("<https://evil.example|Click>")),
        (text, json!("@here")),
        (text, json!("x".repeat(3_001))),
        ("/attachments/0/color", json!("red")),
        ("/attachments/0/blocks/2/fields", json!([])),
        ("/attachments/0/blocks/0/elements", json!([])),
        ("/unfurl_links", json!(true)),
    ] {
        let mut post = good.clone();
        *post.pointer_mut(path).unwrap() = bad;
        assert!(judge(&post).is_err(), "{path}");
    }
}
