//! `toJson`: a value as Go's `encoding/json` writes it.

use super::float;
use super::notified;
use super::value::Value;

/// The fields of `template.Alert` in their order, as Go and JSON name them.
const ALERT: [(&str, &str); 7] = [
    ("status", "Status"),
    ("labels", "Labels"),
    ("annotations", "Annotations"),
    ("startsAt", "StartsAt"),
    ("endsAt", "EndsAt"),
    ("generatorURL", "GeneratorURL"),
    ("fingerprint", "Fingerprint"),
];
/// Those of `template.Data`.
const DATA: [(&str, &str); 9] = [
    ("receiver", "Receiver"),
    ("status", "Status"),
    ("alerts", "Alerts"),
    ("notification_reason", "NotificationReason"),
    ("groupLabels", "GroupLabels"),
    ("commonLabels", "CommonLabels"),
    ("commonAnnotations", "CommonAnnotations"),
    ("routeLabels", "RouteLabels"),
    ("externalURL", "ExternalURL"),
];

/// The value as JSON, or what Go says of it.
pub(super) fn json(value: &Value) -> Result<String, String> {
    let mut out = String::new();
    write(&mut out, value)?;
    Ok(out)
}

fn write(out: &mut String, value: &Value) -> Result<(), String> {
    match value.concrete() {
        Value::Invalid => out.push_str("null"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Int(value, _) => out.push_str(&value.to_string()),
        Value::Byte(value) => out.push_str(&value.to_string()),
        Value::Float(value) => out.push_str(&number(*value)?),
        Value::Str(text) | Value::Html(text) => string(out, text),
        Value::Strings(texts) | Value::Names(texts) => {
            list(out, texts.iter().map(|text| Value::Str(text.clone())))?;
        }
        Value::List(items) => list(out, items.elements.iter().cloned())?,
        Value::Pairs(pairs) => list(out, pairs.iter().cloned().map(Value::Pair))?,
        Value::Alerts(alerts) => list(out, alerts.iter().cloned().map(Value::NotifiedAlert))?,
        Value::Kv(kv) => {
            let entries = kv.iter();
            object(
                out,
                entries.map(|(name, text)| (name.as_str(), Value::str(text.as_str()))),
            )?;
        }
        Value::Args(named) => {
            let entries = named.elements.iter();
            object(out, entries.map(|(name, it)| (name.as_str(), it.clone())))?;
        }
        Value::Pair(pair) => {
            let fields = [("Name", &pair.0), ("Value", &pair.1)];
            object(
                out,
                fields
                    .into_iter()
                    .map(|(name, it)| (name, Value::str(it.as_str()))),
            )?;
        }
        Value::NotifiedAlert(alert) => {
            let fields = ALERT
                .iter()
                .filter_map(|(name, go)| Some((*name, notified::field_of_alert(alert, go)?)));
            object(out, fields)?;
        }
        Value::Notified(data) => {
            let fields = DATA
                .iter()
                .filter_map(|(name, go)| Some((*name, notified::field_of_data(data, go)?)));
            object(out, fields)?;
        }
        Value::Time(time) => {
            string(
                out,
                time.format("2006-01-02T15:04:05.999999999Z07:00")
                    .as_bytes(),
            );
        }
        other => return Err(format!("json: unsupported type: {}", other.type_name())),
    }
    Ok(())
}

fn list(out: &mut String, items: impl Iterator<Item = Value>) -> Result<(), String> {
    out.push('[');
    for (at, item) in items.enumerate() {
        if at > 0 {
            out.push(',');
        }
        write(out, &item)?;
    }
    out.push(']');
    Ok(())
}

fn object<'a>(
    out: &mut String,
    entries: impl Iterator<Item = (&'a str, Value)>,
) -> Result<(), String> {
    out.push('{');
    for (at, (name, value)) in entries.enumerate() {
        if at > 0 {
            out.push(',');
        }
        string(out, name.as_bytes());
        out.push(':');
        write(out, &value)?;
    }
    out.push('}');
    Ok(())
}

fn number(value: f64) -> Result<String, String> {
    if !value.is_finite() {
        let shown = float::format(value, 'g', None);
        return Err(format!("json: unsupported value: {shown}"));
    }
    let size = value.abs();
    if size != 0.0 && !(1e-6..1e21).contains(&size) {
        let shown = float::format(value, 'e', None);
        // Go cleans `e-09` up to `e-9`.
        return Ok(shown.replace("e-0", "e-"));
    }
    Ok(float::format(value, 'f', None))
}

/// A text with what HTML takes for markup escaped, as Go's default is.
fn string(out: &mut String, text: &[u8]) {
    out.push('"');
    for c in String::from_utf8_lossy(text).chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\u{1f}' => {
                out.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}
