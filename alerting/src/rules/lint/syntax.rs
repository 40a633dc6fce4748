//! What Prometheus refuses and `load` leaves to it, since a server may understand more than we do.

use super::{Report, Rule};
use crate::promql::tree::{Expr, Selector};
use crate::template::regexp;

pub(super) const NAME: &str = "promql/syntax";
pub(super) const TYPE: &str = "promql/type";

pub(super) fn check(rule: &Rule<'_>, report: &mut Report) {
    let text = rule.expr.text();
    if let Some(error) = rule.expr.parse_error() {
        let place = rule.at_expr(byte(text, error.line, error.column));
        if rule.expr.is_of_wrong_type() {
            // Prometheus loads it, and then fails at every evaluation.
            report.warn(place, TYPE, error.message.clone());
        } else {
            report.error(place, NAME, error.message.clone());
        }
    }
    let Some(root) = rule.expr.root() else { return };
    root.walk(&mut |node| {
        if let Expr::Instant(selector) | Expr::Range(selector) = &node.expr
            && let Some((at, message)) = refused(selector, node.span.start)
        {
            report.error(rule.at_expr(at), NAME, message);
        }
    });
}

/// Why Prometheus refuses a selector, and the byte of it.
fn refused(selector: &Selector, start: usize) -> Option<(usize, String)> {
    if selector.alternatives {
        let message = "`or` between matchers is VictoriaMetrics's own: write two selectors and \
                       `or` between them";
        return Some((start, message.to_owned()));
    }
    let mut selective = selector.name.is_some();
    for matcher in &selector.matchers {
        let value = matcher.value.as_deref().unwrap_or_default();
        selective |= match matcher.operator.as_str() {
            "=" => !value.is_empty(),
            "!=" => value.is_empty(),
            operator => match regexp::compile(&format!("^(?s:{value})$")) {
                Ok(regex) => regex.is_match(b"") == (operator == "!~"),
                Err(error) => return Some((matcher.span.start, error)),
            },
        };
    }
    (!selective && !selector.may_be_all).then(|| {
        let message = "a selector needs a name, or a matcher that the empty text does not match";
        (start, message.to_owned())
    })
}

/// The byte at a line and a column in characters, both from 1.
fn byte(text: &str, line: usize, column: usize) -> usize {
    let before: usize = text
        .split_inclusive('\n')
        .take(line.saturating_sub(1))
        .map(str::len)
        .sum();
    let rest = text.get(before..).unwrap_or("");
    let within = rest.char_indices().nth(column.saturating_sub(1));
    before + within.map_or(rest.len(), |(at, _)| at)
}
