//! Calling functions and methods: their arguments evaluated and checked, as Go does it.

use super::alertmanager;
use super::builtins::{self, Fault, Returned};
use super::compare;
use super::escape;
use super::eval::{At, Evaluated, Evaluation};
use super::functions::{self, Dialect, Function, Param, Signature};
use super::humanize;
use super::json::json;
use super::methods::{self, Method};
use super::prometheus;
use super::time::Time;
use super::tree::{Operand, OperandKind};
use super::value::{IntType, Listed, Value};

/// What is called.
pub(super) struct Callee<'t> {
    name: &'t str,
    target: Option<(Target, Signature)>,
    /// What an error of the call itself is shown at.
    at: At<'t>,
}

enum Target {
    Function(Function),
    Method(Method),
}

impl<'t> Callee<'t> {
    pub(super) fn function(dialect: Dialect, name: &'t str, at: At<'t>) -> Self {
        let target = functions::find(dialect, name)
            .map(|(function, signature)| (Target::Function(function), signature));
        Self { name, target, at }
    }

    pub(super) fn method(receiver: &Value, name: &'t str, at: At<'t>) -> Option<Self> {
        let (method, fixed) = methods::find(receiver, name)?;
        let signature = Signature {
            fixed,
            variadic: None,
        };
        Some(Self {
            name,
            target: Some((Target::Method(method), signature)),
            at,
        })
    }
}

impl<'t> Evaluation<'t> {
    /// Calls with the operands `args`, and after them `last` from the pipeline.
    pub(super) fn call(
        &mut self,
        dot: &Value,
        callee: &Callee<'t>,
        args: &'t [Operand],
        last: Option<&Value>,
    ) -> Evaluated<Value> {
        let name = callee.name;
        let Some((target, signature)) = &callee.target else {
            return self.error(format!("\"{name}\" is not a defined function"));
        };
        let count = args.len() + usize::from(last.is_some());
        let wanted = signature.fixed.len();
        if signature.variadic.is_some() {
            if count < wanted {
                return self.error(format!(
                    "wrong number of args for {name}: want at least {wanted} got {}",
                    args.len()
                ));
            }
        } else if count != wanted {
            return self.error(format!(
                "wrong number of args for {name}: want {wanted} got {count}"
            ));
        }
        if let Target::Method(method) = target
            && let Some(refusal) = method.refusal()
        {
            return self.error(refusal);
        }
        if let Target::Function(function @ (Function::And | Function::Or)) = target {
            return self.short_circuit(dot, *function == Function::Or, args, last);
        }
        let param = |at: usize| {
            signature
                .fixed
                .get(at)
                .copied()
                .or(signature.variadic)
                .unwrap_or(Param::Any)
        };
        let mut values = Vec::with_capacity(count);
        for (at, arg) in args.iter().enumerate() {
            self.limits.steps(1)?;
            values.push(self.argument(dot, param(at), arg)?);
        }
        if let Some(last) = last {
            values.push(self.checked(last.clone(), param(args.len()))?);
        }
        let returned = match target {
            Target::Method(method) => method.call(&values),
            Target::Function(Function::Call) => {
                let function = values.first().unwrap_or(&Value::Invalid);
                let shown = match (args.first(), function) {
                    (Some(arg), _) => arg.to_string(),
                    (None, Value::Str(text) | Value::Html(text)) => {
                        String::from_utf8_lossy(text).into_owned()
                    }
                    (None, other) => format!("<{} Value>", other.type_name()),
                };
                builtins::call(function, &shown)
            }
            Target::Function(function) => self.apply(*function, &values),
        };
        match returned {
            Ok(value) => Ok(value),
            Err(Fault::Stop(stop)) => Err(stop),
            Err(Fault::Error(message)) => {
                self.look_at(callee.at);
                self.error(format!("error calling {name}: {message}"))
            }
        }
    }

