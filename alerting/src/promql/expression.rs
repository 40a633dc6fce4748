//! A rule's expression: what it reads, and the same question asked more narrowly.

use super::features::Feature;
use super::inputs::{self, Inputs};
use super::narrow;
use super::narrowing::Narrowing;
use super::provenance::Provenance;
use super::tree::{Expr, Node, Operator, Type};
use super::{ParseError, parse};

/// The expression of a rule, understood as far as our parser goes. Prometheus, which evaluates
/// it, has the last word: text that is not understood here is evaluated all the same.
#[derive(Debug, Clone)]
pub struct Expression {
    text: String,
    read: Result<Read, ParseError>,
    /// It could be read, and gives what no alert can come from.
    wrong_type: bool,
    /// The parts that a server accepts only with a feature flag, and their byte offsets.
    features: Vec<(usize, Feature)>,
}

#[derive(Debug, Clone)]
struct Read {
    node: Node,
    /// Holds `@ start()`, `@ end()` or the like.
    knows_query: bool,
    inputs: Option<Inputs>,
}

/// Which part of an expression is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// All of it.
    Whole,
    /// What is compared with a number: see [`Expression::compared`].
    Compared,
}

impl Expression {
    /// Reads an expression. Text that cannot be read is kept as text.
    pub fn parse(text: &str) -> Self {
        let mut wrong_type = false;
        let mut features = Vec::new();
        let read = parse::parse(text).and_then(|parsed| {
            let (node, knows_query) = (parsed.node, parsed.knows_query);
            features = parsed.features;
            wrong_type = !matches!(node.gives, Type::Scalar | Type::Vector);
            if wrong_type {
                let message = format!("gives a {}, which no alert can come from", node.gives);
                return Err(ParseError::new(text, node.span.start, message));
            }
            let inputs =
                has_selector(&node).then(|| inputs::inputs(text, &node, &Provenance::all()));
            Ok(Read {
                node,
                knows_query,
                inputs,
            })
        });
        Self {
            text: text.to_owned(),
            read,
            wrong_type,
            features,
        }
    }

    /// The expression as the user wrote it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether our parser could read it.
    pub fn is_understood(&self) -> bool {
        self.read.is_ok()
    }

    /// Why and where it could not be read.
    pub fn parse_error(&self) -> Option<&ParseError> {
        self.read.as_ref().err()
    }

    /// Whether it is understood well, and gives a range vector or a string: Prometheus loads it,
    /// and fails at every evaluation.
    pub(crate) fn is_of_wrong_type(&self) -> bool {
        self.wrong_type
    }

    /// The tree, where it could be read.
    pub(crate) fn root(&self) -> Option<&Node> {
        self.read.as_ref().ok().map(|read| &read.node)
    }

    /// The parts that a server accepts only with a feature flag, and their byte offsets.
    pub(crate) fn features(&self) -> &[(usize, Feature)] {
        &self.features
    }

    /// Whether one range query gives the same as an instant query a tick. Not where the
    /// expression asks where the query starts or ends, nor where that is not known.
    pub fn range_equals_instants(&self) -> bool {
        self.read.as_ref().is_ok_and(|read| !read.knows_query)
    }

    /// What it needs samples of; none where it is not understood or selects no series.
    pub fn inputs(&self) -> Option<&Inputs> {
        self.read.as_ref().ok()?.inputs.as_ref()
    }

    /// Each range selector in it, as it is written: `x{…}[5m]`. None where it is not understood.
    pub fn ranges(&self) -> Vec<&str> {
        let mut ranges = Vec::new();
        if let Ok(read) = &self.read {
            collect_ranges(&self.text, &read.node, &mut ranges);
        }
        ranges
    }

    /// The text of `something`, where the expression is `something op number` or
    /// `number op something` with a comparison that filters: what an alert's value is read
    /// from, also after the condition has cleared. A calculation with numbers only, as `5 * 60`,
    /// is a number.
    pub fn compared(&self) -> Option<&str> {
        let span = self.compared_node()?.span;
        self.text.get(span.start..span.end)
    }

    /// The text of a part with each selector narrowed as far as the samples that have these
    /// labels stay the same; none where there is no such part.
    pub fn narrowed(&self, part: Part, narrowing: &Narrowing) -> Option<String> {
        let node = match part {
            Part::Whole => &self.read.as_ref().ok()?.node,
            Part::Compared => self.compared_node()?,
        };
        Some(narrow::narrowed(&self.text, node, narrowing))
    }

    /// Each selector of a metric, without range and `offset`, and where it begins, in bytes.
    pub fn selectors(&self) -> Vec<(usize, &str)> {
        let mut found = Vec::new();
        if let Some(root) = self.root() {
            root.walk(&mut |node| {
                if let Expr::Instant(selector) | Expr::Range(selector) = &node.expr
                    && let Some(span) = selector.span
                    && let Some(text) = self.text.get(span.start..span.end)
                {
                    found.push((span.start, text));
                }
            });
        }
        found
    }

    fn compared_node(&self) -> Option<&Node> {
        let root = self.read.as_ref().ok()?.node.bare();
        match &root.expr {
            Expr::Binary {
                op: Operator::Compare,
                returns_bool: false,
                lhs,
                rhs,
                ..
            } if is_number(rhs) => Some(lhs),
            Expr::Binary {
                op: Operator::Compare,
                returns_bool: false,
                lhs,
                rhs,
                ..
            } if is_number(lhs) => Some(rhs),
            _ => None,
        }
    }
}

pub(crate) fn is_number(node: &Node) -> bool {
    match &node.expr {
        Expr::Number => true,
        Expr::Paren(inner) | Expr::Negated(inner) => is_number(inner),
        Expr::Binary { lhs, rhs, .. } => is_number(lhs) && is_number(rhs),
        _ => false,
    }
}

fn collect_ranges<'a>(text: &'a str, node: &Node, ranges: &mut Vec<&'a str>) {
    if matches!(node.expr, Expr::Range(_)) {
        ranges.extend(text.get(node.span.start..node.span.end));
    }
    for child in node.children() {
        collect_ranges(text, child, ranges);
    }
}

fn has_selector(node: &Node) -> bool {
    matches!(node.expr, Expr::Instant(_) | Expr::Range(_))
        || node.children().into_iter().any(has_selector)
}
