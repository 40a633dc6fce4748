//! Go's `fmt`: `Sprint`, `Sprintln`, and `Sprintf` with its verbs, flags and complaints.

use super::Stop;
use super::limits::MAX_OUTPUT;
use super::print::Printer;
use super::value::{Kind, Value};

/// `fmt.Sprint`: a space between operands where neither is a string.
pub(super) fn sprint(args: &[Value]) -> Result<Vec<u8>, Stop> {
    let mut printer = Printer::new();
    let mut after_string = true;
    for (at, arg) in args.iter().enumerate() {
        let is_string = arg.concrete().kind() == Kind::String;
        if at > 0 && !is_string && !after_string {
            printer.text(" ");
        }
        printer.arg(arg, 'v');
        after_string = is_string;
    }
    finish(printer)
}

/// `fmt.Sprintln`: a space between any two operands, a line feed at the end.
pub(super) fn sprintln(args: &[Value]) -> Result<Vec<u8>, Stop> {
    let mut printer = Printer::new();
    for (at, arg) in args.iter().enumerate() {
        if at > 0 {
            printer.text(" ");
        }
        printer.arg(arg, 'v');
    }
    printer.text("\n");
    finish(printer)
}

fn finish(printer: Printer) -> Result<Vec<u8>, Stop> {
    printer.finish().ok_or_else(|| {
        Stop::Failed(format!(
            "text of more than {MAX_OUTPUT} bytes in a template"
        ))
    })
}

/// `fmt.Sprintf`.
pub(super) fn sprintf(format: &[u8], args: &[Value]) -> Result<Vec<u8>, Stop> {
    let mut formatter = Formatter {
        format,
        at: 0,
        args,
        arg: 0,
        reordered: false,
        good_arg: true,
        after_index: false,
        printer: Printer::new(),
    };
    formatter.run();
    finish(formatter.printer)
}

struct Formatter<'a> {
    format: &'a [u8],
    at: usize,
    args: &'a [Value],
    arg: usize,
    reordered: bool,
    /// Whether the last `[n]` was good.
    good_arg: bool,
    /// Whether a `[n]` came just before.
    after_index: bool,
    printer: Printer,
}

/// The largest width and precision that Go takes.
const MAX_NUMBER: i64 = 1_000_000;

