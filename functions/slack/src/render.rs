//! A notification as a Slack message: within Slack's limits however much there is to say, and
//! saying what it left out.

use delivery::message::{Message, Webhook};
use delivery::standing::Standing;
use delivery::title;
use jiff::Timestamp;

use crate::block_kit::{Attachment, Block, Payload, Text, limits};
use crate::escape::{self, Lines};
use crate::{alert_blocks, color};

/// The longest line of labels that alerts have in common.
const COMMON: usize = 1_000;
/// A message that took longer than this says when it was published.
const DELAYED_S: i64 = 10 * 60;
/// Room kept for the line that says what was left out.
const FOOTER: usize = 300;
/// The longest piece of a plain text, and how many pieces are posted.
const PIECE: usize = 2_800;
const PIECES: usize = 3;

/// What is known of a delivery beside the message.
#[derive(Debug, Clone, Copy)]
pub struct Circumstances {
    /// A later notification of the same group was posted, or begun to be.
    pub is_late: bool,
    /// When it was published.
    pub published: Option<Timestamp>,
    /// Now.
    pub now: Timestamp,
}

/// What was published as a message; a text has the subject that it was published with.
pub fn message(message: &Message, subject: Option<&str>, circumstances: Circumstances) -> Payload {
    match message {
        Message::Alerts(webhook) => alerts(webhook, circumstances),
        Message::Text(body) => text(subject, body, circumstances),
    }
}

/// Alerts as a message.
pub fn alerts(webhook: &Webhook, circumstances: Circumstances) -> Payload {
    let standing = Standing::from_webhook(webhook);
    let head = head(webhook, standing, circumstances.is_late);
    let header = escape::plain(&head, limits::HEADER, Lines::One);
    let about_it = standing_note(webhook, standing);
    let mut blocks: Vec<Block> = notes(about_it, circumstances).into_iter().collect();
    if !webhook.common_labels.is_empty() {
        let labels = alert_blocks::labels(&webhook.common_labels, COMMON);
        blocks.push(context(labels));
    }
    let mut room = limits::ALL - FOOTER - limits::HEADER;
    room = room.saturating_sub(blocks.iter().map(Block::length).sum());
    // The header, and the line that says what was left out.
    let mut free = limits::BLOCKS - 2 - blocks.len();
    let (firing, ended): (Vec<_>, Vec<_>) =
        webhook.alerts.iter().partition(|alert| alert.is_firing());
    let mut shown = 0;
    for alert in firing.iter().chain(&ended) {
        let own = alert_blocks::blocks(alert, &webhook.common_labels);
        let length: usize = own.iter().map(Block::length).sum();
        if own.len() > free || length > room {
            break;
        }
        free -= own.len();
        room -= length;
        shown += 1;
        blocks.extend(own);
    }
    if let Some(left_out) = left_out(firing.len(), ended.len(), shown, webhook.truncated_alerts) {
        blocks.push(context(left_out));
    }
    Payload::new(
        header.clone(),
        vec![Block::Header {
            text: Text::plain(header.clone()),
        }],
        vec![Attachment {
            color: if circumstances.is_late {
                color::GREY
            } else {
                color::for_standing(standing)
            },
            fallback: header,
            blocks,
        }],
    )
}

/// A text as a message.
pub fn text(subject: Option<&str>, text: &str, circumstances: Circumstances) -> Payload {
    let mut blocks = Vec::new();
    if let Some(subject) = subject {
        blocks.push(Block::Header {
            text: Text::plain(visible(escape::plain(subject, limits::HEADER, Lines::One))),
        });
    }
    blocks.extend(notes(None, circumstances));
    let mut rest: Vec<char> = text.trim().chars().collect();
    for _ in 0..PIECES {
        if rest.is_empty() {
            break;
        }
        let (piece, later) = piece(&rest);
        let piece = escape::plain(&piece, limits::TEXT, Lines::Many);
        blocks.push(Block::Section {
            text: Some(Text::plain(visible(piece))),
            fields: Vec::new(),
        });
        rest = later;
    }
    if !rest.is_empty() {
        let left_out = format!("… and {} more characters, left out here.", rest.len());
        blocks.push(context(left_out));
    }
    let first = subject.unwrap_or(text);
    let summary = visible(escape::plain(first.trim(), limits::HEADER, Lines::One));
    Payload::new(summary, blocks, Vec::new())
}

