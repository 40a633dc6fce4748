//! The part of the parser that reads what stands beside an operator: `by (…)`, `on (…)`,
//! `group_left (…)`, `fill (…)`.

use super::ParseError;
use super::features::Feature;
use super::lex::{self, Kind};
use super::parse::Parser;
use super::tree::{Group, Grouping, MatchLabels, Matching, Names};

impl Parser<'_> {
    /// `by (…)` or `without (…)`, if it is there.
    pub(super) fn grouping(&mut self) -> Result<Option<Grouping>, ParseError> {
        if self.take_word("by") {
            return self.label_names().map(Grouping::By).map(Some);
        }
        if self.take_word("without") {
            return self.label_names().map(Grouping::Without).map(Some);
        }
        Ok(None)
    }

    /// `(a, b, "c.d")`.
    fn label_names(&mut self) -> Result<Names, ParseError> {
        self.expect_sign("(")?;
        let mut names = Names::new();
        while !self.take_sign(")") {
            // Words of the language that are no label's name here, though they are in braces.
            let is_word = self.peek().is_some_and(|token| token.kind == Kind::Number);
            if is_word || self.is_word(0, "without") {
                return Err(self.unexpected("a label name"));
            }
            names.insert(self.label_name()?);
            if !self.take_sign(",") && !self.is_sign(0, ")") {
                return Err(self.unexpected("`,` or `)`"));
            }
        }
        Ok(names)
    }

    pub(super) fn label_name(&mut self) -> Result<String, ParseError> {
        let token = self
            .peek()
            .filter(|token| {
                // `NaN` and `Inf` are names here.
                let is_word = self
                    .slice(token.span)
                    .starts_with(|c: char| c.is_ascii_alphabetic());
                matches!(token.kind, Kind::Name | Kind::Text)
                    || (token.kind == Kind::Number && is_word)
            })
            .ok_or_else(|| self.unexpected("a label name"))?;
        let text = self.slice(token.span);
        let name = match token.kind {
            Kind::Name | Kind::Number => Some(text.to_owned()).filter(|name| !name.contains(':')),
            _ => lex::unquote(text).filter(|name| !name.is_empty()),
        };
        let name = name.ok_or_else(|| self.unexpected("a label name"))?;
        self.advance();
        Ok(name)
    }

    /// `on (…) group_left (…) fill (0)`; none where nothing of it is written.
    pub(super) fn matching(&mut self) -> Result<Option<Matching>, ParseError> {
        let start = self.at;
        let mut matching = Matching::default();
        if self.take_word("on") {
            matching.labels = MatchLabels::On(self.label_names()?);
        } else if self.take_word("ignoring") {
            matching.labels = MatchLabels::Ignoring(self.label_names()?);
        }
        if self.at > start {
            if self.take_word("group_left") {
                matching.group = Some(Group::Left(self.included_names()?));
            } else if self.take_word("group_right") {
                matching.group = Some(Group::Right(self.included_names()?));
            }
        }
        // Each side once: `fill` alone, or `fill_left` and `fill_right` in either order.
        while self.is_sign(1, "(") {
            let (left, right) = (matching.fills_left, matching.fills_right);
            if !left && !right && self.take_word("fill") {
                (matching.fills_left, matching.fills_right) = (true, true);
            } else if !left && self.take_word("fill_left") {
                matching.fills_left = true;
            } else if !right && self.take_word("fill_right") {
                matching.fills_right = true;
            } else {
                break;
            }
            self.uses(Feature::Fill, self.at - 1);
            self.expect_sign("(")?;
            self.signed_number()?;
            self.expect_sign(")")?;
        }
        Ok((self.at > start).then_some(matching))
    }

    /// The labels of `group_left`, which may be left out.
    fn included_names(&mut self) -> Result<Names, ParseError> {
        if self.is_sign(0, "(") {
            self.label_names()
        } else {
            Ok(Names::new())
        }
    }

    pub(super) fn signed_number(&mut self) -> Result<(), ParseError> {
        if !self.take_sign("-") {
            self.take_sign("+");
        }
        match self.peek() {
            Some(token) if matches!(token.kind, Kind::Number | Kind::Duration) => {
                self.advance();
                Ok(())
            }
            _ => Err(self.unexpected("a number")),
        }
    }
}
