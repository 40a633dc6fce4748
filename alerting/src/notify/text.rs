//! A notification in words, for a person who was asleep a minute ago: the terminal's text, and
//! most of an e-mail's.
//!
//! Its lines are short facts, what comes first is what a phone shows of a message unopened, and
//! nothing is aligned: a phone's letters are not of one width, and it breaks lines as it likes.

use std::collections::BTreeSet;

use super::detail::Detail;
use super::{AlertEntry, Details, Notification, common, sparkline, standing};
use crate::labels::{ALERT_NAME, Labels};
use crate::rules::RuleKey;
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
    /// Writes a notification out, without links to its expressions.
    pub fn from_notification(
        notification: &Notification,
        details: &Details,
        now: Timestamp,
    ) -> Self {
        Self {
            subject: subject(notification),
            body: body(&TextInput {
                notification,
                details,
                now,
                graph: &|_| String::new(),
            }),
        }
    }
}

/// The input of the text body.
pub(super) struct TextInput<'a> {
    pub(super) notification: &'a Notification,
    pub(super) details: &'a Details,
    pub(super) now: Timestamp,
    /// The link to an alert's expression, or nothing.
    pub(super) graph: &'a dyn Fn(&AlertEntry) -> String,
}

/// Alertmanager's subject; what is not known to be over is not called resolved.
pub(super) fn subject(notification: &Notification) -> String {
    let status = standing::of_notification(notification);
    let words = group_words(notification);
    let more = common::labels(notification).without(|name| notification.group_labels.has(name));
    if more.is_empty() {
        return clean_line(&format!("[{status}] {words}"));
    }
    clean_line(&format!("[{status}] {words} ({})", values(&more)))
}

