//! The message for machines: Alertmanager's webhook JSON, and what is there beyond it.

use alerting::alert::{End, Hold};
use alerting::notify::{AlertEntry, Details, Notification};
use alerting::rules::RuleKey;
use alerting::timestamp::Timestamp;
use serde_json::Value;

use super::{alert, config, default_body, details, ended, notification, sns, start};

/// The bodies that an Alertmanager 0.25 posted for the alerts of [`golden`], one a line.
const GOLDEN: &str = include_str!("../webhook-bodies.jsonl");

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
    "value":412.5,"end":"no_longer_reported"}],"groupLabels":{"alertname":"LinkLocalThrottling"},"commonLabels":{"alertname":"LinkLocalThrottling"},"commonAnnotations":{},"routeLabels":{},"externalURL":"","version":"4","groupKey":"{}:{alertname=\"LinkLocalThrottling\"}","truncatedAlerts":0,"notification_reason":"first notification","notificationId":"0123456789abcdef0123456789abcdef","sequence":3}
    "#);
}