    /// `and` and `or`, which evaluate no more than they need.
    fn short_circuit(
        &mut self,
        dot: &Value,
        is_or: bool,
        args: &'t [Operand],
        last: Option<&Value>,
    ) -> Evaluated<Value> {
        let mut value = Value::Invalid;
        for arg in args {
            self.limits.steps(1)?;
            value = self.argument(dot, Param::Any, arg)?;
            if value.is_true() == is_or {
                return Ok(value);
            }
        }
        Ok(last.cloned().unwrap_or(value))
    }

    /// An operand as an argument for a parameter.
    fn argument(&mut self, dot: &Value, param: Param, operand: &'t Operand) -> Evaluated<Value> {
        self.look_at(At::Operand(operand));
        let value = match &operand.kind {
            OperandKind::Nil if param.can_be_nil() => return Ok(zero(param)),
            OperandKind::Nil => {
                return self.error(format!("cannot assign nil to {}", param.type_name()));
            }
            OperandKind::Dot => dot.clone(),
            OperandKind::Field(_) | OperandKind::Variable(_) | OperandKind::Chain { .. } => {
                self.path(dot, operand, &[], None)?
            }
            OperandKind::Pipe(pipe) => self.pipeline(dot, pipe)?,
            OperandKind::Identifier(name) => {
                let callee = Callee::function(self.dialect(), name, At::Operand(operand));
                self.call(dot, &callee, &[], None)?
            }
            OperandKind::Bool(_) | OperandKind::Number(_) | OperandKind::String { .. } => {
                return self.constant(dot, param, operand);
            }
        };
        self.checked(value, param)
    }

    /// A literal as an argument: it takes the parameter's type, if it can.
    fn constant(&mut self, dot: &Value, param: Param, operand: &'t Operand) -> Evaluated<Value> {
        match (param, &operand.kind) {
            (Param::Any, _) | (Param::Str, OperandKind::String { .. }) => {
                self.literal(dot, operand)
            }
            (Param::Str, _) => self.error(format!("expected string; found {operand}")),
            (Param::Int | Param::Duration, OperandKind::Number(number)) if number.int.is_some() => {
                let int = if param == Param::Duration {
                    IntType::Duration
                } else {
                    IntType::Int
                };
                Ok(Value::Int(number.int.unwrap_or_default(), int))
            }
            (Param::Int | Param::Duration, _) => {
                self.error(format!("expected integer; found {operand}"))
            }
            (Param::Vector | Param::Sample | Param::Time | Param::Strings | Param::List, _) => self
                .error(format!(
                    "can't handle {operand} for arg of type {}",
                    param.type_name()
                )),
        }
    }

    /// A value as one of a parameter's type, a pointer followed if that makes it one.
    fn checked(&mut self, value: Value, param: Param) -> Evaluated<Value> {
        let expected = param.type_name();
        if let Value::Invalid = value {
            if param.can_be_nil() {
                return Ok(zero(param));
            }
            return self.error(format!("invalid value; expected {expected}"));
        }
        if param == Param::Any {
            return Ok(value);
        }
        if value.is_nil() && matches!(value, Value::Interface(_)) {
            return self.error(format!(
                "wrong type for value; expected {expected}; got interface {{}}"
            ));
        }
        let concrete = value.concrete();
        match (param, concrete) {
            (Param::Str, Value::Str(_))
            | (Param::Strings, Value::Strings(_))
            | (Param::List, Value::List(_))
            | (Param::Vector, Value::Vector(_))
            | (Param::Sample, Value::Sample(_))
            | (Param::Int, Value::Int(_, IntType::Int))
            | (Param::Duration, Value::Int(_, IntType::Duration))
            | (Param::Time, Value::Time(_)) => Ok(concrete.clone()),
            (Param::Strings, Value::Names(names)) => Ok(Value::Strings(names.clone())),
            (Param::Duration, Value::DurationPointer(nanos)) => {
                Ok(Value::Int(**nanos, IntType::Duration))
            }
            (Param::Time, Value::TimePointer(time)) => Ok(Value::Time(**time)),
            (_, other) => self.error(format!(
                "wrong type for value; expected {expected}; got {}",
                other.type_name()
            )),
        }
    }

