//! A notification as an event of PagerDuty's Events API v2 (developer.pagerduty.com, "Send an
//! alert event"): what the incident is called, how bad it is, and what somebody should know who
//! was woken by it.

use std::collections::BTreeMap;

use delivery::Received;
use delivery::how_it_ended::{self, End};
use delivery::message::{Alert, Message, Webhook};
use delivery::plain::{lines, one_line};
use delivery::severity::Severity;
use delivery::standing::Standing;
use delivery::{title, value};
use jiff::Timestamp;
use reqwest::Url;
use serde::Serialize;

use crate::dedup_key;

/// PagerDuty's limit for a summary, in characters.
const SUMMARY: usize = 1_024;
/// The longest of what names something, and of a line about one alert.
const NAME: usize = 255;
const LINE: usize = 600;
/// The longest instructions.
const DESCRIPTION: usize = 2_000;
/// How many alerts are written out, of those that fire and of those that ended. With everything
/// as long as it may be an event stays well below the 512 KB that PagerDuty takes.
const SHOWN: usize = 20;
/// How many labels, and how many links.
const LABELS: usize = 40;
const LINKS: usize = 6;
/// The longest address.
const ADDRESS: usize = 2_000;

/// An event, without the key that lets it in.
#[derive(Debug, Serialize)]
pub struct Event {
    /// `trigger` or `resolve`.
    pub event_action: &'static str,
    /// What makes events those of one incident.
    pub dedup_key: String,
    /// What happened. A resolve has one, too: it says how it ended.
    pub payload: Payload,
    /// Who says so.
    pub client: &'static str,
    /// The link to the first alert's expression.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_url: Option<String>,
    /// What to look at.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<Link>,
}

/// What happened.
#[derive(Debug, Serialize)]
pub struct Payload {
    /// In one line; it becomes the incident's title.
    pub summary: String,
    /// Where: a node, an instance or a cluster.
    pub source: String,
    /// `critical`, `error`, `warning` or `info`.
    pub severity: &'static str,
    /// Since when, or when it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<String>,
    /// The device, where the alerts have one in common.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub component: String,
    /// The cluster.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// The alert's name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub class: String,
    /// The rest.
    pub custom_details: Details,
}

/// What somebody should know.
#[derive(Debug, Default, Serialize)]
pub struct Details {
    /// How things stand, in a word.
    pub status: String,
    /// What there is to know beyond the word.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// What to do.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// What the alerts have in common.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// The alerts that fire, one a line.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub firing: Vec<String>,
    /// The alerts that ended.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ended: Vec<String>,
    /// How many alerts are in none of the lists.
    #[serde(skip_serializing_if = "is_none")]
    pub left_out: u64,
    /// The notification's id.
    pub notification: String,
}

fn is_none(count: &u64) -> bool {
    *count == 0
}

/// Something to look at.
#[derive(Debug, Serialize)]
pub struct Link {
    /// An http or https URL.
    pub href: String,
    /// What it is.
    pub text: &'static str,
}

/// The event of a notification.
pub fn from_received(received: &Received<'_>) -> Event {
    let dedup_key = dedup_key::from_received(received);
    match received.message {
        Message::Alerts(webhook) => alerts(webhook, received.id, dedup_key),
        Message::Text(text) => text_of_the_users(received, text, dedup_key),
    }
}

