//! What a notification becomes for machines and for people, and that every one of them can be
//! published, whatever is in it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use alerting::alert::{End, Hold};
use alerting::config::{Config, Settings};
use alerting::labels::Labels;
use alerting::notify::{
    AlertEntry, Details, Grafana, Notification, NotifyReason, Outgoing, SnsMessage, Webhook,
};
use alerting::query::{Answer, ResultType, Sample, Series};
use alerting::rules::{RuleKey, SourceFile};
use alerting::state::{RuleState, State};
use alerting::timestamp::Timestamp;
use proptest::prelude::*;
use serde_json::Value;

/// The bodies that an Alertmanager 0.25 posted for the alerts of [`golden`], one a line.
const GOLDEN: &str = include_str!("webhook-bodies.jsonl");

const RULES: &str = "\
groups:
- name: link-local
  interval: 30s
  rules:
  - alert: LinkLocalThrottling
    expr: up > 1
";

fn config(external_url: &str) -> Config {
    let file = SourceFile {
        name: "link-local.yml".to_owned(),
        text: RULES.to_owned(),
    };
    let mut settings = Settings::default();
    settings.evaluation.external.url = external_url.to_owned();
    settings.load(&vec![file].into()).expect("the rules load")
}

/// 2026-11-23 06:13:14.120 UTC.
fn start() -> Timestamp {
    Timestamp::from_millis(1_795_414_394_120)
}

fn alert(labels: &[(&str, &str)], annotations: &[(&str, &str)], rule: &RuleKey) -> AlertEntry {
    AlertEntry {
        labels: labels.iter().copied().collect(),
        annotations: Arc::new(
            annotations
                .iter()
                .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
                .collect(),
        ),
        value: 412.5,
        starts_at: start(),
        ends_at: None,
        end: None,
        hold: None,
        past: false,
        fired_by: [rule.clone()].into(),
        rule: rule.clone(),
    }
}

fn ended(alert: AlertEntry, end: End) -> AlertEntry {
    AlertEntry {
        ends_at: Some(Timestamp::from_secs(1_795_414_800)),
        end: Some(end),
        fired_by: [].into(),
        ..alert
    }
}

fn notification(group_by: &[&str], alerts: Vec<AlertEntry>) -> Notification {
    let group_labels: Labels = alerts[0].labels.without(|name| !group_by.contains(&name));
    let firing = alerts.iter().filter(|alert| alert.is_firing()).count();
    Notification {
        id: "0123456789abcdef0123456789abcdef".to_owned(),
        sequence: 3,
        receiver: "team.ops-1".to_owned(),
        integration: "sns[0]".to_owned(),
        group_key: format!("{{}}:{group_labels}"),
        group_labels,
        reason: if firing > 0 {
            NotifyReason::FirstNotification
        } else {
            NotifyReason::AllAlertsResolved
        },
        firing,
        resolved: alerts.len() - firing,
        alerts,
        truncated: 0,
        groups: 0,
        created_at: start(),
        attempts: 1,
        claim: None,
    }
}

fn sns(config: &Config, notification: &Notification, details: &Details) -> SnsMessage {
    Outgoing {
        notification,
        details,
        config,
        now: start().plus(Duration::from_secs(250)),
    }
    .sns()
}

/// The texts of a document, by protocol.
fn texts(message: &SnsMessage) -> BTreeMap<String, String> {
    serde_json::from_str(&message.document).expect("a document of texts")
}

fn default_body(message: &SnsMessage) -> String {
    texts(message).remove("default").expect("a default")
}

/// The groups that Alertmanager was given.
fn golden(rule: &RuleKey) -> [Notification; 3] {
    let ruler = RuleKey::ruler();
    let labels = |node| {
        [
            ("alertname", "LinkLocalThrottling"),
            ("cluster", "prod"),
            ("node", node),
            ("severity", "critical"),
        ]
    };
    let a = alert(
        &labels("a"),
        &[
            ("summary", "s <a> & \"q\" é 😀"),
            ("description", "d\nline"),
        ],
        rule,
    );
    let whole_second = Timestamp::from_secs(1_795_414_395);
    let b = AlertEntry {
        starts_at: whole_second,
        ..alert(
            &labels("b"),
            &[("summary", "s2"), ("description", "d\nline")],
            &ruler,
        )
    };
    let other = AlertEntry {
        starts_at: whole_second,
        ..alert(&[("alertname", "Other"), ("pod", "x\"y\\z")], &[], &ruler)
    };
    let group_by = ["alertname", "cluster"];
    [
        notification(&group_by, vec![a.clone(), b.clone()]),
        notification(&group_by, vec![a, ended(b, End::Cleared)]),
        notification(&group_by, vec![other]),
    ]
}

