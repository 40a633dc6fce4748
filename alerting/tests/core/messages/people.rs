//! The messages for people.

use std::time::Duration;

use alerting::alert::{End, Hold};
use alerting::config::Config;
use alerting::notify::{Details, Grafana, Notification, NotifyReason, Outgoing};
use serde_json::Value;

use super::{alert, config, details, ended, notification, sns, start, texts, throttled};

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

    Device ens5 dropped about 412 packets to link-local services in the last 2 minutes, because it sent more than 1,024 packets/s.
    DNS lookups from pods that use this interface time out.

    runbook: https://example.com/runbooks/LinkLocalThrottling
    graph: https://prom.example/graph?g0.expr=up+%3E+1&g0.tab=1

    RESOLVED  node=ip-10-0-2-4
    Was: ip-10-0-2-4 drops DNS, IMDS or NTP packets on ens5
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
    Was: ip-10-0-2-4 drops DNS, IMDS or NTP packets on ens5
    at 2026-11-23 06:20 UTC, after 6m
    the condition cleared
    last firing value 412.5
    keywords: LinkLocalThrottling
    keywords: prod
    nextSteps: Device ens5 dropped about 412 packets to link-local services in the last 2 minutes, because it sent more than 1,024 packets/s. DNS lookups from pods that use this interface time out.
    nextSteps: Runbook: https://example.com/runbooks/LinkLocalThrottling
    nextSteps: Graph: https://prom.example/graph?g0.expr=up+%3E+1&g0.tab=1
    textType: client-markdown
    title: [FIRING:1] LinkLocalThrottling prod
    {"additionalContext":{"alertname":"LinkLocalThrottling","cluster":"prod"},"eventType":"firing","summary":"[FIRING:1] LinkLocalThrottling prod","threadId":"02d78407debcc6fd9333fa447995159f"}
    "#);
}

#[test]
fn a_group_of_one_shows_its_labels_once_and_links_into_grafana() {
    let mut config = config("https://prom.example");
    config.grafana = Some(Grafana {
        url: "https://grafana.example/".to_owned(),
        datasource: "amp".to_owned(),
    });
    let rule = config.groups[0].rules[0].key.clone();
    let notified = notification(&["alertname"], vec![throttled("ip-10-0-1-17", &rule)]);
    let shape: &[f64] = &[0.0, 12.0, 80.0, 260.0, 412.5, 398.25];
    let details = details(&config, &notified, &[("ip-10-0-1-17", shape)]);
    let message = sns(&config, &notified, &details);
    let texts = texts(&message);
    insta::assert_snapshot!(format!("{}\n\n{}", message.subject, texts["email"]), @r#"
    [FIRING:1] LinkLocalThrottling (prod ip-10-0-1-17)

    ip-10-0-1-17 drops DNS, IMDS or NTP packets on ens5
    FIRING since 2026-11-23 06:13 UTC (4m ago)
    ▁▁▂▅██  now 398.2
    Where: cluster=prod node=ip-10-0-1-17

    Device ens5 dropped about 412 packets to link-local services in the last 2 minutes, because it sent more than 1,024 packets/s.
    DNS lookups from pods that use this interface time out.

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
    Was: a drops DNS, IMDS or NTP packets on ens5
    RESOLVED at 2026-11-23 06:20 UTC, after 6m
    the condition cleared
    █▂▁▁  now 0, last firing value 412.5
    Where: cluster=prod node=a
    RESOLVED LinkLocalThrottling, was: a drops DNS, IMDS or NTP packets on ens5; 11-23 06:13 to 06:20 UTC; now 0

    [NO LONGER REPORTED] LinkLocalThrottling (prod a)
    Was: a drops DNS, IMDS or NTP packets on ens5
    NO LONGER REPORTED at 2026-11-23 06:20 UTC, after 6m
    the series disappeared, current state unknown
    last firing value 412.5
    Where: cluster=prod node=a
    NO LONGER REPORTED LinkLocalThrottling, was: a drops DNS, IMDS or NTP packets on ens5; 11-23 06:13 to 06:20 UTC

    [ENDED] LinkLocalThrottling (prod a)
    Was: a drops DNS, IMDS or NTP packets on ens5
    RULE REMOVED at 2026-11-23 06:20 UTC, after 6m
    the rule was removed; this condition is no longer monitored
    last firing value 412.5
    Where: cluster=prod node=a
    ENDED LinkLocalThrottling, was: a drops DNS, IMDS or NTP packets on ens5; 11-23 06:13 to 06:20 UTC

    [ENDED] LinkLocalThrottling (prod a)
    Was: a drops DNS, IMDS or NTP packets on ens5
    RULE CHANGED at 2026-11-23 06:20 UTC, after 6m
    the rule was changed and no longer fires
    last firing value 412.5
    Where: cluster=prod node=a
    ENDED LinkLocalThrottling, was: a drops DNS, IMDS or NTP packets on ens5; 11-23 06:13 to 06:20 UTC

    [FIRING:1] LinkLocalThrottling (prod a)
    a drops DNS, IMDS or NTP packets on ens5
    FIRING (held) since 2026-11-23 06:13 UTC (4m ago)
    kept open since 2026-11-23 06:14 UTC: no data, current state unknown
    last firing value 412.5
    Where: cluster=prod node=a
    Reminder: still firing.
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
