//! What is asked of the workspace. A few questions whose size grows with the number of nodes, not
//! with that of their metrics.

use std::collections::BTreeMap;
use std::time::Duration;

use alerting::query::{Ask, At, Series};
use alerting::timestamp::Timestamp;

/// The window in which sample times are examined. With Prometheus's look-back, the first of them
/// may be as long before it again.
pub(super) const SPAN: Duration = Duration::from_secs(300);
/// Samples that are closer to each other than this look like one.
pub(super) const RESOLUTION: Duration = Duration::from_secs(2);

/// The link-local counter by the names of all exporters that the rules know (rules/link-local.yml); only
/// ours has a `type`.
macro_rules! link_local {
    () => {
        "{__name__=~\"node_net_ethtool|((node_)?ethtool_)?linklocal_allowance_exceeded\",\
         type=~\"linklocal_allowance_exceeded|\"}"
    };
}

/// One question. The order is the order in which they are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Question {
    /// The link-local counters and their values.
    Counters,
    /// When each of them has samples.
    CounterTimes,
    /// Those that fell again and again.
    CounterResets,
    /// Other counters of network interfaces.
    Allowances,
    /// All statistics of network interfaces, by name and type.
    Statistics,
    /// Names that a counter has behind a collector that appends `_total`.
    Renamed,
    /// What CoreDNS says that it is.
    CoreDns,
    /// When it says so.
    CoreDnsTimes,
    /// CoreDNS by what it counts, whatever its version.
    CoreDnsQueries,
    /// Whether targets with the exporters' and CoreDNS's ports answer.
    Targets,
    /// The nodes that kube-state-metrics knows.
    Nodes,
    /// Whether there is anything at all.
    Anything,
}

impl Question {
    /// All of them.
    pub(super) const ALL: [Self; 12] = [
        Self::Counters,
        Self::CounterTimes,
        Self::CounterResets,
        Self::Allowances,
        Self::Statistics,
        Self::Renamed,
        Self::CoreDns,
        Self::CoreDnsTimes,
        Self::CoreDnsQueries,
        Self::Targets,
        Self::Nodes,
        Self::Anything,
    ];

    /// The question, asked `now`.
    pub(super) fn ask(self, now: Timestamp) -> Ask {
        let expr = match self {
            Self::Counters => link_local!(),
            Self::CounterTimes => concat!("timestamp(", link_local!(), ")"),
            Self::CounterResets => concat!("resets(", link_local!(), "[10m]) >= 3"),
            Self::Allowances => {
                "group by (cluster, node, instance, device) \
                 ({__name__=~\"node_net_ethtool|node_ethtool_.+_allowance_exceeded\",\
                 type=~\".+_allowance_exceeded|\"})"
            }
            Self::Statistics => {
                "count by (__name__, type) ({__name__=~\"node_net_ethtool|(node_)?ethtool_.+\",\
                 __name__!~\"ethtool_exporter_.+\"})"
            }
            Self::Renamed => {
                "count by (__name__) \
                 ({__name__=~\"node_net_ethtool_total|node_ethtool_.+_allowance_exceeded_total\"})"
            }
            Self::CoreDns => "coredns_build_info",
            Self::CoreDnsTimes => "timestamp(coredns_build_info)",
            Self::CoreDnsQueries => {
                "group by (cluster, node, kubernetes_node, instance) \
                 ({__name__=~\"coredns_dns_requests_total|coredns_dns_request_count_total\"})"
            }
            Self::Targets => "up{instance=~\".+:(9417|9100|9153)\"}",
            Self::Nodes => {
                "group by (cluster, node) \
                 (kube_node_info{os_image!~\"Windows.*\",provider_id!~\"eks-hybrid:.*\"})"
            }
            Self::Anything => "count(up)",
        };
        let at = match self {
            Self::CounterTimes | Self::CoreDnsTimes => At::Range {
                start: now.minus(SPAN),
                end: now,
                step: RESOLUTION,
            },
            _ => At::Instant(now),
        };
        Ask {
            expr: expr.to_owned(),
            at,
        }
    }
}

/// The newest samples' times as they were seen at one moment.
#[derive(Debug, Clone)]
pub(super) struct Look {
    /// When they were asked for.
    pub(super) at: Timestamp,
    /// The value is the time in seconds.
    pub(super) newest: Vec<Series>,
}

impl Look {
    /// The question of a look.
    pub(super) fn ask(now: Timestamp) -> Ask {
        Ask {
            at: At::Instant(now),
            ..Question::CounterTimes.ask(now)
        }
    }
}

/// All that the judgement is made of.
#[derive(Debug, Clone)]
pub(super) struct Answers {
    /// When the questions were asked.
    pub(super) now: Timestamp,
    /// What came back.
    pub(super) series: BTreeMap<Question, Vec<Series>>,
    /// Further looks at the counters, each later than `now` and the one before.
    pub(super) looks: Vec<Look>,
    /// The labels that the server adds to what it sends elsewhere, and never to its own series; None
    /// where the server does not show its configuration.
    pub(super) external_labels: Option<BTreeMap<String, String>>,
    /// Whether the user says that the clusters are EKS Auto Mode's, which have no CoreDNS pods.
    pub(super) auto_mode: bool,
}

impl Answers {
    /// What came back to `question`.
    pub(super) fn to(&self, question: Question) -> &[Series] {
        self.series.get(&question).map_or(&[], Vec::as_slice)
    }
}
