//! `rate(a[5m]) or rate(b[5m])`: without their names the two are one series.

use std::collections::BTreeSet;

use super::{Report, Rule};
use crate::promql::tree::{Expr, Node, Operator, Selector};

pub(super) const NAME: &str = "promql/or";

pub(super) fn check(rule: &Rule<'_>, report: &mut Report) {
    let Some(root) = rule.expr.root() else { return };
    root.walk(&mut |node| {
        if let Expr::Binary {
            op: Operator::Or,
            lhs,
            rhs,
            ..
        } = &node.expr
            && let (Some(left), Some(right)) = (nameless(lhs), nameless(rhs))
            && left.name.is_some()
            && right.name.is_some()
            && left.name != right.name
            && left.equals == right.equals
            && !is_renamed(left, right)
        {
            let message = "these functions drop the metrics' names, so that of two series with the \
                           same other labels the right one is never seen: compare each side with \
                           its threshold before `or`, or add them up by label";
            report.warn(rule.at_expr(rhs.span.start), NAME, message);
        }
    });
}

/// Whether the two are probably one metric before and after it was renamed: the words of one name
/// are all in the other.
fn is_renamed(left: &Selector, right: &Selector) -> bool {
    let words = |selector: &Selector| -> BTreeSet<String> {
        let name = selector.name.as_deref().unwrap_or_default();
        name.split(['_', ':']).map(str::to_owned).collect()
    };
    let (left, right) = (words(left), words(right));
    left.is_subset(&right) || right.is_subset(&left)
}

/// The selector of a function directly over a range, whose result has no name.
fn nameless(node: &Node) -> Option<&Selector> {
    let Expr::Call { function, args } = &node.bare().expr else {
        return None;
    };
    if matches!(
        function.name,
        "last_over_time" | "first_over_time" | "absent_over_time"
    ) {
        return None;
    }
    args.iter().find_map(|arg| match &arg.bare().expr {
        Expr::Range(selector) => Some(selector),
        _ => None,
    })
}
