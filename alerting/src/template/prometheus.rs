//! The functions that Prometheus adds to Go's, after its `template/template.go`.

use std::rc::Rc;

use super::builtins::{Fault, Returned, error, text};
use super::limits::{Limits, MAX_OUTPUT};
use super::regexp::{self, Patterns};
use super::unicode::{continue_matching, is_cased, is_mid_word, push_title, to_lower, to_upper};
use super::value::{Named, Sample, Value, Vector};
use super::{Answer, Stop, escape, humanize, quote};
use crate::duration;
use crate::timestamp::Timestamp;

/// What `query` gives for an expression.
pub(super) fn query(expr: &str, answer: Option<Answer>) -> Returned {
    match answer {
        None => Err(Stop::Needs(vec![expr.to_owned()]).into()),
        Some(Err(message)) => error(message),
        Some(Ok(samples)) => Ok(Value::Vector(Vector::new(
            samples
                .into_iter()
                .map(|(labels, value)| {
                    let value = Value::from_sample(value);
                    Rc::new(Sample { labels, value })
                })
                .collect(),
        ))),
    }
}

/// `first`.
pub(super) fn first(args: &[Value]) -> Returned {
    let sample = match args.first() {
        Some(Value::Vector(vector)) => vector.get(0),
        _ => None,
    };
    match sample {
        Some(sample) => Ok(Value::Sample(Some(sample))),
        None => error("first() called on vector with no elements"),
    }
}

/// `sortByLabel`.
pub(super) fn sort_by_label(label: &str, vector: Option<&Value>, limits: &mut Limits) -> Returned {
    match vector {
        Some(Value::Vector(vector)) => {
            limits.work(vector.len().saturating_mul(64))?;
            vector.sort_by_label(label);
            Ok(Value::Vector(vector.clone()))
        }
        _ => Ok(Value::Vector(Vector::new(Vec::new()))),
    }
}

/// The sample that an argument points to.
pub(super) fn sample(arg: Option<&Value>) -> Result<&Sample, Fault> {
    match arg {
        Some(Value::Sample(Some(sample))) => Ok(sample),
        _ => error("runtime error: invalid memory address or nil pointer dereference"),
    }
}

/// How deep the maps that `args` makes may be inside each other.
const MAX_ARGS_DEPTH: usize = 100;

/// `args`.
pub(super) fn args(args: &[Value]) -> Returned {
    let inside = args.iter().map(Value::depth);
    let depth = inside.max().unwrap_or(0) + 1;
    if depth > MAX_ARGS_DEPTH {
        return Err(Stop::Failed(format!(
            "args inside each other more than {MAX_ARGS_DEPTH} levels deep"
        ))
        .into());
    }
    let elements = args
        .iter()
        .enumerate()
        .map(|(at, arg)| (format!("arg{at}"), arg.concrete().clone()))
        .collect();
    Ok(Value::Args(Rc::new(Named { elements, depth })))
}

/// `reReplaceAll`.
pub(super) fn re_replace_all(
    pattern: &str,
    replacement: &str,
    subject: &[u8],
    patterns: &mut Patterns,
    limits: &mut Limits,
) -> Returned {
    let regex = match patterns.get(pattern, subject, limits)? {
        Ok(regex) => regex,
        Err(message) => {
            // Go panics here, with the pattern quoted one way or another.
            let quoted = if quote::can_backquote(pattern.as_bytes()) {
                format!("`{pattern}`")
            } else {
                quote::quote(pattern.as_bytes())
            };
            return error(format!("regexp: Compile({quoted}): {message}"));
        }
    };
    match regexp::replace_all(&regex, subject, replacement, MAX_OUTPUT) {
        Some(replaced) => text(replaced, limits),
        None => Err(Stop::Failed(format!(
            "text of more than {MAX_OUTPUT} bytes in a template"
        ))
        .into()),
    }
}

/// `match`.
pub(super) fn matches(
    pattern: &str,
    subject: &[u8],
    patterns: &mut Patterns,
    limits: &mut Limits,
) -> Returned {
    match patterns.get(pattern, subject, limits)? {
        Ok(regex) => Ok(Value::Bool(regex.is_match(subject))),
        Err(message) => error(message),
    }
}

/// Text with each character mapped; bytes that are none become the replacement character.
fn map_chars(subject: &[u8], map: impl Fn(char) -> char) -> Vec<u8> {
    String::from_utf8_lossy(subject)
        .chars()
        .map(map)
        .collect::<String>()
        .into_bytes()
}

