//! How Go's `fmt` prints integers, floats and complex numbers.

use super::float;
use super::limits::MAX_OUTPUT;
use super::print::Printer;
use super::quote;
use super::value::Value;

impl Printer {
    pub(super) fn integer_verb(
        &mut self,
        value: &Value,
        magnitude: u64,
        negative: bool,
        signed: bool,
        verb: char,
    ) {
        match verb {
            'v' if self.flags.sharp_v && !signed => {
                let sharp = std::mem::replace(&mut self.flags.sharp, true);
                self.integer(magnitude, negative, 16, verb);
                self.flags.sharp = sharp;
            }
            'v' | 'd' => self.integer(magnitude, negative, 10, verb),
            'b' => self.integer(magnitude, negative, 2, verb),
            'o' | 'O' => self.integer(magnitude, negative, 8, verb),
            'x' | 'X' => self.integer(magnitude, negative, 16, verb),
            'c' => {
                let c = character(magnitude, negative);
                self.pad(c.encode_utf8(&mut [0; 4]).as_bytes());
            }
            'q' => {
                let c = character(magnitude, negative);
                let text = c.encode_utf8(&mut [0; 4]).to_owned();
                let quoted = quote::quote_with(text.as_bytes(), '\'', self.flags.plus);
                self.pad(quoted.as_bytes());
            }
            'U' => self.code_point(magnitude, negative),
            _ => self.bad_verb(value, verb),
        }
    }

    pub(super) fn integer(&mut self, magnitude: u64, negative: bool, base: u32, verb: char) {
        let zeros = self.flags.zero && !self.flags.minus;
        let digits = match (base, verb) {
            (2, _) => format!("{magnitude:b}"),
            (8, _) => format!("{magnitude:o}"),
            (16, 'X') => format!("{magnitude:X}"),
            (16, _) => format!("{magnitude:x}"),
            _ => magnitude.to_string(),
        };
        let least = match (self.flags.precision, self.flags.width) {
            (Some(0), _) if magnitude == 0 => {
                self.repeat(b' ', self.flags.width.unwrap_or(0));
                return;
            }
            (Some(precision), _) => precision,
            (None, Some(width)) if zeros => {
                width - usize::from(negative || self.flags.plus || self.flags.space).min(width)
            }
            _ => 0,
        };
        if least > MAX_OUTPUT {
            self.full = true;
            return;
        }
        let mut text = String::with_capacity(least + 4);
        if negative {
            text.push('-');
        } else if self.flags.plus {
            text.push('+');
        } else if self.flags.space {
            text.push(' ');
        }
        let leading = least.saturating_sub(digits.len());
        if verb == 'O' {
            text.push_str("0o");
        }
        if self.flags.sharp {
            match (base, verb) {
                (2, _) => text.push_str("0b"),
                (8, _) if leading == 0 && !digits.starts_with('0') => text.push('0'),
                (16, 'X') => text.push_str("0X"),
                (16, _) => text.push_str("0x"),
                _ => {}
            }
        }
        text.extend(std::iter::repeat_n('0', leading));
        text.push_str(&digits);
        self.pad_with(text.as_bytes(), false);
    }

    /// `U+0041`, with a sharp also the character.
    fn code_point(&mut self, magnitude: u64, negative: bool) {
        let code = if negative {
            magnitude.wrapping_neg()
        } else {
            magnitude
        };
        let least = self.flags.precision.unwrap_or(4).clamp(4, MAX_OUTPUT);
        let mut text = format!("{code:X}");
        let missing = least.saturating_sub(text.len());
        text = format!("U+{}{text}", "0".repeat(missing));
        if self.flags.sharp
            && let Some(c) = u32::try_from(code).ok().and_then(char::from_u32)
            && super::unicode::is_print(c)
        {
            text.push_str(&format!(" '{c}'"));
        }
        self.pad_with(text.as_bytes(), false);
    }

