//! The one line of an SMS: status, what, where, since when, and the value now.

use super::subject::ascii_line;
use super::{Outgoing, common, standing, text};
use crate::labels::ALERT_NAME;
use crate::timestamp::Timestamp;

/// What one SMS carries of plain characters, by SNS's count.
const MAX_SMS: usize = 140;

/// The line.
pub(super) fn line(outgoing: &Outgoing<'_>) -> String {
    let notification = outgoing.notification;
    let mut line = format!(
        "{} {}",
        standing::of_notification(notification).replace(':', " "),
        text::group_words(notification),
    );
    let Some(first) = notification.alerts.first() else {
        return ascii_line(&line, MAX_SMS);
    };
    let summary = first.annotations.get("summary");
    let summary = summary.filter(|text| !text.trim().is_empty());
    let what = match (summary, first.ends_at) {
        (Some(summary), None) => format!(": {summary}"),
        // The summary describes an alert that still fires.
        (Some(summary), Some(_)) => format!(", was: {summary}"),
        (None, _) => {
            let common = common::labels(notification);
            let several = notification.alerts.len() > 1;
            let own = first.labels.without(|name| {
                name == ALERT_NAME
                    || notification.group_labels.has(name)
                    || (several && common.has(name))
            });
            format!(": {}", text::values(&own))
        }
    };
    line.push_str(&what);
    let mut end = match first.ends_at {
        None => format!("; since {} UTC", day_and_time(first.starts_at)),
        Some(ends_at) => {
            let (from, to) = (day_and_time(first.starts_at), day_and_time(ends_at));
            // The day once, where it is the same.
            let to = match (from.get(..6), to.get(..6), to.get(6..)) {
                (Some(day), Some(other), Some(time)) if day == other => time.to_owned(),
                _ => to,
            };
            format!("; {from} to {to} UTC")
        }
    };
    if let Some(now) = outgoing.details.get(&first.labels).and_then(|d| d.now) {
        end.push_str(&format!("; now {}", text::number(now)));
    }
    let rest = (notification.alerts.len() + notification.truncated).saturating_sub(1);
    if rest > 0 {
        end.push_str(&format!("; +{rest} more"));
    }
    // The end says more than the last words of a long summary.
    let mut line = ascii_line(&line, MAX_SMS.saturating_sub(end.len()));
    line.push_str(&end);
    line
}

/// `11-23 06:13`: the year is known.
fn day_and_time(at: Timestamp) -> String {
    let clock = text::clock(at);
    clock.get(5..16).unwrap_or(&clock).to_owned()
}
