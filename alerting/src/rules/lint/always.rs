//! An expression without a condition: the alert fires as long as there is a series.

use super::{Records, Report, Rule};
use crate::promql::tree::{Expr, Node, Operator, Type};

pub(super) const NAME: &str = "alerts/comparison";

pub(super) fn check(rule: &Rule<'_>, records: &Records<'_>, report: &mut Report) {
    let Some(root) = rule.expr.root() else { return };
    let mut selects = false;
    root.walk(&mut |node| selects |= matches!(node.expr, Expr::Instant(_) | Expr::Range(_)));
    // `vector(1)`: it is meant to fire always, to show that alerts get through.
    if selects && !has_condition(root, records) {
        let message = "the expression has no condition: the alert fires as long as any series is \
                       there, whatever its value; compare it, as in `… > 0`";
        report.warn(rule.at_expr(root.span.start), NAME, message);
    }
}

/// Whether there may be no result although the selected series are there.
fn has_condition(node: &Node, records: &Records<'_>) -> bool {
    match &node.expr {
        Expr::Number | Expr::Text(_) => false,
        Expr::Instant(selector) | Expr::Range(selector) => {
            // Of metrics that are labels only, a matcher is the condition.
            let is_info = |name: &str| name.ends_with("_info") || name.ends_with("_metadata");
            if selector.name.as_deref().is_some_and(is_info) && !selector.matchers.is_empty() {
                return true;
            }
            selector.name.as_deref().is_none_or(|name| {
                match records.get(name) {
                    Some(record) => {
                        let root = record.expr.root();
                        root.is_none_or(|root| has_condition(root, &Records::new()))
                    }
                    // Present while alerts are; recorded elsewhere, perhaps with a condition.
                    None => name.starts_with("ALERTS") || name.contains(':'),
                }
            })
        }
        Expr::Call { function, args } => match function.name {
            "absent" | "absent_over_time" => true,
            "vector" | "scalar" => false,
            _ => args
                .iter()
                .filter(|arg| matches!(arg.gives, Type::Vector | Type::Matrix))
                .any(|arg| has_condition(arg, records)),
        },
        Expr::Aggregate { inner, .. }
        | Expr::Subquery { inner, .. }
        | Expr::Negated(inner)
        | Expr::Paren(inner) => has_condition(inner, records),
        Expr::Binary {
            op: Operator::Compare,
            returns_bool,
            ..
        } if !returns_bool => true,
        Expr::Binary {
            op: Operator::And | Operator::Unless,
            ..
        } => true,
        Expr::Binary {
            op: Operator::Or,
            lhs,
            rhs,
            ..
        } => has_condition(lhs, records) && has_condition(rhs, records),
        Expr::Binary { lhs, rhs, .. } => {
            let side = |side: &Node| side.gives == Type::Vector && has_condition(side, records);
            side(lhs) || side(rhs)
        }
    }
}