/// Where each key of the golden object stands in a text, in the order of the golden one.
#[track_caller]
fn same_order(golden: &str, ours: &str, keys: &[&str]) {
    let order = |text: &str| {
        let mut keys: Vec<(usize, &str)> = keys
            .iter()
            .map(|key| (text.find(&format!("\"{key}\":")).expect("the key"), *key))
            .collect();
        keys.sort_unstable();
        keys.into_iter().map(|(_, key)| key).collect::<Vec<_>>()
    };
    assert_eq!(order(ours), order(golden));
}

#[test]
fn the_webhook_json_is_alertmanagers() {
    let config = config("http://p.example/");
    let rule = config.groups[0].rules[0].key.clone();
    let bodies: Vec<&str> = GOLDEN.lines().collect();
    assert_eq!(bodies.len(), 3);
    for (body, notification) in bodies.iter().zip(golden(&rule)) {
        let ours_text = default_body(&sns(&config, &notification, &Details::default()));
        let ours: Value = serde_json::from_str(&ours_text).expect("JSON");
        let mut theirs: Value = serde_json::from_str(body).expect("JSON");
        // Prometheus and Alertmanager have two URLs, we have one.
        theirs["externalURL"] = "http://p.example".into();
        for (field, value) in theirs.as_object().expect("an object") {
            if field != "alerts" {
                assert_eq!(&ours[field], value, "{field}");
            }
        }
        let alerts = theirs["alerts"].as_array().expect("alerts");
        assert_eq!(ours["alerts"].as_array().map(Vec::len), Some(alerts.len()));
        for (at, alert) in alerts.iter().enumerate() {
            for (field, value) in alert.as_object().expect("an object") {
                assert_eq!(&ours["alerts"][at][field], value, "{field} of {at}");
            }
        }
        let outer = [
            "receiver",
            "alerts",
            "groupLabels",
            "commonLabels",
            "commonAnnotations",
            "externalURL",
            "version",
            "groupKey",
            "truncatedAlerts",
        ];
        same_order(body, &ours_text, &outer);
        let inner = [
            "labels",
            "annotations",
            "startsAt",
            "endsAt",
            "generatorURL",
            "fingerprint",
        ];
        same_order(body, &ours_text, &inner);
        assert!(ours_text.find("\"notificationId\"") > ours_text.find("\"truncatedAlerts\""));
    }
}

#[test]
fn what_dnswatch_knows_beyond_alertmanager_is_in_the_webhook_json() {
    let config = config("");
    let rule = config.groups[0].rules[0].key.clone();
    let labels = [("alertname", "LinkLocalThrottling"), ("node", "a")];
    let mut held = alert(&labels, &[], &rule);
    held.value = f64::INFINITY;
    held.hold = Some(Hold {
        since: start(),
        gone_since: None,
    });
    let gone = ended(
        alert(
            &[("alertname", "LinkLocalThrottling"), ("node", "b")],
            &[],
            &rule,
        ),
        End::NoLongerReported,
    );
    let notification = notification(&["alertname"], vec![held, gone]);
    let details = details(&config, &notification, &[("a", &[0.0, 6.0, 3.0])]);
    let body = default_body(&sns(&config, &notification, &details));
    let extras: String = body
        .split("\"fingerprint\"")
        .skip(1)
        .filter_map(|rest| rest.split_once(','))
        .map(|(_, extras)| format!("{extras}\n"))
        .collect();
    insta::assert_snapshot!(extras, @r#"
    "value":"+Inf","valueNow":3.0,"sparkline":"···························▁█▅","hold":{"reason":"telemetry_stopped","since":"2026-11-23T06:13:14.12Z"}},{"status":"resolved","labels":{"alertname":"LinkLocalThrottling","node":"b"},"annotations":{},"startsAt":"2026-11-23T06:13:14.12Z","endsAt":"2026-11-23T06:20:00Z","generatorURL":"",
    "value":412.5,"end":"no_longer_reported"}],"groupLabels":{"alertname":"LinkLocalThrottling"},"commonLabels":{"alertname":"LinkLocalThrottling"},"commonAnnotations":{},"externalURL":"","version":"4","groupKey":"{}:{alertname=\"LinkLocalThrottling\"}","truncatedAlerts":0,"notification_reason":"first notification","notificationId":"0123456789abcdef0123456789abcdef","sequence":3}
    "#);
}

