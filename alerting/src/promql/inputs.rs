//! What an expression needs samples of, as a tree of questions.

use std::collections::BTreeSet;

use super::carried::Purpose;
use super::lex::Span;
use super::narrowing::{Narrowing, label_name};
use super::provenance::Provenance;
use super::question::Template;
use super::rewriting::{self, Rewriting};
use super::tree::{Aggregator, Expr, Names, Node, Operator, Selector, Type};
use crate::labels::Labels;

/// What must have samples for an expression's silence to mean that its condition is not met.
#[derive(Debug, Clone)]
pub enum Inputs {
    /// This input.
    Ask(Input),
    /// Something that is there by itself.
    Given(Given),
    /// Every one of these; of none of them, nothing is needed.
    All(Vec<Inputs>),
    /// One of these is enough.
    Any(Vec<Inputs>),
}

/// A selector, or a function directly over a range selector.
#[derive(Debug, Clone)]
pub struct Input {
    template: Template,
    pub(super) provenance: Provenance,
}

/// What gives a sample without any series: `vector(0)`, `hour()`, or `absent(x)`, which is
/// silent only where `x` has samples.
#[derive(Debug, Clone)]
pub struct Given {
    pub(super) labels: Labels,
    pub(super) provenance: Provenance,
}

impl Input {
    /// Whether the label of that name of an alert comes from this input's series.
    pub fn carries(&self, label: &str) -> bool {
        let sources = self.provenance.sources(label);
        sources.is_some_and(|sources| !sources.is_empty())
    }

    /// The question whether this input has samples: `count by (…) (…)`, narrowed where it may
    /// be. The answer's series have the labels that [`Inputs::presence`] looks at.
    pub fn presence(&self, narrowing: &Narrowing) -> String {
        let sources = narrowing
            .labels()
            .filter_map(|label| self.provenance.sources(label));
        // No series has a label without a name, and Prometheus groups by none.
        let by: Names = sources.flatten().filter(|name| !name.is_empty()).collect();
        let matchers = narrowing.matchers(|label| self.provenance.is_own(label));
        let text = self.template.with(&matchers);
        if by.is_empty() {
            return format!("count({text})");
        }
        let by: Vec<String> = by.iter().map(|name| label_name(name)).collect();
        format!("count by ({}) ({text})", by.join(","))
    }
}

impl Inputs {
    /// The texts of all questions, each once. Without narrowing they ask whether anything is
    /// there at all.
    pub fn questions(&self, narrowing: &Narrowing) -> BTreeSet<String> {
        let mut questions = BTreeSet::new();
        self.collect(narrowing, &mut questions);
        questions
    }

    fn collect(&self, narrowing: &Narrowing, questions: &mut BTreeSet<String>) {
        match self {
            Self::Ask(input) => {
                questions.insert(input.presence(narrowing));
            }
            Self::Given(_) => {}
            Self::All(_) | Self::Any(_) if self.is_certain(narrowing) => {}
            Self::All(inputs) | Self::Any(inputs) => {
                for input in inputs {
                    input.collect(narrowing, questions);
                }
            }
        }
    }

    /// Whether it holds for every alert, whatever the answers.
    fn is_certain(&self, narrowing: &Narrowing) -> bool {
        match self {
            Self::Ask(_) => false,
            Self::Given(given) => narrowing
                .labels()
                .all(|label| given.provenance.sources(label).is_none()),
            Self::All(inputs) => inputs.iter().all(|input| input.is_certain(narrowing)),
            Self::Any(inputs) => inputs.iter().any(|input| input.is_certain(narrowing)),
        }
    }

    fn nothing() -> Self {
        Self::All(Vec::new())
    }

    fn is_nothing(&self) -> bool {
        matches!(self, Self::All(inputs) if inputs.is_empty())
    }

    fn all(inputs: impl IntoIterator<Item = Self>) -> Self {
        let mut needed: Vec<Self> = inputs.into_iter().filter(|one| !one.is_nothing()).collect();
        match needed.pop() {
            Some(only) if needed.is_empty() => only,
            Some(last) => {
                needed.push(last);
                Self::All(needed)
            }
            None => Self::nothing(),
        }
    }

    fn any(lhs: Self, rhs: Self) -> Self {
        if lhs.is_nothing() || rhs.is_nothing() {
            return Self::nothing();
        }
        Self::Any(vec![lhs, rhs])
    }

    fn given(labels: Labels, provenance: &Provenance) -> Self {
        if provenance.is_none() {
            return Self::nothing();
        }
        Self::Given(Given {
            labels,
            provenance: provenance.clone(),
        })
    }

    fn wrapped(self, before: &str, behind: &str) -> Self {
        let each = |inputs: Vec<Self>| {
            let wrapped = inputs.into_iter().map(|one| one.wrapped(before, behind));
            wrapped.collect()
        };
        match self {
            Self::Ask(input) => Self::Ask(Input {
                template: input.template.wrapped(before, behind),
                provenance: input.provenance,
            }),
            Self::Given(given) => Self::Given(given),
            Self::All(inputs) => Self::All(each(inputs)),
            Self::Any(inputs) => Self::Any(each(inputs)),
        }
    }
}

