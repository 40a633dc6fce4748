//! Messages by templates, as a running Alertmanager 0.35 published them on record: the same two
//! alerts, the same route with labels. `tests/src/alertmanager/rendered.rs` asks a running one.

use std::collections::BTreeMap;
use std::sync::Arc;

use alerting::alert::{Alert, AlertState};
use alerting::config::{ConfigFiles, Settings};
use alerting::labels::Labels;
use alerting::notify::{self, Details, Outgoing, Webhook};
use alerting::source::SourceFile;
use alerting::state::{RuleState, State};
use alerting::timestamp::Timestamp;
use serde::Deserialize;

#[derive(Deserialize)]
struct Recorded {
    template_file: String,
    texts: Vec<Text>,
}

#[derive(Deserialize)]
struct Text {
    message: String,
    published: String,
}

const RECORD: &str = include_str!("rendered-by-alertmanager.json");
const TOPIC: &str = "arn:aws:sns:eu-central-1:123456789012:alerts";

fn config(texts: &[Text]) -> String {
    let mut routes = String::new();
    let mut receivers = String::from("receivers:\n- name: none\n");
    for (at, text) in texts.iter().enumerate() {
        // Those of every second route name each other in a circle, or fail: they are left out.
        let more = "      team: '{{ .CommonLabels.severity }}'\n      one: '{{ routeLabels \"two\" }}'\n      \
                    two: '{{ routeLabels \"one\" }}'\n      bad: '{{ .Nope }}'\n";
        let more = if at % 2 == 0 { more } else { "" };
        routes.push_str(&format!(
            "  - receiver: r.{at}\n    continue: true\n    labels:\n      own: 'r{at} {{{{ len .Alerts.Firing }}}}'\n{more}"
        ));
        let message = serde_json::to_string(&text.message).expect("a text");
        receivers.push_str(&format!(
            "- name: r.{at}\n  sns_configs:\n  - topic_arn: {TOPIC}\n    message: {message}\n"
        ));
    }
    format!(
        "templates: ['*.tmpl']\nroute:\n  receiver: none\n  group_by: [alertname]\n  group_wait: 1s\n  \
         labels:\n    team: dns\n    both: '{{{{ routeLabels \"team\" }}}}-{{{{ .GroupLabels.alertname }}}}'\n    \
         reason: '{{{{ .NotificationReason }}}}'\n  routes:\n{routes}{receivers}"
    )
}

fn alert(at: i64, labels: &[(&str, &str)]) -> Alert {
    let starts_at: Timestamp = format!("2026-11-23T06:00:0{at}.234Z")
        .parse()
        .expect("a time");
    Alert {
        labels: labels.iter().copied().collect(),
        annotations: Arc::new(BTreeMap::from([
            (
                "summary".to_owned(),
                format!("summary of {at}\nand more <b>"),
            ),
            ("runbook".to_owned(), "https://x/y?z=1&a=2".to_owned()),
        ])),
        value: 1.0,
        state: AlertState::Firing,
        active_at: starts_at,
        fired_at: Some(starts_at),
        resolved_at: None,
        keep_firing_since: None,
        hold: None,
        end: None,
        late: false,
    }
}

#[test]
fn messages_are_those_on_record() {
    let recorded: Recorded = serde_json::from_str(RECORD).expect("the record");
    let file = |name: &str, text: &str| SourceFile {
        name: name.to_owned(),
        text: text.to_owned(),
    };
    let rule = "groups: [{name: g, rules: [{alert: R, expr: 'a > 0'}]}]";
    let files = ConfigFiles {
        rules: vec![file("r.yml", rule)],
        alertmanager: Some(file("alertmanager.yml", &config(&recorded.texts))),
        templates: vec![file("own.tmpl", &recorded.template_file)],
    };
    let mut settings = Settings::default();
    settings.evaluation.external.url = "http://am.example/prom".to_owned();
    let config = settings.load(&files).expect("it loads");
    let rule = &config.groups[0].rules[0];
    let now: Timestamp = "2026-11-23T06:10:00Z".parse().expect("a time");
    let mut rules = RuleState::new(rule.id.clone(), now);
    let z = ("zone", "z\"1\"");
    let [name, critical] = [("alertname", "A b"), ("severity", "critical")];
    for (at, labels) in [
        (0, vec![name, ("node", "n1"), critical, z]),
        (1, vec![name, ("node", "n2"), critical]),
    ] {
        let labels: Vec<(&str, &str)> = labels;
        let alert = alert(at, &labels);
        rules.active.insert(alert.labels.clone(), alert);
    }
    let mut state = State::default();
    state.rules.insert(rule.key.clone(), rules);
    notify::plan(&mut state, &config, &[], now);
    let mut compared = 0;
    for pending in state.notify.outbox.pending() {
        let Ok(at) = pending.receiver.trim_start_matches("r.").parse::<usize>() else {
            continue;
        };
        let outgoing = Outgoing {
            notification: pending,
            details: &Details::default(),
            config: &config,
            now,
        };
        let Text { message, published } = &recorded.texts[at];
        // Alertmanager was given no link to the expression.
        let ours = outgoing.sns().document;
        let link = format!(
            "{}/graph?g0.expr=a+%3E+0&g0.tab=1",
            settings.evaluation.external.url
        );
        let ours = ours
            .replace(&link, "")
            .replace(&link.replace('&', "\\u0026"), "");
        assert_eq!(ours, *published, "{message}");
        compared += 1;
    }
    assert_eq!(compared, recorded.texts.len());
}

/// The webhook's JSON has the labels of the route, expanded, as Alertmanager's has them.
#[test]
fn the_body_for_machines_has_the_labels_of_the_route() {
    let files = ConfigFiles {
        rules: vec![SourceFile {
            name: "r.yml".to_owned(),
            text: "groups: [{name: g, rules: [{alert: R, expr: 'a > 0'}]}]".to_owned(),
        }],
        alertmanager: Some(SourceFile {
            name: "am.yml".to_owned(),
            text: format!(
                "route:\n  receiver: d\n  group_wait: 0s\n  labels: {{team: 'dns {{{{ .Status }}}}', bad: '{{{{ .Nope }}}}'}}\n\
                 receivers: [{{name: d, sns_configs: [{{topic_arn: '{TOPIC}'}}]}}]\n"
            ),
        }),
        templates: Vec::new(),
    };
    let config = Settings::default().load(&files).expect("it loads");
    let rule = &config.groups[0].rules[0];
    let now: Timestamp = "2026-11-23T06:10:00Z".parse().expect("a time");
    let mut rules = RuleState::new(rule.id.clone(), now);
    let alert = alert(0, &[("alertname", "R")]);
    rules.active.insert(alert.labels.clone(), alert);
    let mut state = State::default();
    state.rules.insert(rule.key.clone(), rules);
    notify::plan(&mut state, &config, &[], now);
    let outgoing = Outgoing {
        notification: &state.notify.outbox.pending()[0],
        details: &Details::default(),
        config: &config,
        now,
    };
    let document: serde_json::Value = serde_json::from_str(&outgoing.sns().document).expect("JSON");
    let body = document["default"].as_str().expect("a body");
    let webhook: Webhook = serde_json::from_str(body).expect("a body");
    let labels: Labels = webhook.route_labels.iter().collect();
    assert_eq!(labels.to_string(), r#"{team="dns firing"}"#);
}
