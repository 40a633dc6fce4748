//! The functions of Go's `text/template` that need no more than their arguments.

use std::rc::Rc;

use super::Stop;
use super::escape;
use super::limits::Limits;
use super::printf::{sprint, sprintf, sprintln};
use super::value::{Kind, Listed, Value};

/// A function's result, or the text of its error.
pub(super) type Returned = Result<Value, Fault>;

/// Why a function does not return.
#[derive(Debug)]
pub(super) enum Fault {
    /// It gives an error, which stands after `error calling …`.
    Error(String),
    /// The expansion ends here.
    Stop(Stop),
}

impl From<Stop> for Fault {
    fn from(stop: Stop) -> Self {
        Self::Stop(stop)
    }
}

pub(super) fn error<T>(message: impl Into<String>) -> Result<T, Fault> {
    Err(Fault::Error(message.into()))
}

/// `len`.
pub(super) fn len(item: &Value) -> Returned {
    if item.kind() != Kind::Invalid && item.is_nil() {
        return error("len of nil pointer");
    }
    match item.concrete() {
        Value::Str(text) | Value::Html(text) => Ok(Value::int(text.len())),
        Value::Labels(labels) => Ok(Value::int(labels.len())),
        Value::Args(args) => Ok(Value::int(args.elements.len())),
        Value::Vector(vector) => Ok(Value::int(vector.len())),
        Value::Alerts(alerts) => Ok(Value::int(alerts.len())),
        Value::Kv(kv) => Ok(Value::int(kv.len())),
        Value::Pairs(pairs) => Ok(Value::int(pairs.len())),
        Value::Strings(strings) | Value::Names(strings) => Ok(Value::int(strings.len())),
        Value::List(list) => Ok(Value::int(list.elements.len())),
        Value::Invalid => error("reflect: call of reflect.Value.Type on zero Value"),
        other => error(format!("len of type {}", other.pointed_type_name())),
    }
}

/// A value as an index into something of length or capacity `limit`.
fn index_number(index: &Value, limit: usize) -> Result<usize, Fault> {
    let number = match index {
        Value::Int(number, _) => *number,
        Value::Byte(byte) => i64::from(*byte),
        Value::Invalid => return error("cannot index slice/array with nil"),
        other => {
            return error(format!(
                "cannot index slice/array with type {}",
                other.type_name()
            ));
        }
    };
    match usize::try_from(number) {
        Ok(index) if index <= limit => Ok(index),
        _ => error(format!("index out of range: {number}")),
    }
}

/// `index`.
pub(super) fn index(args: &[Value]) -> Returned {
    let Some((item, indexes)) = args.split_first() else {
        return error("index of untyped nil");
    };
    let mut item = item.concrete().clone();
    if let Value::Invalid = item {
        return error("index of untyped nil");
    }
    for index in indexes {
        let index = index.concrete();
        if item.is_nil() {
            return error("index of nil pointer");
        }
        item = match item.concrete() {
            Value::Str(text) | Value::Html(text) => {
                let at = index_number(index, text.len())?;
                match text.get(at) {
                    Some(byte) => Value::Byte(*byte),
                    None => return error("reflect: string index out of range"),
                }
            }
            Value::Vector(vector) => {
                let at = index_number(index, vector.len())?;
                match vector.get(at) {
                    Some(sample) => Value::Sample(Some(sample)),
                    None => return error("reflect: slice index out of range"),
                }
            }
            Value::Alerts(alerts) => {
                let at = index_number(index, alerts.len())?;
                let alert = alerts.get(at).map(|it| Value::NotifiedAlert(Rc::clone(it)));
                element(alert)?
            }
            Value::Pairs(pairs) => {
                let at = index_number(index, pairs.len())?;
                element(pairs.get(at).map(|it| Value::Pair(Rc::clone(it))))?
            }
            Value::List(list) => {
                let at = index_number(index, list.elements.len())?;
                element(list.elements.get(at).cloned().map(Value::interface))?
            }
            Value::Strings(strings) | Value::Names(strings) => {
                let at = index_number(index, strings.len())?;
                element(strings.get(at).map(|it| Value::Str(Rc::clone(it))))?
            }
            Value::Kv(kv) => {
                let value = kv.get(&key(index)?);
                Value::str(value.map_or("", String::as_str))
            }
            Value::Labels(labels) => Value::str(labels.get(&key(index)?)),
            Value::Args(args) => {
                let element = args.elements.get(&key(index)?);
                Value::interface(element.cloned().unwrap_or(Value::Invalid))
            }
            other => {
                return error(format!(
                    "can't index item of type {}",
                    other.pointed_type_name()
                ));
            }
        };
    }
    Ok(item)
}

fn element(found: Option<Value>) -> Returned {
    match found {
        Some(element) => Ok(element),
        None => error("reflect: slice index out of range"),
    }
}

/// A value as a key of a map of strings.
fn key(index: &Value) -> Result<String, Fault> {
    match index {
        Value::Str(text) => Ok(String::from_utf8_lossy(text).into_owned()),
        Value::Invalid => error("value is nil; should be of type string"),
        other => error(format!(
            "value has type {}; should be string",
            other.type_name()
        )),
    }
}

