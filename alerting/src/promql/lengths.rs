//! The part of the parser that reads lengths of time: `5m`, `300`, `-1m`, `1m * 2`,
//! `(1h - step())`, `max_of(5m, step())`.

use super::ParseError;
use super::features::Feature;
use super::lex::Kind;
use super::parse::Parser;
use crate::duration;

/// The most seconds that Go's 64-bit nanoseconds hold.
const MAX_SECONDS: f64 = 9_223_372_036.854_776;

/// A length of time as it is written.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Length {
    /// One number or duration, perhaps with signs: seconds.
    Plain(f64),
    /// What it is shows at each query only. That is so of one in parentheses, too.
    Calculated,
}

/// Where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Brackets,
    Offset,
}

impl Parser<'_> {
    /// What stands in brackets, before the colon or behind it: longer than nothing.
    pub(super) fn range(&mut self) -> Result<(), ParseError> {
        let start = self.at;
        match self.calculation(0, Place::Brackets)? {
            Length::Plain(seconds) if seconds.is_nan() || seconds <= 0.0 => {
                self.at = start;
                Err(self.unexpected("a length of time that is more than nothing"))
            }
            _ => Ok(()),
        }
    }

    /// What follows `offset`. `x offset 1m + 1` is a sum of `x offset 1m` and 1. Behind a
    /// parenthesis without a sign, or two signs, Prometheus's grammar takes what comes next to the
    /// length: `x offset (1m) * 2` is two minutes back (`offset_duration_expr` in
    /// `promql/parser/generated_parser.y`).
    pub(super) fn shift(&mut self) -> Result<(), ParseError> {
        let is_signed = |ahead| self.is_sign(ahead, "-") || self.is_sign(ahead, "+");
        let takes_more = self.is_sign(0, "(") || (is_signed(0) && is_signed(1));
        let length = self.operand(Place::Offset)?;
        if takes_more {
            self.calculated(length, 0, Place::Offset)?;
        }
        Ok(())
    }

    fn calculation(&mut self, floor: u8, place: Place) -> Result<Length, ParseError> {
        let length = self.nested(|parser| parser.operand(place))?;
        self.calculated(length, floor, place)
    }

    /// What a length becomes by the operators behind it.
    fn calculated(
        &mut self,
        mut length: Length,
        floor: u8,
        place: Place,
    ) -> Result<Length, ParseError> {
        loop {
            let precedence = match self.peek().map(|token| self.slice(token.span)) {
                Some("+" | "-") => 1,
                Some("*" | "/" | "%") => 2,
                Some("^") => 3,
                _ => return Ok(length),
            };
            if precedence < floor {
                return Ok(length);
            }
            let at = self.at;
            let divides = self.is_sign(0, "/") || self.is_sign(0, "%");
            self.advance();
            let by = self.calculation(precedence + 1, place)?;
            if divides && by == Length::Plain(0.0) {
                self.at = at;
                return Err(self.unexpected("no division by zero"));
            }
            self.uses(Feature::DurationExpression, at);
            length = Length::Calculated;
        }
    }

    /// A number or duration, a calculation in parentheses, or a call; each perhaps with signs.
    fn operand(&mut self, place: Place) -> Result<Length, ParseError> {
        let mut sign = 1.0;
        loop {
            if self.take_sign("-") {
                sign = -sign;
            } else if !self.take_sign("+") {
                break;
            }
        }
        let at = self.at;
        let length = if self.take_sign("(") {
            self.uses(Feature::DurationExpression, at);
            self.calculation(0, place)?;
            self.expect_sign(")")?;
            Length::Calculated
        } else if self.is_sign(1, "(") {
            self.call_of_lengths(place)?
        } else {
            Length::Plain(self.literal(place)?)
        };
        Ok(match length {
            Length::Plain(seconds) => Length::Plain(sign * seconds),
            Length::Calculated => Length::Calculated,
        })
    }

    /// `step()`, `range()`, `min_of(1m, 2m)`, `max_of(1m, 2m)`. The last two were `min` and `max`
    /// before Prometheus 3.13.
    fn call_of_lengths(&mut self, place: Place) -> Result<Length, ParseError> {
        let at = self.at;
        if self.take_word("step") || self.take_word("range") {
            self.uses(Feature::DurationExpression, at);
            self.knows_query = true;
            self.expect_sign("(")?;
        } else if self.is_word(0, "min_of")
            || self.is_word(0, "max_of")
            || self.is_word(0, "min")
            || self.is_word(0, "max")
        {
            let is_old = self.is_word(0, "min") || self.is_word(0, "max");
            let feature = match is_old {
                true => Feature::OldDurationFunction,
                false => Feature::DurationExpression,
            };
            self.uses(feature, at);
            self.advance();
            self.expect_sign("(")?;
            self.calculation(0, place)?;
            self.expect_sign(",")?;
            self.calculation(0, place)?;
        } else {
            return Err(self.unexpected("a duration"));
        }
        self.expect_sign(")")?;
        Ok(Length::Calculated)
    }

    /// A number of seconds, or a duration, that fits Go's 64-bit nanoseconds.
    fn literal(&mut self, place: Place) -> Result<f64, ParseError> {
        let token = self.peek();
        let text = token.map_or("", |token| self.slice(token.span));
        let is_word = text.starts_with(|c: char| c.is_ascii_alphabetic());
        let seconds = match token.map(|token| token.kind) {
            Some(Kind::Duration) => duration::parse(text)
                .ok()
                .map(|length| length.as_secs_f64()),
            Some(Kind::Number) if !is_word || place == Place::Offset => number(text),
            _ => None,
        };
        match seconds {
            // `offset NaN` is taken, whatever it means.
            Some(seconds) if seconds.is_nan() || seconds <= MAX_SECONDS => {
                self.advance();
                Ok(seconds)
            }
            Some(_) => Err(self.unexpected("a length of time that is in range")),
            None => Err(self.unexpected("a duration")),
        }
    }
}

/// The value of a number as the lexer takes it.
#[expect(clippy::cast_precision_loss, reason = "rounded, as Go rounds")]
fn number(text: &str) -> Option<f64> {
    let text = text.replace('_', "").to_ascii_lowercase();
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok().map(|n| n as f64),
        None => text.parse().ok(),
    }
}
