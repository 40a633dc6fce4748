//! How Go's `fmt` prints one value under one verb.

use std::rc::Rc;

use super::limits::MAX_OUTPUT;
use super::notified;
use super::quote::{self, Piece};
use super::value::{IntType, Kind, Value};

/// What stands between `%` and the verb.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Flags {
    pub(super) width: Option<usize>,
    pub(super) precision: Option<usize>,
    pub(super) minus: bool,
    pub(super) plus: bool,
    pub(super) sharp: bool,
    pub(super) space: bool,
    pub(super) zero: bool,
    /// `%+v`
    pub(super) plus_v: bool,
    /// `%#v`
    pub(super) sharp_v: bool,
}

/// Text being printed, never more of it than [`MAX_OUTPUT`].
#[derive(Debug)]
pub(super) struct Printer {
    pub(super) flags: Flags,
    buffer: Vec<u8>,
    pub(super) full: bool,
    /// Inside a complaint about a verb, where `String` methods are not used.
    complaining: bool,
}

/// Pointers differ from run to run in Go; here they are all this one.
const POINTER: u64 = 0xc0_0000_0000;

impl Printer {
    pub(super) fn new() -> Self {
        Self {
            flags: Flags::default(),
            buffer: Vec::new(),
            full: false,
            complaining: false,
        }
    }

    pub(super) fn clear_flags(&mut self) {
        self.flags = Flags::default();
    }

    pub(super) fn is_full(&self) -> bool {
        self.full
    }

    /// The text, or `None` where it became too long.
    pub(super) fn finish(self) -> Option<Vec<u8>> {
        (!self.full).then_some(self.buffer)
    }

