//! A template that names a label which the expression's result cannot have.

use super::{Report, Rule};
use crate::labels::METRIC_NAME;

pub(super) const NAME: &str = "alerts/label-dropped";

pub(super) fn check(rule: &Rule<'_>, report: &mut Report) {
    for text in rule.annotations.iter().chain(&rule.labels) {
        let reads = text.template.reads();
        for label in reads.labels.difference(&reads.asked_about) {
            if label == METRIC_NAME || rule.expr.may_have(label) {
                continue;
            }
            let own = rule.labels.iter().any(|own| own.name == *label);
            let why = if own {
                "`$labels` has the labels of the expression's result, not those that the rule sets"
            } else {
                "the expression drops it"
            };
            let message = format!(
                "`{}` prints nothing for $labels.{label}: {why}; keep the label (`by`, \
                 `group_left`) or leave it out",
                text.name
            );
            report.warn(rule.at(text.at), NAME, message);
        }
    }
}