/// `slice`.
pub(super) fn slice(args: &[Value], limits: &mut Limits) -> Returned {
    let Some((item, indexes)) = args.split_first() else {
        return error("slice of untyped nil");
    };
    let item = item.concrete();
    if let Value::Invalid = item {
        return error("slice of untyped nil");
    }
    if indexes.len() > 3 {
        return error(format!("too many slice indexes: {}", indexes.len()));
    }
    let (length, capacity) = match item {
        Value::Str(_) | Value::Html(_) if indexes.len() == 3 => {
            return error("cannot 3-index slice a string");
        }
        Value::Str(text) | Value::Html(text) => (text.len(), text.len()),
        Value::Vector(vector) => (vector.len(), vector.capacity()),
        Value::Alerts(alerts) => (alerts.len(), alerts.len()),
        Value::Pairs(pairs) => (pairs.len(), pairs.len()),
        Value::Strings(strings) | Value::Names(strings) => (strings.len(), strings.len()),
        Value::List(list) => (list.elements.len(), list.elements.len()),
        other => {
            let name = other.pointed_type_name();
            return error(format!("can't slice item of type {name}"));
        }
    };
    let mut numbers = [0, length, capacity];
    for (number, index) in numbers.iter_mut().zip(indexes) {
        // Unlike `index`, Go's `slice` does not look into an interface.
        *number = index_number(index, capacity)?;
    }
    let [from, to, most] = numbers;
    if from > to {
        return error(format!("invalid slice index: {from} > {to}"));
    }
    if to > most {
        return error(format!("invalid slice index: {to} > {most}"));
    }
    Ok(match item {
        Value::Vector(vector) => Value::Vector(vector.slice(from, to)),
        Value::Alerts(alerts) => Value::Alerts(alerts.get(from..to).unwrap_or(&[]).into()),
        Value::Pairs(pairs) => Value::Pairs(pairs.get(from..to).unwrap_or(&[]).into()),
        Value::Strings(strings) => Value::Strings(strings.get(from..to).unwrap_or(&[]).into()),
        Value::Names(strings) => Value::Names(strings.get(from..to).unwrap_or(&[]).into()),
        Value::List(list) => {
            limits.work((to - from) * 16)?;
            Value::List(Rc::new(Listed {
                elements: list.elements.get(from..to).unwrap_or(&[]).to_vec(),
                depth: list.depth,
            }))
        }
        Value::Html(text) => {
            limits.work(to - from)?;
            Value::Html(text.get(from..to).unwrap_or(&[]).into())
        }
        Value::Str(text) => {
            limits.work(to - from)?;
            Value::Str(text.get(from..to).unwrap_or(&[]).into())
        }
        _ => Value::Invalid,
    })
}

/// `call`: nothing that a template can hold is a function.
pub(super) fn call(function: &Value, name: &str) -> Returned {
    match function.concrete() {
        Value::Invalid => error("call of nil"),
        other => error(format!("non-function {name} of type {}", other.type_name())),
    }
}

/// `print`.
pub(super) fn print(args: &[Value], limits: &mut Limits) -> Returned {
    text(sprint(args)?, limits)
}

/// `println`.
pub(super) fn println(args: &[Value], limits: &mut Limits) -> Returned {
    text(sprintln(args)?, limits)
}

/// `printf`.
pub(super) fn printf(args: &[Value], limits: &mut Limits) -> Returned {
    match args.split_first() {
        Some((Value::Str(format), args)) => text(sprintf(format, args)?, limits),
        _ => error("expected string"),
    }
}

/// `html`.
pub(super) fn html(args: &[Value], limits: &mut Limits) -> Returned {
    text(escape::html(&joined(args)?), limits)
}

/// `js`.
pub(super) fn js(args: &[Value], limits: &mut Limits) -> Returned {
    text(escape::js(&joined(args)?), limits)
}

/// `urlquery`.
pub(super) fn url_query(args: &[Value], limits: &mut Limits) -> Returned {
    text(escape::url_query(&joined(args)?).into_bytes(), limits)
}

/// A string that a function made.
pub(super) fn text(bytes: Vec<u8>, limits: &mut Limits) -> Returned {
    limits.work(bytes.len())?;
    if bytes.len() > super::limits::MAX_OUTPUT {
        return Err(Stop::Failed(format!(
            "text of more than {} bytes in a template",
            super::limits::MAX_OUTPUT
        ))
        .into());
    }
    Ok(Value::str(bytes))
}

/// Arguments as `Sprint` shows them, pointers as what they point to.
fn joined(args: &[Value]) -> Result<Vec<u8>, Stop> {
    let args: Vec<Value> = args.iter().map(printable).collect();
    sprint(&args)
}

/// What an action or an escaper prints for a value: a pointer's target, and words for nothing.
pub(super) fn printable(value: &Value) -> Value {
    match value.concrete() {
        Value::Invalid => Value::str("<no value>"),
        Value::Sample(Some(sample)) => Value::SampleStruct(Rc::clone(sample)),
        other => other.clone(),
    }
}
