//! One alert as blocks: what and whether it fires, what its rule says of it, since when, how much.

use std::collections::BTreeMap;

use delivery::how_it_ended::{self, End};
use delivery::message::Alert;
use delivery::value;
use jiff::Timestamp;

use crate::block_kit::{Block, Text};
use crate::escape::{self, Lines};
use crate::links;

/// The longest line of labels, summary and description, and value; a message has room for one
/// alert at least that has all of them and three links.
const LABELS: usize = 900;
const SUMMARY: usize = 400;
const DESCRIPTION: usize = 900;
const VALUE: usize = 40;
const SPARKLINE: usize = 80;
const ADDRESS: usize = 200;

/// The blocks of one alert of a group whose alerts have `common` in common.
pub fn blocks(alert: &Alert, common: &BTreeMap<String, String>) -> Vec<Block> {
    let mut blocks = vec![
        Block::Section {
            text: Some(Text::markup(line(alert, common))),
            fields: Vec::new(),
        },
        Block::Section {
            text: words(alert),
            fields: fields(alert),
        },
    ];
    let links = links(alert);
    if !links.is_empty() {
        blocks.push(Block::Context { elements: links });
    }
    blocks
}

/// `FIRING` and the labels that distinguish this alert.
fn line(alert: &Alert, common: &BTreeMap<String, String>) -> String {
    let end = End::from_alert(alert);
    let mut line = format!("*{}*", end.word());
    if end == End::Firing
        && let Some(held) = how_it_ended::held(alert)
    {
        line.push_str(&format!(" ({held})"));
    } else if let Some(remark) = end.remark() {
        line.push_str(&format!(" ({remark})"));
    }
    // What all alerts have in common stands above them.
    let own = alert.labels.iter();
    let own = own.filter(|(name, value)| *name != "alertname" && common.get(*name) != Some(*value));
    let shown: BTreeMap<String, String> = own
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    if !shown.is_empty() {
        line.push_str("  ");
        line.push_str(&labels(&shown, LABELS));
    }
    line
}

/// Labels as code, in which nothing is markup. What does not fit into `limit` is counted.
pub fn labels(labels: &BTreeMap<String, String>, limit: usize) -> String {
    const LONGEST: usize = 200;
    // For the remark that some are missing.
    const REMARK: usize = 24;
    let mut line = String::new();
    for (index, (name, value)) in labels.iter().enumerate() {
        let pair = escape::code(&format!("{name}={value}"), LONGEST);
        if escape::length(&line) + escape::length(&pair) + 1 > limit.saturating_sub(REMARK) {
            line.push_str(&format!(" +{} more labels", labels.len() - index));
            break;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(&pair);
    }
    line
}

/// The summary and, while it fires, the description, shown as they are: what ended needs no
/// instructions.
fn words(alert: &Alert) -> Option<Text> {
    let annotation = |name: &str, limit| {
        let text = alert.annotations.get(name)?.trim();
        let text = escape::plain(text, limit, Lines::Many);
        (!text.trim().is_empty()).then_some(text)
    };
    let description = ["description", "message"]
        .into_iter()
        .filter(|_| alert.is_firing())
        .find_map(|name| annotation(name, DESCRIPTION));
    let summary = annotation("summary", SUMMARY);
    let words: Vec<String> = summary
        .map(|summary| match alert.is_firing() {
            true => summary,
            // The summary describes an alert that still fires.
            false => format!("Was: {summary}"),
        })
        .into_iter()
        .chain(description)
        .collect();
    (!words.is_empty()).then(|| Text::plain(words.join("\n")))
}

/// Since when, until when, the values; never empty.
fn fields(alert: &Alert) -> Vec<Text> {
    let is_firing = alert.is_firing();
    let mut fields = vec![field(
        if is_firing { "Since" } else { "From" },
        &when(&alert.starts_at),
    )];
    if !is_firing {
        fields.push(field("To", &when(&alert.ends_at)));
    }
    let number = |value| Some(escape::code(&value::text(value)?, VALUE));
    let now = number(&alert.value_now);
    let last = number(&alert.value);
    let sparkline = alert.sparkline.as_deref();
    let sparkline = sparkline.filter(|bars| !bars.trim().is_empty());
    let last_name = match (is_firing, alert.hold.is_some()) {
        (true, false) => "Value",
        (true, true) => "Last value",
        (false, _) => "Last firing value",
    };
    // Of what fires and is reported, the value now says it all.
    let last = last.filter(|_| now.is_none() || last_name != "Value");
    fields.extend(last.map(|value| field(last_name, &value)));
    fields.extend(now.map(|value| field("Value now", &value)));
    fields.extend(sparkline.map(|bars| field("Trend", &escape::code(bars, SPARKLINE))));
    fields
}

fn field(name: &str, markup: &str) -> Text {
    Text::markup(format!("*{name}*\n{markup}"))
}

/// A moment, in the reader's own time zone.
pub fn moment(at: Timestamp) -> String {
    let second = at.as_second();
    format!(
        "<!date^{second}^{{date_short_pretty}} {{time_secs}}|{}>",
        at.strftime("%Y-%m-%d %H:%M:%S UTC")
    )
}

fn when(rfc3339: &str) -> String {
    match rfc3339.parse::<Timestamp>() {
        // Slack's dates begin with the epoch; Go's zero time lies before it.
        Ok(at) if at.as_second() > 0 => moment(at),
        _ => "not known".to_owned(),
    }
}

fn links(alert: &Alert) -> Vec<Text> {
    let annotation = |names: [&str; 2]| {
        let mut found = names.iter().filter_map(|name| alert.annotations.get(*name));
        found.find(|address| !address.trim().is_empty())
    };
    let runbook = annotation(["runbook_url", "runbook"]);
    let dashboard = annotation(["dashboard_url", "dashboard"]);
    [
        ("Runbook", runbook),
        ("Dashboard", dashboard),
        ("Query", Some(&alert.generator_url)),
    ]
    .into_iter()
    .filter_map(|(label, address)| {
        let address = address?;
        // A runbook may be named by its path.
        let named = || {
            let is_named = label != "Query" && !address.trim().is_empty();
            is_named.then(|| format!("{label} {}", escape::code(address, ADDRESS)))
        };
        links::link(label, address).or_else(named)
    })
    .map(Text::markup)
    .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_resolved_alert_omits_instructions_and_a_runbook_may_be_a_path() {
        let shown = |status: &str| {
            let alert: Alert = serde_json::from_value(json!({
                "status": status,
                "labels": {"alertname": "A"},
                "annotations": {
                    "summary": "it drops",
                    "description": "do this",
                    "runbook": "rules/runbooks/A.md",
                    "dashboard": "javascript:alert(1)",
                },
                "startsAt": "2026-11-23T11:48:30Z",
                "endsAt": "2026-11-23T11:58:30Z",
            }))
            .unwrap();
            serde_json::to_string(&blocks(&alert, &BTreeMap::new())).unwrap()
        };
        let firing = shown("firing");
        assert!(firing.contains("it drops\\ndo this"), "{firing}");
        for alert in [firing, shown("resolved")] {
            assert!(alert.contains("it drops"), "{alert}");
            assert!(alert.contains("Runbook `rules/runbooks/A.md`"), "{alert}");
            assert!(!alert.contains("<javascript"), "{alert}");
        }
        assert!(!shown("resolved").contains("do this"));
        assert!(shown("resolved").contains("Was: it drops"));
    }
}