    /// Runs a function on arguments that fit it.
    fn apply(&mut self, function: Function, args: &[Value]) -> Returned {
        let nothing = Value::Invalid;
        let first = args.first().unwrap_or(&nothing);
        let second = args.get(1).unwrap_or(&nothing);
        let (limits, patterns) = (&mut self.limits, &mut self.patterns);
        match function {
            // These two do not evaluate all their arguments, and never come here.
            Function::And | Function::Or | Function::Call => Ok(first.clone()),
            Function::Not => Ok(Value::Bool(!first.is_true())),
            Function::Html => builtins::html(args, limits),
            Function::Js => builtins::js(args, limits),
            Function::UrlQuery => builtins::url_query(args, limits),
            Function::Index => builtins::index(args),
            Function::Slice => builtins::slice(args, limits),
            Function::Len => builtins::len(first),
            Function::Print => builtins::print(args, limits),
            Function::Printf => builtins::printf(args, limits),
            Function::Println => builtins::println(args, limits),
            Function::Eq
            | Function::Ne
            | Function::Lt
            | Function::Le
            | Function::Gt
            | Function::Ge => {
                limits.work(args.iter().map(length).sum())?;
                self.compare(function, args).map(Value::Bool)
            }
            Function::Query => {
                let expr = string(first);
                let answer = (self.answers)(&expr);
                prometheus::query(&expr, answer)
            }
            Function::First => prometheus::first(args),
            Function::Label => {
                let sample = prometheus::sample(args.get(1))?;
                Ok(Value::str(sample.labels.get(&string(first))))
            }
            Function::SampleValue => {
                let sample = prometheus::sample(args.first())?;
                Ok(Value::interface(sample.value.clone()))
            }
            Function::StrValue => {
                let sample = prometheus::sample(args.first())?;
                Ok(Value::str(sample.labels.get("__value__")))
            }
            Function::Args => prometheus::args(args),
            Function::ReReplaceAll => {
                let text = args.get(2).unwrap_or(&nothing);
                prometheus::re_replace_all(
                    &string(first),
                    &string(second),
                    bytes(text),
                    patterns,
                    limits,
                )
            }
            Function::SafeHtml => {
                limits.work(bytes(first).len())?;
                Ok(Value::Html(bytes(first).into()))
            }
            Function::Match => prometheus::matches(&string(first), bytes(second), patterns, limits),
            Function::Title => builtins::text(prometheus::title(bytes(first)), limits),
            Function::ToUpper => builtins::text(prometheus::upper(bytes(first)), limits),
            Function::ToLower => builtins::text(prometheus::lower(bytes(first)), limits),
            Function::GraphLink => builtins::text(prometheus::link(bytes(first), 0), limits),
            Function::TableLink => builtins::text(prometheus::link(bytes(first), 1), limits),
            Function::SortByLabel => prometheus::sort_by_label(&string(first), args.get(1), limits),
            Function::StripPort => {
                builtins::text(escape::strip_port(&string(first)).into(), limits)
            }
            Function::StripDomain => {
                builtins::text(escape::strip_domain(&string(first)).into(), limits)
            }
            Function::Humanize => {
                prometheus::humanized(args.first(), |value| Ok(humanize::humanize(value)))
            }
            Function::Humanize1024 => {
                prometheus::humanized(args.first(), |value| Ok(humanize::humanize_1024(value)))
            }
            Function::HumanizeDuration => {
                prometheus::humanized(args.first(), |value| Ok(humanize::humanize_duration(value)))
            }
            Function::HumanizePercentage => prometheus::humanized(args.first(), |value| {
                Ok(humanize::humanize_percentage(value))
            }),
            Function::HumanizeTimestamp => {
                prometheus::humanized(args.first(), humanize::humanize_timestamp)
            }
            Function::ToTime => prometheus::to_time(args.first()),
            Function::ToDuration => prometheus::to_duration(args.first()),
            Function::Now => Ok(prometheus::now(self.world.at)),
            Function::PathPrefix => {
                builtins::text(escape::url_path(self.world.external_url), limits)
            }
            Function::ExternalUrl => Ok(Value::str(self.world.external_url)),
            Function::ParseDuration => prometheus::parse_duration(&string(first)),
            Function::Join => match alertmanager::join(bytes(first), second)? {
                Value::Str(text) => builtins::text(text.to_vec(), limits),
                other => Ok(other),
            },
            Function::TrimSpace => {
                builtins::text(string(first).trim().to_owned().into_bytes(), limits)
            }
            Function::StringSlice => Ok(Value::strings(args.iter().map(bytes))),
            Function::Date => match second {
                Value::Time(time) => builtins::text(time.format(&string(first)).into(), limits),
                _ => Ok(Value::Invalid),
            },
            Function::Tz => alertmanager::tz(&string(first), second),
            Function::Since => alertmanager::since(first, self.world.at),
            Function::TitleLower => {
                let lower = prometheus::lower(bytes(first));
                builtins::text(prometheus::title(&lower), limits)
            }
            Function::SafeUrl => Ok(first.clone()),
            Function::UrlUnescape => alertmanager::url_unescape(bytes(first)),
            Function::ToJson => match json(first) {
                Ok(text) => builtins::text(text.into_bytes(), limits),
                Err(message) => builtins::error(message),
            },
            Function::NowTime => Ok(Value::Time(Time::from_millis(self.world.at.as_millis()))),
            Function::ToDate => alertmanager::to_date(&string(first), &string(second), false),
            Function::MustToDate => alertmanager::to_date(&string(first), &string(second), true),
            Function::AddDuration => alertmanager::add_duration(&string(first), second),
            Function::Base64Encode => {
                builtins::text(alertmanager::base64_encode(bytes(first)), limits)
            }
            Function::Base64Decode => {
                limits.work(bytes(first).len())?;
                alertmanager::base64_decode(bytes(first))
            }
            Function::List => alertmanager::list(args.iter(), limits),
            Function::Append => {
                let known = match first {
                    Value::List(list) => list.elements.as_slice(),
                    _ => &[],
                };
                let more = args.get(1..).unwrap_or(&[]);
                alertmanager::list(known.iter().chain(more), limits)
            }
            Function::Dict => alertmanager::dict(args, limits),
            Function::RouteLabels => match (self.world.route_label)(&string(first)) {
                Ok(text) => builtins::text(text.into_bytes(), limits),
                Err(message) => builtins::error(message),
            },
            Function::UrlQueryEscape => {
                builtins::text(escape::url_query(bytes(first)).into_bytes(), limits)
            }
        }
    }