/// What fits into one block when escaped, cut after a line where there is one, and the rest.
fn piece(text: &[char]) -> (String, Vec<char>) {
    let mut used = 0;
    let fits = text
        .iter()
        .take_while(|c| {
            used += match c {
                '&' => 5,
                '<' | '>' => 4,
                c => c.len_utf16(),
            };
            used <= PIECE
        })
        .count();
    let (mut piece, mut later) = text.split_at_checked(fits).unwrap_or((text, &[]));
    if !later.is_empty()
        && let Some(line) = piece.iter().rposition(|c| *c == '\n')
        && line > fits / 2
    {
        (piece, later) = text.split_at_checked(line + 1).unwrap_or((piece, later));
    }
    (piece.iter().collect(), later.to_vec())
}

/// Slack refuses a text in which nothing is left to show.
fn visible(text: String) -> String {
    if text.trim().is_empty() {
        return "(nothing that can be shown)".to_owned();
    }
    text
}

/// `[FIRING:2] LinkLocalThrottling prod`, as Alertmanager's subject; what is not known to be over
/// is not called resolved.
fn head(webhook: &Webhook, standing: Standing, is_late: bool) -> String {
    let late = if is_late { "LATE, was " } else { "" };
    let mut head = format!("[{late}{standing}]");
    for word in title::words(webhook) {
        head.push(' ');
        head.push_str(word);
    }
    head
}

fn standing_note(webhook: &Webhook, standing: Standing) -> Option<&'static str> {
    match (standing, webhook.reason.as_str()) {
        (Standing::Past, _) => {
            Some("*For information:* this fired and resolved during an outage of dnswatch.")
        }
        _ if webhook.is_flood() => {
            Some("*Notification storm:* many alert groups combined into one message.")
        }
        (_, "repeat interval elapsed") => Some("Reminder: still firing."),
        _ => None,
    }
}

/// What a reader must know before the rest.
fn notes(first: Option<&str>, circumstances: Circumstances) -> Option<Block> {
    let mut notes: Vec<String> = first.map(str::to_owned).into_iter().collect();
    if circumstances.is_late {
        notes.push(
            "*Late:* a newer message about this group was sent before this one. What follows was \
             true earlier; the newer message stands."
                .to_owned(),
        );
    }
    if let Some(published) = circumstances.published {
        let age = circumstances.now.as_second() - published.as_second();
        if age > DELAYED_S {
            let published = alert_blocks::moment(published);
            notes.push(format!(
                "*Delayed:* published {published}, delivered only now."
            ));
        }
    }
    if notes.is_empty() {
        return None;
    }
    Some(context(notes.join("\n")))
}

fn context(markup: String) -> Block {
    Block::Context {
        elements: vec![Text::markup(markup)],
    }
}

/// Alerts are shown firing first.
fn left_out(firing: usize, ended: usize, shown: usize, truncated: u64) -> Option<String> {
    let firing_left = firing.saturating_sub(shown);
    let ended_left = (firing + ended).saturating_sub(shown.max(firing));
    let mut parts = Vec::new();
    let mut part = |count: u64, what: &str| {
        if count > 0 {
            parts.push(format!("{count} {what}"));
        }
    };
    part(u64::try_from(firing_left).unwrap_or(u64::MAX), "firing");
    part(u64::try_from(ended_left).unwrap_or(u64::MAX), "ended");
    part(truncated, "that this message was never given");
    if parts.is_empty() {
        return None;
    }
    Some(format!(
        "… and more alerts, left out here: {}.",
        parts.join(", ")
    ))
}