    pub(super) fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        if self.buffer.len() + bytes.len() > MAX_OUTPUT {
            self.full = true;
        } else {
            self.buffer.extend_from_slice(bytes);
        }
    }

    pub(super) fn repeat(&mut self, byte: u8, count: usize) {
        if self.buffer.len() + count > MAX_OUTPUT {
            self.full = true;
        } else {
            self.buffer.extend(std::iter::repeat_n(byte, count));
        }
    }

    /// Writes with the width that is asked for, filled with zeros if the flags say so.
    pub(super) fn pad(&mut self, bytes: &[u8]) {
        self.pad_with(bytes, self.flags.zero && !self.flags.minus);
    }

    pub(super) fn pad_with(&mut self, bytes: &[u8], zeros: bool) {
        let missing = self
            .flags
            .width
            .unwrap_or(0)
            .saturating_sub(quote::char_count(bytes));
        if self.flags.minus {
            self.bytes(bytes);
            self.repeat(b' ', missing);
        } else {
            self.repeat(if zeros { b'0' } else { b' ' }, missing);
            self.bytes(bytes);
        }
    }

    /// Prints an operand.
    pub(super) fn arg(&mut self, arg: &Value, verb: char) {
        let value = arg.concrete();
        if let Value::Invalid = value {
            match verb {
                'T' | 'v' => self.pad(b"<nil>"),
                _ => self.bad_verb(value, verb),
            }
            return;
        }
        match verb {
            'T' => self.string(value.type_name().as_bytes()),
            'p' => self.pointer(value, verb),
            'w' => self.bad_verb(value, verb),
            _ => self.value(value, verb, 0),
        }
    }

    /// The operands that a format did not use.
    pub(super) fn extra(&mut self, args: &[Value]) {
        self.clear_flags();
        self.text("%!(EXTRA ");
        for (at, arg) in args.iter().enumerate() {
            if at > 0 {
                self.text(", ");
            }
            match arg.concrete() {
                Value::Invalid => self.text("<nil>"),
                value => {
                    self.text(value.type_name());
                    self.text("=");
                    self.arg(value, 'v');
                }
            }
        }
        self.text(")");
    }

    pub(super) fn bad_verb(&mut self, value: &Value, verb: char) {
        let outer = std::mem::replace(&mut self.complaining, true);
        self.text(&format!("%!{verb}("));
        match value {
            Value::Invalid => self.text("<nil>"),
            value => {
                self.text(value.type_name());
                self.text("=");
                self.value(value, 'v', 0);
            }
        }
        self.text(")");
        self.complaining = outer;
    }

    fn value(&mut self, value: &Value, verb: char, depth: usize) {
        if self.full {
            return;
        }
        let stringable = matches!(verb, 'v' | 's' | 'x' | 'X' | 'q');
        if stringable
            && !self.complaining
            && !self.flags.sharp_v
            && let Some(text) = value.stringer()
        {
            self.string_verb(value, text.as_bytes(), verb);
            return;
        }
        match value {
            Value::Invalid => match verb {
                'v' => self.text("<nil>"),
                _ => self.bad_verb(value, verb),
            },
            Value::Interface(inner) => match &**inner {
                Value::Invalid if self.flags.sharp_v => self.text("interface {}(nil)"),
                Value::Invalid => self.text("<nil>"),
                inner => self.value(inner, verb, depth + 1),
            },
            Value::Bool(truth) => match verb {
                't' | 'v' => self.pad(if *truth { b"true" } else { b"false" }),
                _ => self.bad_verb(value, verb),
            },
            Value::Int(int, _) => {
                self.integer_verb(value, int.unsigned_abs(), *int < 0, true, verb);
            }
            Value::Byte(byte) => self.integer_verb(value, u64::from(*byte), false, false, verb),
            Value::Float(float) => self.float_verb(value, *float, verb),
            Value::Complex(real, imaginary) => {
                self.complex_verb(value, *real, *imaginary, verb);
            }
            Value::Str(text) | Value::Html(text) => self.string_verb(value, text, verb),
            Value::Labels(labels) => {
                let pairs = labels.iter();
                self.map(
                    value,
                    pairs.map(|(name, text)| (name, Value::str(text))),
                    verb,
                    depth,
                );
            }
            Value::Args(args) => {
                let pairs = args.elements.iter();
                self.map(
                    value,
                    pairs.map(|(name, arg)| (name.as_str(), Value::interface(arg.clone()))),
                    verb,
                    depth,
                );
            }
            Value::Vector(vector) => {
                let samples = (0..vector.len()).map(|at| Value::Sample(vector.get(at)));
                self.list(value, samples, verb, depth);
            }
            Value::Sample(Some(sample)) if depth == 0 => {
                self.text("&");
                self.value(&Value::SampleStruct(Rc::clone(sample)), verb, depth + 1);
            }
            Value::SampleStruct(sample) => self.fields(
                value,
                &[
                    ("Labels", Value::Labels(sample.labels.clone())),
                    ("Value", Value::interface(sample.value.clone())),
                ],
                verb,
                depth,
            ),
            Value::TimePointer(time) if depth == 0 => {
                self.text("&");
                self.value(&Value::Time(**time), verb, depth + 1);
            }
            // In UTC the location is a nil pointer.
            Value::Time(time) => self.fields(
                value,
                &[
                    ("wall", Value::Int(time.nanosecond(), IntType::Uint64)),
                    ("ext", Value::Int(time.since_year_one(), IntType::Int64)),
                    ("loc", Value::NoLocation),
                ],
                verb,
                depth,
            ),
            Value::Alert(alert) => self.fields(
                value,
                &[
                    ("Labels", Value::Labels(alert.labels.clone())),
                    (
                        "ExternalLabels",
                        Value::Labels(alert.external_labels.clone()),
                    ),
                    ("ExternalURL", Value::Str(alert.external_url.clone())),
                    ("Value", Value::interface(alert.value.clone())),
                ],
                verb,
                depth,
            ),
            Value::Kv(kv) => {
                let pairs = kv.iter();
                self.map(
                    value,
                    pairs.map(|(name, text)| (name.as_str(), Value::str(text.as_str()))),
                    verb,
                    depth,
                );
            }
            Value::Pairs(pairs) => {
                let pairs = pairs.iter().map(|pair| Value::Pair(Rc::clone(pair)));
                self.list(value, pairs, verb, depth);
            }
            Value::List(list) => {
                let elements = list.elements.iter().cloned().map(Value::interface);
                self.list(value, elements, verb, depth);
            }
            Value::Strings(strings) | Value::Names(strings) => {
                let strings = strings.iter().map(|text| Value::Str(Rc::clone(text)));
                self.list(value, strings, verb, depth);
            }
            Value::Alerts(alerts) => {
                let alerts = alerts
                    .iter()
                    .map(|alert| Value::NotifiedAlert(Rc::clone(alert)));
                self.list(value, alerts, verb, depth);
            }
            Value::Pair(pair) => self.fields(
                value,
                &[
                    ("Name", Value::str(pair.0.as_str())),
                    ("Value", Value::str(pair.1.as_str())),
                ],
                verb,
                depth,
            ),
            Value::NotifiedAlert(alert) => {
                let fields = [
                    "Status",
                    "Labels",
                    "Annotations",
                    "StartsAt",
                    "EndsAt",
                    "GeneratorURL",
                    "Fingerprint",
                ];
                let fields = fields.map(|name| {
                    let field = notified::field_of_alert(alert, name);
                    (name, field.unwrap_or(Value::Invalid))
                });
                self.fields(value, &fields, verb, depth);
            }
            Value::Notified(data) if depth == 0 => {
                let fields = [
                    "Receiver",
                    "Status",
                    "Alerts",
                    "NotificationReason",
                    "GroupLabels",
                    "CommonLabels",
                    "CommonAnnotations",
                    "RouteLabels",
                    "ExternalURL",
                    "routeLabelsRendered",
                ];
                let fields = fields.map(|name| {
                    let field = match name {
                        "routeLabelsRendered" => Some(Value::Bool(data.is_rendered)),
                        name => notified::field_of_data(data, name),
                    };
                    (name, field.unwrap_or(Value::Invalid))
                });
                self.text("&");
                self.fields(value, &fields, verb, depth);
            }
            Value::Sample(_)
            | Value::Histogram(_)
            | Value::TimePointer(_)
            | Value::NoLocation
            | Value::DurationPointer(_)
            | Value::Notified(_) => self.pointer(value, verb),
        }
    }

    fn map<'a>(
        &mut self,
        value: &Value,
        pairs: impl Iterator<Item = (&'a str, Value)>,
        verb: char,
        depth: usize,
    ) {
        let go_syntax = self.flags.sharp_v;
        self.text(if go_syntax { value.type_name() } else { "map" });
        self.text(if go_syntax { "{" } else { "[" });
        for (at, (name, element)) in pairs.enumerate() {
            self.separator(at);
            self.value(&Value::str(name), verb, depth + 1);
            self.text(":");
            self.value(&element, verb, depth + 1);
        }
        self.text(if go_syntax { "}" } else { "]" });
    }

    fn list(
        &mut self,
        value: &Value,
        elements: impl Iterator<Item = Value>,
        verb: char,
        depth: usize,
    ) {
        let go_syntax = self.flags.sharp_v;
        if go_syntax {
            self.text(value.type_name());
        }
        self.text(if go_syntax { "{" } else { "[" });
        for (at, element) in elements.enumerate() {
            self.separator(at);
            self.value(&element, verb, depth + 1);
        }
        self.text(if go_syntax { "}" } else { "]" });
    }

    fn fields(&mut self, value: &Value, fields: &[(&str, Value)], verb: char, depth: usize) {
        if self.flags.sharp_v {
            self.text(value.pointed_type_name());
        }
        self.text("{");
        for (at, (name, field)) in fields.iter().enumerate() {
            self.separator(at);
            if self.flags.plus_v || self.flags.sharp_v {
                self.text(name);
                self.text(":");
            }
            self.value(field, verb, depth + 1);
        }
        self.text("}");
    }

    fn separator(&mut self, at: usize) {
        if at > 0 {
            self.text(if self.flags.sharp_v { ", " } else { " " });
        }
    }

    fn pointer(&mut self, value: &Value, verb: char) {
        if !matches!(value.kind(), Kind::Pointer | Kind::Map | Kind::Slice) {
            self.bad_verb(value, verb);
            return;
        }
        let address = if value.is_nil() { 0 } else { POINTER };
        match verb {
            'v' if self.flags.sharp_v => {
                self.text(&format!("({})(", value.type_name()));
                if address == 0 {
                    self.text("nil");
                } else {
                    self.text(&format!("{address:#x}"));
                }
                self.text(")");
            }
            'v' if address == 0 => self.pad(b"<nil>"),
            'v' | 'p' => {
                let sharp = std::mem::take(&mut self.flags.sharp);
                self.flags.sharp = !sharp;
                self.integer(address, false, 16, 'v');
                self.flags.sharp = sharp;
            }
            'b' | 'o' | 'd' | 'x' | 'X' => {
                self.integer_verb(value, address, false, false, verb);
            }
            _ => self.bad_verb(value, verb),
        }
    }

    fn string_verb(&mut self, value: &Value, text: &[u8], verb: char) {
        match verb {
            'v' if self.flags.sharp_v => self.quoted(text),
            'v' | 's' => self.string(text),
            'x' | 'X' => self.hex_string(text, verb == 'X'),
            'q' => self.quoted(text),
            _ => self.bad_verb(value, verb),
        }
    }

    /// As many characters as the precision allows.
    fn truncate<'a>(&self, text: &'a [u8]) -> &'a [u8] {
        let Some(precision) = self.flags.precision else {
            return text;
        };
        let length: usize = quote::pieces(text)
            .take(precision)
            .map(|piece| match piece {
                Piece::Char(c) => c.len_utf8(),
                Piece::Byte(_) => 1,
            })
            .sum();
        text.get(..length).unwrap_or(text)
    }

    fn string(&mut self, text: &[u8]) {
        let text = self.truncate(text);
        self.pad(text);
    }

    fn quoted(&mut self, text: &[u8]) {
        let text = self.truncate(text);
        if self.flags.sharp && quote::can_backquote(text) {
            let raw = [b"`", text, b"`"].concat();
            self.pad(&raw);
        } else {
            let quoted = quote::quote_with(text, '"', self.flags.plus);
            self.pad(quoted.as_bytes());
        }
    }

    fn hex_string(&mut self, text: &[u8], upper: bool) {
        let length = self.flags.precision.unwrap_or(text.len()).min(text.len());
        let prefix = match (self.flags.sharp, upper) {
            (false, _) => "",
            (true, false) => "0x",
            (true, true) => "0X",
        };
        let mut hex = String::with_capacity(2 * length);
        for (at, byte) in text.iter().take(length).enumerate() {
            if at > 0 && self.flags.space {
                hex.push(' ');
            }
            if at == 0 || self.flags.space {
                hex.push_str(prefix);
            }
            hex.push_str(&if upper {
                format!("{byte:02X}")
            } else {
                format!("{byte:02x}")
            });
        }
        self.pad(hex.as_bytes());
    }
}
