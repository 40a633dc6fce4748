//! A notification in words, for a person who was asleep a minute ago. The terminal's text, and
//! the pieces that e-mail and SMS are made of.

use std::fmt::{self, Write as _};

use super::detail::Detail;
use super::{AlertEntry, Details, Notification, NotifyReason, common, sparkline};
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
        let mut body = String::new();
        // Writing into a String cannot fail.
        let _ = write_headline(&mut body, notification);
        let _ = write_alerts(&mut body, notification, details, now, &|_| String::new());
        Self {
            subject: subject(notification),
            body,
        }
    }
}

/// Alertmanager's subject; what is not known to be over is not called resolved.
pub(super) fn subject(notification: &Notification) -> String {
    let status = status_word(notification);
    let words = group_words(notification);
    let more = common::labels(notification).without(|name| notification.group_labels.has(name));
    if more.is_empty() {
        return clean_line(&format!("[{status}] {words}"));
    }
    clean_line(&format!("[{status}] {words} ({})", values(&more)))
}

/// `FIRING:2`, `RESOLVED`, `ENDED` or `PAST`.
pub(super) fn status_word(notification: &Notification) -> String {
    if notification.firing > 0 {
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
    }
}

/// The values of the group's labels, the alert's name first.
pub(super) fn group_words(notification: &Notification) -> String {
    if notification.groups > 0 {
        return format!("{} groups at once", notification.groups);
    }
    let group = &notification.group_labels;
    let name = group.get(ALERT_NAME);
    let rest = values(&group.without(|name| name == ALERT_NAME));
    match (name, rest.as_str()) {
        ("", rest) => rest.to_owned(),
        (name, "") => name.to_owned(),
        (name, rest) => format!("{name} {rest}"),
    }
}

/// Labels may hold anything: one line, without control characters and without those that change
/// the direction of what follows.
pub(super) fn clean_line(text: &str) -> String {
    clean(text).replace('\n', " ")
}

fn clean(text: &str) -> String {
    text.chars()
        .filter(|c| !matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'))
        .filter(|c| !matches!(c, '\u{fffe}' | '\u{ffff}'))
        .map(|c| if c.is_control() && c != '\n' { ' ' } else { c })
        .collect()
}

/// Why it is told, in a sentence.
pub(super) fn write_headline(body: &mut String, notification: &Notification) -> fmt::Result {
    if notification.groups > 0 {
        return writeln!(
            body,
            "A flood: the news of {} groups at once, told together.",
            notification.groups
        );
    }
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

/// The alerts, those that fire first; `link` gives an alert's link to its expression, or nothing.
pub(super) fn write_alerts(
    body: &mut String,
    notification: &Notification,
    details: &Details,
    now: Timestamp,
    link: &dyn Fn(&AlertEntry) -> String,
) -> fmt::Result {
    let common = common::labels(notification);
    let (firing, ended): (Vec<_>, Vec<_>) = notification
        .alerts
        .iter()
        .partition(|alert| alert.is_firing());
    for alert in firing.iter().chain(&ended).take(SHOWN) {
        let of = own_labels(alert, &common);
        writeln!(body, "\n{}  {}", status(alert), clean_line(&pairs(&of)))?;
        write_alert(body, alert, details.get(&alert.labels), now)?;
        let link = link(alert);
        if !link.is_empty() {
            writeln!(body, "  graph: {link}")?;
        }
    }
    let left_out = notification.alerts.len().saturating_sub(SHOWN) + notification.truncated;
    if left_out > 0 {
        writeln!(body, "\n… and {left_out} more, left out here.")?;
    }
    Ok(())
}

/// What tells the alert from the others; all that it has, if nothing does.
pub(super) fn own_labels(alert: &AlertEntry, common: &Labels) -> Labels {
    let own = alert.labels.without(|name| common.has(name));
    if own.is_empty() {
        alert.labels.without(|name| name == ALERT_NAME)
    } else {
        own
    }
}

fn write_alert(
    body: &mut String,
    alert: &AlertEntry,
    detail: Option<&Detail>,
    now: Timestamp,
) -> fmt::Result {
    write_annotation(body, alert, "summary")?;
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
        (None, None) => {
            let since = clock(alert.starts_at);
            write!(body, "  since {since} ({})", ago(alert.starts_at, now))?;
            match detail.and_then(|detail| detail.now) {
                Some(_) => writeln!(body)?,
                None => writeln!(body, ", value {value}")?,
            }
        }
        (None, Some(hold)) => {
            let what = match hold.gone_since {
                None => "its telemetry stopped",
                Some(_) => "it is no longer reported while others are",
            };
            writeln!(
                body,
                "  since {} ({}); held since {}: {what}; last value {value}",
                clock(alert.starts_at),
                ago(alert.starts_at, now),
                clock(hold.since)
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
                "  from {} to {}; {how}; last firing value {value}",
                clock(alert.starts_at),
                clock(ends_at)
            )?;
        }
    }
    // What ended needs no instructions.
    if alert.is_firing() {
        for name in ["description", "message"] {
            write_annotation(body, alert, name)?;
        }
    }
    for name in ["runbook_url", "runbook", "dashboard_url"] {
        if let Some(link) = alert.annotations.get(name).filter(|link| !link.is_empty()) {
            writeln!(
                body,
                "  {}: {}",
                name.trim_end_matches("_url"),
                clean_line(link)
            )?;
        }
    }
    Ok(())
}

fn write_annotation(body: &mut String, alert: &AlertEntry, name: &str) -> fmt::Result {
    let text = alert.annotations.get(name).map_or("", String::as_str);
    for line in clean(text).trim_end().lines() {
        writeln!(body, "  {line}")?;
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

/// `node=a zone=b`.
pub(super) fn pairs(labels: &Labels) -> String {
    let pairs: Vec<String> = labels
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    pairs.join(" ")
}

/// The values alone.
pub(super) fn values(labels: &Labels) -> String {
    let values: Vec<&str> = labels.iter().map(|(_, value)| value).collect();
    values.join(" ")
}

/// `2026-11-23 06:13 UTC`: seconds help nobody at night.
pub(super) fn clock(at: Timestamp) -> String {
    let text = at.to_string();
    match (text.get(..10), text.get(11..16)) {
        (Some(day), Some(time)) if text.ends_with('Z') => format!("{day} {time} UTC"),
        _ => text,
    }
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
