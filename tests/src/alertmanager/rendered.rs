//! What `subject`, `message` and `attributes` become by templates: what a running Alertmanager
//! publishes to SNS, and what ours does.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use alerting::alert::{Alert, AlertState};
use alerting::config::{ConfigFiles, Settings};
use alerting::labels::Labels;
use alerting::notify::{self, Details, Outgoing, SnsMessage};
use alerting::rules::SourceFile;
use alerting::state::{RuleState, State};
use alerting::timestamp::Timestamp;
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::server::{Alertmanager, Recorder};
use crate::parts;

const TOPIC: &str = "arn:aws:sns:eu-central-1:123456789012:alerts";
const URL: &str = "http://am.example/prom";

/// Templates of the user's own.
const FILE: &str = r#"{{ define "mine" }}{{ range .Alerts }}{{ .Labels.node }} {{ .Annotations.summary }};{{ end }}{{ end }}
{{ define "__subject" }}own {{ .Status | title }}{{ end }}
{{ define "calls" }}{{ template "mine" . }}{{ template "__text_alert_list" .Alerts.Firing }}{{ end }}
"#;

/// Messages; the first is Alertmanager's own.
const MESSAGES: &[&str] = &[
    r#"{{ template "sns.default.message" . }}"#,
    r#"{{ template "mine" . }}|{{ template "calls" . }}|{{ template "sns.default.subject" . }}"#,
    r#"{{ template "__text_alert_list_markdown" .Alerts }}"#,
    r#"{{ template "__alertmanager" . }} {{ template "__alertmanagerURL" . }} {{ .ExternalURL }} {{ .Receiver }}"#,
    "{{ range .Alerts.Firing }}{{ .StartsAt }} {{ .EndsAt }} {{ .GeneratorURL }} {{ .Fingerprint }}\n{{ end }}",
    r#"{{ range .Alerts }}{{ .StartsAt | tz "Europe/Berlin" | date "Mon 2 Jan 15:04:05 MST 2006 -0700" }},{{ end }}"#,
    r#"{{ range .Alerts }}{{ (.StartsAt | tz "Asia/Kolkata").Format "2006-01-02T15:04:05Z07:00" }}{{ .StartsAt.Weekday }},{{ end }}"#,
    "{{ .GroupLabels }} {{ .CommonLabels.SortedPairs }} {{ .CommonLabels.Names }} {{ .CommonAnnotations.Values }}",
    r#"{{ with .CommonLabels.Remove (stringSlice "alertname" "severity") }}{{ . }}{{ else }}none{{ end }}"#,
    r#"{{ range $i, $a := .Alerts }}{{ if $i }}, {{ end }}{{ $a.Status | toUpper }} {{ len $a.Labels }}{{ end }}"#,
    r#"{{ .CommonLabels.nope }}<{{ (index .Alerts 0).Labels.nope }}>{{ len .Alerts.Resolved }}"#,
    r#"{{ "hELLO wORLD it's o'neil" | title }} {{ trimSpace "  x " }} {{ "a,b" | reReplaceAll "," " - " }}"#,
    r#"{{ range .GroupLabels.SortedPairs }}{{ .Name }}={{ .Value }} {{ end }}{{ match "^A.*" .GroupLabels.alertname }}"#,
    r#"{{ humanizeDuration 3725 }} {{ printf "%q %5.2f %v" .Status 1.5 .GroupLabels }}"#,
    r#"{{ range $k, $v := .CommonLabels }}{{ $k }}:{{ $v }};{{ end }} ü {{ safeHtml "<b>" }}"#,
    r#"{ "alerts": [{{ range .Alerts }}{"n": {{ .Labels.node | printf "%q" }}},{{ end }}{}] }"#,
];

const SUBJECTS: &[&str] = &[
    r#"{{ template "sns.default.subject" . }}"#,
    "[{{ .Status }}] {{ .GroupLabels.alertname }} {{ len .Alerts }}",
];

