//! An expression's tree. Every node knows the bytes that it was read from, so that questions
//! are cut out of the user's own text and nothing is ever printed anew.

use std::collections::BTreeSet;
use std::fmt;

use super::functions::Function;
use super::lex::Span;

pub(super) type Names = BTreeSet<String>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    Scalar,
    Vector,
    Matrix,
    Text,
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scalar => "scalar",
            Self::Vector => "instant vector",
            Self::Matrix => "range vector",
            Self::Text => "string",
        })
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) expr: Expr,
    pub(super) span: Span,
    pub(super) gives: Type,
    /// How many nodes there are from here down to the deepest leaf.
    pub(super) height: usize,
}

impl Node {
    /// This node without the parentheses around it.
    pub(super) fn bare(&self) -> &Self {
        let mut node = self;
        while let Expr::Paren(inner) = &node.expr {
            node = inner;
        }
        node
    }

    /// The nodes right below.
    pub(super) fn children(&self) -> Vec<&Self> {
        match &self.expr {
            Expr::Number | Expr::Text(_) | Expr::Instant(_) | Expr::Range(_) => Vec::new(),
            Expr::Subquery { inner, .. } | Expr::Negated(inner) | Expr::Paren(inner) => {
                vec![inner]
            }
            Expr::Call { args, .. } => args.iter().collect(),
            Expr::Aggregate { param, inner, .. } => {
                param.iter().chain([inner]).map(Box::as_ref).collect()
            }
            Expr::Binary { lhs, rhs, .. } => vec![lhs, rhs],
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Expr {
    Number,
    /// What it says, where that is UTF-8.
    Text(Option<String>),
    Instant(Selector),
    /// A selector with `[5m]`.
    Range(Selector),
    Subquery {
        inner: Box<Node>,
        /// From `[` to behind the last `offset` or `@`.
        suffix: Span,
        /// Has an `offset` or `@`.
        shifted: bool,
    },
    Call {
        function: &'static Function,
        args: Vec<Node>,
    },
    Aggregate {
        op: Aggregator,
        grouping: Grouping,
        param: Option<Box<Node>>,
        inner: Box<Node>,
    },
    Negated(Box<Node>),
    Paren(Box<Node>),
    Binary {
        op: Operator,
        returns_bool: bool,
        matching: Matching,
        lhs: Box<Node>,
        rhs: Box<Node>,
    },
}

#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Selector {
    /// Of each label that has exactly one matcher, where that is `=`: the value.
    pub(super) equals: Vec<(String, Option<String>)>,
    /// Where more matchers can be written.
    pub(super) slots: Vec<Slot>,
    /// Has an `offset`, `@`, `anchored` or `smoothed`.
    pub(super) offset: bool,
    pub(super) at: bool,
}

/// A place in the text that takes more matchers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) at: usize,
    pub(super) join: Join,
}

/// What has to stand around matchers that are written into a [`Slot`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Join {
    /// There are no braces yet.
    Braces,
    /// Right behind `{` or a comma.
    Plain,
    /// Behind another matcher.
    Comma,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Aggregator {
    /// `topk`, `bottomk`, `limitk`: gives some of the series as they are; which, depends on the
    /// others of the group.
    Choice,
    /// `limit_ratio`: gives some of the series as they are, chosen by their labels alone.
    Sample,
    /// `count_values`: the value becomes a label.
    CountValues,
    /// `quantile`: one series a group, with a parameter.
    Quantile,
    /// One series a group.
    Plain,
}

impl Aggregator {
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "topk" | "bottomk" | "limitk" => Self::Choice,
            "limit_ratio" => Self::Sample,
            "count_values" => Self::CountValues,
            "quantile" => Self::Quantile,
            "avg" | "count" | "group" | "max" | "min" | "stddev" | "stdvar" | "sum" => Self::Plain,
            _ => return None,
        })
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Grouping {
    By(Names),
    Without(Names),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Or,
    And,
    Unless,
    Compare,
    Add,
    Multiply,
    Power,
}

impl Operator {
    pub(super) fn named(text: &str) -> Option<Self> {
        Some(match text.to_ascii_lowercase().as_str() {
            "or" => Self::Or,
            "and" => Self::And,
            "unless" => Self::Unless,
            "==" | "!=" | ">" | "<" | ">=" | "<=" => Self::Compare,
            "+" | "-" => Self::Add,
            "*" | "/" | "%" | "atan2" => Self::Multiply,
            "^" => Self::Power,
            _ => return None,
        })
    }

    /// Higher binds closer.
    pub(super) fn precedence(self) -> u8 {
        match self {
            Self::Or => 1,
            Self::And | Self::Unless => 2,
            Self::Compare => 3,
            Self::Add => 4,
            Self::Multiply => 5,
            Self::Power => 6,
        }
    }

    pub(super) fn is_set(self) -> bool {
        matches!(self, Self::Or | Self::And | Self::Unless)
    }
}

/// How the two sides of an operator find each other.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Matching {
    pub(super) labels: MatchLabels,
    pub(super) group: Option<Group>,
    /// What is missing on the left is filled in.
    pub(super) fills_left: bool,
    /// What is missing on the right is filled in.
    pub(super) fills_right: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum MatchLabels {
    On(Names),
    Ignoring(Names),
}

impl Default for MatchLabels {
    fn default() -> Self {
        Self::Ignoring(Names::new())
    }
}

/// `group_left` or `group_right`, with the labels that come from the side of the one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Group {
    Left(Names),
    Right(Names),
}
