//! Slack's rules for a message, strictly, and ours: nothing from outside is markup.
//!
//! The rules are those of docs.slack.dev (Block Kit reference, formatting); the limit for all
//! texts together is what was seen there to be refused (slackapi/bolt-js#2509, #2867).

use anyhow::{Context as _, Result, ensure};
use serde_json::{Map, Value};

/// What a message shows, as a reader sees it.
#[derive(Debug, Default)]
pub(super) struct Shown {
    /// The header.
    pub(super) header: String,
    /// All texts, the header too, one a line; entities decoded.
    pub(super) text: String,
    /// The bar's colour.
    pub(super) color: String,
    pub(super) blocks: usize,
    length: usize,
}

/// Reads a message, or says which rule it breaks.
pub(super) fn judge(message: &Value) -> Result<Shown> {
    let message = object(message)?;
    only(
        message,
        &[
            "text",
            "mrkdwn",
            "unfurl_links",
            "unfurl_media",
            "blocks",
            "attachments",
        ],
    )?;
    for off in ["mrkdwn", "unfurl_links", "unfurl_media"] {
        ensure!(
            message.get(off) == Some(&Value::Bool(false)),
            "{off} is not off"
        );
    }
    plain(string(message, "text")?, 3_000)?;
    let mut shown = Shown::default();
    for block in array(message, "blocks")? {
        read_block(block, &mut shown)?;
    }
    let attachments = array(message, "attachments")?;
    ensure!(attachments.len() <= 20, "{} attachments", attachments.len());
    for attachment in attachments {
        let attachment = object(attachment)?;
        only(attachment, &["color", "fallback", "blocks"])?;
        plain(string(attachment, "fallback")?, 3_000)?;
        shown.color = string(attachment, "color")?.to_owned();
        let digits = shown.color.strip_prefix('#').context("a colour")?;
        ensure!(
            digits.len() == 6 && digits.bytes().all(|b| b.is_ascii_hexdigit()),
            "{digits}"
        );
        let blocks = array(attachment, "blocks")?;
        ensure!(!blocks.is_empty(), "an attachment without blocks");
        for block in blocks {
            read_block(block, &mut shown)?;
        }
    }
    ensure!((1..=50).contains(&shown.blocks), "{} blocks", shown.blocks);
    ensure!(
        shown.length <= 11_000,
        "msg_blocks_too_long: {}",
        shown.length
    );
    Ok(shown)
}

fn read_block(block: &Value, shown: &mut Shown) -> Result<()> {
    let block = object(block)?;
    shown.blocks += 1;
    match string(block, "type")? {
        "header" => {
            only(block, &["type", "text"])?;
            let header = object(&block["text"])?;
            ensure!(
                string(header, "type")? == "plain_text",
                "a header that is markup"
            );
            read_text(header, 150, shown)?;
            shown.header = decoded(string(header, "text")?);
        }
        "section" => {
            only(block, &["type", "text", "fields"])?;
            ensure!(
                block.contains_key("text") || block.contains_key("fields"),
                "an empty section"
            );
            if let Some(text) = block.get("text") {
                read_text(object(text)?, 3_000, shown)?;
            }
            if block.contains_key("fields") {
                let fields = array(block, "fields")?;
                ensure!((1..=10).contains(&fields.len()), "{} fields", fields.len());
                for field in fields {
                    read_text(object(field)?, 2_000, shown)?;
                }
            }
        }
        "context" => {
            only(block, &["type", "elements"])?;
            let elements = array(block, "elements")?;
            ensure!(
                (1..=10).contains(&elements.len()),
                "{} elements",
                elements.len()
            );
            for element in elements {
                read_text(object(element)?, 3_000, shown)?;
            }
        }
        other => anyhow::bail!("a block of type {other}"),
    }
    Ok(())
}

