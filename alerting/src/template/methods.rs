//! The methods of `time.Time`, `time.Duration`, `time.Month` and `time.Weekday`.

use super::builtins::{Returned, error};
use super::functions::Param;
use super::humanize;
use super::notified;
use super::time::{self, Time};
use super::value::{IntType, Value};

/// A method that a value has.
#[derive(Debug, Clone)]
pub(super) enum Method {
    Time(Time, &'static str),
    Duration(i64, &'static str),
    /// One of Alertmanager's types.
    Notified(Value, &'static str),
    /// `String` of a histogram.
    Histogram(String),
    /// A text that is known already.
    Text(fn(i64) -> String, i64),
}

/// Methods of `time.Time` and their parameters.
const TIME: [(&str, &[Param]); 32] = [
    ("Add", &[Param::Duration]),
    ("AddDate", &[Param::Int, Param::Int, Param::Int]),
    ("After", &[Param::Time]),
    ("Before", &[Param::Time]),
    ("Compare", &[Param::Time]),
    ("Day", &[]),
    ("Equal", &[Param::Time]),
    ("Format", &[Param::Str]),
    ("Hour", &[]),
    ("IsDST", &[]),
    ("IsZero", &[]),
    ("Local", &[]),
    ("Minute", &[]),
    ("Month", &[]),
    ("Nanosecond", &[]),
    ("Round", &[Param::Duration]),
    ("Second", &[]),
    ("String", &[]),
    ("Sub", &[Param::Time]),
    ("Truncate", &[Param::Duration]),
    ("UTC", &[]),
    ("Unix", &[]),
    ("UnixMicro", &[]),
    ("UnixMilli", &[]),
    ("UnixNano", &[]),
    ("Weekday", &[]),
    ("Year", &[]),
    ("YearDay", &[]),
    // These return several values, which a template cannot take.
    ("Clock", &[]),
    ("Date", &[]),
    ("ISOWeek", &[]),
    ("Zone", &[]),
];

/// Methods of `time.Duration` and their parameters.
const DURATION: [(&str, &[Param]); 10] = [
    ("Abs", &[]),
    ("Hours", &[]),
    ("Microseconds", &[]),
    ("Milliseconds", &[]),
    ("Minutes", &[]),
    ("Nanoseconds", &[]),
    ("Round", &[Param::Duration]),
    ("Seconds", &[]),
    ("String", &[]),
    ("Truncate", &[Param::Duration]),
];

/// The method called `name` of a value, with its parameters.
pub(super) fn find(value: &Value, name: &str) -> Option<(Method, &'static [Param])> {
    let among = |table: &'static [(&'static str, &'static [Param])]| {
        table.iter().find(|(known, _)| *known == name)
    };
    match value {
        Value::Time(time) => {
            among(&TIME).map(|(name, params)| (Method::Time(*time, name), *params))
        }
        Value::TimePointer(time) => {
            among(&TIME).map(|(name, params)| (Method::Time(**time, name), *params))
        }
        Value::Int(nanos, IntType::Duration) => {
            among(&DURATION).map(|(name, params)| (Method::Duration(*nanos, name), *params))
        }
        Value::DurationPointer(nanos) => {
            among(&DURATION).map(|(name, params)| (Method::Duration(**nanos, name), *params))
        }
        Value::Histogram(histogram) if name == "String" => {
            Some((Method::Histogram(histogram.to_string()), &[]))
        }
        Value::Int(month, IntType::Month) if name == "String" => {
            Some((Method::Text(time::month_text, *month), &[]))
        }
        Value::Int(day, IntType::Weekday) if name == "String" => {
            Some((Method::Text(time::weekday_text, *day), &[]))
        }
        other => notified::method(other, name)
            .map(|(name, params)| (Method::Notified(other.clone(), name), params)),
    }
}

impl Method {
    /// Why Go refuses to call it from a template, if it does.
    pub(super) fn refusal(&self) -> Option<String> {
        match self {
            Self::Time(_, name @ ("Clock" | "Date")) => Some(format!(
                "function {name} has 3 return values; should be 1 or 2"
            )),
            Self::Time(_, name @ ("ISOWeek" | "Zone")) => Some(format!(
                "invalid function signature for {name}: second return value should be error; is int"
            )),
            _ => None,
        }
    }

    pub(super) fn call(&self, args: &[Value]) -> Returned {
        match self {
            Self::Time(time, name) => call_time(*time, name, args),
            Self::Duration(nanos, name) => call_duration(*nanos, name, args),
            Self::Notified(value, name) => notified::call(value, name, args),
            Self::Histogram(text) => Ok(Value::str(text.as_str())),
            Self::Text(text, of) => Ok(Value::str(text(*of))),
        }
    }
}

/// An argument as an integer.
fn number(args: &[Value], at: usize) -> i64 {
    match args.get(at) {
        Some(Value::Int(number, _)) => *number,
        _ => 0,
    }
}

fn int(value: i64) -> Value {
    Value::Int(value, IntType::Int)
}

fn int64(value: i64) -> Value {
    Value::Int(value, IntType::Int64)
}

fn duration(nanos: i64) -> Value {
    Value::Int(nanos, IntType::Duration)
}

fn call_time(time: Time, name: &str, args: &[Value]) -> Returned {
    let parts = time.parts();
    let other = match args.first() {
        Some(Value::Time(other)) => *other,
        _ => time,
    };
    Ok(match name {
        "Add" => Value::Time(time.plus(number(args, 0))),
        "AddDate" => {
            let (years, months, days) = (number(args, 0), number(args, 1), number(args, 2));
            Value::Time(time.plus_date(years, months, days))
        }
        "After" => Value::Bool(time > other),
        "Before" => Value::Bool(time < other),
        "Compare" => int(time.cmp(&other) as i64),
        "Day" => int(parts.day),
        "Equal" => Value::Bool(time == other),
        "Format" => match args.first() {
            Some(Value::Str(layout)) => Value::str(time.format(&String::from_utf8_lossy(layout))),
            _ => return error("expected string"),
        },
        "Hour" => int(parts.hour),
        "IsDST" => Value::Bool(time.is_dst()),
        "IsZero" => Value::Bool(time.is_zero()),
        "Local" | "UTC" => Value::Time(time.in_utc()),
        "Minute" => int(parts.minute),
        "Month" => Value::Int(parts.month, IntType::Month),
        "Nanosecond" => int(time.nanosecond()),
        "Round" => Value::Time(time.truncate(number(args, 0), true)),
        "Second" => int(parts.second),
        "String" => Value::str(time.to_string()),
        "Sub" => duration(time.since(other)),
        "Truncate" => Value::Time(time.truncate(number(args, 0), false)),
        "Unix" => int64(time.unix()),
        "UnixMicro" => int64(time.unix_in(1_000_000)),
        "UnixMilli" => int64(time.unix_in(1_000)),
        "UnixNano" => int64(time.unix_in(time::NANOS_PER_SECOND)),
        "Weekday" => Value::Int(parts.weekday, IntType::Weekday),
        "Year" => int(parts.year),
        "YearDay" => int(parts.year_day),
        _ => return error(format!("method {name} is not supported")),
    })
}

#[expect(clippy::cast_precision_loss, reason = "rounded, as Go rounds")]
fn call_duration(nanos: i64, name: &str, args: &[Value]) -> Returned {
    const MINUTE: i64 = 60 * time::NANOS_PER_SECOND;
    const HOUR: i64 = 60 * MINUTE;
    Ok(match name {
        "Abs" => duration(nanos.saturating_abs()),
        "Hours" => Value::Float((nanos / HOUR) as f64 + (nanos % HOUR) as f64 / (HOUR as f64)),
        "Microseconds" => int64(nanos / 1_000),
        "Milliseconds" => int64(nanos / 1_000_000),
        "Minutes" => {
            Value::Float((nanos / MINUTE) as f64 + (nanos % MINUTE) as f64 / (MINUTE as f64))
        }
        "Nanoseconds" => int64(nanos),
        "Round" => duration(time::truncate_duration(nanos, number(args, 0), true)),
        "Seconds" => Value::Float(humanize::seconds(nanos)),
        "String" => Value::str(time::duration_text(nanos)),
        "Truncate" => duration(time::truncate_duration(nanos, number(args, 0), false)),
        _ => return error(format!("method {name} is not supported")),
    })
}
