//! A notification in words, for a person who was asleep a minute ago.

use std::fmt::Write as _;

use super::detail::Detail;
use super::{AlertEntry, Details, Notification, NotifyReason, sparkline};
use crate::alert::End;
use crate::labels::{ALERT_NAME, Labels};
use crate::timestamp::Timestamp;

/// How many alerts are written out.
const SHOWN: usize = 20;

/// A rendered notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// One line to triage by.
    pub subject: String,
    /// The text below it.
    pub body: String,
}

impl Message {
    /// Writes a notification out.
    pub fn of(notification: &Notification, details: &Details, now: Timestamp) -> Self {
        let (firing, ended): (Vec<_>, Vec<_>) = notification
            .alerts
            .iter()
            .partition(|alert| alert.is_firing());
        let common = common_labels(notification);
        let mut body = String::new();
        // Writing into a String cannot fail.
        let _ = headline(&mut body, notification);
        for alert in firing.iter().chain(&ended).take(SHOWN) {
            let detail = details.get(&alert.labels);
            let _ = write_alert(&mut body, alert, detail, &common, now);
        }
        let left_out = firing.len() + ended.len() + notification.truncated;
        let left_out = left_out.saturating_sub(SHOWN.min(firing.len() + ended.len()));
        if left_out > 0 {
            let _ = writeln!(body, "\n… and {left_out} more, left out here.");
        }
        Self {
            subject: subject(notification, &common),
            body,
        }
    }
}

/// Alertmanager's subject; what is not known to be over is not called resolved.
fn subject(notification: &Notification, common: &Labels) -> String {
    let status = if notification.firing > 0 {
        format!("FIRING:{}", notification.firing)
    } else if notification.reason == NotifyReason::EndedUnseen {
        "PAST".to_owned()
    } else if notification
        .alerts
        .iter()
        .all(|alert| alert.end == Some(End::Cleared))
    {
        "RESOLVED".to_owned()
    } else {
        "ENDED".to_owned()
    };
    let group = &notification.group_labels;
    let mut words: Vec<&str> = Vec::new();
    words.extend(Some(group.get(ALERT_NAME)).filter(|name| !name.is_empty()));
    words.extend(
        group
            .iter()
            .filter(|(name, _)| *name != ALERT_NAME)
            .map(|(_, value)| value),
    );
    let more: Vec<&str> = common
        .iter()
        .filter(|(name, _)| !group.has(name))
        .map(|(_, value)| value)
        .collect();
    if !more.is_empty() {
        return one_line(&format!(
            "[{status}] {} ({})",
            words.join(" "),
            more.join(" ")
        ));
    }
    one_line(&format!("[{status}] {}", words.join(" ")))
}

/// Labels may hold anything; a subject is one line without control characters.
fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

fn common_labels(notification: &Notification) -> Labels {
    let mut alerts = notification.alerts.iter();
    let Some(first) = alerts.next() else {
        return Labels::default();
    };
    alerts.fold(first.labels.clone(), |common, alert| {
        let labels = &alert.labels;
        common
            .iter()
            .filter(|(name, value)| labels.get(name) == *value)
            .collect()
    })
}

fn headline(body: &mut String, notification: &Notification) -> std::fmt::Result {
    let told = match notification.reason {
        NotifyReason::FirstNotification => "New.",
        NotifyReason::NewAlertsInGroup => "More alerts than before.",
        NotifyReason::NewResolvedAlerts => "Some alerts ended, others go on.",
        NotifyReason::AllAlertsResolved => "All alerts of this group ended.",
        NotifyReason::RepeatIntervalElapsed => "Still going on; a reminder.",
        NotifyReason::EndedUnseen => {
            "Past: this began and ended while nobody was looking, and is told once."
        }
    };
    writeln!(body, "{told}")
}

fn write_alert(
    body: &mut String,
    alert: &AlertEntry,
    detail: Option<&Detail>,
    common: &Labels,
    now: Timestamp,
) -> std::fmt::Result {
    let own = alert.labels.without(|name| common.has(name));
    let of = if own.is_empty() {
        alert.labels.without(|name| name == ALERT_NAME)
    } else {
        own
    };
    writeln!(body, "\n{}  {}", status(alert), one_line(&pairs(&of)))?;
    for name in ["summary", "description", "message"] {
        if let Some(text) = alert.annotations.get(name).filter(|text| !text.is_empty()) {
            for line in text.trim_end().lines() {
                writeln!(body, "  {line}")?;
            }
        }
    }
    if let Some(detail) = detail
        && detail.points.iter().any(Option::is_some)
    {
        write!(body, "  {}", sparkline(&detail.points))?;
        match detail.now {
            Some(now) => writeln!(body, "  now {}", number(now))?,
            None => writeln!(body)?,
        }
    }
    let value = number(alert.value);
    match (alert.ends_at, alert.hold) {
        (None, None) => writeln!(
            body,
            "  since {} ({}), value {value}",
            alert.starts_at,
            ago(alert.starts_at, now)
        )?,
        (None, Some(hold)) => {
            let what = match hold.gone_since {
                None => "its telemetry stopped",
                Some(_) => "it is no longer reported while others are",
            };
            writeln!(
                body,
                "  since {} ({}); held since {}: {what}; last value {value}",
                alert.starts_at,
                ago(alert.starts_at, now),
                hold.since
            )?;
        }
        (Some(ends_at), _) => {
            let how = match alert.end {
                Some(End::Cleared) | None => "over: the condition cleared",
                Some(End::NoLongerReported) => {
                    "no longer reported: whether the condition is over is not known"
                }
                Some(End::RuleRemoved) => "the rule was removed",
                Some(End::RuleChanged) => "the rule was changed and no longer fires",
            };
            writeln!(
                body,
                "  from {} to {ends_at}; {how}; last firing value {value}",
                alert.starts_at
            )?;
        }
    }
    for name in ["runbook_url", "runbook", "dashboard_url"] {
        if let Some(link) = alert.annotations.get(name).filter(|link| !link.is_empty()) {
            writeln!(
                body,
                "  {}: {}",
                name.trim_end_matches("_url"),
                one_line(link)
            )?;
        }
    }
    Ok(())
}

fn status(alert: &AlertEntry) -> &'static str {
    match (alert.ends_at, alert.end) {
        (None, _) if alert.hold.is_some() => "FIRING (held)",
        (None, _) => "FIRING",
        (Some(_), Some(End::NoLongerReported)) => "NO LONGER REPORTED",
        (Some(_), Some(End::RuleRemoved)) => "RULE REMOVED",
        (Some(_), Some(End::RuleChanged)) => "RULE CHANGED",
        (Some(_), Some(End::Cleared) | None) => "RESOLVED",
    }
}

fn pairs(labels: &Labels) -> String {
    let pairs: Vec<String> = labels
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    pairs.join(" ")
}

/// Four significant digits at most where there is a fraction: enough at 3 a.m.
fn number(value: f64) -> String {
    if !value.is_finite() || value == value.trunc() {
        return format!("{value}");
    }
    let digits = value.abs().log10().floor();
    let places = (3.0 - digits).clamp(0.0, 12.0);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and 12"
    )]
    let places = places as usize;
    let text = format!("{value:.places$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// `4m ago`: whole minutes, or seconds below one.
fn ago(since: Timestamp, now: Timestamp) -> String {
    let elapsed = now.since(since);
    let unit = if elapsed.as_secs() < 60 { 1 } else { 60 };
    let whole = std::time::Duration::from_secs(elapsed.as_secs() / unit * unit);
    format!("{} ago", crate::duration::format(whole))
}
