//! The labels that identify alerts.

use super::{Finding, Source, examples, node, values};
use crate::doctor::questions::Answers;

/// The label `cluster` that the server adds to what it sends elsewhere. It is on no series here.
fn added_cluster(answers: &Answers) -> Option<&str> {
    let added = answers.external_labels.as_ref()?.get("cluster")?;
    (!added.is_empty()).then_some(added)
}

/// What the server adds to samples that it sends elsewhere, as a line of the summary.
pub(super) fn added(answers: &Answers) -> Option<String> {
    added_cluster(answers).map(|cluster| {
        format!(
            "external label cluster={cluster}: added to what this Prometheus sends by remote write, and \
             on no series here; rules that run here need `--label cluster={cluster}`"
        )
    })
}

/// Series of `source` without `cluster` or `node`.
pub(super) fn findings(source: Source, answers: &Answers) -> Vec<Finding> {
    let series = source.series(answers);
    let mut findings = Vec::new();
    let without_cluster: Vec<_> = series
        .iter()
        .filter(|series| !series.labels.has("cluster"))
        .collect();
    if !without_cluster.is_empty() && added_cluster(answers).is_none() {
        let others = match values(series, "cluster").len() {
            0 => String::new(),
            count => format!("; others have one ({count} clusters)"),
        };
        findings.push(Finding::fault(
            "no-cluster-label",
            format!("{} series have no label `cluster`", source.name()),
            format!(
                "{} of {}, such as {}{others}",
                without_cluster.len(),
                series.len(),
                examples(without_cluster.iter().map(|series| &series.labels).take(1)),
            ),
            "in the collector: exporters.prometheusremotewrite.external_labels.cluster; in AMP's \
             scraper and in Prometheus: global.external_labels.cluster. Without it two clusters of \
             the workspace are one, and alerts do not say where",
        ));
    }
    let without_node: Vec<_> = series
        .iter()
        .filter(|series| node(&series.labels).is_empty())
        .collect();
    if !without_node.is_empty() {
        let finding = Finding::fault(
            "no-node-label",
            format!("{} series have no label `node`", source.name()),
            format!(
                "{} of {}, such as {}",
                without_node.len(),
                series.len(),
                examples(without_node.iter().map(|series| &series.labels).take(1)),
            ),
            "in the job's relabel_configs: source_labels: [__meta_kubernetes_pod_node_name], \
             target_label: node. Without it alerts name an address that may be another node's \
             tomorrow",
        );
        findings.push(match source {
            Source::Exporter => finding,
            // No alert is about one pod of CoreDNS.
            Source::CoreDns => finding.advice(),
        });
    }
    findings
}
