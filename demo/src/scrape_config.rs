//! The Prometheus configuration that scrapes the simulated cluster.
//!
//! Jobs and labels are those that AWS's sample collector configuration gives
//! (`kubernetes-pods` for the exporter, `kubernetes-service-endpoints` for
//! CoreDNS) with `cluster` and `node` added, as this project's
//! collector configurations add them.

use std::fmt::Write as _;
use std::net::SocketAddr;

use crate::cluster::Cluster;
use crate::pages::Target;
use crate::scenario::{NodeSpec, PodSpec};

/// The configuration, as YAML, for pages served at `address`.
pub fn scrape_config(cluster: &Cluster, address: SocketAddr, interval_seconds: u64) -> String {
    let mut yaml = format!(
        "global:\n  scrape_interval: {interval_seconds}s\n  scrape_timeout: {interval_seconds}s\nscrape_configs:\n"
    );
    yaml.push_str("  - job_name: kubernetes-pods\n    static_configs:\n");
    for node in cluster.nodes() {
        let labels = exporter_labels(node);
        target(
            &mut yaml,
            cluster,
            address,
            Target::Node(&node.name),
            &labels,
        );
    }
    yaml.push_str("  - job_name: kubernetes-service-endpoints\n    static_configs:\n");
    for pod in cluster.pods() {
        let labels = coredns_labels(&pod.spec);
        target(
            &mut yaml,
            cluster,
            address,
            Target::Pod(&pod.spec.name),
            &labels,
        );
    }
    yaml
}

/// One more job: the exporter on this machine's own network devices, which are no part of the
/// cluster.
pub fn this_machine(exporter: SocketAddr) -> String {
    format!(
        "  - job_name: this-machine\n    static_configs:\n      - targets: [{}]\n",
        quoted(&exporter.to_string())
    )
}

/// What an exporter's samples are labelled with, beside `job` and `cluster`.
pub fn exporter_labels(node: &NodeSpec) -> [(&'static str, String); 3] {
    [
        ("instance", format!("{}:9417", node.ip)),
        ("node", node.name.clone()),
        ("app", "ethtool-exporter".to_owned()),
    ]
}

/// What a CoreDNS pod's samples are labelled with, beside `job` and `cluster`.
pub fn coredns_labels(pod: &PodSpec) -> [(&'static str, String); 5] {
    [
        ("instance", format!("{}:9153", pod.ip)),
        ("node", pod.node.clone()),
        ("kubernetes_node", pod.node.clone()),
        ("kubernetes_name", "kube-dns".to_owned()),
        ("k8s_app", "kube-dns".to_owned()),
    ]
}

fn target(
    yaml: &mut String,
    cluster: &Cluster,
    address: SocketAddr,
    target: Target<'_>,
    labels: &[(&str, String)],
) {
    let path = ("__metrics_path__", target.path());
    let name = ("cluster", cluster.name().to_owned());
    // Writing to a String cannot fail.
    let _ = writeln!(
        yaml,
        "      - targets: [{}]\n        labels:",
        quoted(&address.to_string())
    );
    for (label, value) in [path, name].iter().chain(labels) {
        let _ = writeln!(yaml, "          {label}: {}", quoted(value));
    }
}

/// A YAML single-quoted scalar.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
