//! The part of the parser that reads lengths of time: `5m`, `300`, `-1m`, `1m * 2`,
//! `(1h - step())`.

use super::ParseError;
use super::features::Feature;
use super::lex::Kind;
use super::parse::Parser;
use crate::duration;

/// The most seconds that Go's 64-bit nanoseconds hold.
const MAX_SECONDS: f64 = 9_223_372_036.0;

/// A length of time as it is written.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Length {
    /// One number or duration, perhaps with signs and parentheses: seconds.
    Plain(f64),
    /// What it is shows at each query only.
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

    /// What follows `offset`. A calculation stands in parentheses: `x offset 1m + 1` is a sum of
    /// `x offset 1m` and 1.
    pub(super) fn shift(&mut self) -> Result<(), ParseError> {
        self.operand(Place::Offset).map(|_| ())
    }

    fn calculation(&mut self, floor: u8, place: Place) -> Result<Length, ParseError> {
        let mut length = self.nested(|parser| parser.operand(place))?;
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
            let inner = self.calculation(0, place)?;
            self.expect_sign(")")?;
            inner
        } else if self.is_sign(1, "(") {
            self.uses(Feature::DurationExpression, at);
            self.call_of_lengths(place)?
        } else {
            Length::Plain(self.literal(place)?)
        };
        Ok(match length {
            Length::Plain(seconds) => Length::Plain(sign * seconds),
            Length::Calculated => Length::Calculated,
        })
    }

    /// `step()`, `range()`, `min(1m, 2m)`, `max(1m, 2m)`.
    fn call_of_lengths(&mut self, place: Place) -> Result<Length, ParseError> {
        if self.take_word("step") || self.take_word("range") {
            self.knows_query = true;
            self.expect_sign("(")?;
        } else if self.take_word("min") || self.take_word("max") {
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
