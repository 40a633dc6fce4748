//! An expression's tree. Every node knows the bytes that it was read from, so that questions
//! are cut out of the user's own text; expressions are never printed from the tree.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use super::functions::Function;
use super::lex::Span;

pub(crate) type Names = BTreeSet<String>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
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
pub(crate) struct Node {
    pub(crate) expr: Expr,
    pub(crate) span: Span,
    pub(crate) gives: Type,
    /// How many nodes there are from here down to the deepest leaf.
    pub(crate) height: usize,
}

impl Node {
    /// This node without the parentheses around it.
    pub(crate) fn bare(&self) -> &Self {
        let mut node = self;
        while let Expr::Paren(inner) = &node.expr {
            node = inner;
        }
        node
    }

    /// Visits this node and all below it, in the order of the text.
    pub(crate) fn walk<'a>(&'a self, visit: &mut dyn FnMut(&'a Self)) {
        visit(self);
        for child in self.children() {
            child.walk(visit);
        }
    }

    /// The nodes right below.
    pub(crate) fn children(&self) -> Vec<&Self> {
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
pub(crate) enum Expr {
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
        shifts: Shifts,
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

/// What moves a subquery in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Shifts {
    /// Has an `offset`.
    pub(crate) offset: bool,
    /// Has an `@`.
    pub(crate) at: bool,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Selector {
    /// The metric's name, where it is given and by itself.
    pub(crate) name: Option<String>,
    /// All matchers, in the order of the text; without the name before the braces.
    pub(crate) matchers: Vec<Matcher>,
    /// Without range, `offset` and `@`.
    pub(crate) span: Option<Span>,
    /// Has `or` between matchers, which only VictoriaMetrics understands.
    pub(crate) alternatives: bool,
    /// The window of a range, where it is written as one duration.
    pub(crate) range: Option<Duration>,
    /// Of each label that has exactly one matcher, where that is `=`: the value.
    pub(crate) equals: Vec<(String, Option<String>)>,
    /// Where more matchers can be written.
    pub(crate) slots: Vec<Slot>,
    /// Has an `offset`.
    pub(crate) offset: bool,
    /// Has an `@`.
    pub(crate) at: bool,
    /// Which samples at its edges it takes in.
    pub(crate) extended: Option<Extended>,
    /// It may match every series: the second argument of `info`.
    pub(crate) may_be_all: bool,
}

/// What a selector does at the edges of its range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extended {
    /// `anchored`: it begins with the last sample before the range.
    Anchored,
    /// `smoothed`: it begins and ends with values between two samples.
    Smoothed,
}

/// One matcher of a selector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Matcher {
    pub(crate) name: String,
    /// `=`, `!=`, `=~` or `!~`.
    pub(crate) operator: String,
    /// What it says, where that is UTF-8.
    pub(crate) value: Option<String>,
    pub(crate) span: Span,
}

/// A place in the text that takes more matchers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) at: usize,
    pub(crate) join: Join,
}

/// What has to stand around matchers that are written into a [`Slot`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Join {
    /// There are no braces yet.
    Braces,
    /// Right behind `{` or a comma.
    Plain,
    /// Behind another matcher.
    Comma,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Aggregator {
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
    pub(crate) fn named(name: &str) -> Option<Self> {
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
pub(crate) enum Grouping {
    By(Names),
    Without(Names),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Or,
    And,
    Unless,
    Compare,
    /// `</` and `>/`, which cut observations off a native histogram. They bind as a comparison
    /// does, and keep labels as a calculation does.
    Trim,
    Add,
    Multiply,
    Power,
}

impl Operator {
    pub(crate) fn named(text: &str) -> Option<Self> {
        Some(match text.to_ascii_lowercase().as_str() {
            "or" => Self::Or,
            "and" => Self::And,
            "unless" => Self::Unless,
            "==" | "!=" | ">" | "<" | ">=" | "<=" => Self::Compare,
            "</" | ">/" => Self::Trim,
            "+" | "-" => Self::Add,
            "*" | "/" | "%" | "atan2" => Self::Multiply,
            "^" => Self::Power,
            _ => return None,
        })
    }

    /// Higher binds closer.
    pub(crate) fn precedence(self) -> u8 {
        match self {
            Self::Or => 1,
            Self::And | Self::Unless => 2,
            Self::Compare | Self::Trim => 3,
            Self::Add => 4,
            Self::Multiply => 5,
            Self::Power => 6,
        }
    }

    pub(crate) fn is_set(self) -> bool {
        matches!(self, Self::Or | Self::And | Self::Unless)
    }
}

/// How the two sides of an operator find each other.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Matching {
    pub(crate) labels: MatchLabels,
    pub(crate) group: Option<Group>,
    /// What is missing on the left is filled in.
    pub(crate) fills_left: bool,
    /// What is missing on the right is filled in.
    pub(crate) fills_right: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum MatchLabels {
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
pub(crate) enum Group {
    Left(Names),
    Right(Names),
}
