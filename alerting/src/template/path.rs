//! Fields: `.Labels.job`, `$x.y`, `(pipeline).z`.

use super::call::Callee;
use super::eval::{At, Evaluated, Evaluation};
use super::notified;
use super::tree::{Operand, OperandKind};
use super::value::{Kind, Value};

impl<'t> Evaluation<'t> {
    /// A field, variable or chain, followed field by field; the last may be a method that takes
    /// the arguments.
    pub(super) fn path(
        &mut self,
        dot: &Value,
        operand: &'t Operand,
        args: &'t [Operand],
        last: Option<&Value>,
    ) -> Evaluated<Value> {
        self.look_at(At::Operand(operand));
        let (mut receiver, fields) = match &operand.kind {
            OperandKind::Field(path) => (dot.clone(), path.as_slice()),
            OperandKind::Variable(path) => {
                let (name, fields) = match path.split_first() {
                    Some((name, fields)) => (name.as_str(), fields),
                    None => ("$", path.as_slice()),
                };
                (self.variable(name)?, fields)
            }
            OperandKind::Chain { of, fields } => {
                if let OperandKind::Nil = of.kind {
                    return self.error(format!("indirection through explicit nil in {operand}"));
                }
                (self.untyped(dot, of)?, fields.as_slice())
            }
            _ => (Value::Invalid, [].as_slice()),
        };
        let Some((last_field, inner)) = fields.split_last() else {
            self.not_a_function(operand, args, last)?;
            return Ok(receiver);
        };
        for field in inner {
            receiver = self.field(dot, field, operand, &[], None, &receiver)?;
        }
        self.field(dot, last_field, operand, args, last, &receiver)
    }

    /// The value of what a chain begins with.
    fn untyped(&mut self, dot: &Value, operand: &'t Operand) -> Evaluated<Value> {
        self.look_at(At::Operand(operand));
        match &operand.kind {
            OperandKind::Pipe(pipe) => self.pipeline(dot, pipe),
            OperandKind::Identifier(name) => {
                let callee = Callee::function(self.dialect(), name, At::Operand(operand));
                self.call(dot, &callee, &[], None)
            }
            OperandKind::Field(_) | OperandKind::Variable(_) | OperandKind::Chain { .. } => {
                self.path(dot, operand, &[], None)
            }
            _ => self.literal(dot, operand),
        }
    }

    /// One field, map element or method of `receiver`.
    fn field(
        &mut self,
        dot: &Value,
        name: &'t str,
        operand: &'t Operand,
        args: &'t [Operand],
        last: Option<&Value>,
        receiver: &Value,
    ) -> Evaluated<Value> {
        if let Value::Invalid = receiver {
            return Ok(Value::Invalid);
        }
        let type_name = receiver.type_name();
        if receiver.kind() == Kind::Interface && receiver.is_nil() {
            return self.error(format!("nil pointer evaluating {type_name}.{name}"));
        }
        let target = receiver.concrete();
        if let Some(callee) = Callee::method(target, name, At::Operand(operand)) {
            return self.call(dot, &callee, args, last);
        }
        let has_args = !args.is_empty() || last.is_some();
        let found = match target {
            Value::Labels(labels) => Some((
                Value::str(labels.get(name)),
                "is not a method but has arguments",
            )),
            Value::Args(named) => Some((
                Value::interface(named.elements.get(name).cloned().unwrap_or(Value::Invalid)),
                "is not a method but has arguments",
            )),
            Value::Alert(alert) => match name {
                "Labels" => Some(Value::Labels(alert.labels.clone())),
                "ExternalLabels" => Some(Value::Labels(alert.external_labels.clone())),
                "ExternalURL" => Some(Value::Str(alert.external_url.clone())),
                "Value" => Some(Value::interface(alert.value.clone())),
                _ => None,
            }
            .map(|value| (value, "has arguments but cannot be invoked as function")),
            // The server's API does not return the others.
            Value::Histogram(histogram) => match name {
                "Count" => Some(Value::Float(histogram.count)),
                "Sum" => Some(Value::Float(histogram.sum)),
                _ => None,
            }
            .map(as_field),
            Value::Kv(kv) => Some((
                Value::str(kv.get(name).map_or("", String::as_str)),
                "is not a method but has arguments",
            )),
            Value::Notified(data) => notified::field_of_data(data, name).map(as_field),
            Value::NotifiedAlert(alert) => notified::field_of_alert(alert, name).map(as_field),
            Value::Pair(pair) => match name {
                "Name" => Some(Value::str(pair.0.as_str())),
                "Value" => Some(Value::str(pair.1.as_str())),
                _ => None,
            }
            .map(as_field),
            Value::Sample(Some(sample)) => match name {
                "Labels" => Some(Value::Labels(sample.labels.clone())),
                "Value" => Some(Value::interface(sample.value.clone())),
                _ => None,
            }
            .map(|value| (value, "has arguments but cannot be invoked as function")),
            Value::Sample(None) if matches!(name, "Labels" | "Value") => {
                return self.error(format!("nil pointer evaluating {type_name}.{name}"));
            }
            Value::Time(_) | Value::TimePointer(_) if matches!(name, "wall" | "ext" | "loc") => {
                return self.error(format!(
                    "{name} is an unexported field of struct type {type_name}"
                ));
            }
            _ => None,
        };
        match found {
            Some((_, complaint)) if has_args => self.error(format!("{name} {complaint}")),
            Some((value, _)) => {
                if let Value::Str(text) = &value {
                    self.limits.work(text.len())?;
                }
                Ok(value)
            }
            None => self.error(format!("can't evaluate field {name} in type {type_name}")),
        }
    }
}

/// A struct's field, with what Go says where it is given arguments.
fn as_field(value: Value) -> (Value, &'static str) {
    (value, "has arguments but cannot be invoked as function")
}
