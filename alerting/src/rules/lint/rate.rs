//! A window that too few samples fall into.

use super::{Report, Rule, Surroundings};
use crate::duration::format;
use crate::promql::tree::Expr;

pub(super) const NAME: &str = "promql/rate";

/// The functions that need two samples, and give nothing where there are fewer.
const TWO_SAMPLES: [&str; 8] = [
    "rate",
    "increase",
    "irate",
    "delta",
    "idelta",
    "deriv",
    "predict_linear",
    "double_exponential_smoothing",
];

pub(super) fn check(rule: &Rule<'_>, surroundings: Surroundings, report: &mut Report) {
    let scraped = surroundings.scrape_interval;
    let Some(root) = rule.expr.root() else { return };
    root.walk(&mut |node| {
        let Expr::Call { function, args } = &node.expr else {
            return;
        };
        let window = args.iter().find_map(|arg| match &arg.bare().expr {
            Expr::Range(selector) => selector.range,
            _ => None,
        });
        if TWO_SAMPLES.contains(&function.name)
            && let Some(window) = window
            && window < scraped.saturating_mul(2)
        {
            let message = format!(
                "`{}` needs two samples, and a window of {} often has one where a series has a \
                 sample every {}: make it at least {}",
                function.name,
                format(window),
                format(scraped),
                format(scraped.saturating_mul(4)),
            );
            report.warn(rule.at_expr(node.span.start), NAME, message);
        }
    });
}
