//! The functions that Alertmanager adds to Go's and has not in common with Prometheus
//! (`DefaultFuncs` in its `template/template.go`).

use serde_json::{Map, Number, Value as Json};

use super::builtins::{Returned, error};
use super::notified;
use super::time::Time;
use super::value::{IntType, Value};
use crate::notify::location;
use crate::timestamp::Timestamp;

/// `tz`: the moment as the clocks of a place show it.
pub(super) fn tz(name: &str, time: &Value) -> Returned {
    let Value::Time(time) = time else {
        return Ok(Value::Invalid);
    };
    match (name, location(name)) {
        ("" | "UTC", _) => Ok(Value::Time(time.in_utc())),
        (_, Some(zone)) => Ok(Value::Time(time.within(&zone))),
        (_, None) => error(format!("unknown time zone {name}")),
    }
}

/// `since`: how long ago that was.
pub(super) fn since(time: &Value, now: Timestamp) -> Returned {
    match time {
        Value::Time(time) => {
            let now = Time::from_millis(now.as_millis());
            Ok(Value::Int(now.since(*time), IntType::Duration))
        }
        _ => Ok(Value::Invalid),
    }
}

/// `urlUnescape`.
pub(super) fn url_unescape(text: &[u8]) -> Returned {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        match first {
            b'+' => plain.push(b' '),
            b'%' => {
                let digits = tail.get(..2).and_then(|two| std::str::from_utf8(two).ok());
                let digits = digits.filter(|two| two.bytes().all(|b| b.is_ascii_hexdigit()));
                let Some(byte) = digits.and_then(|two| u8::from_str_radix(two, 16).ok()) else {
                    let shown = String::from_utf8_lossy(tail.get(..2).unwrap_or(tail));
                    return error(format!("invalid URL escape \"%{shown}\""));
                };
                plain.push(byte);
                rest = tail.get(2..).unwrap_or(&[]);
            }
            other => plain.push(*other),
        }
    }
    Ok(Value::str(plain))
}

/// A value as Go's `encoding/json` writes it.
pub(super) fn json(value: &Value) -> Result<Json, String> {
    let text = |bytes: &[u8]| Json::String(String::from_utf8_lossy(bytes).into_owned());
    Ok(match value.concrete() {
        Value::Invalid => Json::Null,
        Value::Bool(value) => Json::Bool(*value),
        Value::Int(value, _) => Json::Number((*value).into()),
        Value::Float(value) => match Number::from_f64(*value) {
            Some(number) => Json::Number(number),
            None => return Err(format!("json: unsupported value: {value}")),
        },
        Value::Str(bytes) | Value::Html(bytes) => text(bytes),
        Value::Strings(strings) => Json::Array(strings.iter().map(|it| text(it)).collect()),
        Value::Kv(kv) => Json::Object(
            kv.iter()
                .map(|(name, value)| (name.clone(), Json::String(value.clone())))
                .collect(),
        ),
        Value::Pairs(pairs) => {
            let pairs = pairs.iter().cloned().map(Value::Pair);
            Json::Array(pairs.map(|pair| json(&pair)).collect::<Result<_, _>>()?)
        }
        Value::Pair(pair) => {
            let fields = [("Name", &pair.0), ("Value", &pair.1)];
            let fields = fields.map(|(name, value)| (name.to_owned(), Json::String(value.clone())));
            Json::Object(fields.into_iter().collect())
        }
        Value::Alerts(alerts) => {
            let alerts = alerts.iter().cloned().map(Value::NotifiedAlert);
            Json::Array(alerts.map(|alert| json(&alert)).collect::<Result<_, _>>()?)
        }
        Value::NotifiedAlert(alert) => object(
            &[
                ("status", "Status"),
                ("labels", "Labels"),
                ("annotations", "Annotations"),
                ("startsAt", "StartsAt"),
                ("endsAt", "EndsAt"),
                ("generatorURL", "GeneratorURL"),
                ("fingerprint", "Fingerprint"),
            ],
            |name| notified::field_of_alert(alert, name),
        )?,
        Value::Notified(data) => object(
            &[
                ("receiver", "Receiver"),
                ("status", "Status"),
                ("alerts", "Alerts"),
                ("groupLabels", "GroupLabels"),
                ("commonLabels", "CommonLabels"),
                ("commonAnnotations", "CommonAnnotations"),
                ("externalURL", "ExternalURL"),
            ],
            |name| notified::field_of_data(data, name),
        )?,
        Value::Time(time) => Json::String(time.format("2006-01-02T15:04:05.999999999Z07:00")),
        other => return Err(format!("json: unsupported type: {}", other.type_name())),
    })
}

fn object(fields: &[(&str, &str)], field: impl Fn(&str) -> Option<Value>) -> Result<Json, String> {
    let mut object = Map::new();
    for (name, go) in fields {
        let value = field(go).unwrap_or(Value::Invalid);
        object.insert((*name).to_owned(), json(&value)?);
    }
    Ok(Json::Object(object))
}
