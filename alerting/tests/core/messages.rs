//! What a notification becomes for machines ([`webhook`]) and for people ([`people`]), and that every
//! one of them can be published, whatever is in it ([`publishable`]).

mod people;
mod publishable;
mod webhook;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use alerting::alert::End;
use alerting::config::{Config, Settings};
use alerting::labels::Labels;
use alerting::notify::{AlertEntry, Details, Notification, NotifyReason, Outgoing, SnsMessage};
use alerting::query::{Answer, ResultType, Sample, Series};
use alerting::rules::{RuleKey, SourceFile};
use alerting::state::{RuleState, State};
use alerting::timestamp::Timestamp;

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

/// The details of alerts whose nodes had these values at the last ticks.
fn details(config: &Config, notification: &Notification, nodes: &[(&str, &[f64])]) -> Details {
    let group = &config.groups[0];
    let rule = &group.rules[0];
    let until = start().align_down(group.interval);
    let mut state = State::default();
    let known = RuleState::new(rule.id.clone(), until);
    state.rules.insert(rule.key.clone(), known);
    let mut details = Details::from_notification(notification, config, &state);
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
                 minutes, because it sent more than 1,024 packets/s.\nDNS lookups from pods that \
                 use this interface time out.",
            ),
            (
                "runbook_url",
                "https://example.com/runbooks/LinkLocalThrottling",
            ),
        ],
        rule,
    )
}