impl Formatter<'_> {
    fn peek(&self) -> Option<u8> {
        self.format.get(self.at).copied()
    }

    fn run(&mut self) {
        while self.at < self.format.len() && !self.printer.is_full() {
            let rest = self.format.get(self.at..).unwrap_or(&[]);
            let plain = rest.iter().position(|byte| *byte == b'%');
            let plain = plain.unwrap_or(rest.len());
            self.printer.bytes(rest.get(..plain).unwrap_or(&[]));
            self.at += plain;
            if self.at >= self.format.len() {
                break;
            }
            self.at += 1;
            self.directive();
        }
        if !self.reordered && self.arg < self.args.len() {
            self.printer.extra(self.args.get(self.arg..).unwrap_or(&[]));
        }
    }

    fn directive(&mut self) {
        self.good_arg = true;
        self.after_index = false;
        self.printer.clear_flags();
        self.flags();
        self.arg_number();
        self.width();
        self.precision();
        if !self.after_index {
            self.arg_number();
        }
        self.verb();
    }

    fn flags(&mut self) {
        while let Some(byte) = self.peek() {
            let flags = &mut self.printer.flags;
            match byte {
                b'#' => flags.sharp = true,
                b'0' => flags.zero = true,
                b'+' => flags.plus = true,
                b'-' => flags.minus = true,
                b' ' => flags.space = true,
                _ => return,
            }
            self.at += 1;
        }
    }

    /// `[n]`: which argument comes next.
    fn arg_number(&mut self) {
        self.after_index = false;
        if self.peek() != Some(b'[') {
            return;
        }
        self.reordered = true;
        let rest = self.format.get(self.at..).unwrap_or(&[]);
        let close = rest.iter().position(|byte| *byte == b']');
        let Some(close) = close.filter(|_| rest.len() >= 3) else {
            self.at += 1;
            self.good_arg = false;
            return;
        };
        let inside = rest.get(1..close).unwrap_or(&[]);
        self.at += close + 1;
        let number = std::str::from_utf8(inside)
            .ok()
            .filter(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
            .and_then(|digits| digits.parse::<usize>().ok())
            .filter(|number| *number <= 10_000_000);
        match number {
            Some(number) if number >= 1 && number <= self.args.len() => {
                self.arg = number - 1;
                self.after_index = true;
            }
            // A number, but of no argument.
            Some(_) => {
                self.good_arg = false;
                self.after_index = true;
            }
            None => self.good_arg = false,
        }
    }

    /// Digits; `None` where there are none, or too many.
    fn digits(&mut self) -> Option<usize> {
        let mut number: Option<usize> = None;
        while let Some(digit) = self.peek().filter(u8::is_ascii_digit) {
            let so_far = number.unwrap_or(0);
            if i64::try_from(so_far).is_ok_and(|number| number > MAX_NUMBER) {
                // As Go: the rest of the format is lost.
                self.at = self.format.len();
                return None;
            }
            number = Some(so_far * 10 + usize::from(digit - b'0'));
            self.at += 1;
        }
        number
    }

    /// `*`: the next argument as a number.
    fn number_from_arg(&mut self) -> Option<i64> {
        let arg = self.args.get(self.arg)?;
        self.arg += 1;
        let number = match arg.concrete() {
            Value::Int(number, _) => Some(*number),
            Value::Byte(byte) => Some(i64::from(*byte)),
            _ => None,
        };
        number.filter(|number| (-MAX_NUMBER..=MAX_NUMBER).contains(number))
    }

    fn width(&mut self) {
        if self.peek() != Some(b'*') {
            self.printer.flags.width = self.digits();
            if self.after_index && self.printer.flags.width.is_some() {
                self.good_arg = false;
            }
            return;
        }
        self.at += 1;
        let number = self.number_from_arg();
        if number.is_none() {
            self.printer.text("%!(BADWIDTH)");
        }
        if number.is_some_and(|number| number < 0) {
            self.printer.flags.minus = true;
        }
        self.printer.flags.width =
            number.and_then(|number| usize::try_from(number.unsigned_abs()).ok());
        self.after_index = false;
    }

    fn precision(&mut self) {
        if self.peek() != Some(b'.') {
            return;
        }
        self.at += 1;
        if self.after_index {
            self.good_arg = false;
        }
        self.arg_number();
        if self.peek() != Some(b'*') {
            self.printer.flags.precision = Some(self.digits().unwrap_or(0));
            return;
        }
        self.at += 1;
        let number = self
            .number_from_arg()
            .and_then(|number| usize::try_from(number).ok());
        if number.is_none() {
            self.printer.text("%!(BADPREC)");
        }
        self.printer.flags.precision = number;
        self.after_index = false;
    }

    fn verb(&mut self) {
        let rest = self.format.get(self.at..).unwrap_or(&[]);
        let Some(piece) = super::quote::pieces(rest).next() else {
            self.printer.text("%!(NOVERB)");
            return;
        };
        let verb = match piece {
            super::quote::Piece::Char(c) => {
                self.at += c.len_utf8();
                c
            }
            super::quote::Piece::Byte(_) => {
                self.at += 1;
                '\u{fffd}'
            }
        };
        if verb == '%' {
            self.printer.text("%");
        } else if !self.good_arg {
            self.printer.text(&format!("%!{verb}(BADINDEX)"));
        } else if let Some(arg) = self.args.get(self.arg) {
            // `%w` is for errors alone, of which there are none here, and otherwise as `%v`.
            if matches!(verb, 'v' | 'w') {
                let flags = &mut self.printer.flags;
                flags.sharp_v = std::mem::take(&mut flags.sharp);
                flags.plus_v = std::mem::take(&mut flags.plus);
            }
            self.printer.arg(arg, verb);
            self.arg += 1;
        } else {
            self.printer.text(&format!("%!{verb}(MISSING)"));
        }
    }
}