    pub(super) fn float_verb(&mut self, value: &Value, float: f64, verb: char) {
        match verb {
            'v' => self.float(float, 'g', None),
            'b' | 'g' | 'G' | 'x' | 'X' => self.float(float, verb, None),
            'f' | 'e' | 'E' => self.float(float, verb, Some(6)),
            'F' => self.float(float, 'f', Some(6)),
            _ => self.bad_verb(value, verb),
        }
    }

    fn float(&mut self, value: f64, verb: char, default: Option<usize>) {
        let precision = self.flags.precision.or(default);
        if precision.is_some_and(|precision| precision > MAX_OUTPUT) {
            self.full = true;
            return;
        }
        let text = float::format(value, verb, precision);
        let (sign, mut digits) = match text.strip_prefix(['-', '+']) {
            Some(digits) if text.starts_with('-') => ('-', digits.to_owned()),
            Some(digits) => ('+', digits.to_owned()),
            None => ('+', text.clone()),
        };
        let sign = match sign {
            '+' if self.flags.space && !self.flags.plus => ' ',
            sign => sign,
        };
        if value.is_nan() || value.is_infinite() {
            // Zeros do not fill these. An infinity has its sign always, though a positive one
            // only where the text itself is not left bare.
            let shown = if value.is_nan() && !self.flags.space && !self.flags.plus {
                digits
            } else {
                format!("{sign}{digits}")
            };
            self.pad_with(shown.as_bytes(), false);
            return;
        }
        if self.flags.sharp && verb != 'b' {
            digits = with_point(&digits, verb, precision);
        }
        if self.flags.plus || sign != '+' {
            let width = self.flags.width.unwrap_or(0);
            if self.flags.zero && !self.flags.minus && width > digits.len() + 1 {
                self.text(sign.encode_utf8(&mut [0; 4]));
                self.repeat(b'0', width - digits.len() - 1);
                self.text(&digits);
            } else {
                self.pad(format!("{sign}{digits}").as_bytes());
            }
            return;
        }
        self.pad(digits.as_bytes());
    }

    pub(super) fn complex_verb(&mut self, value: &Value, real: f64, imaginary: f64, verb: char) {
        if !matches!(
            verb,
            'v' | 'b' | 'g' | 'G' | 'x' | 'X' | 'f' | 'F' | 'e' | 'E'
        ) {
            self.bad_verb(value, verb);
            return;
        }
        self.text("(");
        self.float_verb(value, real, verb);
        let plus = std::mem::replace(&mut self.flags.plus, true);
        self.float_verb(value, imaginary, verb);
        self.flags.plus = plus;
        self.text("i)");
    }
}

/// The character with a code, as `%c` takes it.
fn character(magnitude: u64, negative: bool) -> char {
    u32::try_from(magnitude)
        .ok()
        .filter(|_| !negative)
        .and_then(char::from_u32)
        .unwrap_or('\u{fffd}')
}

/// What the sharp flag does to a float: a point always, and zeros up to the precision.
fn with_point(text: &str, verb: char, precision: Option<usize>) -> String {
    let mut missing = match verb {
        'g' | 'G' | 'x' => precision.unwrap_or(6),
        _ => 0,
    };
    let exponent_marks: &[char] = if matches!(verb, 'x' | 'X') {
        &['p', 'P']
    } else {
        &['e', 'E']
    };
    let tail_at = text.find(exponent_marks).unwrap_or(text.len());
    let (number, tail) = text.split_at(tail_at);
    let mut number = number.to_owned();
    let mut seen_nonzero = false;
    for c in number.chars().filter(|c| *c != '.') {
        seen_nonzero |= c != '0';
        if seen_nonzero {
            missing = missing.saturating_sub(1);
        }
    }
    if !number.contains('.') {
        if number == "0" {
            missing = missing.saturating_sub(1);
        }
        number.push('.');
    }
    number.extend(std::iter::repeat_n('0', missing));
    number.push_str(tail);
    number
}
