//! The message that Amazon Q Developer in chat applications (once AWS Chatbot) shows in Slack,
//! Teams or Chime: its schema for custom notifications. Anything else on its topic it drops
//! without a word.
//!
//! (docs.aws.amazon.com/chatbot/latest/adminguide/custom-notifs.html.) Its text is markup of the
//! chat that it goes to, which is not known here, so text from outside is written without the
//! characters that are markup, mention or link in any of them.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{AlertEntry, Outgoing, common, sparkline, standing, text};
use crate::fingerprint::hash_128;
use crate::labels::{ALERT_NAME, Labels};

/// The longest title, and the longest text about the alerts: a section of a Slack message holds
/// 3,000 characters.
const TITLE: usize = 200;
const DESCRIPTION: usize = 2_600;
/// The longest line of labels, summary, instructions and address.
const LABELS: usize = 400;
const SUMMARY: usize = 400;
const STEP: usize = 900;
const ADDRESS: usize = 1_500;
/// How many labels machines get, and how long.
const CONTEXT: usize = 20;
const VALUE: usize = 200;

#[derive(Serialize)]
struct Body<'a> {
    version: &'static str,
    source: &'static str,
    id: &'a str,
    content: Content,
    metadata: Metadata,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Content {
    text_type: &'static str,
    title: String,
    description: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    next_steps: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    keywords: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    /// Messages of one group are one thread, where the channel's preferences let them.
    thread_id: String,
    summary: String,
    event_type: &'static str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    additional_context: BTreeMap<String, String>,
}

/// The message.
pub(super) fn body(outgoing: &Outgoing<'_>) -> String {
    let notification = outgoing.notification;
    let common = common::labels(notification);
    let status = standing::of_notification(notification);
    let words = text::group_words(notification);
    let title = format!("[{status}] {}", calm(&words, TITLE));
    let group = &notification.group_labels;
    let named = group.iter().map(|(_, value)| calm(value, VALUE));
    let body = Body {
        version: "1.0",
        source: "custom",
        id: &notification.id,
        content: Content {
            text_type: "client-markdown",
            title: title.clone(),
            description: description(outgoing, &common),
            next_steps: next_steps(outgoing),
            keywords: named
                .filter(|word| !word.trim().is_empty())
                .take(CONTEXT)
                .collect(),
        },
        metadata: Metadata {
            thread_id: hash_128(&[
                &outgoing.config.workspace,
                &notification.receiver,
                &notification.group_key,
            ]),
            summary: title,
            event_type: if notification.firing > 0 {
                "firing"
            } else {
                "resolved"
            },
            additional_context: common
                .iter()
                .take(CONTEXT)
                .map(|(name, value)| (calm(name, VALUE), calm(value, VALUE)))
                .collect(),
        },
    };
    // Texts are always JSON.
    serde_json::to_string(&body).unwrap_or_default()
}

/// The alerts, those that fire first, as many as there is room for.
fn description(outgoing: &Outgoing<'_>, common: &Labels) -> String {
    let notification = outgoing.notification;
    let shared = common.without(|name| name == ALERT_NAME);
    let mut paragraphs = Vec::new();
    let mut head: Vec<String> = standing::why(notification).into_iter().collect();
    if !shared.is_empty() {
        head.push(code(&text::pairs(&shared), LABELS));
    }
    if !head.is_empty() {
        paragraphs.push(head.join("\n"));
    }
    let mut used: usize = paragraphs.iter().map(|text| text.chars().count()).sum();
    let (firing, ended): (Vec<_>, Vec<_>) = notification
        .alerts
        .iter()
        .partition(|alert| alert.is_firing());
    let mut shown = 0;
    for alert in firing.iter().chain(&ended) {
        let paragraph = about(alert, common, outgoing);
        let length = paragraph.chars().count() + 2;
        if used + length > DESCRIPTION {
            break;
        }
        used += length;
        shown += 1;
        paragraphs.push(paragraph);
    }
    let left_out = notification.alerts.len().saturating_sub(shown) + notification.truncated;
    if left_out > 0 {
        paragraphs.push(format!("… and {left_out} more, left out here."));
    }
    paragraphs.join("\n\n")
}

