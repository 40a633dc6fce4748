//! The one line of an SMS: whether it goes on, what, where, since when.

use super::Outgoing;
use super::subject::ascii_line;
use super::text;

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
    let since = text::clock(first.starts_at);
    let mut end = match first.ends_at {
        None => format!("; since {since}"),
        Some(ends_at) => format!("; {since} to {}", text::clock(ends_at)),
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
