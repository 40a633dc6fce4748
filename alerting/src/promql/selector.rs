//! The part of the parser that reads selectors and what may follow an operand: `[5m]`,
//! `[1h:5m]`, `offset`, `@`.

use super::ParseError;
use super::features::Feature;
use super::lex::{self, Kind, Span};
use super::parse::Parser;
use super::tree::{Expr, Extended, Join, Matcher, Node, Selector, Shifts, Slot, Type};
use crate::duration;
use crate::labels::METRIC_NAME;

/// Keywords that cannot be a metric's name.
const RESERVED: [&str; 6] = [
    "atan2",
    "bool",
    "group_left",
    "group_right",
    "ignoring",
    "on",
];

impl Parser<'_> {
    /// `name`, `name{…}` or `{…}`.
    pub(super) fn selector(&mut self) -> Result<Node, ParseError> {
        let start = self.peek().map_or(0, |token| token.span.start);
        let mut matchers = Matchers::default();
        if let Some(token) = self.peek()
            && token.kind == Kind::Name
        {
            let name = self.slice(token.span);
            if RESERVED.iter().any(|word| name.eq_ignore_ascii_case(word)) {
                return Err(self.unexpected("an expression"));
            }
            self.advance();
            matchers.name = Some(name.to_owned());
            matchers.selective = true;
        }
        if self.take_sign("{") {
            self.matchers(&mut matchers)?;
        } else {
            matchers.slots.push(Slot {
                at: self.end(),
                join: Join::Braces,
            });
        }
        if !matchers.selective && !self.may_select_all {
            let message =
                "a selector needs a name or a matcher that does not match the empty string";
            return Err(self.error(start, message));
        }
        let span = Span {
            start,
            end: self.end(),
        };
        let mut selector = matchers.selector(span);
        selector.may_be_all = self.may_select_all;
        self.node(start, Type::Vector, Expr::Instant(selector))
    }

    /// Everything from behind `{` to `}`. `or` between matchers is VictoriaMetrics's.
    fn matchers(&mut self, matchers: &mut Matchers) -> Result<(), ParseError> {
        if self.is_sign(0, "}") {
            matchers.slots.push(Slot {
                at: self.end(),
                join: Join::Plain,
            });
            self.advance();
            return Ok(());
        }
        loop {
            self.matcher(matchers)?;
            let behind = self.end();
            let comma = self.take_sign(",");
            let done = self.is_sign(0, "}");
            // `or` is a label's name where an operator follows it.
            let or = !comma && self.is_word(0, "or");
            if done || or {
                matchers.slots.push(Slot {
                    at: if comma { self.end() } else { behind },
                    join: if comma { Join::Plain } else { Join::Comma },
                });
                matchers.alternatives |= or;
                self.advance();
                if done {
                    return Ok(());
                }
            } else if !comma {
                return Err(self.unexpected("`,` or `}`"));
            }
        }
    }

    fn matcher(&mut self, matchers: &mut Matchers) -> Result<(), ParseError> {
        let quoted = self.peek().filter(|token| token.kind == Kind::Text);
        let start = self.peek().map_or(0, |token| token.span.start);
        let name = match quoted {
            // A name in quotes may be any text here, also one that no label has.
            Some(token) => {
                self.advance();
                lex::unquote_lossy(self.slice(token.span))
            }
            None => self.label_name()?,
        };
        let operator = self.peek().map_or("", |token| self.slice(token.span));
        let (name, operator, value) = match operator {
            "=" | "!=" | "=~" | "!~" => {
                self.advance();
                let value = self
                    .peek()
                    .filter(|token| token.kind == Kind::Text)
                    .ok_or_else(|| self.unexpected("a quoted value"))?;
                self.advance();
                (name, operator, lex::unquote(self.slice(value.span)))
            }
            // A metric name that is not an identifier stands quoted among the matchers.
            _ if quoted.is_some() => (METRIC_NAME.to_owned(), "=", Some(name)),
            _ => return Err(self.unexpected("`=`, `!=`, `=~` or `!~`")),
        };
        if name == METRIC_NAME && matchers.name.is_some() {
            return Err(self.error(start, "the metric's name is given twice"));
        }
        let empty = value.as_deref() == Some("");
        matchers.selective |= match operator {
            "=" => !empty,
            "!=" => empty,
            // Whether a regular expression matches the empty string, Prometheus decides.
            "=~" => !empty && value.as_deref() != Some(".*"),
            _ => true,
        };
        matchers.all.push(Matcher {
            name,
            operator: operator.to_owned(),
            value,
            span: Span {
                start,
                end: self.end(),
            },
        });
        Ok(())
    }

    /// What follows an operand, closer than any operator.
    pub(super) fn postfixed(&mut self, mut node: Node) -> Result<Node, ParseError> {
        loop {
            if self.is_sign(0, "[") {
                node = self.bracketed(node)?;
            } else if self.is_word(0, "offset") {
                self.advance();
                self.shift()?;
                self.shifted(&mut node, "offset")?;
            } else if self.take_sign("@") {
                let preprocessor = self.is_word(0, "start") || self.is_word(0, "end");
                if preprocessor {
                    self.advance();
                    self.expect_sign("(")?;
                    self.expect_sign(")")?;
                    self.knows_query = true;
                } else {
                    self.moment()?;
                }
                self.shifted(&mut node, "@")?;
            } else if self.is_word(0, "anchored") || self.is_word(0, "smoothed") {
                let extended = match self.is_word(0, "anchored") {
                    true => Extended::Anchored,
                    false => Extended::Smoothed,
                };
                self.uses(Feature::ExtendedRangeSelectors, self.at);
                self.advance();
                let (Expr::Instant(selector) | Expr::Range(selector)) = &mut node.expr else {
                    return Err(self.error(self.end(), "only selectors take this modifier"));
                };
                if selector.extended.is_some_and(|other| other != extended) {
                    let message = "`anchored` and `smoothed` exclude each other";
                    return Err(self.error(self.end(), message));
                }
                selector.extended = Some(extended);
                node.span.end = self.end();
            } else {
                return Ok(node);
            }
        }
    }

    fn shifted(&mut self, node: &mut Node, by: &str) -> Result<(), ParseError> {
        let end = self.end();
        let again = match &mut node.expr {
            Expr::Instant(selector) | Expr::Range(selector) if by == "@" => {
                std::mem::replace(&mut selector.at, true)
            }
            Expr::Instant(selector) | Expr::Range(selector) => {
                std::mem::replace(&mut selector.offset, true)
            }
            Expr::Subquery { suffix, shifts, .. } => {
                suffix.end = end;
                let one = match by {
                    "@" => &mut shifts.at,
                    _ => &mut shifts.offset,
                };
                std::mem::replace(one, true)
            }
            _ => {
                let message = format!("`{by}` must follow a selector or a subquery");
                return Err(self.error(end, message));
            }
        };
        if again {
            return Err(self.error(end, format!("`{by}` is given twice")));
        }
        node.span.end = end;
        Ok(())
    }

    /// What follows `@`: seconds that fit 64 bits, as Prometheus has it.
    fn moment(&mut self) -> Result<(), ParseError> {
        const OUT_OF_RANGE: f64 = 9_223_372_036_854_775_808.0;
        let start = self.at;
        self.signed_number()?;
        let number = self.peek_back().map_or("", |token| self.slice(token.span));
        let is_word = number.starts_with(|c: char| c.is_ascii_alphabetic());
        let seconds = number.replace('_', "").parse::<f64>();
        if is_word || seconds.is_ok_and(|seconds| seconds >= OUT_OF_RANGE) {
            self.at = start;
            return Err(self.unexpected("a moment"));
        }
        Ok(())
    }

    /// `[5m]` makes a range, `[1h:5m]` and `[1h:]` a subquery.
    fn bracketed(&mut self, node: Node) -> Result<Node, ParseError> {
        let start = self.peek().map_or(0, |token| token.span.start);
        self.advance();
        self.range()?;
        let inside = self.text.get(start + 1..self.end()).unwrap_or("");
        let range = duration::parse(inside.trim()).ok();
        let is_subquery = self.take_sign(":");
        if is_subquery && !self.is_sign(0, "]") {
            self.range()?;
        }
        self.expect_sign("]")?;
        let from = node.span.start;
        if is_subquery {
            if node.gives != Type::Vector {
                let message = format!("a subquery of a {}", node.gives);
                return Err(self.error(start, message));
            }
            let suffix = Span {
                start,
                end: self.end(),
            };
            let expr = Expr::Subquery {
                inner: Box::new(node),
                suffix,
                shifts: Shifts::default(),
            };
            return self.node(from, Type::Matrix, expr);
        }
        match node.expr {
            Expr::Instant(mut selector) if !selector.offset && !selector.at => {
                selector.range = range;
                self.node(from, Type::Matrix, Expr::Range(selector))
            }
            Expr::Instant(_) => Err(self.error(start, "`offset` and `@` must follow the range")),
            _ => Err(self.error(start, "a range must follow a selector")),
        }
    }
}

#[derive(Default)]
struct Matchers {
    all: Vec<Matcher>,
    slots: Vec<Slot>,
    /// The metric's name, where it stands before the braces.
    name: Option<String>,
    /// Something in it does not match the empty string.
    selective: bool,
    alternatives: bool,
}

impl Matchers {
    fn selector(self, span: Span) -> Selector {
        let once = |name: &str| self.all.iter().filter(|other| other.name == name).count() == 1;
        let fixed = |matcher: &&Matcher| {
            matcher.operator == "=" && !self.alternatives && once(&matcher.name)
        };
        let equal = || self.all.iter().filter(fixed);
        let equals = equal()
            .filter(|matcher| matcher.name != METRIC_NAME)
            .map(|matcher| (matcher.name.clone(), matcher.value.clone()))
            .collect();
        let named = equal().find(|matcher| matcher.name == METRIC_NAME);
        let named = named.and_then(|matcher| matcher.value.clone());
        Selector {
            name: self.name.or(named),
            matchers: self.all,
            span: Some(span),
            alternatives: self.alternatives,
            range: None,
            equals,
            slots: self.slots,
            offset: false,
            at: false,
            extended: None,
            may_be_all: false,
        }
    }
}