/// The values of the group's labels, the alert's name first.
pub(super) fn group_words(notification: &Notification) -> String {
    if notification.groups > 0 {
        return format!("{} alert groups", notification.groups);
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

/// The text, in paragraphs. It is not bounded.
pub(super) fn body(input: &TextInput<'_>) -> String {
    let notification = input.notification;
    let common = common::labels(notification).without(|name| name == ALERT_NAME);
    let place = (!common.is_empty()).then(|| format!("Where: {}", clean_line(&pairs(&common))));
    let why = standing::why(notification);
    let mut written = Written::default();
    let mut paragraphs: Vec<Vec<String>> = Vec::new();
    match notification.alerts.as_slice() {
        [alert] if notification.truncated == 0 => {
            let (facts, instructions) = about(alert, None, input, &mut written);
            paragraphs.push(facts.into_iter().chain(place).chain(why).collect());
            paragraphs.extend(instructions);
        }
        alerts => {
            let total = alerts.len() + notification.truncated;
            let firing = notification.firing;
            let counted = format!("{total} alerts, {firing} of them firing.");
            paragraphs.push([counted].into_iter().chain(why).chain(place).collect());
            let (firing, ended): (Vec<_>, Vec<_>) =
                alerts.iter().partition(|alert| alert.is_firing());
            for alert in firing.iter().chain(&ended).take(SHOWN) {
                let own = alert
                    .labels
                    .without(|name| name == ALERT_NAME || common.has(name));
                let (facts, instructions) = about(alert, Some(&own), input, &mut written);
                paragraphs.push(facts);
                paragraphs.extend(instructions);
            }
            let left_out = alerts.len().saturating_sub(SHOWN) + notification.truncated;
            if left_out > 0 {
                paragraphs.push(vec![format!("… and {left_out} more, left out here.")]);
            }
        }
    }
    let paragraphs: Vec<String> = paragraphs.iter().map(|lines| lines.join("\n")).collect();
    let mut body = paragraphs.join("\n\n");
    body.push('\n');
    body
}

/// What was written already, and is not written again: alerts of one rule share their
/// instructions and links.
#[derive(Default)]
struct Written {
    instructions: BTreeSet<RuleKey>,
    links: BTreeSet<String>,
}

/// The facts about an alert, and the paragraphs of what to do. With labels of its `own` (perhaps
/// none) it is one of several, and begins with how it stands.
fn about(
    alert: &AlertEntry,
    own: Option<&Labels>,
    input: &TextInput<'_>,
    written: &mut Written,
) -> (Vec<String>, Vec<Vec<String>>) {
    let word = standing::of_alert(alert);
    let mut facts = Vec::new();
    if let Some(own) = own {
        let heading = format!("{word}  {}", clean_line(&pairs(own)));
        facts.push(heading.trim_end().to_owned());
    }
    facts.extend(summary(alert));
    let time = time(alert, input.now);
    facts.push(match own {
        None => format!("{word} {time}"),
        Some(_) => time,
    });
    facts.extend(standing::remark(alert));
    let detail = input.details.get(&alert.labels);
    let words = values_in_words(alert, detail);
    let drawn = detail.filter(|detail| detail.points.iter().any(Option::is_some));
    facts.push(match drawn {
        // What was not there before it began only takes a phone's room.
        Some(detail) => {
            let bars = sparkline(&detail.points);
            format!("{}  {words}", bars.trim_start_matches('·'))
        }
        None => words,
    });

    let mut paragraphs = Vec::new();
    // What ended needs no instructions.
    if alert.is_firing() && written.instructions.insert(alert.rule.clone()) {
        for name in ["description", "message"] {
            let text = annotation(alert, name);
            if !text.is_empty() {
                paragraphs.push(text);
            }
        }
    }
    let links: Vec<String> = links(alert, input)
        .into_iter()
        .filter(|link| written.links.insert(link.clone()))
        .collect();
    if !links.is_empty() {
        paragraphs.push(links);
    }
    (facts, paragraphs)
}

/// The rule's summary. It describes an alert that still fires.
fn summary(alert: &AlertEntry) -> Vec<String> {
    let mut lines = annotation(alert, "summary");
    if let (false, Some(first)) = (alert.is_firing(), lines.first_mut()) {
        *first = format!("Was: {first}");
    }
    lines
}

fn annotation(alert: &AlertEntry, name: &str) -> Vec<String> {
    let text = alert.annotations.get(name).map_or("", String::as_str);
    clean(text)
        .trim()
        .lines()
        .map(|line| line.trim_end().to_owned())
        .collect()
}

/// Since when, or when and after how long.
pub(super) fn time(alert: &AlertEntry, now: Timestamp) -> String {
    let since = clock(alert.starts_at);
    match alert.ends_at {
        None => format!("since {since} ({} ago)", elapsed(alert.starts_at, now)),
        Some(ends_at) => format!(
            "at {}, after {}",
            clock(ends_at),
            elapsed(alert.starts_at, ends_at)
        ),
    }
}

/// What the value is now, and what it was when it was last seen to fire.
pub(super) fn values_in_words(alert: &AlertEntry, detail: Option<&Detail>) -> String {
    let now = detail.and_then(|detail| detail.now);
    let last = number(alert.value);
    match (now, alert.is_firing(), alert.hold) {
        (Some(now), true, None) => format!("now {}", number(now)),
        (Some(now), _, _) => format!("now {}, last firing value {last}", number(now)),
        (None, true, None) => format!("value {last}"),
        (None, _, _) => format!("last firing value {last}"),
    }
}

/// Where to read on: the alert's own links, and that to its expression.
fn links(alert: &AlertEntry, input: &TextInput<'_>) -> Vec<String> {
    let own = ["runbook_url", "runbook", "dashboard_url", "dashboard"];
    let mut links: Vec<String> = own
        .iter()
        .filter_map(|name| {
            let link = clean_line(alert.annotations.get(*name)?);
            let name = name.trim_end_matches("_url");
            (!link.trim().is_empty()).then(|| format!("{name}: {}", link.trim()))
        })
        .collect();
    let graph = (input.graph)(alert);
    if !graph.is_empty() {
        links.push(format!("graph: {graph}"));
    }
    links
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

/// `2026-11-23 06:13 UTC`: seconds do not help at night.
pub(super) fn clock(at: Timestamp) -> String {
    let text = at.to_string();
    match (text.get(..10), text.get(11..16)) {
        (Some(day), Some(time)) if text.ends_with('Z') => format!("{day} {time} UTC"),
        _ => text,
    }
}

/// Four significant digits at most where there is a fraction: enough at 3 a.m.
pub(super) fn number(value: f64) -> String {
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

/// `4m`: whole minutes, or seconds below one.
fn elapsed(since: Timestamp, until: Timestamp) -> String {
    let elapsed = until.since(since);
    let unit = if elapsed.as_secs() < 60 { 1 } else { 60 };
    let whole = std::time::Duration::from_secs(elapsed.as_secs() / unit * unit);
    crate::duration::format(whole)
}
