//! A backtest as lines of JSON, one object each, in the order of time.

use std::collections::BTreeMap;
use std::io::{self, Write};

use alerting::alert::{AlertState, End};
use alerting::evaluation::{Event, Happened};
use alerting::labels::Labels;
use alerting::notify::{AlertEntry, Notification, Number};
use backends::backtest::News;
use serde::Serialize;

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Line<'a> {
    Transition {
        group: &'a str,
        alert: &'a str,
        labels: &'a Labels,
        from: AlertState,
        to: AlertState,
        at: String,
        value: Number,
        annotations: &'a BTreeMap<String, String>,
    },
    #[serde(rename_all = "camelCase")]
    Notification {
        at: String,
        receiver: &'a str,
        status: &'a str,
        reason: String,
        group_key: &'a str,
        alerts: Vec<AlertLine<'a>>,
    },
    RuleError {
        group: &'a str,
        alert: &'a str,
        at: String,
        error: &'a str,
    },
}

/// An alert of a notification, in the words of Alertmanager's webhook.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AlertLine<'a> {
    status: &'a str,
    labels: &'a Labels,
    annotations: &'a BTreeMap<String, String>,
    starts_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    ends_at: Option<String>,
    value: Number,
    #[serde(skip_serializing_if = "Option::is_none")]
    end: Option<End>,
    held: bool,
}

/// Writes one event.
pub(super) fn write(news: &News<'_>, out: &mut impl Write) -> io::Result<()> {
    let line = match news {
        News::Tick(event) => tick(event),
        News::Notification(notification) => self::notification(notification),
        News::Until(_) => return Ok(()),
    };
    serde_json::to_writer(&mut *out, &line)?;
    out.write_all(b"\n")
}

fn tick<'a>(event: &'a Event<'_>) -> Line<'a> {
    let (group, rule) = (event.group.name.as_str(), event.rule.id.alert.as_str());
    let at = event.at.to_string();
    match &event.what {
        Happened::Changed { from, to, alert } => Line::Transition {
            group,
            alert: rule,
            labels: &alert.labels,
            from: *from,
            to: *to,
            at,
            value: Number(alert.value),
            annotations: &alert.annotations,
        },
        Happened::Failed(error) => Line::RuleError {
            group,
            alert: rule,
            at,
            error,
        },
    }
}

fn notification(notification: &Notification) -> Line<'_> {
    Line::Notification {
        at: notification.created_at.to_string(),
        receiver: &notification.receiver,
        status: status(notification.firing > 0),
        reason: notification.reason.to_string(),
        group_key: &notification.group_key,
        alerts: notification.alerts.iter().map(alert).collect(),
    }
}

fn alert(entry: &AlertEntry) -> AlertLine<'_> {
    AlertLine {
        status: status(entry.is_firing()),
        labels: &entry.labels,
        annotations: &entry.annotations,
        starts_at: entry.starts_at.to_string(),
        ends_at: entry.ends_at.map(|at| at.to_string()),
        value: Number(entry.value),
        end: entry.end,
        held: entry.hold.is_some(),
    }
}

fn status(is_firing: bool) -> &'static str {
    if is_firing { "firing" } else { "resolved" }
}