fn about(alert: &AlertEntry, common: &Labels, outgoing: &Outgoing<'_>) -> String {
    let own = alert
        .labels
        .without(|name| name == ALERT_NAME || common.has(name));
    let word = standing::of_alert(alert);
    let mut lines = vec![match own.is_empty() {
        true => format!("*{word}*"),
        false => format!("*{word}*  {}", code(&text::pairs(&own), LABELS)),
    }];
    let summary = alert.annotations.get("summary").map_or("", String::as_str);
    let summary = calm(summary, SUMMARY);
    if !summary.trim().is_empty() {
        lines.push(match alert.is_firing() {
            true => summary,
            false => format!("Was: {summary}"),
        });
    }
    lines.push(text::time(alert, outgoing.now));
    lines.extend(standing::remark(alert));
    let detail = outgoing.details.get(&alert.labels);
    lines.push(text::values_in_words(alert, detail));
    let drawn = detail.filter(|detail| detail.points.iter().any(Option::is_some));
    lines.extend(drawn.map(|detail| format!("`{}`", sparkline(&detail.points))));
    lines.join("\n")
}

/// What to do: the instructions of the first alert that fires, and where to read on.
fn next_steps(outgoing: &Outgoing<'_>) -> Vec<String> {
    let mut alerts = outgoing.notification.alerts.iter();
    let Some(alert) = alerts.find(|alert| alert.is_firing()) else {
        return Vec::new();
    };
    let annotation = |name: &str| alert.annotations.get(name).map_or("", String::as_str);
    let mut steps: Vec<String> = ["description", "message"]
        .iter()
        .map(|name| calm(annotation(name), STEP))
        .filter(|text| !text.trim().is_empty())
        .take(1)
        .collect();
    let graph = outgoing.generator_url(alert);
    for (name, link) in [
        ("Runbook", annotation("runbook_url")),
        ("Runbook", annotation("runbook")),
        ("Dashboard", annotation("dashboard_url")),
        ("Dashboard", annotation("dashboard")),
        ("Graph", &graph),
    ] {
        if !link.trim().is_empty() {
            steps.push(format!("{name}: {}", address(link.trim())));
        }
    }
    steps
}

/// An address, which every chat turns into a link. Anything else, and whatever could end a link, is
/// shown as text.
fn address(link: &str) -> String {
    let is_web = link.starts_with("https://") || link.starts_with("http://");
    let is_plain = |c: char| c.is_ascii_graphic() && !"<>|`\"'()[]{}*\\^@".contains(c);
    if is_web && link.len() <= ADDRESS && link.chars().all(is_plain) {
        link.to_owned()
    } else {
        calm(link, SUMMARY)
    }
}

/// Text from outside, in one line at most `limit` characters long, in which nothing is markup:
/// the characters that are become their likenesses.
fn calm(text: &str, limit: usize) -> String {
    let mut calm: String = text::clean_line(text)
        .chars()
        .filter(|c| !is_invisible(*c))
        .map(|c| match c {
            '<' => '‹',
            '>' => '›',
            '&' => '＆',
            '@' => '＠',
            '#' => '＃',
            '`' => '\'',
            '*' => '∗',
            '~' => '∼',
            '|' => '¦',
            '[' => '(',
            ']' => ')',
            '\\' => '/',
            '!' => 'ǃ',
            c => c,
        })
        .take(limit + 1)
        .collect();
    if calm.chars().count() > limit {
        calm = calm.chars().take(limit.saturating_sub(1)).collect();
        calm.push('…');
    }
    calm
}

fn code(text: &str, limit: usize) -> String {
    format!("`{}`", calm(text, limit))
}

/// Characters that show nothing: they hide a difference, or hide markup from whom looks for it.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}
