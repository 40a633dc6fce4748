//! The functions that Alertmanager adds to Go's and has not in common with Prometheus
//! (`DefaultFuncs` in its `template/template.go`).

use std::collections::BTreeMap;
use std::rc::Rc;

use super::Stop;
use super::builtins::{Fault, Returned, error};
use super::limits::Limits;
use super::parse_time;
use super::printf::sprint;
use super::quote::quote;
use super::time::Time;
use super::value::{IntType, Listed, Named, Value};
use crate::notify::location;
use crate::timestamp::Timestamp;

/// How deep lists and maps may be inside each other.
const MAX_DEPTH: usize = 100;

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

/// `join`: of texts as `strings.Join` does it, of anything else as it is printed.
pub(super) fn join(between: &[u8], value: &Value) -> Returned {
    let shown = |elements: &mut dyn Iterator<Item = Value>| {
        let texts: Result<Vec<Vec<u8>>, Stop> = elements.map(|it| sprint(&[it])).collect();
        texts.map(|texts| texts.join(between))
    };
    let joined = match value.concrete() {
        Value::Strings(texts) | Value::Names(texts) => texts.join(between),
        Value::List(list) => shown(&mut list.elements.iter().cloned())?,
        Value::Pairs(pairs) => shown(&mut pairs.iter().cloned().map(Value::Pair))?,
        Value::Alerts(alerts) => shown(&mut alerts.iter().cloned().map(Value::NotifiedAlert))?,
        Value::Invalid => Vec::new(),
        other => {
            let name = other.type_name();
            return error(format!("join expects a slice or array, got {name}"));
        }
    };
    Ok(Value::str(joined))
}

/// `list`, and `append` to what it made.
pub(super) fn list<'a>(elements: impl Iterator<Item = &'a Value>, limits: &mut Limits) -> Returned {
    let elements: Vec<Value> = elements.map(|it| it.concrete().clone()).collect();
    limits.work(elements.len() * 16)?;
    let depth = nested(elements.iter())?;
    Ok(Value::List(Rc::new(Listed { elements, depth })))
}

/// `dict`: names and values by turns.
pub(super) fn dict(args: &[Value], limits: &mut Limits) -> Returned {
    let (pairs, rest) = args.as_chunks::<2>();
    if !rest.is_empty() {
        return error("dict requires an even number of arguments");
    }
    let mut elements = BTreeMap::new();
    for [name, value] in pairs {
        let Value::Str(name) = name.concrete() else {
            return error("dict keys must be strings");
        };
        limits.work(name.len() + 16)?;
        let name = String::from_utf8_lossy(name).into_owned();
        elements.insert(name, value.concrete().clone());
    }
    let depth = nested(elements.values())?;
    Ok(Value::Args(Rc::new(Named { elements, depth })))
}

/// How deep what holds these is, if that is not too deep.
fn nested<'a>(elements: impl Iterator<Item = &'a Value>) -> Result<usize, Fault> {
    let depth = elements.map(Value::depth).max().unwrap_or(0) + 1;
    if depth > MAX_DEPTH {
        let message = format!("lists and maps inside each other more than {MAX_DEPTH} levels deep");
        return Err(Stop::Failed(message).into());
    }
    Ok(depth)
}

/// `toDate`, and `mustToDate`, which fails where there is no moment.
pub(super) fn to_date(layout: &str, text: &str, must: bool) -> Returned {
    match parse_time::parse(layout, text) {
        Some(time) => Ok(Value::Time(time)),
        None if must => error(format!(
            "parsing time {} as {}: cannot parse it",
            quote(text.as_bytes()),
            quote(layout.as_bytes())
        )),
        None => Ok(Value::Time(Time::zero())),
    }
}