fn alerts(webhook: &Webhook, id: &str, dedup_key: String) -> Event {
    let standing = Standing::from_webhook(webhook);
    let (firing, ended): (Vec<&Alert>, Vec<&Alert>) =
        webhook.alerts.iter().partition(|alert| alert.is_firing());
    let is_firing = !firing.is_empty();
    let first = firing.first().or(ended.first()).copied();
    let common = &webhook.common_labels;
    let label = |names: &[&str]| {
        let mut found = names.iter().filter_map(|name| common.get(*name));
        one_line(found.next().map_or("", String::as_str), NAME)
    };
    let named = one_line(&title::words(webhook).join(" "), SUMMARY / 2);
    let source = label(&["node", "instance", "pod", "cluster"]);
    let source = [source, named.clone(), "dnswatch".to_owned()];
    let shown = firing.len().min(SHOWN) + ended.len().min(SHOWN);
    let left_out = webhook.alerts.len().saturating_sub(shown);
    let worst = match standing {
        Standing::Firing { worst, .. } => worst,
        _ => webhook
            .alerts
            .iter()
            .map(Severity::from_alert)
            .max()
            .unwrap_or(Severity::Error),
    };
    let links = links(firing.iter().chain(&ended).copied());
    Event {
        event_action: if is_firing { "trigger" } else { "resolve" },
        dedup_key,
        payload: Payload {
            summary: summary(webhook, standing, &named, first),
            source: source
                .into_iter()
                .find(|text| !text.trim().is_empty())
                .unwrap_or_default(),
            severity: severity(worst),
            timestamp: if is_firing {
                moments(&firing, |alert| &alert.starts_at).min()
            } else {
                moments(&ended, |alert| &alert.ends_at).max()
            }
            .map(|at| at.to_string()),
            component: label(&["device"]),
            group: label(&["cluster"]),
            class: label(&["alertname"]),
            custom_details: Details {
                status: standing.to_string(),
                note: note(webhook, standing),
                description: first
                    .filter(|alert| alert.is_firing())
                    .map(description)
                    .unwrap_or_default(),
                labels: common
                    .iter()
                    .take(LABELS)
                    .map(|(name, value)| (one_line(name, NAME), one_line(value, NAME)))
                    .collect(),
                firing: about(&firing, common),
                ended: about(&ended, common),
                left_out: webhook
                    .truncated_alerts
                    .saturating_add(u64::try_from(left_out).unwrap_or(u64::MAX)),
                notification: one_line(id, NAME),
            },
        },
        client: "dnswatch",
        client_url: first.and_then(|alert| address(&alert.generator_url)),
        links,
    }
}

/// The title of an incident stays as it was at the beginning, so it counts nothing that changes.
fn summary(webhook: &Webhook, standing: Standing, named: &str, first: Option<&Alert>) -> String {
    let said = first.and_then(|alert| alert.annotations.get("summary"));
    let said = said.map(|said| one_line(said.trim(), SUMMARY / 2));
    let said = said.filter(|said| !said.trim().is_empty());
    let mut text = match standing {
        Standing::Firing { .. } => named.to_owned(),
        _ => format!("{standing}: {named}"),
    };
    match standing {
        Standing::Firing { .. } => {
            if let Some(said) = said {
                text.push_str(": ");
                text.push_str(&said);
            }
            if webhook.alerts.len() > 1 {
                text.push_str(", and more");
            }
        }
        Standing::NoLongerReported => {
            text.push_str(" (the series disappeared, current state unknown)");
        }
        Standing::Resolved | Standing::Past | Standing::Ended => {}
    }
    let text = one_line(text.trim(), SUMMARY);
    if text.trim().is_empty() {
        "An alert without a name".to_owned()
    } else {
        text
    }
}

fn note(webhook: &Webhook, standing: Standing) -> String {
    match standing {
        Standing::Firing { .. } if webhook.is_flood() => {
            "Notification storm: many alert groups combined into one message. Their resolutions may arrive one by one, so resolve this incident by hand."
        }
        Standing::Past => "This fired and resolved during an outage of dnswatch.",
        Standing::NoLongerReported => {
            "No longer reported: the series disappeared, current state unknown."
        }
        Standing::Ended => "The alerts ended in different ways: see the list.",
        Standing::Firing { .. } if webhook.reason == "repeat interval elapsed" => {
            "Reminder: still firing."
        }
        Standing::Firing { .. } | Standing::Resolved => "",
    }
    .to_owned()
}

fn severity(worst: Severity) -> &'static str {
    match worst {
        Severity::Info => "info",
        Severity::Warning => "warning",
        Severity::Error => "error",
        Severity::Critical => "critical",
    }
}

fn moments<'a>(
    alerts: &'a [&Alert],
    of: impl Fn(&'a Alert) -> &'a String,
) -> impl Iterator<Item = Timestamp> {
    alerts
        .iter()
        .filter_map(move |alert| of(alert).parse::<Timestamp>().ok())
}

fn description(alert: &Alert) -> String {
    ["description", "message"]
        .iter()
        .filter_map(|name| alert.annotations.get(*name))
        .map(|text| lines(text.trim(), DESCRIPTION))
        .find(|text| !text.trim().is_empty())
        .unwrap_or_default()
}

