//! Functions, and other parts of the language, that a server knows only where it is told to, or no
//! longer.

use super::{Report, Rule};
use crate::promql::tree::Expr;

const NAME: &str = "promql/experimental";

/// Behind `--enable-feature=promql-experimental-functions` in Prometheus 3 (`promql/parser`).
const FUNCTIONS: [&str; 16] = [
    "double_exponential_smoothing",
    "end",
    "first_over_time",
    "histogram_quantiles",
    "info",
    "integral",
    "mad_over_time",
    "range",
    "sort_by_label",
    "sort_by_label_desc",
    "start",
    "step",
    "ts_of_first_over_time",
    "ts_of_last_over_time",
    "ts_of_max_over_time",
    "ts_of_min_over_time",
];
const AGGREGATIONS: [&str; 2] = ["limitk", "limit_ratio"];

pub(super) fn check(rule: &Rule<'_>, report: &mut Report) {
    let mut told: Vec<&str> = Vec::new();
    for (at, feature) in rule.expr.features() {
        let flag = feature.flag();
        if !told.contains(&flag) {
            told.push(flag);
            report.warn(rule.at_expr(*at), NAME, behind(&feature.to_string(), flag));
        }
    }
    let Some(root) = rule.expr.root() else { return };
    root.walk(&mut |node| {
        let at = node.span.start;
        let text = rule
            .expr
            .text()
            .get(at..)
            .unwrap_or("")
            .to_ascii_lowercase();
        let begins = |name: &&&str| {
            text.strip_prefix(**name)
                .is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
        };
        let message = match &node.expr {
            Expr::Call { function, .. } if function.name == "holt_winters" => {
                "Prometheus 3 no longer knows `holt_winters`: there it is \
                 `double_exponential_smoothing`"
                    .to_owned()
            }
            Expr::Call { function, .. } if FUNCTIONS.contains(&function.name) => of(function.name),
            Expr::Aggregate { .. } => match AGGREGATIONS.iter().find(begins) {
                Some(name) => of(name),
                None => return,
            },
            _ => return,
        };
        report.warn(rule.at_expr(at), NAME, message);
    });
}

fn of(name: &str) -> String {
    behind(&format!("`{name}`"), "promql-experimental-functions")
}

fn behind(what: &str, flag: &str) -> String {
    format!(
        "{what} is experimental: a server refuses it unless it is started with \
         --enable-feature={flag}"
    )
}