/// `addDuration`: the moment later by a duration of Go's, in milliseconds since the Unix epoch.
pub(super) fn add_duration(text: &str, time: &Value) -> Returned {
    let Value::Time(time) = time else {
        return Ok(Value::Invalid);
    };
    match go_duration(text) {
        Some(nanos) => Ok(Value::Int(time.plus(nanos).unix_in(1000), IntType::Int64)),
        None => error(format!("time: invalid duration {}", quote(text.as_bytes()))),
    }
}

/// Go's `time.ParseDuration`, in nanoseconds.
fn go_duration(text: &str) -> Option<i64> {
    const UNITS: [(&str, i128); 8] = [
        ("ns", 1),
        ("us", 1_000),
        ("µs", 1_000),
        ("μs", 1_000),
        ("ms", 1_000_000),
        ("s", 1_000_000_000),
        ("m", 60_000_000_000),
        ("h", 3_600_000_000_000),
    ];
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut nanos: i128 = 0;
    while !rest.is_empty() {
        let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
        let (whole, after) = rest.split_at_checked(digits(rest))?;
        let (part, after) = match after.strip_prefix('.') {
            Some(after) => after.split_at_checked(digits(after))?,
            None => ("", after),
        };
        if whole.is_empty() && part.is_empty() {
            return None;
        }
        let end = after.find(|c: char| c == '.' || c.is_ascii_digit());
        let (unit, after) = after.split_at_checked(end.unwrap_or(after.len()))?;
        let (_, unit) = UNITS.iter().find(|(name, _)| *name == unit)?;
        let whole: i128 = if whole.is_empty() {
            0
        } else {
            whole.parse().ok()?
        };
        nanos = nanos.checked_add(whole.checked_mul(*unit)?)?;
        let part = part.get(..part.len().min(18))?;
        if !part.is_empty() {
            let scale = 10_i128.pow(u32::try_from(part.len()).ok()?);
            nanos = nanos.checked_add(part.parse::<i128>().ok()? * unit / scale)?;
        }
        rest = after;
    }
    i64::try_from(sign * nanos).ok()
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// `base64encode`, by the alphabet that is safe in URLs.
pub(super) fn base64_encode(text: &[u8]) -> Vec<u8> {
    let mut encoded = Vec::with_capacity(text.len().div_ceil(3) * 4);
    for three in text.chunks(3) {
        let byte = |at: usize| u32::from(three.get(at).copied().unwrap_or_default());
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..4 {
            let digit = BASE64.get((bits >> (18 - 6 * at) & 63) as usize).copied();
            let is_there = at <= three.len();
            encoded.push(digit.filter(|_| is_there).unwrap_or(b'='));
        }
    }
    encoded
}

/// `base64decode`; line ends are passed over, as Go passes them over.
pub(super) fn base64_decode(text: &[u8]) -> Returned {
    let text: Vec<u8> = text
        .iter()
        .copied()
        .filter(|byte| !matches!(byte, b'\r' | b'\n'))
        .collect();
    let illegal = |at: usize| error(format!("illegal base64 data at input byte {at}"));
    let mut plain = Vec::with_capacity(text.len() / 4 * 3);
    for (block, four) in text.chunks(4).enumerate() {
        let padding = four.iter().rev().take_while(|byte| **byte == b'=').count();
        let is_last = (block + 1) * 4 >= text.len();
        if four.len() < 4 || padding > 2 || (padding > 0 && !is_last) {
            return illegal(block * 4 + four.len() - padding.min(four.len()));
        }
        let mut bits: u32 = 0;
        for (at, byte) in four.iter().enumerate() {
            let digit = match byte {
                b'=' if at >= 4 - padding => Some(0),
                byte => BASE64.iter().position(|known| known == byte),
            };
            let Some(digit) = digit.and_then(|digit| u32::try_from(digit).ok()) else {
                return illegal(block * 4 + at);
            };
            bits = bits << 6 | digit;
        }
        let [_, bytes @ ..] = bits.to_be_bytes();
        plain.extend_from_slice(bytes.get(..3 - padding).unwrap_or(&[]));
    }
    Ok(Value::str(plain))
}
