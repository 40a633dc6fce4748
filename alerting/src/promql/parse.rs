//! The parser: Prometheus's grammar (`promql/parser/generated_parser.y`) by precedence climbing,
//! with its type checks, and bounded in depth.
//!
//! promql-parser panics on `x[1e300]` and `x offset NaN`, overflows the stack on deep nesting,
//! and keeps no positions; it is what the tests compare with.

use super::features::Feature;
use super::functions::Function;
use super::lex::{self, Kind, Span, Token};
use super::tree::{Aggregator, Expr, Grouping, Names, Node, Operator, Type};
use super::{ParseError, checks};

/// The longest text that is read, in bytes; also what bounds the memory of a tree.
const MAX_TEXT: usize = 32 * 1024;
/// How deep parentheses, calls and signs may nest.
const MAX_NESTING: usize = 100;
/// How high a tree may grow, as a long `a + b + c …` makes it.
const MAX_HEIGHT: usize = 400;

/// What was read.
#[derive(Debug, Clone)]
pub(super) struct Parsed {
    pub(super) node: Node,
    /// Whether it asks where the query starts or ends, or what its step is: then its range query
    /// is not the same as its instant queries.
    pub(super) knows_query: bool,
    /// The parts that a server accepts only with a feature flag, and their byte offsets.
    pub(super) features: Vec<(usize, Feature)>,
}

/// Reads an expression.
pub(super) fn parse(text: &str) -> Result<Parsed, ParseError> {
    if text.len() > MAX_TEXT {
        let message = format!("longer than {MAX_TEXT} bytes");
        return Err(ParseError::new(text, 0, message));
    }
    let tokens = lex::tokens(text)?;
    let is_unquoted = |token: &&Token| {
        let name = text.get(token.span.start..token.span.end).unwrap_or("");
        token.kind == Kind::Name && name.contains(|c: char| c == '.' || !c.is_ascii())
    };
    let unquoted = tokens.iter().filter(is_unquoted);
    let features = unquoted
        .map(|token| (token.span.start, Feature::UnquotedName))
        .collect();
    let mut parser = Parser {
        text,
        tokens,
        at: 0,
        nesting: 0,
        knows_query: false,
        may_select_all: false,
        features,
    };
    let node = parser.expression(0)?;
    match parser.peek() {
        None => Ok(Parsed {
            node,
            knows_query: parser.knows_query,
            features: parser.features,
        }),
        Some(_) => Err(parser.unexpected("an operator or the end")),
    }
}

pub(super) struct Parser<'a> {
    pub(super) text: &'a str,
    tokens: Vec<Token>,
    pub(super) at: usize,
    nesting: usize,
    pub(super) knows_query: bool,
    /// A selector that matches every series is one here, as `info`'s second argument.
    pub(super) may_select_all: bool,
    features: Vec<(usize, Feature)>,
}

impl<'a> Parser<'a> {
    pub(super) fn peek_at(&self, ahead: usize) -> Option<Token> {
        self.tokens.get(self.at + ahead).copied()
    }

    /// The token that was read last.
    pub(super) fn peek_back(&self) -> Option<Token> {
        let last = self.at.checked_sub(1)?;
        self.tokens.get(last).copied()
    }

    pub(super) fn peek(&self) -> Option<Token> {
        self.peek_at(0)
    }

