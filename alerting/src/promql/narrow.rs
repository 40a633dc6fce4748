//! The expression itself, narrowed: fewer series are read, the samples asked for stay the same.

use super::carried::{Carried, Purpose};
use super::narrowing::{MAX_ADDED, Narrowing};
use super::question::push_matchers;
use super::rewriting;
use super::tree::{Aggregator, Expr, Node, Slot, Type};

/// The text of `node` with matchers in each selector, as far as they change none of the samples
/// that have the narrowing's labels.
pub(super) fn narrowed(text: &str, node: &Node, narrowing: &Narrowing) -> String {
    let mut slots = Vec::new();
    collect(node, &Carried::all(), &mut slots);
    slots.sort_by_key(|(slot, _)| slot.at);
    if slots
        .len()
        .saturating_mul(narrowing.matchers(|_| true).len())
        > MAX_ADDED
    {
        slots.clear();
    }
    let mut narrowed = String::new();
    let mut from = node.span.start;
    for (slot, carried) in slots {
        narrowed.push_str(text.get(from..slot.at).unwrap_or(""));
        let matchers = narrowing.matchers(|label| carried.has(label));
        push_matchers(&mut narrowed, slot.join, &matchers);
        from = slot.at;
    }
    narrowed.push_str(text.get(from..node.span.end).unwrap_or(""));
    narrowed
}

fn collect(node: &Node, carried: &Carried, slots: &mut Vec<(Slot, Carried)>) {
    match &node.expr {
        Expr::Number | Expr::Text(_) => {}
        Expr::Instant(selector) | Expr::Range(selector) => {
            slots.extend(selector.slots.iter().map(|slot| (*slot, carried.clone())));
        }
        Expr::Negated(inner) | Expr::Paren(inner) | Expr::Subquery { inner, .. } => {
            collect(inner, carried, slots);
        }
        Expr::Call { function, args } => {
            let below = through_call(function.name, args, carried);
            for arg in args {
                let scalar = arg.gives == Type::Scalar;
                collect(arg, if scalar { &NOTHING } else { &below }, slots);
            }
        }
        Expr::Aggregate {
            op,
            grouping,
            param,
            inner,
        } => {
            let below = match (op, param) {
                (Aggregator::Sample, _) => carried.clone(),
                (Aggregator::CountValues, Some(label)) => match rewriting::text(label) {
                    Some(label) => carried.grouped(grouping).without_label(&label),
                    None => Carried::none(),
                },
                // Which of a group's series are chosen depends on all of them.
                _ => carried.grouped(grouping),
            };
            if let Some(param) = param {
                collect(param, &NOTHING, slots);
            }
            collect(inner, &below, slots);
        }
        Expr::Binary {
            op,
            matching,
            lhs,
            rhs,
            ..
        } => {
            let (mut left, mut right) = (carried.clone(), carried.clone());
            match (lhs.gives, rhs.gives) {
                (Type::Scalar, _) => left = Carried::none(),
                (_, Type::Scalar) => right = Carried::none(),
                _ => (left, right) = carried.sides(*op, matching, Purpose::Narrowing),
            }
            collect(lhs, &left, slots);
            collect(rhs, &right, slots);
        }
    }
}

static NOTHING: std::sync::LazyLock<Carried> = std::sync::LazyLock::new(Carried::none);

fn through_call(name: &str, args: &[Node], carried: &Carried) -> Carried {
    match name {
        // A matcher more would change what is absent, and the labels of the result.
        "absent" | "absent_over_time" | "scalar" | "vector" | "info" | "histogram_quantiles" => {
            Carried::none()
        }
        "label_replace" | "label_join" => match args.get(1).and_then(rewriting::text) {
            Some(label) => carried.without_label(&label),
            None => Carried::none(),
        },
        "histogram_quantile" | "histogram_fraction" => carried.without_label("le"),
        _ => carried.clone(),
    }
}
