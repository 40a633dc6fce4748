//! Whether the samples are there at all, from every cluster.

use alerting::labels::METRIC_NAME;
use alerting::query::Series;

use super::{Finding, Source, examples, of_cluster, values};
use crate::doctor::questions::{Answers, Question};

const GET_THEM_IN: &str = "deploy/README.md has the ways, each with how to see that it works";

/// Not one sample of anything that is asked for.
pub(super) fn nothing() -> Finding {
    Finding::fault(
        "no-samples",
        "Nothing has arrived in the last 5 minutes",
        "neither exporters nor CoreDNS, and no `up` of any target",
        format!(
            "is it the right workspace? If so, look at the collector's log: may it write (403), and \
             does it find targets? {GET_THEM_IN}"
        ),
    )
}

pub(super) fn findings(answers: &Answers) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(renamed(answers));
    findings.extend(failing(answers));
    findings.extend(exporters(answers));
    findings.extend(coredns(answers));
    findings.extend(one_sided(answers));
    findings
}

/// The collector appended `_total`, so that no rule finds the counter.
fn renamed(answers: &Answers) -> Option<Finding> {
    let renamed = answers.to(Question::Renamed);
    if renamed.is_empty() {
        return None;
    }
    let names = renamed.iter().map(|series| series.labels.get(METRIC_NAME));
    Some(Finding::fault(
        "renamed",
        "A counter arrives under another name, which no rule asks for",
        format!("there is {}", examples(names)),
        "in the collector: exporters.prometheusremotewrite.add_metric_suffixes: false",
    ))
}

/// Targets that are known and do not answer.
fn failing(answers: &Answers) -> Option<Finding> {
    let is_down = |series: &&Series| series.samples.last().is_some_and(|up| up.value == 0.0);
    let targets = answers.to(Question::Targets);
    let down: Vec<&str> = targets
        .iter()
        .filter(is_down)
        .map(|series| series.labels.get("instance"))
        .collect();
    if down.is_empty() {
        return None;
    }
    Some(Finding::fault(
        "scrape-fails",
        "Targets are known to the collector but do not answer it",
        format!(
            "up is 0 for {} of {}: {}",
            down.len(),
            targets.len(),
            examples(&down)
        ),
        "does the nodes' security group admit the collector to ports 9417 and 9153? Is the pod there, \
         and ready (kubectl -n dnswatch get pods -o wide)?",
    ))
}

fn exporters(answers: &Answers) -> Option<Finding> {
    if !Source::Exporter.series(answers).is_empty() || !answers.to(Question::Renamed).is_empty() {
        return None;
    }
    let statistics: Vec<String> = answers
        .to(Question::Statistics)
        .iter()
        .map(|series| match series.labels.get("type") {
            "" => series.labels.get(METRIC_NAME).to_owned(),
            kind => kind.to_owned(),
        })
        .collect();
    let others = answers.to(Question::Allowances);
    if others.is_empty() && !statistics.is_empty() {
        return Some(Finding::fault(
            "counter-absent",
            "An exporter reports statistics, but not linklocal_allowance_exceeded",
            format!(
                "{} other statistic(s) arrive, such as {}; no allowance of ENA is among them",
                statistics.len(),
                examples(&statistics)
            ),
            "is the network driver ENA (ethtool -i DEVICE on the node), from 2.2.10 on? If ethtool -S \
             DEVICE shows the counter, the exporter's or the collector's list of metrics drops it",
        ));
    }
    if !others.is_empty() {
        let devices = others
            .iter()
            .map(|series| format!("{} of {}", series.labels.get("device"), place(series)));
        return Some(Finding::fault(
            "counter-absent",
            "Exporters report, but not linklocal_allowance_exceeded",
            format!("other allowances come from {}", examples(devices)),
            "the ENA driver knows it from 2.2.10 on, and only on Nitro instances: ethtool -S DEVICE on \
             the node. If it is there, the exporter's or the collector's list of metrics drops it",
        ));
    }
    if let Some(age) = newest(Source::Exporter, answers) {
        return Some(Finding::fault(
            "no-exporter",
            "Exporter samples have stopped",
            format!("the newest is {age} old"),
            format!(
                "is the collector running (its log), and are the exporters (kubectl -n dnswatch get pods)? {GET_THEM_IN}"
            ),
        ));
    }
    Some(Finding::fault(
        "no-exporter",
        "No exporter samples",
        "none of node_net_ethtool, node_ethtool_linklocal_allowance_exceeded, \
         ethtool_linklocal_allowance_exceeded and linklocal_allowance_exceeded has arrived in the last \
         5 minutes",
        format!(
            "kubectl apply -k deploy/kubernetes/exporter, and a collector with its job. {GET_THEM_IN}"
        ),
    ))
}

