//! The values that templates handle, with the Go types they have in Prometheus.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use super::notified::{self, Kv, Notified, NotifiedAlert};
use super::time::{self, Time};
use crate::histogram::Histogram;
use crate::labels::Labels;
use crate::query::SampleValue;

/// A value with its Go type. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) enum Value {
    /// Go's zero `reflect.Value`: an untyped nil.
    Invalid,
    /// What an `interface {}` holds, as a field or a map's element.
    Interface(Rc<Value>),
    Bool(bool),
    Int(i64, IntType),
    /// `uint8`, a string's byte.
    Byte(u8),
    Float(f64),
    /// `*histogram.FloatHistogram`.
    Histogram(Arc<Histogram>),
    Complex(f64, f64),
    /// `string`: any bytes.
    Str(Rc<[u8]>),
    /// `template.HTML` of `html/template`.
    Html(Rc<[u8]>),
    /// `map[string]string`.
    Labels(Labels),
    /// `map[string]interface {}`, from `args`.
    Args(Rc<Named>),
    /// `template.queryResult`.
    Vector(Vector),
    /// `*template.sample`.
    Sample(Option<Rc<Sample>>),
    /// `template.sample`: only while one is printed.
    SampleStruct(Rc<Sample>),
    /// What an alert's template is given as its dot.
    Alert(Rc<Alert>),
    /// What a notification's template is given as its dot: `*template.Data`.
    Notified(Rc<Notified>),
    /// `template.Alerts`.
    Alerts(Rc<[Rc<NotifiedAlert>]>),
    /// `template.Alert` of Alertmanager.
    NotifiedAlert(Rc<NotifiedAlert>),
    /// `template.KV`.
    Kv(Kv),
    /// `template.Pairs`.
    Pairs(Rc<[Rc<(String, String)>]>),
    /// `template.Pair`.
    Pair(Rc<(String, String)>),
    /// `[]string`.
    Strings(Rc<[Rc<[u8]>]>),
    /// `template.Strings`.
    Names(Rc<[Rc<[u8]>]>),
    /// `[]interface {}`, from `list`.
    List(Rc<Listed>),
    /// `time.Time`.
    Time(Time),
    /// `*time.Time`.
    TimePointer(Rc<Time>),
    /// `*time.Duration`.
    DurationPointer(Rc<i64>),
    /// A nil `*time.Location`: only while a time is printed.
    NoLocation,
}

/// Go's integer types, as far as they occur.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IntType {
    Int,
    Int64,
    /// `uint64`: only while a time is printed.
    Uint64,
    /// `time.Duration`, in nanoseconds.
    Duration,
    /// `time.Month`, from 1.
    Month,
    /// `time.Weekday`, from 0, Sunday.
    Weekday,
}

/// A sample of a query's answer.
#[derive(Debug)]
pub(super) struct Sample {
    pub(super) labels: Labels,
    pub(super) value: Value,
}

/// What `args` makes.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) elements: BTreeMap<String, Value>,
    /// How many such maps are inside each other, with this one.
    pub(super) depth: usize,
}

/// What `list` makes.
#[derive(Debug)]
pub(super) struct Listed {
    pub(super) elements: Vec<Value>,
    /// As in [`Named`].
    pub(super) depth: usize,
}

/// A part of a slice of samples; sorting it sorts it for all that share it.
#[derive(Debug, Clone)]
pub(super) struct Vector {
    pub(super) samples: Rc<RefCell<Vec<Rc<Sample>>>>,
    pub(super) from: usize,
    pub(super) to: usize,
}

/// The dot of an alert's templates.
#[derive(Debug)]
pub(super) struct Alert {
    pub(super) labels: Labels,
    pub(super) external_labels: Labels,
    pub(super) external_url: Rc<[u8]>,
    pub(super) value: Value,
}

/// Go's `reflect.Kind`, as far as it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Invalid,
    Interface,
    Bool,
    Int,
    Uint,
    Float,
    Complex,
    String,
    Map,
    Slice,
    Pointer,
    Struct,
}