    pub(super) fn slice(&self, span: Span) -> &'a str {
        self.text.get(span.start..span.end).unwrap_or("")
    }

    pub(super) fn advance(&mut self) {
        self.at += 1;
    }

    /// Notes that the token at `at` belongs to a part of the language that not every server knows.
    pub(super) fn uses(&mut self, feature: Feature, at: usize) {
        let byte = self.tokens.get(at).map_or(0, |token| token.span.start);
        self.features.push((byte, feature));
    }

    /// Where the last token that was read ends.
    pub(super) fn end(&self) -> usize {
        let last = self.at.checked_sub(1).and_then(|at| self.tokens.get(at));
        last.map_or(0, |token| token.span.end)
    }

    pub(super) fn is_sign(&self, ahead: usize, sign: &str) -> bool {
        self.peek_at(ahead)
            .is_some_and(|token| token.kind == Kind::Sign && self.slice(token.span) == sign)
    }

    pub(super) fn is_word(&self, ahead: usize, word: &str) -> bool {
        self.peek_at(ahead).is_some_and(|token| {
            token.kind == Kind::Name && self.slice(token.span).eq_ignore_ascii_case(word)
        })
    }

    pub(super) fn take_sign(&mut self, sign: &str) -> bool {
        let found = self.is_sign(0, sign);
        self.at += usize::from(found);
        found
    }

    pub(super) fn take_word(&mut self, word: &str) -> bool {
        let found = self.is_word(0, word);
        self.at += usize::from(found);
        found
    }

    pub(super) fn expect_sign(&mut self, sign: &str) -> Result<(), ParseError> {
        if self.take_sign(sign) {
            Ok(())
        } else {
            Err(self.unexpected(&format!("`{sign}`")))
        }
    }

    pub(super) fn error(&self, at: usize, message: impl Into<String>) -> ParseError {
        ParseError::new(self.text, at, message)
    }

    pub(super) fn unexpected(&self, wanted: &str) -> ParseError {
        match self.peek() {
            Some(token) => {
                let found: String = self.slice(token.span).chars().take(40).collect();
                let message = format!("unexpected `{found}`, expected {wanted}");
                self.error(token.span.start, message)
            }
            None => self.error(
                self.text.len(),
                format!("unexpected end, expected {wanted}"),
            ),
        }
    }

    /// A node from `start` to the last token that was read.
    pub(super) fn node(&self, start: usize, gives: Type, expr: Expr) -> Result<Node, ParseError> {
        let end = self.end();
        let mut node = Node {
            expr,
            span: Span { start, end },
            gives,
            height: 0,
        };
        let below = node.children().iter().map(|child| child.height).max();
        node.height = below.unwrap_or(0) + 1;
        if node.height > MAX_HEIGHT {
            return Err(self.error(start, format!("more than {MAX_HEIGHT} levels deep")));
        }
        Ok(node)
    }

    pub(super) fn nested<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, ParseError>,
    ) -> Result<T, ParseError> {
        if self.nesting >= MAX_NESTING {
            let at = self.peek().map_or(self.text.len(), |t| t.span.start);
            return Err(self.error(at, format!("nested more than {MAX_NESTING} levels deep")));
        }
        self.nesting += 1;
        let read = read(self);
        self.nesting -= 1;
        read
    }

    /// An expression whose operators all bind at least as close as `floor`.
    fn expression(&mut self, floor: u8) -> Result<Node, ParseError> {
        let mut lhs = self.nested(Self::signed)?;
        while let Some((token, op)) = self.operator() {
            if op.precedence() < floor {
                break;
            }
            self.advance();
            if op == Operator::Trim {
                self.uses(Feature::Trim, self.at - 1);
            }
            let returns_bool = self.take_word("bool");
            let matching = self.matching()?;
            // All operators but `^` group from the left.
            let next = op.precedence() + u8::from(op != Operator::Power);
            let rhs = self.nested(|parser| parser.expression(next))?;
            let gives = checks::binary(op, returns_bool, matching.as_ref(), lhs.gives, rhs.gives)
                .map_err(|message| self.error(token.span.start, message))?;
            let start = lhs.span.start;
            let vectors = lhs.gives == Type::Vector && rhs.gives == Type::Vector;
            let expr = Expr::Binary {
                op,
                returns_bool,
                matching: matching.filter(|_| vectors).unwrap_or_default(),
                lhs: Box::new(lhs),
                rhs: Box::new(rhs),
            };
            lhs = self.node(start, gives, expr)?;
        }
        Ok(lhs)
    }

    fn operator(&self) -> Option<(Token, Operator)> {
        let token = self.peek()?;
        matches!(token.kind, Kind::Sign | Kind::Name)
            .then(|| Operator::named(self.slice(token.span)))
            .flatten()
            .map(|op| (token, op))
    }

    fn signed(&mut self) -> Result<Node, ParseError> {
        let start = self.peek().map_or(self.text.len(), |t| t.span.start);
        if !self.take_sign("-") && !self.take_sign("+") {
            let primary = self.primary()?;
            return self.postfixed(primary);
        }
        // A sign binds as `*` does: `-x ^ 2` is `-(x ^ 2)`.
        let floor = Operator::Power.precedence();
        let inner = self.expression(floor)?;
        if !matches!(inner.gives, Type::Scalar | Type::Vector) {
            let message = format!("a sign before a {}", inner.gives);
            return Err(self.error(start, message));
        }
        let gives = inner.gives;
        self.node(start, gives, Expr::Negated(Box::new(inner)))
    }

    fn primary(&mut self) -> Result<Node, ParseError> {
        let Some(token) = self.peek() else {
            return Err(self.unexpected("an expression"));
        };
        let start = token.span.start;
        match token.kind {
            Kind::Number | Kind::Duration => {
                self.advance();
                self.node(start, Type::Scalar, Expr::Number)
            }
            Kind::Text => {
                self.advance();
                let text = lex::unquote(self.slice(token.span));
                self.node(start, Type::Text, Expr::Text(text))
            }
            Kind::Sign if self.is_sign(0, "{") => self.selector(),
            Kind::Sign if self.take_sign("(") => {
                let inner = self.nested(|parser| parser.expression(0))?;
                self.expect_sign(")")?;
                let gives = inner.gives;
                self.node(start, gives, Expr::Paren(Box::new(inner)))
            }
            Kind::Sign => Err(self.unexpected("an expression")),
            Kind::Name => self.named(self.slice(token.span)),
        }
    }

    /// An aggregation, a call, or a selector.
    fn named(&mut self, name: &str) -> Result<Node, ParseError> {
        if let Some(op) = Aggregator::named(name)
            && (self.is_sign(1, "(") || self.is_word(1, "by") || self.is_word(1, "without"))
        {
            return self.aggregate(op);
        }
        if self.is_sign(1, "(") {
            return self.call(name);
        }
        self.selector()
    }

    fn arguments(&mut self, name: &str) -> Result<Vec<Node>, ParseError> {
        self.expect_sign("(")?;
        let mut args = Vec::new();
        if self.take_sign(")") {
            return Ok(args);
        }
        loop {
            let may_select_all = name == "info" && args.len() == 1;
            let outside = std::mem::replace(&mut self.may_select_all, may_select_all);
            args.push(self.nested(|parser| parser.expression(0))?);
            self.may_select_all = outside;
            if self.take_sign(")") {
                return Ok(args);
            }
            self.expect_sign(",")?;
        }
    }

    fn call(&mut self, name: &str) -> Result<Node, ParseError> {
        let start = self.peek().map_or(0, |token| token.span.start);
        let Some(function) = Function::named(name) else {
            return Err(self.error(start, format!("unknown function `{name}`")));
        };
        self.knows_query |= matches!(function.name, "start" | "end" | "step" | "range");
        self.advance();
        let args = self.arguments(name)?;
        checks::call(function, &args).map_err(|message| self.error(start, message))?;
        self.node(start, function.gives, Expr::Call { function, args })
    }

    fn aggregate(&mut self, op: Aggregator) -> Result<Node, ParseError> {
        let start = self.peek().map_or(0, |token| token.span.start);
        self.advance();
        let before = self.grouping()?;
        let mut args = self.arguments("")?;
        let grouping = match before {
            Some(grouping) => grouping,
            None => self
                .grouping()?
                .unwrap_or_else(|| Grouping::By(Names::new())),
        };
        checks::aggregate(op, &args).map_err(|message| self.error(start, message))?;
        let inner = args.pop().map(Box::new);
        let param = args.pop().map(Box::new);
        let Some(inner) = inner else {
            return Err(self.error(start, "an aggregation needs a vector"));
        };
        let expr = Expr::Aggregate {
            op,
            grouping,
            param,
            inner,
        };
        self.node(start, Type::Vector, expr)
    }
}
