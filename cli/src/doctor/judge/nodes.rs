//! Nodes without the counter.

use std::collections::BTreeSet;

use super::{Finding, Source, examples, node};
use crate::doctor::questions::{Answers, Question};

/// Nodes that other metrics name and that have no counter. If exporters set no `node` label this is
/// unknown, and the missing label is a finding of its own.
pub(super) fn findings(answers: &Answers) -> Option<Finding> {
    let watched: BTreeSet<(&str, &str)> = pairs(Source::Exporter.series(answers));
    if watched.is_empty() {
        return None;
    }
    let clusters: BTreeSet<&str> = watched.iter().map(|(cluster, _)| *cluster).collect();
    let known = answers.to(Question::Nodes);
    let (mut all, by) = if known.is_empty() {
        (pairs(Source::CoreDns.series(answers)), "CoreDNS runs on")
    } else {
        (pairs(known), "kube-state-metrics knows")
    };
    // Other clusters have no exporter at all, which is one finding.
    all.retain(|(cluster, node)| clusters.contains(cluster) && !node.starts_with("fargate-"));
    let unwatched: Vec<&str> = all.difference(&watched).map(|(_, node)| *node).collect();
    if unwatched.is_empty() {
        return None;
    }
    Some(Finding::fault(
        "node-without-exporter",
        "Nodes have no exporter, or one that cannot read the counter",
        format!(
            "{by} {} node(s) without: {}",
            unwatched.len(),
            examples(&unwatched)
        ),
        "kubectl -n dnswatch get pods -o wide: is one on each of them, running and ready? If so, does \
         the driver know the counter (ethtool -S DEVICE | grep linklocal, on the node)?",
    ))
}

fn pairs(series: &[alerting::query::Series]) -> BTreeSet<(&str, &str)> {
    series
        .iter()
        .map(|series| (series.labels.get("cluster"), node(&series.labels)))
        .filter(|(_, node)| !node.is_empty())
        .collect()
}