fn config(api_url: Option<&str>) -> String {
    let mut text = String::from(
        "templates: ['*.tmpl']\nroute:\n  receiver: none\n  group_by: [alertname]\n  group_wait: 4s\n  \
         group_interval: 3s\n  routes:\n",
    );
    for at in 0..MESSAGES.len() {
        text.push_str(&format!("  - {{receiver: r.{at}, continue: true}}\n"));
    }
    text.push_str("receivers:\n- name: none\n");
    for (at, message) in MESSAGES.iter().enumerate() {
        let subject = SUBJECTS[at % SUBJECTS.len()];
        text.push_str(&format!(
            "- name: r.{at}\n  sns_configs:\n  - topic_arn: {TOPIC}\n    sigv4: {{region: eu-central-1{}}}\n    \
             subject: {}\n    message: {}\n    attributes: {{severity: '{{{{ .CommonLabels.severity }}}}', n: 'r{at}'}}\n{}",
            if api_url.is_some() { ", access_key: AKID, secret_key: hunter2" } else { "" },
            json!(subject),
            json!(message),
            api_url.map_or_else(String::new, |url| format!("    api_url: {url}\n")),
        ));
    }
    text
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().copied().collect()
}

#[tokio::test]
async fn messages_by_templates_are_alertmanagers() -> Result<()> {
    let Some(tools) = parts::alertmanager() else {
        return Ok(());
    };
    let answer = "<PublishResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><PublishResult>\
                  <MessageId>1</MessageId></PublishResult></PublishResponse>";
    let recorder = Recorder::start(answer).await?;
    let server = Alertmanager::start(
        &tools,
        &config(Some(recorder.url())),
        &[("own.tmpl", FILE)],
        URL,
    )
    .await?;

    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    let now = Timestamp::from_millis(i64::try_from(now.as_millis())?);
    let files = ConfigFiles {
        rules: vec![SourceFile {
            name: "r.yml".to_owned(),
            text: "groups: [{name: g, rules: [{alert: R, expr: 'a{x=\"é y\"} > 0'}]}]".to_owned(),
        }],
        alertmanager: Some(SourceFile {
            name: "alertmanager.yml".to_owned(),
            text: config(None),
        }),
        templates: vec![SourceFile {
            name: "templates/own.tmpl".to_owned(),
            text: FILE.to_owned(),
        }],
    };
    let mut settings = Settings::default();
    settings.evaluation.external.url = URL.to_owned();
    let config = settings
        .load(&files)
        .map_err(|errors| anyhow::anyhow!("{errors:?}"))?;
    let rule = &config.groups[0].rules[0];
    let link = format!("{URL}/graph?g0.expr=a%7Bx%3D%22%C3%A9+y%22%7D+%3E+0&g0.tab=1");

    let sets = [
        labels(&[
            ("alertname", "A b"),
            ("node", "n1"),
            ("severity", "critical"),
            ("zone", "z\"1\""),
        ]),
        labels(&[
            ("alertname", "A b"),
            ("node", "n2"),
            ("severity", "critical"),
        ]),
    ];
    let annotations = |at: usize| {
        BTreeMap::from([
            (
                "summary".to_owned(),
                format!("summary of {at}\nand more <b>"),
            ),
            ("runbook".to_owned(), "https://x/y?z=1&a=2".to_owned()),
            ("empty".to_owned(), String::new()),
        ])
    };
    // Alertmanager waits for no more alerts where one has waited for `group_wait` already, and may
    // then tell the first without the second.
    let starts = |at: usize| now.minus(Duration::from_millis(234 * (at as u64 + 1)));
    let mut state = State::default();
    let mut told: BTreeMap<(usize, bool), SnsMessage> = BTreeMap::new();
    for is_over in [false, true] {
        let ends = |at: usize| (is_over && at == 1).then_some(now);
        let posted: Vec<Value> = sets
            .iter()
            .enumerate()
            .map(|(at, labels)| {
                let mut alert = json!({
                    "labels": labels, "annotations": annotations(at), "generatorURL": link,
                    "startsAt": starts(at).to_string(), "endsAt": "2100-01-01T00:00:00Z",
                });
                if let Some(ends) = ends(at) {
                    alert["endsAt"] = json!(ends.to_string());
                }
                alert
            })
            .collect();
        server.post("alerts", &Value::Array(posted)).await?;
        let wanted = MESSAGES.len() * if is_over { 2 } else { 1 };
        let until = tokio::time::Instant::now() + Duration::from_secs(60);
        while recorder.received().len() < wanted && tokio::time::Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }

        let run = now.plus(Duration::from_secs(if is_over { 600 } else { 10 }));
        // As read anew from the store.
        let mut rules = RuleState::new(rule.id.clone(), run.plus(Duration::from_secs(600)));
        if let Some(before) = state.rules.remove(&rule.key) {
            rules.ended = before.ended;
        }
        for (at, labels) in sets.iter().enumerate() {
            let alert = Alert {
                labels: labels.clone(),
                annotations: Arc::new(annotations(at)),
                value: 1.0,
                state: if ends(at).is_some() {
                    AlertState::Inactive
                } else {
                    AlertState::Firing
                },
                active_at: starts(at),
                fired_at: Some(starts(at)),
                resolved_at: ends(at),
                keep_firing_since: None,
                hold: None,
                end: None,
                late: false,
            };
            let kept = if ends(at).is_some() {
                &mut rules.ended
            } else {
                &mut rules.active
            };
            kept.insert(labels.clone(), alert);
        }
        state.rules.insert(rule.key.clone(), rules);
        notify::plan(&mut state, &config, &[], run);
        for owed in state.notify.outbox.owed() {
            let outgoing = Outgoing {
                notification: owed,
                details: &Details::default(),
                config: &config,
                now: run,
            };
            let at = owed.receiver.trim_start_matches("r.").parse()?;
            told.entry((at, is_over)).or_insert_with(|| outgoing.sns());
        }
        let outbox = &mut state.notify.outbox;
        outbox.claim("run", run, run.plus(Duration::from_secs(60)));
        let ids: Vec<String> = outbox.owed().iter().map(|one| one.id.clone()).collect();
        for id in ids {
            outbox.delivered(&id, "run");
        }
    }

    let mut compared = 0;
    let mut seen: BTreeMap<usize, usize> = BTreeMap::new();
    for received in recorder.received() {
        let form: BTreeMap<String, String> = form(&received.body);
        let field = |name: &str| form.get(name).cloned().unwrap_or_default();
        let attributes: BTreeMap<String, String> = (1..=2)
            .map(|n| {
                (
                    field(&format!("MessageAttributes.entry.{n}.Name")),
                    field(&format!("MessageAttributes.entry.{n}.Value.StringValue")),
                )
            })
            .collect();
        let at: usize = attributes
            .get("n")
            .context("an attribute")?
            .trim_start_matches('r')
            .parse()?;
        let times = seen.entry(at).or_default();
        let ours = told
            .get(&(at, *times > 0))
            .with_context(|| format!("{at} {times}"))?;
        *times += 1;
        let what = MESSAGES[at];
        ensure!(
            ours.document == field("Message"),
            "{what}\nhere:\n{}\nAlertmanager:\n{}",
            ours.document,
            field("Message")
        );
        // SNS would not take a subject of more than a line, or a longer one.
        if field("Subject").len() < 100 {
            ensure!(
                ours.subject == field("Subject"),
                "{what}\n{:?} {:?}",
                ours.subject,
                field("Subject")
            );
        }
        ensure!(
            ours.attributes == attributes,
            "{:?} {attributes:?}",
            ours.attributes
        );
        ensure!(!ours.is_json && field("TopicArn") == TOPIC);
        compared += 1;
    }
    println!("messages: {compared} as Alertmanager publishes them");
    ensure!(compared == 2 * MESSAGES.len(), "{compared}");
    Ok(())
}

/// The fields of a form.
fn form(body: &[u8]) -> BTreeMap<String, String> {
    let text = String::from_utf8_lossy(body);
    let url = reqwest::Url::parse(&format!("http://x/?{text}")).expect("a form");
    let pairs = url.query_pairs();
    pairs
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect()
}
