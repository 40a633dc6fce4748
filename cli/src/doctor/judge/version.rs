//! A CoreDNS whose metrics have other names.

use super::{Finding, examples};
use crate::doctor::questions::{Answers, Question};

/// Since then the upstream's times are `coredns_proxy_request_duration_seconds` (CoreDNS's release
/// notes for 1.11.0); until then they were the forward plugin's.
const SINCE: (u64, u64) = (1, 11);

pub(super) fn findings(answers: &Answers) -> Option<Finding> {
    let all = answers.to(Question::CoreDns);
    let old: Vec<String> = all
        .iter()
        .filter(|series| is_old(series.labels.get("version")))
        .map(|series| {
            let of = |label| series.labels.get(label);
            format!("{} at {}", of("version"), of("instance"))
        })
        .collect();
    if old.is_empty() {
        return None;
    }
    Some(Finding::fault(
        "coredns-too-old",
        format!(
            "CoreDNS is older than {}.{}: rules and dashboards on its upstream see nothing",
            SINCE.0, SINCE.1
        ),
        format!("{} of {}: {}", old.len(), all.len(), examples(&old)),
        "update the EKS add-on coredns (aws eks describe-addon-versions --addon-name coredns)",
    ))
}

/// What cannot be read as a version is not called old.
fn is_old(version: &str) -> bool {
    let mut numbers = version.trim_start_matches('v').split('.').map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) < SINCE,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        for (version, expected) in [
            ("1.10.1", true),
            ("v1.8.7-eksbuild.7", true),
            ("1.9.3", true),
            ("1.11.0", false),
            ("1.12.1", false),
            ("2.0.0", false),
            ("", false),
            ("main", false),
        ] {
            assert_eq!(is_old(version), expected, "{version}");
        }
    }
}