/// One line each: the labels that distinguish it, its status, since when, its value.
fn about(alerts: &[&Alert], common: &BTreeMap<String, String>) -> Vec<String> {
    alerts
        .iter()
        .take(SHOWN)
        .map(|alert| line(alert, common))
        .collect()
}

fn line(alert: &Alert, common: &BTreeMap<String, String>) -> String {
    let own = alert
        .labels
        .iter()
        .filter(|(name, value)| *name != "alertname" && common.get(*name) != Some(value));
    let own: Vec<String> = own.map(|(name, value)| format!("{name}={value}")).collect();
    let mut parts = Vec::new();
    let end = End::from_alert(alert);
    if end == End::Firing {
        parts.extend(how_it_ended::held(alert).map(str::to_owned));
        parts.push(format!("since {}", when(&alert.starts_at)));
    } else {
        parts.push(match end.remark() {
            Some(remark) => format!("{} ({remark})", end.word()),
            None => end.word().to_owned(),
        });
        let (from, to) = (when(&alert.starts_at), when(&alert.ends_at));
        parts.push(format!("from {from} to {to}"));
    }
    let now = value::text(&alert.value_now);
    let last = value::text(&alert.value);
    if let Some(last) = last.filter(|_| end != End::Firing || now.is_none()) {
        parts.push(format!("last firing value {last}"));
    }
    parts.extend(now.map(|now| format!("value now {now}")));
    parts.extend(
        alert
            .sparkline
            .clone()
            .filter(|bars| !bars.trim().is_empty()),
    );
    // The distinguishing labels may be long and must not push the rest out.
    let own = one_line(&own.join(" "), LINE / 2);
    let rest = parts.join("; ");
    let text = if own.trim().is_empty() {
        rest
    } else {
        format!("{own}: {rest}")
    };
    one_line(&text, LINE)
}

fn when(rfc3339: &str) -> String {
    match rfc3339.parse::<Timestamp>() {
        Ok(at) if at.as_second() > 0 => at.strftime("%Y-%m-%d %H:%M UTC").to_string(),
        _ => "an unknown time".to_owned(),
    }
}

/// The links of the alerts, each once.
fn links<'a>(alerts: impl Iterator<Item = &'a Alert>) -> Vec<Link> {
    let mut found: Vec<Link> = Vec::new();
    for alert in alerts {
        let annotation = |name: &str| alert.annotations.get(name).map_or("", String::as_str);
        for (text, addresses) in [
            (
                "Runbook",
                [annotation("runbook_url"), annotation("runbook")],
            ),
            (
                "Dashboard",
                [annotation("dashboard_url"), annotation("dashboard")],
            ),
            ("Query", [alert.generator_url.as_str(), ""]),
        ] {
            let Some(href) = addresses.iter().find_map(|text| address(text)) else {
                continue;
            };
            if found.len() < LINKS && found.iter().all(|link| link.href != href) {
                found.push(Link { href, text });
            }
        }
    }
    found
}

/// What is on the web, and nothing that a browser would run.
fn address(text: &str) -> Option<String> {
    let url = Url::parse(text.trim()).ok()?;
    let is_web = matches!(url.scheme(), "http" | "https") && url.has_host();
    (is_web && url.as_str().len() <= ADDRESS).then(|| url.into())
}

/// A text of the user's own making says nothing of firing or resolved: it is an incident of its
/// own, which a person resolves.
fn text_of_the_users(received: &Received<'_>, text: &str, dedup_key: String) -> Event {
    let subject = received.delivery.subject.as_deref().unwrap_or(text);
    let summary = one_line(subject.trim(), SUMMARY);
    Event {
        event_action: "trigger",
        dedup_key,
        payload: Payload {
            summary: if summary.trim().is_empty() {
                "A notification without words".to_owned()
            } else {
                summary
            },
            source: "dnswatch".to_owned(),
            severity: severity(Severity::Error),
            timestamp: received.delivery.published.map(|at| at.to_string()),
            component: String::new(),
            group: String::new(),
            class: String::new(),
            custom_details: Details {
                status: "a text".to_owned(),
                note: "The receiver has a message of its own, which says nothing of an end: \
                       resolve this by hand."
                    .to_owned(),
                description: lines(text.trim(), DESCRIPTION),
                notification: one_line(received.id, NAME),
                ..Details::default()
            },
        },
        client: "dnswatch",
        client_url: None,
        links: Vec::new(),
    }
}