/// The details of alerts whose nodes had these values at the last ticks.
fn details(config: &Config, notification: &Notification, nodes: &[(&str, &[f64])]) -> Details {
    let group = &config.groups[0];
    let rule = &group.rules[0];
    let until = start().align_down(group.interval);
    let mut state = State::default();
    let known = RuleState::new(rule.id.clone(), until);
    state.rules.insert(rule.key.clone(), known);
    let mut details = Details::of(notification, config, &state);
    let asks: Vec<_> = details.asks().cloned().collect();
    let series = nodes
        .iter()
        .map(|(node, values)| {
            let mut at = until.minus(group.query_offset);
            let mut samples: Vec<Sample> = values
                .iter()
                .rev()
                .map(|value| {
                    let sample = Sample { at, value: *value };
                    at = at.minus(group.interval);
                    sample
                })
                .collect();
            samples.reverse();
            let cluster = [("cluster", "prod")]
                .into_iter()
                .filter(|_| notification.alerts[0].labels.has("cluster"));
            Series {
                labels: cluster.chain([("node", *node)]).collect(),
                samples,
            }
        })
        .collect();
    let answer = Answer::new(ResultType::Matrix, series);
    for ask in &asks {
        details.answer(ask, &answer, notification, config);
    }
    details
}

fn throttled(node: &str, rule: &RuleKey) -> AlertEntry {
    alert(
        &[
            ("alertname", "LinkLocalThrottling"),
            ("cluster", "prod"),
            ("node", node),
        ],
        &[
            (
                "summary",
                &format!("{node} drops DNS, IMDS or NTP packets on ens5"),
            ),
            (
                "description",
                "Device ens5 dropped about 412 packets to link-local services in the last 2 \
                 minutes, since it was to send more than 1024 a second.\nLookups of the pods whose \
                 traffic leaves by it time out.",
            ),
            (
                "runbook_url",
                "https://example.com/runbooks/LinkLocalThrottling",
            ),
        ],
        rule,
    )
}