impl Vector {
    pub(super) fn new(samples: Vec<Rc<Sample>>) -> Self {
        let to = samples.len();
        Self {
            samples: Rc::new(RefCell::new(samples)),
            from: 0,
            to,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.to - self.from
    }

    /// How far the slice can be extended.
    pub(super) fn capacity(&self) -> usize {
        self.samples.borrow().len().saturating_sub(self.from)
    }

    pub(super) fn get(&self, at: usize) -> Option<Rc<Sample>> {
        if at >= self.len() {
            return None;
        }
        self.samples.borrow().get(self.from + at).cloned()
    }

    /// `self[from..to]`, within the capacity.
    pub(super) fn slice(&self, from: usize, to: usize) -> Self {
        Self {
            samples: Rc::clone(&self.samples),
            from: self.from + from,
            to: self.from + to,
        }
    }

    /// Sorts in place, and stably.
    pub(super) fn sort_by_label(&self, name: &str) {
        if let Some(part) = self.samples.borrow_mut().get_mut(self.from..self.to) {
            part.sort_by(|a, b| a.labels.get(name).cmp(b.labels.get(name)));
        }
    }
}

impl Value {
    /// A sample's value.
    pub(super) fn from_sample(value: SampleValue) -> Self {
        match value {
            SampleValue::Float(value) => Self::Float(value),
            SampleValue::Histogram(histogram) => Self::Histogram(histogram),
        }
    }

    pub(super) fn str(text: impl Into<Vec<u8>>) -> Self {
        Self::Str(Rc::from(text.into()))
    }

    pub(super) fn strings<'a>(texts: impl Iterator<Item = &'a [u8]>) -> Self {
        Self::Strings(texts.map(Rc::from).collect())
    }

    /// How many lists and maps that templates made are inside each other here.
    pub(super) fn depth(&self) -> usize {
        match self.concrete() {
            Self::Args(inner) => inner.depth,
            Self::List(inner) => inner.depth,
            _ => 0,
        }
    }

    pub(super) fn int(value: usize) -> Self {
        Self::Int(i64::try_from(value).unwrap_or(i64::MAX), IntType::Int)
    }

    pub(super) fn interface(inner: Self) -> Self {
        Self::Interface(Rc::new(inner))
    }

