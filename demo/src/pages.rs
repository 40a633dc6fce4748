//! The pages that a Prometheus scrapes: an ethtool exporter's for each node, a
//! CoreDNS's for each pod.

use crate::cluster::Cluster;
use crate::coredns::CoreDns;
use crate::eni::Eni;
use crate::exposition::{Exposition, Kind};

/// What the simulated CoreDNS says it is.
const VERSION: [(&str, &str); 3] = [
    ("goversion", "go1.24.1"),
    ("revision", "simulated"),
    ("version", "1.12.1"),
];
const SERVER: (&str, &str) = ("server", "dns://:53");
const VIEW: (&str, &str) = ("view", "");
const ZONE: (&str, &str) = ("zone", ".");
/// The VPC's resolver: the VPC's base address plus two.
const UPSTREAM: (&str, &str) = ("to", "10.0.0.2:53");
const FORWARD: (&str, &str) = ("proxy_name", "forward");

/// What one target answers: its path on the demo's server, and its text.
#[derive(Clone, Copy, Debug)]
pub enum Target<'a> {
    /// The exporter of the node with this name.
    Node(&'a str),
    /// The CoreDNS pod with this name.
    Pod(&'a str),
}

impl<'a> Target<'a> {
    /// The path that the target's page is served under.
    pub fn path(&self) -> String {
        match self {
            Self::Node(name) => format!("/node/{name}/metrics"),
            Self::Pod(name) => format!("/coredns/{name}/metrics"),
        }
    }

    /// The target of a path, if it has the form of one.
    pub fn of_path(path: &'a str) -> Option<Self> {
        let target = path.strip_suffix("/metrics")?;
        if let Some(name) = target.strip_prefix("/node/") {
            Some(Self::Node(name))
        } else {
            target.strip_prefix("/coredns/").map(Self::Pod)
        }
    }

    /// The target's page now, `None` where the cluster has no such target.
    pub fn page(&self, cluster: &Cluster) -> Option<String> {
        match self {
            Self::Node(name) => {
                let node = cluster.nodes().iter().position(|node| node.name == *name)?;
                let enis: Vec<&Eni> = cluster
                    .enis()
                    .iter()
                    .filter(|eni| eni.node == node)
                    .collect();
                Some(exporter_page(&enis))
            }
            Self::Pod(name) => {
                let pod = cluster.pods().iter().find(|pod| pod.spec.name == *name)?;
                Some(coredns_page(pod))
            }
        }
    }
}

/// The names and types of the ethtool exporter of the original recipe: all
/// gauges, the driver's own statistic names in `type`.
fn exporter_page(enis: &[&Eni]) -> String {
    let mut page = Exposition::default();
    let info = "node_net_ethtool_info";
    page.family(info, Kind::Gauge, "Link settings of the device");
    for eni in enis {
        page.sample(
            info,
            &[
                ("device", &eni.device),
                ("duplex", "Unknown! (255)"),
                ("link_detected", "yes"),
                ("port", "Other"),
                ("speed", "Unknown!"),
            ],
            1,
        );
    }
    let name = "node_net_ethtool";
    page.family(name, Kind::Gauge, "Driver statistics of the device");
    for eni in enis {
        for (statistic, value) in [
            ("bw_in_allowance_exceeded", 0),
            ("bw_out_allowance_exceeded", 0),
            ("conntrack_allowance_available", eni.conntrack_available),
            ("conntrack_allowance_exceeded", eni.conntrack_exceeded),
            ("interface_down", 0),
            ("interface_up", 1),
            ("linklocal_allowance_exceeded", eni.dropped),
            ("pps_allowance_exceeded", 0),
            ("total_resets", 0),
        ] {
            page.sample(name, &[("device", &eni.device), ("type", statistic)], value);
        }
    }
    page.finish()
}

/// Names and labels of CoreDNS 1.11 and later.
fn coredns_page(pod: &CoreDns) -> String {
    let mut page = Exposition::default();
    page.single(
        "coredns_build_info",
        Kind::Gauge,
        "The version that runs",
        &VERSION,
        1,
    );
    cache(&mut page, pod);
    dns(&mut page, pod);
    upstream(&mut page, pod);
    page.single(
        "coredns_health_request_failures_total",
        Kind::Counter,
        "Requests to its own health endpoint that failed",
        &[],
        0,
    );
    page.single(
        "coredns_panics_total",
        Kind::Counter,
        "Panics survived",
        &[],
        0,
    );
    let enabled = "coredns_plugin_enabled";
    page.family(enabled, Kind::Gauge, "Plugins in use");
    for plugin in [
        "cache",
        "errors",
        "forward",
        "kubernetes",
        "loadbalance",
        "loop",
        "prometheus",
    ] {
        page.sample(enabled, &[("name", plugin), SERVER, VIEW, ZONE], 1);
    }
    page.single(
        "coredns_reload_failed_total",
        Kind::Counter,
        "Reloads of the Corefile that failed",
        &[],
        0,
    );
    page.finish()
}

fn cache(page: &mut Exposition, pod: &CoreDns) {
    let of_type = |kind| [SERVER, ("type", kind), VIEW, ("zones", ".")];
    let entries = "coredns_cache_entries";
    page.family(entries, Kind::Gauge, "Entries in the cache");
    page.sample(entries, &of_type("denial"), pod.cache_entries.1);
    page.sample(entries, &of_type("success"), pod.cache_entries.0);
    let hits = "coredns_cache_hits_total";
    page.family(hits, Kind::Counter, "Queries that the cache answered");
    page.sample(hits, &of_type("denial"), pod.counters.cache_hits_denial);
    page.sample(hits, &of_type("success"), pod.counters.cache_hits_success);
    let labels = [SERVER, VIEW, ("zones", ".")];
    let requests = pod.counters.requests();
    let found = pod.counters.cache_hits_denial + pod.counters.cache_hits_success;
    page.single(
        "coredns_cache_misses_total",
        Kind::Counter,
        "Queries that the cache did not answer",
        &labels,
        requests - found,
    );
    page.single(
        "coredns_cache_requests_total",
        Kind::Counter,
        "Queries that reached the cache",
        &labels,
        requests,
    );
}

fn dns(page: &mut Exposition, pod: &CoreDns) {
    let duration = "coredns_dns_request_duration_seconds";
    page.family(duration, Kind::Histogram, "Time from query to answer");
    page.histogram(
        duration,
        &[SERVER, VIEW, ZONE],
        &pod.counters.request_duration,
    );
    let requests = "coredns_dns_requests_total";
    page.family(requests, Kind::Counter, "Queries by what they ask for");
    for (kind, count) in [
        ("A", pod.counters.requests_a),
        ("AAAA", pod.counters.requests_aaaa),
    ] {
        page.sample(
            requests,
            &[
                ("family", "1"),
                ("proto", "udp"),
                SERVER,
                ("type", kind),
                VIEW,
                ZONE,
            ],
            count,
        );
    }
    let responses = "coredns_dns_responses_total";
    page.family(
        responses,
        Kind::Counter,
        "Answers by code and by the plugin that wrote them",
    );
    for (plugin, rcode, count) in [
        ("", "SERVFAIL", pod.counters.servfail),
        ("loadbalance", "SERVFAIL", pod.counters.servfail_upstream),
        ("loadbalance", "NOERROR", pod.counters.noerror),
        ("loadbalance", "NXDOMAIN", pod.counters.nxdomain),
    ] {
        // As in any Go program with labelled counters, a series begins with its
        // first event.
        if count > 0 {
            page.sample(
                responses,
                &[("plugin", plugin), ("rcode", rcode), SERVER, VIEW, ZONE],
                count,
            );
        }
    }
}

fn upstream(page: &mut Exposition, pod: &CoreDns) {
    page.single(
        "coredns_forward_healthcheck_broken_total",
        Kind::Counter,
        "Queries that found every upstream down",
        &[],
        pod.counters.healthcheck_broken,
    );
    page.single(
        "coredns_forward_max_concurrent_rejects_total",
        Kind::Counter,
        "Queries refused since too many were under way",
        &[],
        0,
    );
    let failures = "coredns_proxy_healthcheck_failures_total";
    page.family(
        failures,
        Kind::Counter,
        "Health checks of an upstream that failed",
    );
    if pod.counters.healthcheck_failures > 0 {
        page.sample(
            failures,
            &[FORWARD, UPSTREAM],
            pod.counters.healthcheck_failures,
        );
    }
    let duration = "coredns_proxy_request_duration_seconds";
    page.family(
        duration,
        Kind::Histogram,
        "Time that an upstream took to answer",
    );
    for (rcode, histogram) in [
        ("NOERROR", &pod.counters.upstream_noerror),
        ("NXDOMAIN", &pod.counters.upstream_nxdomain),
        ("SERVFAIL", &pod.counters.upstream_servfail),
    ] {
        if histogram.count() > 0 {
            page.histogram(duration, &[FORWARD, ("rcode", rcode), UPSTREAM], histogram);
        }
    }
}
