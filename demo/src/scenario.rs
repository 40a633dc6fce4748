//! What happens in a demonstration, as data.

use std::ops::Range;

/// The life of a node or pod that is there from the first second to the last.
pub const ALWAYS: Range<u64> = 0..u64::MAX;

/// A cluster and what it goes through.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// A short name.
    pub name: String,
    /// The nodes and CoreDNS pods.
    pub topology: Topology,
    /// One after the other; the last one never ends.
    pub phases: Vec<Phase>,
}

/// A stretch of time with one load.
#[derive(Clone, Debug)]
pub struct Phase {
    /// What to call it while it lasts.
    pub name: String,
    /// How long it lasts.
    pub seconds: u64,
    /// What is asked of the cluster meanwhile.
    pub load: Load,
}

/// What workloads and nodes ask for, per second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Lookups of Service names in the whole cluster. CoreDNS answers them.
    pub service_lookups: u32,
    /// Lookups of names outside the cluster, in the whole cluster.
    pub external_lookups: u32,
    /// Suffixes of the pods' search path that lie in `cluster.local`, tried
    /// before an external name itself: 3 with Kubernetes' `ndots:5`, 0 for a
    /// name with a trailing dot.
    pub cluster_suffixes: u32,
    /// Suffixes of the search path that only the VPC's resolver can refuse: 1
    /// with the VPC's own domain, such as `ec2.internal`.
    pub vpc_suffixes: u32,
    /// How many in a hundred of the queries that would leave CoreDNS its cache
    /// answers.
    pub cached_percent: u32,
    /// Link-local packets that each node itself sends (IMDS, NTP).
    pub node_packets: u32,
    /// Lookups, in the whole cluster, of names that the upstream answers with
    /// SERVFAIL: one workload with a name whose own servers are broken.
    pub broken_lookups: u32,
    /// Whether the upstream answers nothing at all.
    pub upstream_down: bool,
    /// What one node does beyond that.
    pub busy_node: BusyNode,
}

/// A node that does more than its peers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BusyNode {
    /// Its position in the topology.
    pub node: usize,
    /// Link-local packets a second that a pod on it sends by the node's first
    /// interface: one that asks IMDS again and again.
    pub packets: u32,
    /// Connections that it tracks.
    pub connections: u64,
}

/// The nodes and CoreDNS pods of a cluster.
#[derive(Clone, Debug)]
pub struct Topology {
    /// The value of the `cluster` label.
    pub cluster: String,
    /// The nodes.
    pub nodes: Vec<NodeSpec>,
    /// The CoreDNS pods.
    pub pods: Vec<PodSpec>,
}

/// A node and its network interfaces, the primary one first.
#[derive(Clone, Debug)]
pub struct NodeSpec {
    /// The node's name in Kubernetes.
    pub name: String,
    /// Its address, part of the exporter's `instance`.
    pub ip: String,
    /// Device names.
    pub devices: Vec<String>,
    /// The seconds in which it is there.
    pub lives: Range<u64>,
}

/// A CoreDNS pod and the interface that its packets leave by.
#[derive(Clone, Debug)]
pub struct PodSpec {
    /// The pod's name.
    pub name: String,
    /// Its address, part of its `instance`.
    pub ip: String,
    /// The name of the node that it runs on.
    pub node: String,
    /// The node's device whose address range the pod's address is from.
    pub device: String,
    /// The seconds in which it runs.
    pub lives: Range<u64>,
}

impl Scenario {
    /// The phase in force after `second` whole seconds; `None` where there is no
    /// phase at all.
    pub fn phase_at(&self, second: u64) -> Option<&Phase> {
        let mut end = 0;
        let current = self.phases.iter().find(|phase| {
            end += phase.seconds;
            second < end
        });
        current.or(self.phases.last())
    }

    /// The show of `make demo`: two of three CoreDNS pods share one interface;
    /// a job that looks up many external names comes and goes. Each pod sends
    /// less than an interface may, but the two together more.
    pub fn dns_storm() -> Self {
        let quiet = Load {
            service_lookups: 600,
            external_lookups: 60,
            cluster_suffixes: 3,
            vpc_suffixes: 1,
            cached_percent: 80,
            node_packets: 5,
            ..Load::default()
        };
        let storm = Load {
            external_lookups: 1500,
            cached_percent: 60,
            ..quiet
        };
        let phase = |name: &str, seconds, load| Phase {
            name: name.to_owned(),
            seconds,
            load,
        };
        Self {
            name: "dns-storm".to_owned(),
            topology: Topology {
                cluster: "demo".to_owned(),
                nodes: vec![
                    node(11, &["ens5", "ens6"]),
                    node(12, &["ens5", "ens6"]),
                    node(13, &["ens5"]),
                ],
                pods: vec![
                    pod("coredns-7f9c6d8b5d-4kq2x", 11, 40, "ens5"),
                    pod("coredns-7f9c6d8b5d-9wzlp", 11, 41, "ens5"),
                    pod("coredns-7f9c6d8b5d-hx7mt", 12, 70, "ens6"),
                ],
            },
            phases: vec![
                phase("quiet", 25, quiet),
                phase("DNS storm", 60, storm),
                phase("quiet again", 0, quiet),
            ],
        }
    }
}

/// A node with this host part in its address.
pub(crate) fn node(host: u8, devices: &[&str]) -> NodeSpec {
    NodeSpec {
        name: node_name(host),
        ip: format!("10.0.1.{host}"),
        devices: devices.iter().map(|&device| device.to_owned()).collect(),
        lives: ALWAYS,
    }
}

/// A pod with this host part in its address.
pub(crate) fn pod(name: &str, node: u8, host: u8, device: &str) -> PodSpec {
    PodSpec {
        lives: ALWAYS,
        name: name.to_owned(),
        ip: format!("10.0.1.{host}"),
        node: node_name(node),
        device: device.to_owned(),
    }
}

fn node_name(host: u8) -> String {
    format!("ip-10-0-1-{host}.ec2.internal")
}