/// `toUpper`.
pub(super) fn upper(subject: &[u8]) -> Vec<u8> {
    map_chars(subject, to_upper)
}

/// `toLower`.
pub(super) fn lower(subject: &[u8]) -> Vec<u8> {
    map_chars(subject, to_lower)
}

/// `title`: the first cased letter of each word upper, nothing lower.
///
/// Words are those of `golang.org/x/text/cases`: an apostrophe, a point or a colon between
/// letters does not end one, two of them do.
pub(super) fn title(subject: &[u8]) -> Vec<u8> {
    let subject = String::from_utf8_lossy(subject);
    let mut titled = String::with_capacity(subject.len());
    let (mut mid_word, mut after_mid) = (false, false);
    for c in subject.chars() {
        let mid = is_mid_word(c);
        if after_mid && mid {
            mid_word = false;
        }
        if is_cased(c) {
            if mid_word {
                titled.push(c);
            } else {
                push_title(c, &mut titled);
            }
            mid_word = true;
        } else {
            titled.push(c);
            mid_word = mid_word && (mid || continue_matching(c));
        }
        after_mid = mid;
    }
    titled.into_bytes()
}

/// `graphLink` (tab 0) and `tableLink` (tab 1).
pub(super) fn link(expr: &[u8], tab: u8) -> Vec<u8> {
    format!("/graph?g0.expr={}&g0.tab={tab}", escape::url_query(expr)).into_bytes()
}

/// `parseDuration`, in seconds; a minus is allowed.
pub(super) fn parse_duration(subject: &str) -> Returned {
    let (sign, rest) = match subject.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, subject),
    };
    match duration::parse(rest) {
        Ok(length) if length.is_zero() => Ok(Value::Float(0.0)),
        Ok(length) => Ok(Value::Float(sign * length.as_secs_f64())),
        Err(duration::DurationError::Empty) => error("empty duration string"),
        Err(_) => error(duration_complaint(rest)),
    }
}

/// The words of prometheus/common, `model/time.go`, for a text that is no duration.
fn duration_complaint(subject: &str) -> String {
    let quoted = |text: &str| quote::quote(text.as_bytes());
    let invalid = format!("not a valid duration string: {}", quoted(subject));
    let digit = |c: char| c.is_ascii_digit();
    let mut units = duration_units().iter();
    let mut rest = subject;
    while !rest.is_empty() {
        let unit_at = rest.find(|c| !digit(c)).unwrap_or(rest.len());
        let (number, tail) = rest.split_at(unit_at);
        let (unit, tail) = tail.split_at(tail.find(digit).unwrap_or(tail.len()));
        if unit.is_empty() || number.parse::<u64>().is_err() {
            return invalid;
        }
        if !duration_units().contains(&unit) {
            return format!(
                "unknown unit {} in duration {}",
                quoted(unit),
                quoted(subject)
            );
        }
        if !units.any(|known| *known == unit) {
            return invalid;
        }
        rest = tail;
    }
    "duration out of range".to_owned()
}

/// Largest first, the order that they must have.
fn duration_units() -> &'static [&'static str] {
    &["y", "w", "d", "h", "m", "s", "ms"]
}

/// `now`: the moment of the evaluation.
pub(super) fn now(at: Timestamp) -> Value {
    Value::Float(at.as_secs_f64())
}

/// `humanize` and its kin, on a number or its text.
pub(super) fn humanized(
    arg: Option<&Value>,
    humanize: impl FnOnce(f64) -> Result<String, String>,
) -> Returned {
    let arg = arg.unwrap_or(&Value::Invalid);
    match humanize::to_float(arg).and_then(humanize) {
        Ok(shown) => Ok(Value::str(shown)),
        Err(message) => error(message),
    }
}

/// `toTime`.
pub(super) fn to_time(arg: Option<&Value>) -> Returned {
    let arg = arg.unwrap_or(&Value::Invalid);
    match humanize::to_float(arg).and_then(humanize::to_time) {
        Ok(time) => Ok(Value::TimePointer(Rc::new(time))),
        Err(message) => error(message),
    }
}

/// `toDuration`.
pub(super) fn to_duration(arg: Option<&Value>) -> Returned {
    let arg = arg.unwrap_or(&Value::Invalid);
    match humanize::to_float(arg) {
        Ok(seconds) => Ok(Value::DurationPointer(Rc::new(humanize::to_duration(
            seconds,
        )))),
        Err(message) => error(message),
    }
}
