//! The one line of an SMS: whether it goes on, what, where, since when.

use super::Outgoing;
use super::subject::ascii_line;
use super::text;
use crate::timestamp::Timestamp;

/// What one SMS carries of plain characters, by SNS's count.
const MAX_SMS: usize = 140;

/// The line.
pub(super) fn line(outgoing: &Outgoing<'_>) -> String {
    let notification = outgoing.notification;
    let mut line = format!(
        "{} {}",
        text::status_word(notification).replace(':', " "),
        text::group_words(notification),
    );
    let Some(first) = notification.alerts.first() else {
        return ascii_line(&line, MAX_SMS);
    };
    let of = text::own_labels(first, &super::common::labels(notification));
    let what = first
        .annotations
        .get("summary")
        .filter(|text| !text.is_empty());
    let (what, rest) = (
        what.cloned().unwrap_or_else(|| text::values(&of)),
        (notification.alerts.len() + notification.truncated).saturating_sub(1),
    );
    let mut end = match first.ends_at {
        None => format!("; since {} UTC", day_and_time(first.starts_at)),
        Some(ends_at) => format!(
            "; {} to {} UTC",
            day_and_time(first.starts_at),
            day_and_time(ends_at)
        ),
    };
    if rest > 0 {
        end.push_str(&format!("; +{rest} more"));
    }
    line.push_str(": ");
    line.push_str(&what);
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