#[test]
fn people_read_what_where_since_when_and_what_to_do() {
    let config = config("https://prom.example");
    let rule = config.groups[0].rules[0].key.clone();
    let firing = notification(
        &["alertname", "cluster"],
        vec![
            throttled("ip-10-0-1-17", &rule),
            ended(throttled("ip-10-0-2-4", &rule), End::Cleared),
        ],
    );
    let shape: &[f64] = &[0.0, 0.0, 0.0, 12.0, 80.0, 260.0, 412.5, 398.25];
    let details = details(&config, &firing, &[("ip-10-0-1-17", shape)]);
    let message = sns(&config, &firing, &details);
    let texts = texts(&message);
    assert_eq!(texts["email"], texts["email-json"]);
    insta::assert_snapshot!(format!("{}\n\n{}", message.subject, texts["email"]), @r#"
    [FIRING:1] LinkLocalThrottling prod

    2 alerts, 1 of them firing.
    Where: cluster=prod

    FIRING  node=ip-10-0-1-17
    ip-10-0-1-17 drops DNS, IMDS or NTP packets on ens5
    since 2026-11-23 06:13 UTC (4m ago)
    ▁▁▁▁▂▅██  now 398.2

    Device ens5 dropped about 412 packets to link-local services in the last 2 minutes, since it was to send more than 1024 a second.
    Lookups of the pods whose traffic leaves by it time out.

    runbook: https://example.com/runbooks/LinkLocalThrottling
    graph: https://prom.example/graph?g0.expr=up+%3E+1&g0.tab=1

    RESOLVED  node=ip-10-0-2-4
    It was: ip-10-0-2-4 drops DNS, IMDS or NTP packets on ens5
    at 2026-11-23 06:20 UTC, after 6m
    the condition cleared
    last firing value 412.5

    -- 
    Notification 3 of this group to team.ops-1
    sent 2026-11-23 06:17 UTC
    id 0123456789abcdef0123456789abcdef
    "#);
    insta::assert_snapshot!(texts["sms"], @r#"FIRING 1 LinkLocalThrottling prod: ip-10-0-1-17 drops DNS, IMDS or NTP packets on ens5; since 11-23 06:13 UTC; now 398.2; +1 more"#);
    insta::assert_snapshot!(amazon_q(&config, &firing, &details), @r#"
    description: `cluster=prod`

    *FIRING*  `node=ip-10-0-1-17`
    ip-10-0-1-17 drops DNS, IMDS or NTP packets on ens5
    since 2026-11-23 06:13 UTC (4m ago)
    now 398.2
    `······················▁▁▁▁▂▅██`

    *RESOLVED*  `node=ip-10-0-2-4`
    It was: ip-10-0-2-4 drops DNS, IMDS or NTP packets on ens5
    at 2026-11-23 06:20 UTC, after 6m
    the condition cleared
    last firing value 412.5
    keywords: LinkLocalThrottling
    keywords: prod
    nextSteps: Device ens5 dropped about 412 packets to link-local services in the last 2 minutes, since it was to send more than 1024 a second. Lookups of the pods whose traffic leaves by it time out.
    nextSteps: Runbook: https://example.com/runbooks/LinkLocalThrottling
    nextSteps: Graph: https://prom.example/graph?g0.expr=up+%3E+1&g0.tab=1
    textType: client-markdown
    title: [FIRING:1] LinkLocalThrottling prod
    {"additionalContext":{"alertname":"LinkLocalThrottling","cluster":"prod"},"eventType":"firing","summary":"[FIRING:1] LinkLocalThrottling prod","threadId":"02d78407debcc6fd9333fa447995159f"}
    "#);
}

/// The message for Amazon Q, so that a person can read it.
fn amazon_q(config: &Config, notification: &Notification, details: &Details) -> String {
    let body = Outgoing {
        notification,
        details,
        config,
        now: start().plus(Duration::from_secs(250)),
    }
    .amazon_q()
    .document;
    let body: Value = serde_json::from_str(&body).expect("JSON");
    let mut shown = String::new();
    for (name, value) in body["content"].as_object().expect("a content") {
        match value {
            Value::String(text) => shown.push_str(&format!("{name}: {text}\n")),
            Value::Array(texts) => {
                for text in texts {
                    shown.push_str(&format!("{name}: {}\n", text.as_str().expect("a text")));
                }
            }
            other => unreachable!("{other}"),
        }
    }
    shown.push_str(&body["metadata"].to_string());
    shown
}

#[test]
fn a_group_of_one_shows_its_labels_once_and_links_into_grafana() {
    let mut config = config("https://prom.example");
    config.grafana = Some(Grafana {
        url: "https://grafana.example/".to_owned(),
        datasource: "amp".to_owned(),
    });
    let rule = config.groups[0].rules[0].key.clone();
    let told = notification(&["alertname"], vec![throttled("ip-10-0-1-17", &rule)]);
    let shape: &[f64] = &[0.0, 12.0, 80.0, 260.0, 412.5, 398.25];
    let details = details(&config, &told, &[("ip-10-0-1-17", shape)]);
    let message = sns(&config, &told, &details);
    let texts = texts(&message);
    insta::assert_snapshot!(format!("{}\n\n{}", message.subject, texts["email"]), @r#"
    [FIRING:1] LinkLocalThrottling (prod ip-10-0-1-17)

    ip-10-0-1-17 drops DNS, IMDS or NTP packets on ens5
    FIRING since 2026-11-23 06:13 UTC (4m ago)
    ▁▁▂▅██  now 398.2
    Where: cluster=prod node=ip-10-0-1-17

    Device ens5 dropped about 412 packets to link-local services in the last 2 minutes, since it was to send more than 1024 a second.
    Lookups of the pods whose traffic leaves by it time out.

    runbook: https://example.com/runbooks/LinkLocalThrottling
    graph: https://grafana.example/explore?schemaVersion=1&panes=%7B%22dnswatch%22%3A%7B%22datasource%22%3A%22amp%22%2C%22queries%22%3A%5B%7B%22refId%22%3A%22A%22%2C%22expr%22%3A%22up+%3E+1%22%7D%5D%2C%22range%22%3A%7B%22from%22%3A%221795412594120%22%2C%22to%22%3A%221795414644120%22%7D%7D%7D

    -- 
    Notification 3 of this group to team.ops-1
    sent 2026-11-23 06:17 UTC
    id 0123456789abcdef0123456789abcdef
    "#);
    insta::assert_snapshot!(texts["sms"], @r#"FIRING 1 LinkLocalThrottling: ip-10-0-1-17 drops DNS, IMDS or NTP packets on ens5; since 11-23 06:13 UTC; now 398.2"#);
}

/// The ends, each in words that claim no more than is known, and with the value now.
#[test]
fn an_end_says_how_it_ended_and_what_the_value_is_now() {
    let config = config("");
    let rule = config.groups[0].rules[0].key.clone();
    let shape: &[f64] = &[412.5, 80.0, 0.0, 0.0];
    let mut all = String::new();
    for end in [
        End::Cleared,
        End::NoLongerReported,
        End::RuleRemoved,
        End::RuleChanged,
    ] {
        let over = notification(&["alertname"], vec![ended(throttled("a", &rule), end)]);
        let details = match end {
            End::Cleared => details(&config, &over, &[("a", shape)]),
            _ => Details::default(),
        };
        let message = sns(&config, &over, &details);
        let texts = texts(&message);
        let body = texts["email"].split("\n\n").next().expect("a paragraph");
        all.push_str(&format!(
            "{}\n{body}\n{}\n\n",
            message.subject, texts["sms"]
        ));
        assert_eq!(texts["email"].contains("RESOLVED"), end == End::Cleared);
        assert_eq!(texts["sms"].contains("RESOLVED"), end == End::Cleared);
    }
    let mut held = throttled("a", &rule);
    held.hold = Some(Hold {
        since: start().plus(Duration::from_secs(60)),
        gone_since: None,
    });
    let mut reminder = notification(&["alertname"], vec![held]);
    reminder.reason = NotifyReason::RepeatIntervalElapsed;
    let message = sns(&config, &reminder, &Details::default());
    let email = &texts(&message)["email"];
    let body = email.split("\n\n").next().expect("a paragraph");
    all.push_str(&format!("{}\n{body}\n", message.subject));
    insta::assert_snapshot!(all, @r#"
    [RESOLVED] LinkLocalThrottling (prod a)
    It was: a drops DNS, IMDS or NTP packets on ens5
    RESOLVED at 2026-11-23 06:20 UTC, after 6m
    the condition cleared
    █▂▁▁  now 0, last firing value 412.5
    Where: cluster=prod node=a
    RESOLVED LinkLocalThrottling, was: a drops DNS, IMDS or NTP packets on ens5; 11-23 06:13 to 06:20 UTC; now 0

    [NO LONGER REPORTED] LinkLocalThrottling (prod a)
    It was: a drops DNS, IMDS or NTP packets on ens5
    NO LONGER REPORTED at 2026-11-23 06:20 UTC, after 6m
    whether the condition is over is not known
    last firing value 412.5
    Where: cluster=prod node=a
    NO LONGER REPORTED LinkLocalThrottling, was: a drops DNS, IMDS or NTP packets on ens5; 11-23 06:13 to 06:20 UTC

    [ENDED] LinkLocalThrottling (prod a)
    It was: a drops DNS, IMDS or NTP packets on ens5
    RULE REMOVED at 2026-11-23 06:20 UTC, after 6m
    the rule was removed: nothing watches this any more
    last firing value 412.5
    Where: cluster=prod node=a
    ENDED LinkLocalThrottling, was: a drops DNS, IMDS or NTP packets on ens5; 11-23 06:13 to 06:20 UTC

    [ENDED] LinkLocalThrottling (prod a)
    It was: a drops DNS, IMDS or NTP packets on ens5
    RULE CHANGED at 2026-11-23 06:20 UTC, after 6m
    the rule was changed and no longer fires
    last firing value 412.5
    Where: cluster=prod node=a
    ENDED LinkLocalThrottling, was: a drops DNS, IMDS or NTP packets on ens5; 11-23 06:13 to 06:20 UTC

    [FIRING:1] LinkLocalThrottling (prod a)
    a drops DNS, IMDS or NTP packets on ens5
    FIRING (held) since 2026-11-23 06:13 UTC (4m ago)
    held since 2026-11-23 06:14 UTC: its telemetry stopped, so nobody can tell whether it is over
    last firing value 412.5
    Where: cluster=prod node=a
    Still going on: a reminder.
    "#);
}

#[test]
fn an_sms_is_one_line_that_says_when_it_ended() {
    let config = config("");
    let rule = config.groups[0].rules[0].key.clone();
    let mut over = notification(
        &["alertname", "cluster"],
        ["a", "b", "c"]
            .map(|node| ended(throttled(node, &rule), End::Cleared))
            .to_vec(),
    );
    over.truncated = 4;
    let message = sns(&config, &over, &Details::default());
    insta::assert_snapshot!(texts(&message)["sms"], @r#"RESOLVED LinkLocalThrottling prod, was: a drops DNS, IMDS or NTP packets on ens5; 11-23 06:13 to 06:20 UTC; +6 more"#);
    let mut bare = alert(
        &[("alertname", "A"), ("node", "a"), ("zone", "z")],
        &[],
        &rule,
    );
    bare.ends_at = Some(start().plus(Duration::from_secs(100_000)));
    bare.end = Some(End::NoLongerReported);
    let message = sns(
        &config,
        &notification(&["alertname"], vec![bare]),
        &Details::default(),
    );
    insta::assert_snapshot!(texts(&message)["sms"], @r#"NO LONGER REPORTED A: a z; 11-23 06:13 to 11-24 09:59 UTC"#);
}

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

/// What is told is what there was.
#[track_caller]
fn check_whole(notification: &Notification) {
    let webhook = check(notification);
    assert!(!webhook.alerts.is_empty());
    assert_eq!(webhook.group_labels, notification.group_labels);
    for (told, alert) in webhook.alerts.iter().zip(&notification.alerts) {
        assert_eq!(told.labels, alert.labels);
        assert_eq!(told.annotations, *alert.annotations);
        assert_eq!(told.fingerprint, alert.labels.fingerprint().to_string());
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
        let mut told = notification(&["alertname"], alerts);
        told.group_labels = told.group_labels.with(group_by);
        told.group_key = format!("{{}}:{}", told.group_labels);
        let webhook = check(&told);
        prop_assert!(!webhook.alerts.is_empty());
        if webhook.common_labels.has("alertname") && webhook.truncated_alerts == 0 {
            check_whole(&told);
        }
    }
}

#[test]
fn many_alerts_are_counted_where_they_are_left_out() {
    let rule = config("").groups[0].rules[0].key.clone();
    let alerts = (0..5000)
        .map(|at| throttled(&format!("node-{at}"), &rule))
        .collect();
    let mut told = notification(&["alertname"], alerts);
    told.truncated = 7;
    let webhook = check(&told);
    check_whole(&told);
    assert!(
        (200..5000).contains(&webhook.alerts.len()),
        "{}",
        webhook.alerts.len()
    );

    // Nothing more would have fitted in: the document is nearly full.
    let message = sns(&config(""), &told, &Details::default());
    assert!(
        message.document.len() > 260_000,
        "{}",
        message.document.len()
    );
    let email = &texts(&message)["email"];
    assert!(email.contains("… and 4987 more, left out here."), "{email}");
}

#[test]
fn an_alert_that_alone_is_too_big_is_told_shortened() {
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
        let mut told = notification(&["alertname", "b"], vec![alert]);
        told.receiver = huge.clone();
        told.group_labels = told.alerts[0].labels.clone();
        let webhook = check(&told);
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
        let told = notification(&["alertname"], vec![alert]);
        check_whole(&told);
        let message = sns(&config(""), &told, &Details::default());
        let email = &texts(&message)["email"];
        assert!(email.len() <= 16 * 1024);
        assert!(email.ends_with("😀\n\n… cut here: the whole is too long for one message.\n"));
    }
}
