//! Functions and other parts of the language that a server accepts only with a feature flag, only
//! from some release on, or no longer.

use super::{Report, Rule};
use crate::promql::tree::Expr;
use crate::promql::{Feature, Known};

pub(super) const EXPERIMENTAL: &str = "promql/experimental";
pub(super) const RELEASE: &str = "promql/release";

const FLAG: &str = "promql-experimental-functions";

/// Behind `--enable-feature=promql-experimental-functions` in Prometheus 3.16 (`promql/parser`).
const FUNCTIONS: [&str; 18] = [
    "double_exponential_smoothing",
    "end",
    "histogram_quantiles",
    "info",
    "integral",
    "mad_over_time",
    "max_of",
    "min_of",
    "range",
    "sort_by_label",
    "sort_by_label_desc",
    "start",
    "start_timestamp",
    "step",
    "ts_of_first_over_time",
    "ts_of_last_over_time",
    "ts_of_max_over_time",
    "ts_of_min_over_time",
];
const AGGREGATIONS: [&str; 2] = ["limitk", "limit_ratio"];

pub(super) fn check(rule: &Rule<'_>, report: &mut Report) {
    let mut reported: Vec<Feature> = Vec::new();
    for (at, feature) in rule.expr.features() {
        if !reported.contains(feature) {
            reported.push(*feature);
            say(rule, *at, &feature.to_string(), feature.known(), report);
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
        let (name, known) = match &node.expr {
            Expr::Call { function, .. } => match known(function.name) {
                Some(known) => (function.name, known),
                None => return,
            },
            Expr::Aggregate { .. } => match AGGREGATIONS.iter().find(begins) {
                Some(name) => (*name, Known::Flag(FLAG)),
                None => return,
            },
            _ => return,
        };
        say(rule, at, &format!("`{name}`"), known, report);
        if name == "start_timestamp" {
            let message = "`start_timestamp` gives nothing unless the server is started with \
                           --enable-feature=use-start-timestamps";
            report.warn(rule.at_expr(at), EXPERIMENTAL, message);
        }
    });
}

/// Which servers know a function; none where all do.
fn known(function: &str) -> Option<Known> {
    Some(match function {
        "holt_winters" => Known::Gone("since 3.0 it is `double_exponential_smoothing`"),
        "first_over_time" => Known::Since("3.14", Some(FLAG)),
        name if FUNCTIONS.contains(&name) => Known::Flag(FLAG),
        _ => return None,
    })
}

fn say(rule: &Rule<'_>, at: usize, what: &str, known: Known, report: &mut Report) {
    let place = rule.at_expr(at);
    match known {
        Known::Flag(flag) => report.warn(
            place,
            EXPERIMENTAL,
            format!(
                "{what} is experimental: a server refuses it unless it is started with \
                 --enable-feature={flag}"
            ),
        ),
        Known::Gone(instead) => report.warn(
            place,
            EXPERIMENTAL,
            format!("Prometheus no longer knows {what}: {instead}"),
        ),
        Known::Since(release, flag) => {
            let flag = flag.map(|flag| format!(" or --enable-feature={flag}"));
            report.note(
                place,
                RELEASE,
                format!(
                    "{what} needs Prometheus {release} or later{}; an older server, as an AMP \
                     workspace may be, refuses it",
                    flag.unwrap_or_default()
                ),
            );
        }
    }
}
