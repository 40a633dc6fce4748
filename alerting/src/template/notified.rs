//! What Alertmanager gives a notification's templates (`template/template.go`): the data, its
//! fields and its methods.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::builtins::{Returned, error};
use super::functions::Param;
use super::time::Time;
use super::value::Value;
use crate::labels::ALERT_NAME;

/// `template.KV`.
pub(super) type Kv = Rc<BTreeMap<String, String>>;

/// `template.Data`.
#[derive(Debug)]
pub(super) struct Notified {
    pub(super) receiver: String,
    pub(super) status: &'static str,
    pub(super) alerts: Rc<[Rc<NotifiedAlert>]>,
    pub(super) group_labels: Kv,
    pub(super) common_labels: Kv,
    pub(super) common_annotations: Kv,
    pub(super) external_url: String,
    pub(super) reason: String,
    pub(super) route_labels: Kv,
    /// Whether these are expanded already.
    pub(super) is_rendered: bool,
}

/// `template.Alert`.
#[derive(Debug)]
pub(super) struct NotifiedAlert {
    pub(super) is_firing: bool,
    pub(super) labels: Kv,
    pub(super) annotations: Kv,
    pub(super) starts_at: Time,
    pub(super) ends_at: Time,
    pub(super) generator_url: String,
    pub(super) fingerprint: String,
}

impl NotifiedAlert {
    fn status(&self) -> &'static str {
        if self.is_firing { "firing" } else { "resolved" }
    }
}

/// A field of `template.Data`.
pub(super) fn field_of_data(data: &Notified, name: &str) -> Option<Value> {
    Some(match name {
        "Receiver" => Value::str(data.receiver.as_str()),
        "Status" => Value::str(data.status),
        "Alerts" => Value::Alerts(Rc::clone(&data.alerts)),
        "GroupLabels" => Value::Kv(Rc::clone(&data.group_labels)),
        "CommonLabels" => Value::Kv(Rc::clone(&data.common_labels)),
        "CommonAnnotations" => Value::Kv(Rc::clone(&data.common_annotations)),
        "ExternalURL" => Value::str(data.external_url.as_str()),
        "RouteLabels" => Value::Kv(Rc::clone(&data.route_labels)),
        "NotificationReason" => Value::str(data.reason.as_str()),
        _ => return None,
    })
}

/// A field of `template.Alert`.
pub(super) fn field_of_alert(alert: &NotifiedAlert, name: &str) -> Option<Value> {
    Some(match name {
        "Status" => Value::str(alert.status()),
        "Labels" => Value::Kv(Rc::clone(&alert.labels)),
        "Annotations" => Value::Kv(Rc::clone(&alert.annotations)),
        "StartsAt" => Value::Time(alert.starts_at),
        "EndsAt" => Value::Time(alert.ends_at),
        "GeneratorURL" => Value::str(alert.generator_url.as_str()),
        "Fingerprint" => Value::str(alert.fingerprint.as_str()),
        _ => return None,
    })
}

/// A method of one of these types, with its parameters.
pub(super) fn method(value: &Value, name: &str) -> Option<(&'static str, &'static [Param])> {
    let known: &[(&'static str, &'static [Param])] = match value {
        Value::Kv(_) => &[
            ("Names", &[]),
            ("Remove", &[Param::Strings]),
            ("SortedPairs", &[]),
            ("String", &[]),
            ("Values", &[]),
        ],
        Value::Pairs(_) => &[("Names", &[]), ("String", &[]), ("Values", &[])],
        Value::Alerts(_) => &[("Firing", &[]), ("Resolved", &[])],
        Value::Names(_) => &[("Join", &[Param::Str])],
        _ => &[],
    };
    known.iter().find(|(known, _)| *known == name).copied()
}

/// Calls a method that [`method`] knows.
pub(super) fn call(value: &Value, name: &str, args: &[Value]) -> Returned {
    Ok(match (value, name) {
        (Value::Kv(kv), "Remove") => {
            let gone = args.first().map_or(&[][..], strings);
            let keeps = |name: &&String| !gone.iter().any(|gone| **gone == *name.as_bytes());
            let kept = kv.iter().filter(|(name, _)| keeps(name));
            Value::Kv(Rc::new(
                kept.map(|(name, value)| (name.clone(), value.clone()))
                    .collect(),
            ))
        }
        (Value::Kv(kv), "SortedPairs") => Value::Pairs(pairs(kv)),
        (Value::Kv(kv), name) => return call(&Value::Pairs(pairs(kv)), name, args),
        (Value::Pairs(pairs), "Names") => {
            Value::Names(pairs.iter().map(|pair| pair.0.as_bytes().into()).collect())
        }
        (Value::Pairs(pairs), "Values") => {
            Value::Names(pairs.iter().map(|pair| pair.1.as_bytes().into()).collect())
        }
        (Value::Names(names), "Join") => match args.first() {
            Some(Value::Str(between)) => Value::str(names.join(&**between)),
            _ => return error("expected string"),
        },
        (Value::Pairs(pairs), "String") => Value::str(shown(pairs)),
        (Value::Alerts(alerts), "Firing" | "Resolved") => {
            let wanted = name == "Firing";
            let alerts = alerts.iter().filter(|alert| alert.is_firing == wanted);
            Value::Alerts(alerts.cloned().collect())
        }
        _ => return error(format!("method {name} is not supported")),
    })
}

/// The texts of a `[]string`.
pub(super) fn strings(value: &Value) -> &[Rc<[u8]>] {
    match value {
        Value::Strings(strings) => strings,
        _ => &[],
    }
}

/// `SortedPairs`: by name, but for the alert's, which comes first.
pub(super) fn pairs(kv: &Kv) -> Rc<[Rc<(String, String)>]> {
    let is_first = |name: &str| name == ALERT_NAME;
    let (first, rest): (Vec<_>, Vec<_>) = kv.iter().partition(|(name, _)| is_first(name));
    let all = first.into_iter().chain(rest);
    all.map(|(name, value)| Rc::new((name.clone(), value.clone())))
        .collect()
}

/// `Pairs.String`.
pub(super) fn shown(pairs: &[Rc<(String, String)>]) -> String {
    let pairs = pairs.iter().map(|pair| format!("{}={}", pair.0, pair.1));
    pairs.collect::<Vec<_>>().join(", ")
}