    fn compare(&self, function: Function, args: &[Value]) -> Result<bool, Fault> {
        let nothing = Value::Invalid;
        let first = args.first().unwrap_or(&nothing);
        let second = args.get(1).unwrap_or(&nothing);
        match function {
            Function::Eq => compare::eq(first, args.get(1..).unwrap_or(&[])),
            Function::Ne => compare::eq(first, std::slice::from_ref(second)).map(|equal| !equal),
            Function::Lt => compare::lt(first, second),
            Function::Le => compare::le(first, second),
            Function::Gt => compare::gt(first, second),
            _ => compare::ge(first, second),
        }
    }
}

/// The zero of a type that can be nil.
fn zero(param: Param) -> Value {
    match param {
        Param::Vector => Value::Vector(super::value::Vector::new(Vec::new())),
        Param::Sample => Value::Sample(None),
        Param::Strings => Value::Strings([].into()),
        Param::List => Value::List(std::rc::Rc::new(Listed {
            elements: Vec::new(),
            depth: 1,
        })),
        _ => Value::Invalid,
    }
}

fn bytes(value: &Value) -> &[u8] {
    match value {
        Value::Str(text) | Value::Html(text) => text,
        _ => &[],
    }
}

fn string(value: &Value) -> String {
    String::from_utf8_lossy(bytes(value)).into_owned()
}

/// What comparing a value costs.
fn length(value: &Value) -> usize {
    bytes(value.concrete()).len()
}
