//! An alert on a series that the same files record.

use super::{Records, Report, Rule};
use crate::promql::tree::Expr;

pub(super) const NAME: &str = "rules/recorded";

pub(super) fn check(rule: &Rule<'_>, records: &Records<'_>, report: &mut Report) {
    let Some(root) = rule.expr.root() else { return };
    root.walk(&mut |node| {
        if let Expr::Instant(selector) | Expr::Range(selector) = &node.expr
            && let Some(name) = &selector.name
            && let Some(record) = records.get(name)
        {
            let message = format!(
                "{name} is recorded at {}, which dnswatch leaves to the server's own ruler: load \
                 that rule there, or the alert never fires",
                record.at(record.name.defined)
            );
            report.warn(rule.at_expr(node.span.start), NAME, message);
        }
    });
}