/// What the expression below `node` needs, where `provenance` says how its labels become the
/// result's.
pub(super) fn inputs(text: &str, node: &Node, provenance: &Provenance) -> Inputs {
    let ask = |span: Span, selector: &Selector| Input {
        template: Template::cut(text, span, &selector.slots),
        provenance: provenance.clone(),
    };
    match &node.expr {
        Expr::Number | Expr::Text(_) => Inputs::nothing(),
        Expr::Instant(selector) => Inputs::Ask(ask(node.span, selector)),
        Expr::Range(selector) => {
            Inputs::Ask(ask(node.span, selector)).wrapped("present_over_time(", ")")
        }
        Expr::Negated(inner) | Expr::Paren(inner) => inputs(text, inner, provenance),
        Expr::Subquery {
            inner,
            suffix,
            shifts,
        } => {
            let needed = inputs(text, inner, provenance);
            if !shifts.offset && !shifts.at {
                return needed;
            }
            // At another time than now: only a subquery can ask there.
            let suffix = text.get(suffix.start..suffix.end).unwrap_or("");
            needed.wrapped("present_over_time((", &format!("){suffix})"))
        }
        Expr::Call { function, args } => call(text, node, function.name, args, provenance),
        Expr::Aggregate {
            op,
            grouping,
            param,
            inner,
        } => {
            let below = match (op, param) {
                (Aggregator::Choice | Aggregator::Sample, _) => provenance.clone(),
                (Aggregator::CountValues, Some(label)) => match rewriting::text(label) {
                    // The label that the value becomes comes from no label.
                    Some(label) => provenance
                        .through(|carried| carried.without_label(&label))
                        .dropping(|carried| carried.grouped(grouping)),
                    None => Provenance::none(),
                },
                _ => provenance.dropping(|carried| carried.grouped(grouping)),
            };
            let param = param
                .iter()
                .map(|param| inputs(text, param, &Provenance::none()));
            Inputs::all(param.chain([inputs(text, inner, &below)]))
        }
        Expr::Binary {
            op,
            matching,
            lhs,
            rhs,
            ..
        } => {
            let side = |side: &Node, carried: Provenance| {
                let scalar = side.gives == Type::Scalar;
                inputs(text, side, if scalar { &NOWHERE } else { &carried })
            };
            let vectors = lhs.gives == Type::Vector && rhs.gives == Type::Vector;
            let sides = |left: bool| {
                provenance.through(|carried| {
                    let (lhs, rhs) = carried.sides(*op, matching, Purpose::Presence);
                    if !vectors {
                        carried.clone()
                    } else if left {
                        lhs
                    } else {
                        rhs
                    }
                })
            };
            let (left, right) = (side(lhs, sides(true)), side(rhs, sides(false)));
            match (op, matching.fills_left, matching.fills_right) {
                (Operator::Unless, ..) | (_, false, true) => left,
                (_, true, false) => right,
                (Operator::Or, ..) | (_, true, true) => Inputs::any(left, right),
                _ => Inputs::all([left, right]),
            }
        }
    }
}

static NOWHERE: std::sync::LazyLock<Provenance> = std::sync::LazyLock::new(Provenance::none);

fn call(text: &str, node: &Node, name: &str, args: &[Node], provenance: &Provenance) -> Inputs {
    let first = args.first().map(Node::bare);
    let below = match name {
        "absent" | "absent_over_time" => {
            return Inputs::given(absent_labels(first), provenance);
        }
        // What it adds to the labels is not known here.
        "info" => {
            return Inputs::all(first.map(|base| inputs(text, base, &NOWHERE)));
        }
        // `histogram_quantiles` sets a label of its own.
        "scalar" | "vector" | "histogram_quantiles" => Provenance::none(),
        "label_replace" | "label_join" => match args.get(1).and_then(rewriting::text) {
            Some(label) => provenance.below(&label, Rewriting::from_call(name, args)),
            None => Provenance::none(),
        },
        "histogram_quantile" | "histogram_fraction" => {
            provenance.dropping(|carried| carried.without_label("le"))
        }
        _ => provenance.clone(),
    };
    let args = args.iter().map(|arg| match (&arg.bare().expr, arg.gives) {
        (_, Type::Scalar) => inputs(text, arg, &NOWHERE),
        (Expr::Range(selector), _) => Inputs::Ask(Input {
            template: Template::cut(text, node.span, &selector.slots),
            provenance: below.clone(),
        }),
        _ => inputs(text, arg, &below),
    });
    let needed = Inputs::all(args);
    let alone = node.gives == Type::Vector && first.is_none();
    if name == "vector" || alone {
        return Inputs::all([needed, Inputs::given(Labels::default(), provenance)]);
    }
    needed
}

/// The labels of what `absent` gives: those that the selector fixes.
fn absent_labels(arg: Option<&Node>) -> Labels {
    match arg.map(|node| &node.expr) {
        Some(Expr::Instant(selector) | Expr::Range(selector)) => selector
            .equals
            .iter()
            .filter_map(|(name, value)| Some((name.clone(), value.clone()?)))
            .collect(),
        _ => Labels::default(),
    }
}
