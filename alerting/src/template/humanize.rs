//! Prometheus's `humanize` family and the conversions beside it.
//!
//! After `template/template.go` of Prometheus and `helpers/templates/time.go` of
//! prometheus/common.

use super::float;
use super::number::parse_float;
use super::time::{NANOS_PER_SECOND, Time};
use super::value::{IntType, Value};

const LARGE: [&str; 8] = ["k", "M", "G", "T", "P", "E", "Z", "Y"];
const LARGE_1024: [&str; 8] = ["ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"];
const SMALL: [&str; 8] = ["m", "u", "n", "p", "f", "a", "z", "y"];

/// `%.4g`.
fn four_digits(value: f64) -> String {
    float::format(value, 'g', Some(4))
}

/// `%v`.
fn shortest(value: f64) -> String {
    float::format(value, 'g', None)
}

/// `ConvertToFloat`: numbers, texts of numbers, and durations as seconds.
#[expect(clippy::cast_precision_loss, reason = "rounded, as Go rounds")]
pub(super) fn to_float(value: &Value) -> Result<f64, String> {
    match value.concrete() {
        Value::Float(value) => Ok(*value),
        Value::Str(text) => parse_float(&String::from_utf8_lossy(text)),
        Value::Int(value, IntType::Int | IntType::Int64) => Ok(*value as f64),
        Value::Int(nanos, IntType::Duration) => Ok(seconds(*nanos)),
        other => Err(format!("can't convert {} to float", other.type_name())),
    }
}

/// `Duration.Seconds`.
#[expect(clippy::cast_precision_loss, reason = "rounded, as Go rounds")]
pub(super) fn seconds(nanos: i64) -> f64 {
    (nanos / NANOS_PER_SECOND) as f64 + (nanos % NANOS_PER_SECOND) as f64 / 1e9
}

/// Go's conversion of a float to an `int64` on amd64: what does not fit becomes the least one.
#[expect(clippy::cast_possible_truncation, reason = "checked to be in range")]
pub(super) fn truncate_to_i64(value: f64) -> i64 {
    const TWO_POW_63: f64 = 9_223_372_036_854_775_808.0;
    if (-TWO_POW_63..TWO_POW_63).contains(&value) {
        value as i64
    } else {
        i64::MIN
    }
}

fn divided(mut value: f64, step: f64, prefixes: &[&'static str]) -> (f64, &'static str) {
    let mut shown = "";
    for prefix in prefixes {
        if value.abs() < step {
            break;
        }
        shown = prefix;
        value /= step;
    }
    (value, shown)
}

fn multiplied(mut value: f64) -> (f64, &'static str) {
    let mut shown = "";
    for prefix in SMALL {
        if value.abs() >= 1.0 {
            break;
        }
        shown = prefix;
        value *= 1000.0;
    }
    (value, shown)
}

/// `humanize`: metric prefixes.
pub(super) fn humanize(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return four_digits(value);
    }
    let (value, prefix) = if value.abs() >= 1.0 {
        divided(value, 1000.0, &LARGE)
    } else {
        multiplied(value)
    };
    format!("{}{prefix}", four_digits(value))
}

/// `humanize1024`: binary prefixes.
pub(super) fn humanize_1024(value: f64) -> String {
    if value.abs() <= 1.0 || !value.is_finite() {
        return four_digits(value);
    }
    let (value, prefix) = divided(value, 1024.0, &LARGE_1024);
    format!("{}{prefix}", four_digits(value))
}

/// `humanizeDuration` of seconds.
pub(super) fn humanize_duration(value: f64) -> String {
    if !value.is_finite() {
        return four_digits(value);
    }
    if value == 0.0 {
        return format!("{}s", four_digits(value));
    }
    if value.abs() < 1.0 {
        let (value, prefix) = multiplied(value);
        return format!("{}{prefix}s", four_digits(value));
    }
    let sign = if value < 0.0 { "-" } else { "" };
    let value = value.abs();
    let whole = truncate_to_i64(value);
    let (days, hours) = (whole / 60 / 60 / 24, whole / 60 / 60 % 24);
    let (minutes, seconds) = (whole / 60 % 60, whole % 60);
    if days != 0 {
        format!("{sign}{days}d {hours}h {minutes}m {seconds}s")
    } else if hours != 0 {
        format!("{sign}{hours}h {minutes}m {seconds}s")
    } else if minutes != 0 {
        format!("{sign}{minutes}m {seconds}s")
    } else {
        format!("{sign}{}s", four_digits(value))
    }
}

/// `humanizePercentage` of a ratio.
pub(super) fn humanize_percentage(value: f64) -> String {
    format!("{}%", four_digits(value * 100.0))
}

/// `humanizeTimestamp` of seconds since the epoch.
pub(super) fn humanize_timestamp(value: f64) -> Result<String, String> {
    if !value.is_finite() {
        return Ok(four_digits(value));
    }
    to_time(value).map(|time| time.to_string())
}

/// `toTime` of seconds since the epoch, to the millisecond.
pub(super) fn to_time(value: f64) -> Result<Time, String> {
    if !value.is_finite() {
        return Err("value is NaN or Inf".to_owned());
    }
    let nanos = value * 1e9;
    if nanos.abs() > 9_223_372_036_854_775_808.0 {
        return Err(format!(
            "{} cannot be represented as a nanoseconds timestamp since it overflows int64",
            shortest(value)
        ));
    }
    Ok(Time::from_millis(truncate_to_i64(nanos) / 1_000_000))
}

/// `toDuration` of seconds, in nanoseconds.
pub(super) fn to_duration(value: f64) -> i64 {
    truncate_to_i64(value * 1e9)
}
