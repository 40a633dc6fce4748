//! `range`: over samples, maps and numbers.

use super::builtins::printable;
use super::eval::{At, Evaluated, Evaluation, Flow};
use super::printf::sprint;
use super::tree::Branch;
use super::value::{IntType, Value};

impl<'t> Evaluation<'t> {
    pub(super) fn range(&mut self, dot: &Value, branch: &'t Branch) -> Evaluated<Flow> {
        let outer = self.vars.len();
        self.look_at(At::Branch("range", branch));
        let value = self.pipeline(dot, &branch.pipe)?;
        let flow = self.iterate(dot, branch, &value);
        self.vars.truncate(outer);
        flow
    }

    /// Walks the body for each element, or the `else` if there are none.
    fn iterate(&mut self, dot: &Value, branch: &'t Branch, value: &Value) -> Evaluated<Flow> {
        let mut ran = false;
        // Each arm ends the loop early on `break`.
        match value.concrete() {
            Value::Vector(vector) => {
                for at in 0..vector.len() {
                    ran = true;
                    let sample = Value::Sample(vector.get(at));
                    if !self.turn(branch, &Value::int(at), &sample)? {
                        break;
                    }
                }
            }
            Value::Labels(labels) => {
                for (name, text) in labels.iter() {
                    ran = true;
                    if !self.turn(branch, &Value::str(name), &Value::str(text))? {
                        break;
                    }
                }
            }
            Value::Kv(kv) => {
                for (name, text) in kv.iter() {
                    ran = true;
                    let text = Value::str(text.as_str());
                    if !self.turn(branch, &Value::str(name.as_str()), &text)? {
                        break;
                    }
                }
            }
            Value::Alerts(_)
            | Value::Pairs(_)
            | Value::Strings(_)
            | Value::Names(_)
            | Value::List(_) => {
                let elements: Vec<Value> = match value.concrete() {
                    Value::Alerts(all) => all.iter().cloned().map(Value::NotifiedAlert).collect(),
                    Value::Pairs(all) => all.iter().cloned().map(Value::Pair).collect(),
                    Value::Strings(all) | Value::Names(all) => {
                        all.iter().cloned().map(Value::Str).collect()
                    }
                    Value::List(list) => list
                        .elements
                        .iter()
                        .cloned()
                        .map(Value::interface)
                        .collect(),
                    _ => Vec::new(),
                };
                for (at, element) in elements.iter().enumerate() {
                    ran = true;
                    if !self.turn(branch, &Value::int(at), element)? {
                        break;
                    }
                }
            }
            Value::Args(args) => {
                for (name, arg) in &args.elements {
                    ran = true;
                    let arg = Value::interface(arg.clone());
                    if !self.turn(branch, &Value::str(name.as_str()), &arg)? {
                        break;
                    }
                }
            }
            Value::Invalid => {}
            concrete => {
                let (count, of): (i64, fn(i64, IntType) -> Value) = match concrete {
                    Value::Int(count, _) => (*count, Value::Int),
                    Value::DurationPointer(nanos) => {
                        (**nanos, |at, _| Value::Int(at, IntType::Duration))
                    }
                    Value::Byte(byte) => (i64::from(*byte), |at, _| {
                        Value::Byte(u8::try_from(at).unwrap_or(u8::MAX))
                    }),
                    other => {
                        let shown = shown(other)?;
                        return self.error(format!("range can't iterate over {shown}"));
                    }
                };
                let int = match concrete {
                    Value::Int(_, int) => *int,
                    _ => IntType::Int,
                };
                if branch.pipe.decl.len() > 1 {
                    return self.error(format!(
                        "can't use {} to iterate over more than one variable",
                        shown(concrete)?
                    ));
                }
                for at in 0..count.max(0) {
                    ran = true;
                    if !self.turn(branch, &Value::Invalid, &of(at, int))? {
                        break;
                    }
                }
            }
        }
        match &branch.else_list {
            Some(else_list) if !ran => self.list(dot, else_list),
            _ => Ok(Flow::Through),
        }
    }

    /// One iteration of a loop; whether to continue.
    fn turn(&mut self, branch: &'t Branch, index: &Value, element: &Value) -> Evaluated<bool> {
        self.limits.steps(1)?;
        let mark = self.vars.len();
        match branch.pipe.decl.as_slice() {
            [] => {}
            [only] if branch.pipe.is_assign => self.assign(only, element.clone())?,
            [first, second, ..] if branch.pipe.is_assign => {
                self.assign(first, index.clone())?;
                self.assign(second, element.clone())?;
            }
            [_] => self.set_top(1, element),
            [_, _, ..] => {
                self.set_top(1, element);
                self.set_top(2, index);
            }
        }
        let flow = self.list(element, &branch.list);
        self.vars.truncate(mark);
        Ok(!matches!(flow?, Flow::Break))
    }

    fn set_top(&mut self, from_top: usize, value: &Value) {
        let at = self.vars.len().checked_sub(from_top);
        if let Some((_, held)) = at.and_then(|at| self.vars.get_mut(at)) {
            *held = value.clone();
        }
    }
}

/// A value as `%v` shows it.
fn shown(value: &Value) -> Evaluated<String> {
    let text = sprint(&[printable(value)])?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}
