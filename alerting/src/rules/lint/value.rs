//! What changes from tick to tick in a label: each change is another alert.

use super::{Report, Rule};

pub(super) const NAME: &str = "alerts/value-in-label";

pub(super) fn check(rule: &Rule<'_>, report: &mut Report) {
    for label in &rule.labels {
        if label.template.reads().changing {
            let message = format!(
                "the label `{}` changes with the value, the time or an answer, and with it the \
                 alert's identity: the alert would end and start again at every change, and `for` would never pass; move it into an annotation",
                label.name
            );
            report.warn(rule.at(label.at), NAME, message);
        }
    }
}
