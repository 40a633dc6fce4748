//! A counter compared as it is: it only grows, so that the alert never ends.

use super::{Report, Rule};
use crate::promql::is_number;
use crate::promql::tree::{Aggregator, Expr, Node, Operator, Selector};

pub(super) const NAME: &str = "promql/counter";

pub(super) fn check(rule: &Rule<'_>, report: &mut Report) {
    let Some(root) = rule.expr.root() else { return };
    // What `and` and `unless` compare on their right only narrows: that a counter is above nothing
    // often says there that something is in use.
    let mut narrowing = Vec::new();
    root.walk(&mut |node| {
        if let Expr::Binary {
            op: Operator::And | Operator::Unless,
            rhs,
            ..
        } = &node.expr
        {
            narrowing.push(rhs.span);
        }
    });
    root.walk(&mut |node| {
        let (start, end) = (node.span.start, node.span.end);
        if narrowing
            .iter()
            .any(|within| within.start <= start && end <= within.end)
        {
            return;
        }
        let Expr::Binary {
            op: Operator::Compare,
            lhs,
            rhs,
            ..
        } = &node.expr
        else {
            return;
        };
        let compared = match (is_number(lhs), is_number(rhs)) {
            (false, true) => lhs,
            (true, false) => rhs,
            _ => return,
        };
        let between = rule.expr.text().get(lhs.span.end..rhs.span.start);
        let is_equality = between.is_some_and(|text| text.contains("==") || text.contains("!="));
        if let Some((at, name, is_known)) = raw_counter(rule.expr.text(), compared)
            && !is_equality
        {
            let message = if is_known {
                format!(
                    "{name} is a counter, so this stays true once it is: compare its \
                     increase(…[…]) or rate(…[…])"
                )
            } else {
                format!(
                    "if {name} is a counter, as its name suggests, this stays true once it is: \
                     compare its increase(…[…]) or rate(…[…])"
                )
            };
            report.warn(rule.at_expr(at), NAME, message);
        }
    });
}

/// The counter whose value, or sum of values, an operand is; and whether it is known to be one, not only
/// by its name.
fn raw_counter(text: &str, node: &Node) -> Option<(usize, String, bool)> {
    let node = node.bare();
    match &node.expr {
        Expr::Instant(selector) if is_counter(selector) => {
            let name = selector.name.clone()?;
            Some((node.span.start, name, is_of_ena(selector)))
        }
        Expr::Aggregate {
            op: Aggregator::Plain,
            inner,
            ..
        } if sums(text.get(node.span.start..).unwrap_or("")) => raw_counter(text, inner),
        _ => None,
    }
}

/// Whether the aggregation that `text` begins with gives what it is given, or the sum of it.
fn sums(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    ["sum", "max", "min", "avg"]
        .iter()
        .any(|name| text.starts_with(name))
}

/// Whether it is a counter of the ENA driver.
fn is_of_ena(selector: &Selector) -> bool {
    let name = selector.name.as_deref().unwrap_or_default();
    name.ends_with("_allowance_exceeded")
        || name == "node_net_ethtool"
            && selector.matchers.iter().any(|matcher| {
                let value = matcher.value.as_deref().unwrap_or_default();
                matcher.name == "type" && value.contains("allowance_exceeded")
            })
}

/// The ENA driver's counters, and those whose names say so. Gauges that are called `_total` all
/// the same count things that are in a state: `minio_cluster_nodes_offline_total`.
fn is_counter(selector: &Selector) -> bool {
    let name = selector.name.as_deref().unwrap_or_default();
    let is_state = [
        "offline",
        "online",
        "available",
        "free",
        "used",
        "size",
        "bytes",
    ]
    .iter()
    .any(|state| name.ends_with(&format!("_{state}_total")));
    is_of_ena(selector) || (name.ends_with("_total") && !is_state)
}
