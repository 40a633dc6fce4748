//! Two things under one name.

use std::collections::BTreeMap;

use alerting::labels::METRIC_NAME;
use alerting::query::Series;

use super::{Finding, Source, examples, node, of_cluster};
use crate::doctor::questions::{Answers, Question};
use crate::doctor::times::Times;

/// The counter as Network Flow Monitor names it.
const FLOW_MONITOR: &str = "linklocal_allowance_exceeded";
const OWN_NAME: &str = "give each cluster's collector a `cluster` of its own \
                        (deploy/kubernetes/settings/settings.env, the parameter ClusterName)";
const ONE_COLLECTOR: &str = "one collector a cluster with replicas: 1, or either the collector or \
                             AMP's scraper, and no other job with the same targets";

pub(super) fn findings(answers: &Answers) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(side_by_side(answers));
    findings.extend(in_one_series(answers));
    findings.extend(split_by_scrapers(answers));
    findings.extend(two_exporters(answers));
    findings
}

/// Several exporters, or several addresses of one, that count the same interface of a node.
fn two_exporters(answers: &Answers) -> Option<Finding> {
    let mut interfaces: BTreeMap<[&str; 3], BTreeMap<[&str; 2], &Series>> = BTreeMap::new();
    for series in answers.to(Question::Counters) {
        let labels = &series.labels;
        let device = match labels.get("device") {
            "" => labels.get("interface"),
            device => device,
        };
        if node(labels).is_empty() || device.is_empty() {
            continue;
        }
        interfaces
            .entry([labels.get("cluster"), node(labels), device])
            .or_default()
            .insert([labels.get(METRIC_NAME), labels.get("instance")], series);
    }
    interfaces.retain(|_, exporters| exporters.len() > 1);
    let ([cluster, node, device], exporters) = interfaces.first_key_value()?;
    Some(
        Finding::fault(
            "two-exporters",
            format!(
                "Several exporters count the same interface{}",
                of_cluster(cluster)
            ),
            format!(
                "{device} of {node} has the series {}; {} such interface(s)",
                examples(exporters.values().map(|series| &series.labels)),
                interfaces.len()
            ),
            "the shipped rules count an interface once, however many exporters there are. Rules of your own that sum \
             over series count it twice: keep one exporter",
        )
        .advice(),
    )
}

/// Two scrapers of Network Flow Monitor's exporter. Its gauge holds the change since anybody's last
/// scrape, so each of the two sees a part of it.
fn split_by_scrapers(answers: &Answers) -> Option<Finding> {
    let mut interfaces: BTreeMap<[&str; 3], Vec<&Series>> = BTreeMap::new();
    for series in answers.to(Question::Counters) {
        let labels = &series.labels;
        if labels.get(METRIC_NAME) == FLOW_MONITOR {
            let key = [labels.get("cluster"), node(labels), labels.get("eni")];
            interfaces.entry(key).or_default().push(series);
        }
    }
    interfaces.retain(|_, series| series.len() > 1);
    let ([cluster, node, eni], series) = interfaces.first_key_value()?;
    Some(Finding::fault(
        "split-by-scrapers",
        format!(
            "Two scrapers read Network Flow Monitor's counters{}, and each sees a part of the drops",
            of_cluster(cluster)
        ),
        format!(
            "{eni} of {node} has the series {}; {} such interface(s)",
            examples(series.iter().map(|series| &series.labels)),
            interfaces.len()
        ),
        "the exporter reports the change since its last scrape by any collector: let only one collector scrape it, or use an exporter of counters (ethtool-exporter, node_exporter)",
    ))
}

/// Several series of one metric for one device, by the labels that distinguish alerts.
fn side_by_side(answers: &Answers) -> Vec<Finding> {
    let mut devices: BTreeMap<[&str; 4], Vec<&Series>> = BTreeMap::new();
    for series in answers.to(Question::Counters) {
        let key =
            ["cluster", "instance", "device", METRIC_NAME].map(|name| series.labels.get(name));
        // Two scrapers of that one are worse: see `split_by_scrapers`.
        if series.labels.get(METRIC_NAME) == FLOW_MONITOR {
            continue;
        }
        devices.entry(key).or_default().push(series);
    }
    devices.retain(|_, series| series.len() > 1);
    let (twice, colliding): (Vec<_>, Vec<_>) = devices.iter().partition(|(_, series)| {
        let first = series.first();
        let same_as_first =
            |other: &&Series| first.is_some_and(|first| node(&first.labels) == node(&other.labels));
        series.iter().all(same_as_first)
    });
    let mut findings = Vec::new();
    if let Some(([cluster, instance, device, _], series)) = colliding.first() {
        let nodes = series
            .iter()
            .map(|series| format!("`{}`", node(&series.labels)));
        findings.push(Finding::fault(
            "clusters-collide",
            format!(
                "Two nodes have one address{}: two clusters share a name",
                of_cluster(cluster)
            ),
            format!(
                "{instance} {device} is on the nodes {}; {} such device(s)",
                examples(nodes),
                colliding.len()
            ),
            OWN_NAME,
        ));
    }
    if let Some(([cluster, instance, device, _], series)) = twice.first() {
        findings.push(
            Finding::fault(
                "scraped-twice",
                format!("Devices{} are scraped more than once", of_cluster(cluster)),
                format!(
                    "{instance} {device} has the series {}; {} such device(s)",
                    examples(series.iter().map(|series| &series.labels)),
                    twice.len()
                ),
                format!("rules count one of them, but both are paid for: {ONE_COLLECTOR}"),
            )
            .advice(),
        );
    }
    findings
}

/// What two collectors write into one series.
fn in_one_series(answers: &Answers) -> Option<Finding> {
    let jumping = answers.to(Question::CounterResets);
    if let Some(first) = jumping.first() {
        let resets = first.samples.last().map_or(0.0, |sample| sample.value);
        return Some(Finding::fault(
            "clusters-collide",
            format!(
                "Counters jump back and forth, as where two nodes write one series{}",
                of_cluster(first.labels.get("cluster"))
            ),
            format!(
                "{} fell {resets} times in 10 minutes; {} such series",
                first.labels,
                jumping.len()
            ),
            format!(
                "{OWN_NAME}. If it is one cluster, the driver is resetting repeatedly; check dmesg on the node"
            ),
        ));
    }
    for source in [Source::Exporter, Source::CoreDns] {
        let all = source.times(answers);
        let alternating: Vec<&Times> = all.iter().filter(|times| times.alternates()).collect();
        if let Some(first) = alternating.first() {
            return Some(Finding::fault(
                "written-twice",
                format!(
                    "Two collectors write the same {} series{}",
                    source.name(),
                    of_cluster(first.labels.get("cluster"))
                ),
                format!(
                    "samples of {} come in pairs, out of step; {} of {} series",
                    first.labels,
                    alternating.len(),
                    all.len()
                ),
                format!("two clusters: {OWN_NAME}. One cluster: {ONE_COLLECTOR}"),
            ));
        }
    }
    None
}
