//! `eq`, `ne`, `lt`, `le`, `gt`, `ge` by Go's kinds.

use std::cmp::Ordering;
use std::rc::Rc;
use std::sync::Arc;

use super::builtins::{Fault, error};
use super::print::Printer;
use super::value::{Kind, Value};

type Compared = Result<bool, Fault>;

const BAD_TYPE: &str = "invalid type for comparison";

/// As Go words it from 1.26 on: with the types.
fn bad_pair(a: &Value, b: &Value) -> Compared {
    error(format!(
        "incompatible types for comparison: {} and {}",
        a.type_name(),
        b.type_name()
    ))
}

/// The kinds that compare by value.
fn basic(value: &Value) -> Option<Kind> {
    match value.kind() {
        kind @ (Kind::Bool
        | Kind::Int
        | Kind::Uint
        | Kind::Float
        | Kind::Complex
        | Kind::String) => Some(kind),
        _ => None,
    }
}

fn string(value: &Value) -> &[u8] {
    match value {
        Value::Str(text) | Value::Html(text) => text,
        _ => &[],
    }
}

/// `eq`: whether the first equals any of the others.
pub(super) fn eq(first: &Value, others: &[Value]) -> Compared {
    if others.is_empty() {
        return error("missing argument for comparison");
    }
    for other in others {
        if equal(first.concrete(), other.concrete())? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn equal(a: &Value, b: &Value) -> Compared {
    match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => Ok(a == b),
        (Value::Int(a, _), Value::Int(b, _)) => Ok(a == b),
        (Value::Byte(a), Value::Byte(b)) => Ok(a == b),
        (Value::Int(a, _), Value::Byte(b)) | (Value::Byte(b), Value::Int(a, _)) => {
            Ok(*a == i64::from(*b))
        }
        (Value::Float(a), Value::Float(b)) => Ok(a == b),
        (Value::Complex(a, b), Value::Complex(c, d)) => Ok(a == c && b == d),
        _ => match (basic(a), basic(b)) {
            (Some(Kind::String), Some(Kind::String)) => Ok(string(a) == string(b)),
            (None, None) => identical(a, b),
            _ if matches!(a, Value::Invalid) || matches!(b, Value::Invalid) => Ok(false),
            _ => bad_pair(a, b),
        },
    }
}

/// Maps, slices, pointers and structs.
fn identical(a: &Value, b: &Value) -> Compared {
    let either_invalid = matches!(a, Value::Invalid) || matches!(b, Value::Invalid);
    if a.kind() != b.kind() && !either_invalid {
        return error(format!(
            "non-comparable types {}: {}, {}: {}",
            shown(a, 's'),
            a.type_name(),
            b.type_name(),
            shown(b, 'v')
        ));
    }
    if a.is_nil() || b.is_nil() {
        return Ok(a.is_nil() == b.is_nil());
    }
    match (a, b) {
        (Value::Sample(Some(a)), Value::Sample(Some(b))) => Ok(Rc::ptr_eq(a, b)),
        (Value::TimePointer(a), Value::TimePointer(b)) => Ok(Rc::ptr_eq(a, b)),
        (Value::Histogram(a), Value::Histogram(b)) => Ok(Arc::ptr_eq(a, b)),
        (Value::DurationPointer(a), Value::DurationPointer(b)) => Ok(Rc::ptr_eq(a, b)),
        (Value::Time(a), Value::Time(b)) => Ok(a == b),
        (_, Value::Labels(_) | Value::Args(_) | Value::Vector(_) | Value::Alert(_)) => error(
            format!("non-comparable type {}: {}", shown(b, 's'), b.type_name()),
        ),
        _ => Ok(false),
    }
}

fn shown(value: &Value, verb: char) -> String {
    let mut printer = Printer::new();
    printer.arg(value, verb);
    String::from_utf8_lossy(&printer.finish().unwrap_or_default()).into_owned()
}

/// `lt`.
pub(super) fn lt(a: &Value, b: &Value) -> Compared {
    let (a, b) = (a.concrete(), b.concrete());
    let (Some(kind_a), Some(kind_b)) = (basic(a), basic(b)) else {
        return error(BAD_TYPE);
    };
    let ordering = match (a, b) {
        (Value::Int(a, _), Value::Int(b, _)) => a.cmp(b),
        (Value::Byte(a), Value::Byte(b)) => a.cmp(b),
        (Value::Int(a, _), Value::Byte(b)) => a.cmp(&i64::from(*b)),
        (Value::Byte(a), Value::Int(b, _)) => i64::from(*a).cmp(b),
        (Value::Float(a), Value::Float(b)) => return Ok(a < b),
        _ if kind_a == Kind::String && kind_b == Kind::String => string(a).cmp(string(b)),
        _ if kind_a == kind_b => return error(BAD_TYPE),
        _ => return bad_pair(a, b),
    };
    Ok(ordering == Ordering::Less)
}

/// `le`.
pub(super) fn le(a: &Value, b: &Value) -> Compared {
    Ok(lt(a, b)? || equal(a.concrete(), b.concrete())?)
}

/// `gt`, which is not `le`: true also where one is not a number.
pub(super) fn gt(a: &Value, b: &Value) -> Compared {
    le(a, b).map(|le| !le)
}

/// `ge`, which is not `lt`.
pub(super) fn ge(a: &Value, b: &Value) -> Compared {
    lt(a, b).map(|lt| !lt)
}
