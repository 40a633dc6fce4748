//! Where an untidy cluster has other alerts than the tidy one, and why that is so.

use super::mutations::Cell;
use super::stories::Story;

/// Cells that differ for one reason.
#[derive(Debug)]
pub(super) struct Exception {
    /// The rules; none for all.
    alerts: &'static [&'static str],
    /// The end of what was changed.
    change: &'static str,
    pub(super) why: &'static str,
}

impl Exception {
    pub(super) fn covers(&self, story: &Story, cell: &Cell) -> bool {
        (self.alerts.is_empty() || self.alerts.contains(&story.alert))
            && cell.change.ends_with(self.change)
    }
}

const NOTHING_TO_READ: &str = "what the rule reads is gone: nothing can be said, and \
     LinkLocalCounterMissing, CoreDNSMissing or TelemetryStale says that";
const TWO_NAMES: &str = "a pod that is scraped under two instances is two pods: floors are half, \
     and sums are double";
const IT_IS_REPORTED: &str =
    "the counter, or all telemetry, is gone: that is what the rule reports";
const ALL_CLUSTERS: &str = "LinkLocalCounterAbsent is about all clusters of a workspace together";
const NO_JOIN: &str = "what has no label `cluster` cannot be joined with what has one";
const NO_NODE: &str = "what has no label `node` is named by its address, and cannot be joined with \
     what has one";

const fn of(alerts: &'static [&'static str], change: &'static str, why: &'static str) -> Exception {
    Exception {
        alerts,
        change,
        why,
    }
}

pub(super) const EXCEPTIONS: &[Exception] = &[
    of(&[], "node_net_ethtool: removed", NOTHING_TO_READ),
    of(&[], "coredns_dns_responses_total: removed", NOTHING_TO_READ),
    of(
        &[],
        "coredns_dns_request_duration_seconds: removed",
        NOTHING_TO_READ,
    ),
    of(
        &[],
        "coredns_forward_healthcheck_broken_total: removed",
        NOTHING_TO_READ,
    ),
    of(
        &["CoreDNSUpstreamServfail"],
        "coredns_proxy_request_duration_seconds: removed",
        NOTHING_TO_READ,
    ),
    of(&[], "coredns_panics_total: removed", NOTHING_TO_READ),
    of(
        &[],
        "coredns_forward_max_concurrent_rejects_total: removed",
        NOTHING_TO_READ,
    ),
    of(&[], "coredns_reload_failed_total: removed", NOTHING_TO_READ),
    of(&[], "coredns_plugin_enabled: removed", NOTHING_TO_READ),
    of(
        &[],
        "coredns_nodecache_setup_errors_total: removed",
        NOTHING_TO_READ,
    ),
    of(&[], "up: removed", NOTHING_TO_READ),
    of(
        &[],
        "coredns_dns_responses_total: another instance of the node",
        TWO_NAMES,
    ),
    of(
        &[],
        "coredns_dns_request_duration_seconds: another instance of the node",
        TWO_NAMES,
    ),
    of(
        &[],
        "coredns_proxy_request_duration_seconds: another instance of the node",
        TWO_NAMES,
    ),
    of(
        &[],
        "coredns_forward_healthcheck_broken_total: another instance of the node",
        TWO_NAMES,
    ),
    of(
        &["CoreDNSUpstreamDown"],
        "coredns_proxy_conn_cache_misses_total: another instance of the node",
        TWO_NAMES,
    ),
    of(
        &["CoreDNSTooFew"],
        "coredns_plugin_enabled: another instance of the node",
        TWO_NAMES,
    ),
    of(
        &["LinkLocalCounterMissing"],
        "node_net_ethtool: ends",
        IT_IS_REPORTED,
    ),
    of(
        &["LinkLocalCounterVanished"],
        "node_net_ethtool: ends",
        IT_IS_REPORTED,
    ),
    of(&["TelemetryStale"], "up: ends", IT_IS_REPORTED),
    of(
        &["LinkLocalCounterAbsent"],
        "a second cluster that is well",
        ALL_CLUSTERS,
    ),
    of(
        &["DNSThrottlingConfirmed", "NodeLocalDNSThrottlingConfirmed"],
        ": without cluster",
        NO_JOIN,
    ),
    of(
        &["CoreDNSUpstreamDown", "CoreDNSMissing"],
        ": without cluster",
        NO_JOIN,
    ),
    of(
        &[
            "LinkLocalCounterMissing",
            "LinkLocalCounterVanished",
            "ExporterMissing",
        ],
        ": without cluster",
        NO_JOIN,
    ),
    of(
        &[
            "NodeLocalDNSThrottlingConfirmed",
            "LinkLocalCounterMissing",
            "ExporterMissing",
        ],
        ": without node",
        NO_NODE,
    ),
    of(&["ExporterMissing"], "as the CloudWatch agent", NO_NODE),
    of(
        &["ExporterMissing"],
        "as the CloudWatch agent on one",
        NO_NODE,
    ),
];