fn coredns(answers: &Answers) -> Option<Finding> {
    if !Source::CoreDns.series(answers).is_empty() {
        return None;
    }
    let evidence = match newest(Source::CoreDns, answers) {
        Some(age) => format!("the newest coredns_build_info is {age} old"),
        None => {
            "neither coredns_build_info nor coredns_dns_requests_total has arrived in the last 5 \
                 minutes"
                .to_owned()
        }
    };
    if is_auto_mode(answers) {
        let why = "the nodes are named by instance id, as those of EKS Auto Mode are";
        return Some(
            Finding::fault(
                "no-coredns",
                "No CoreDNS samples, which is right on EKS Auto Mode",
                format!("{evidence}; {why}"),
                "nothing on Auto Mode: CoreDNS is a part of the node there and is not scraped, so the \
                 rules about CoreDNS stay silent. On other nodes the collector needs a job for port \
                 9153 of the pods k8s-app=kube-dns",
            )
            .advice(),
        );
    }
    Some(Finding::fault(
        "no-coredns",
        "No CoreDNS samples",
        evidence,
        format!(
            "the collector needs a job for port 9153 of the pods k8s-app=kube-dns in kube-system. If this \
             is EKS Auto Mode, which has no such pods: --auto-mode. {GET_THEM_IN}"
        ),
    ))
}

/// Whether all nodes are named as EKS Auto Mode names them: by their instance's id.
fn is_auto_mode(answers: &Answers) -> bool {
    let series = Source::Exporter.series(answers);
    let is_instance = |series: &Series| {
        super::node(&series.labels)
            .strip_prefix("i-")
            .is_some_and(|id| id.len() >= 8 && id.chars().all(|digit| digit.is_ascii_hexdigit()))
    };
    answers.auto_mode || (!series.is_empty() && series.iter().all(is_instance))
}

/// A cluster of which only one of the two sources is here.
fn one_sided(answers: &Answers) -> Vec<Finding> {
    let of = |source: Source| values(source.series(answers), "cluster");
    let (exporters, coredns) = (of(Source::Exporter), of(Source::CoreDns));
    let missing = |source: Source, id, clusters: Vec<&&str>| {
        clusters
            .into_iter()
            .map(|cluster| {
                let other = match source {
                    Source::Exporter => Source::CoreDns,
                    Source::CoreDns => Source::Exporter,
                };
                Finding::fault(
                    id,
                    format!("No {} samples{}", source.name(), of_cluster(cluster)),
                    format!("{} samples of it arrive", other.name()),
                    format!("give both jobs of that cluster's collector the same label `cluster`, and see that both find targets. {GET_THEM_IN}"),
                )
            })
            .collect::<Vec<_>>()
    };
    if exporters.is_empty() || coredns.is_empty() {
        return Vec::new();
    }
    let mut findings = missing(
        Source::Exporter,
        "no-exporter",
        coredns.difference(&exporters).collect(),
    );
    findings.extend(missing(
        Source::CoreDns,
        "no-coredns",
        exporters.difference(&coredns).collect(),
    ));
    findings
}

/// The age of a source's newest sample, as far back as was looked.
fn newest(source: Source, answers: &Answers) -> Option<String> {
    source
        .times(answers)
        .iter()
        .filter_map(|times| times.age(answers.now))
        .min()
        .map(super::timing::seconds)
}

fn place(series: &Series) -> &str {
    match super::node(&series.labels) {
        "" => series.labels.get("instance"),
        node => node,
    }
}