    /// What an interface holds; anything else as it is.
    pub(super) fn concrete(&self) -> &Self {
        match self {
            Self::Interface(inner) => inner.concrete(),
            other => other,
        }
    }

    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Invalid => Kind::Invalid,
            Self::Interface(_) => Kind::Interface,
            Self::Bool(_) => Kind::Bool,
            Self::Int(..) => Kind::Int,
            Self::Byte(_) => Kind::Uint,
            Self::Float(_) => Kind::Float,
            Self::Complex(..) => Kind::Complex,
            Self::Str(_) | Self::Html(_) => Kind::String,
            Self::Labels(_) | Self::Args(_) | Self::Kv(_) => Kind::Map,
            Self::Vector(_)
            | Self::Alerts(_)
            | Self::Pairs(_)
            | Self::Strings(_)
            | Self::Names(_)
            | Self::List(_) => Kind::Slice,
            Self::Sample(_)
            | Self::Histogram(_)
            | Self::TimePointer(_)
            | Self::DurationPointer(_)
            | Self::NoLocation
            | Self::Notified(_) => Kind::Pointer,
            Self::SampleStruct(_)
            | Self::Alert(_)
            | Self::NotifiedAlert(_)
            | Self::Pair(_)
            | Self::Time(_) => Kind::Struct,
        }
    }

    /// Go's name of the type.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::Invalid => "<nil>",
            Self::Interface(_) => "interface {}",
            Self::Bool(_) => "bool",
            Self::Int(_, int) => int.name(),
            Self::Byte(_) => "uint8",
            Self::Float(_) => "float64",
            Self::Histogram(_) => "*histogram.FloatHistogram",
            Self::Complex(..) => "complex128",
            Self::Str(_) => "string",
            Self::Html(_) => "template.HTML",
            Self::Labels(_) => "map[string]string",
            Self::Args(_) => "map[string]interface {}",
            Self::Vector(_) => "template.queryResult",
            Self::Sample(_) => "*template.sample",
            Self::SampleStruct(_) => "template.sample",
            Self::Alert(_) => {
                "struct { Labels map[string]string; ExternalLabels map[string]string; \
                 ExternalURL string; Value interface {} }"
            }
            Self::Notified(_) => "*template.Data",
            Self::Alerts(_) => "template.Alerts",
            Self::NotifiedAlert(_) => "template.Alert",
            Self::Kv(_) => "template.KV",
            Self::Pairs(_) => "template.Pairs",
            Self::Pair(_) => "template.Pair",
            Self::Strings(_) => "[]string",
            Self::Names(_) => "template.Strings",
            Self::List(_) => "[]interface {}",
            Self::Time(_) => "time.Time",
            Self::TimePointer(_) => "*time.Time",
            Self::DurationPointer(_) => "*time.Duration",
            Self::NoLocation => "*time.Location",
        }
    }

    /// Go's name of the type that a pointer points to; of anything else its own.
    pub(super) fn pointed_type_name(&self) -> &'static str {
        self.type_name().trim_start_matches('*')
    }

    /// Whether this counts as true: not the zero of its type, not empty.
    pub(super) fn is_true(&self) -> bool {
        match self {
            Self::Invalid | Self::NoLocation => false,
            Self::Interface(inner) => inner.is_true(),
            Self::Bool(value) => *value,
            Self::Int(value, _) => *value != 0,
            Self::Byte(value) => *value != 0,
            // Not-a-number is not zero.
            Self::Float(value) => *value != 0.0,
            Self::Complex(real, imaginary) => *real != 0.0 || *imaginary != 0.0,
            Self::Str(text) | Self::Html(text) => !text.is_empty(),
            Self::Labels(labels) => !labels.is_empty(),
            Self::Args(args) => !args.elements.is_empty(),
            Self::Vector(vector) => vector.len() > 0,
            Self::Sample(sample) => sample.is_some(),
            Self::Alerts(alerts) => !alerts.is_empty(),
            Self::Kv(kv) => !kv.is_empty(),
            Self::Pairs(pairs) => !pairs.is_empty(),
            Self::Strings(strings) | Self::Names(strings) => !strings.is_empty(),
            Self::List(list) => !list.elements.is_empty(),
            Self::SampleStruct(_)
            | Self::Histogram(_)
            | Self::Alert(_)
            | Self::Notified(_)
            | Self::NotifiedAlert(_)
            | Self::Pair(_)
            | Self::Time(_)
            | Self::TimePointer(_)
            | Self::DurationPointer(_) => true,
        }
    }

    /// Whether this is nil of any type.
    pub(super) fn is_nil(&self) -> bool {
        match self {
            Self::Invalid | Self::NoLocation | Self::Sample(None) => true,
            Self::Interface(inner) => matches!(**inner, Self::Invalid),
            _ => false,
        }
    }

    /// What printing takes where the type has a `String` method.
    pub(super) fn stringer(&self) -> Option<String> {
        match self {
            Self::Int(value, IntType::Duration) => Some(time::duration_text(*value)),
            Self::DurationPointer(value) => Some(time::duration_text(**value)),
            Self::Int(value, IntType::Month) => Some(time::month_text(*value)),
            Self::Int(value, IntType::Weekday) => Some(time::weekday_text(*value)),
            Self::Histogram(histogram) => Some(histogram.to_string()),
            Self::Time(time) => Some(time.to_string()),
            Self::TimePointer(time) => Some(time.to_string()),
            Self::Kv(kv) => Some(notified::shown(&notified::pairs(kv))),
            Self::Pairs(pairs) => Some(notified::shown(pairs)),
            _ => None,
        }
    }
}

impl IntType {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Int => "int",
            Self::Int64 => "int64",
            Self::Uint64 => "uint64",
            Self::Duration => "time.Duration",
            Self::Month => "time.Month",
            Self::Weekday => "time.Weekday",
        }
    }
}