fn read_text(object: &Map<String, Value>, limit: usize, shown: &mut Shown) -> Result<()> {
    let text = string(object, "text")?;
    match string(object, "type")? {
        "plain_text" => {
            only(object, &["type", "text", "emoji"])?;
            ensure!(
                object.get("emoji") == Some(&Value::Bool(false)),
                "emoji: {text:?}"
            );
            plain(text, limit)?;
        }
        "mrkdwn" => {
            only(object, &["type", "text", "verbatim"])?;
            ensure!(
                object.get("verbatim") == Some(&Value::Bool(true)),
                "not verbatim: {text:?}"
            );
            markup(text, limit)?;
        }
        other => anyhow::bail!("a text of type {other}"),
    }
    shown.length += text.chars().count();
    shown.text.push_str(&decoded(text));
    shown.text.push('\n');
    Ok(())
}

/// Text that says something and holds nothing but text.
fn plain(text: &str, limit: usize) -> Result<()> {
    let units = text.encode_utf16().count();
    ensure!(units <= limit, "{units} of {limit} characters");
    ensure!(!text.trim().is_empty(), "an empty text");
    for c in text.chars() {
        ensure!(
            c == '\n' || !c.is_control(),
            "control character {c:?} in {text:?}"
        );
        ensure!(!('\u{202a}'..='\u{202e}').contains(&c), "{c:?} in {text:?}");
        ensure!(!('\u{2066}'..='\u{2069}').contains(&c), "{c:?} in {text:?}");
        ensure!(!matches!(c, '<' | '>'), "markup in {text:?}");
    }
    for after in text.split('&').skip(1) {
        let is_entity = ["amp;", "lt;", "gt;"]
            .iter()
            .any(|name| after.starts_with(name));
        ensure!(is_entity, "a bare ampersand in {text:?}");
    }
    Ok(())
}

/// Markup in which only our own words, dates and links stand outside of code.
fn markup(text: &str, limit: usize) -> Result<()> {
    let units = text.encode_utf16().count();
    ensure!(units <= limit, "{units} of {limit} characters");
    let mut rest = text;
    let mut ours = String::new();
    while let Some(at) = rest.find(['`', '<']) {
        let (before, found) = rest.split_at(at);
        ours.push_str(before);
        let closing = if found.starts_with('`') { '`' } else { '>' };
        let (inner, after) = found[1..]
            .split_once(closing)
            .with_context(|| format!("not closed: {text:?}"))?;
        if closing == '`' {
            ensure!(!inner.contains('\n'), "code over two lines: {text:?}");
            ensure!(
                inner == " " || plain(inner, limit).is_ok(),
                "in code: {inner:?}"
            );
        } else {
            let (address, label) = inner.split_once('|').context("a link without a label")?;
            plain(label, limit)?;
            let is_date = address
                .strip_prefix("!date^")
                .and_then(|date| date.split_once('^'))
                .is_some_and(|(second, format)| {
                    second.parse::<u64>().is_ok() && format == "{date_short_pretty} {time_secs}"
                });
            let is_link = ["http://", "https://"]
                .iter()
                .any(|scheme| address.starts_with(scheme))
                && plain(address, limit).is_ok()
                && !address.contains(char::is_whitespace)
                && ["Runbook", "Dashboard", "Query"].contains(&label);
            ensure!(is_date || is_link, "a link to {address:?} called {label:?}");
        }
        rest = after;
    }
    ours.push_str(rest);
    let is_ours = |c: char| c.is_ascii_alphanumeric() || " \n*+…-.,:;()".contains(c);
    ensure!(
        ours.chars().all(is_ours),
        "not our words: {ours:?} in {text:?}"
    );
    ensure!(!text.trim().is_empty(), "an empty text");
    Ok(())
}

fn decoded(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&")
}

fn object(value: &Value) -> Result<&Map<String, Value>> {
    value
        .as_object()
        .with_context(|| format!("no object: {value}"))
}

fn array<'a>(object: &'a Map<String, Value>, key: &str) -> Result<&'a [Value]> {
    match object.get(key) {
        None => Ok(&[]),
        Some(value) => Ok(value
            .as_array()
            .with_context(|| format!("{key}: {value}"))?),
    }
}

fn string<'a>(object: &'a Map<String, Value>, key: &str) -> Result<&'a str> {
    object
        .get(key)
        .and_then(Value::as_str)
        .with_context(|| format!("no {key}"))
}

fn only(object: &Map<String, Value>, known: &[&str]) -> Result<()> {
    for key in object.keys() {
        ensure!(known.contains(&key.as_str()), "unknown key {key}");
    }
    Ok(())
}
