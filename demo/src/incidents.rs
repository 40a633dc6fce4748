//! Eight things that happen to a cluster's DNS, each after three quiet days.

use std::ops::Range;

use crate::eni::CONNTRACK_ALLOWANCE;
use crate::scenario::{BusyNode, Load, Phase, Scenario, Topology, node, pod};

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
/// Seconds of a day.
pub const DAY: u64 = 24 * HOUR;
/// The quiet days before an incident: as long as the longest window of a rule.
pub const BEFORE: u64 = 3 * DAY;

/// A scenario, and what happens to those who watch it.
#[derive(Clone, Debug)]
pub struct Incident {
    /// What happens to the cluster.
    pub scenario: Scenario,
    /// The second at which it begins.
    pub begins: u64,
    /// The last second that is evaluated.
    pub ends: u64,
    /// When the collector sends nothing.
    pub silent: Vec<Range<u64>>,
    /// When the exporters are rolled out, one node after the other.
    pub rollouts: Vec<u64>,
    /// When a node's driver is reloaded, which resets its counters.
    pub resets: Vec<(&'static str, u64)>,
    /// When a node's driver fails to read its counters, and shows zeros.
    pub failed_readings: Vec<(&'static str, Range<u64>)>,
}

/// A job asks for many external names, each with all search suffixes. The four
/// CoreDNS pods have a node each, and all four send too much.
pub fn ndots_storm() -> Incident {
    let storm = Load {
        external_lookups: 4000,
        cached_percent: 60,
        ..quiet()
    };
    after_quiet_days(
        "ndots-storm",
        spread(),
        vec![phase("storm", 25, storm)],
        100,
    )
}

/// Two of three CoreDNS pods share an interface, which is too little for both.
pub fn two_pods_on_one_node() -> Incident {
    let storm = Load {
        external_lookups: 1500,
        cached_percent: 60,
        ..quiet()
    };
    let topology = Scenario::dns_storm().topology;
    let storm = vec![phase("storm", 25, storm)];
    after_quiet_days("two-pods-on-one-node", topology, storm, 100)
}

/// A pod on a node without CoreDNS asks IMDS for credentials in a loop.
pub fn imds_hog() -> Incident {
    let hog = Load {
        busy_node: BusyNode {
            node: 4,
            packets: 1500,
            ..BusyNode::default()
        },
        ..quiet()
    };
    after_quiet_days("imds-hog", spread(), vec![phase("hog", 20, hog)], 40)
}

/// A node's connections grow within an hour until no more can be tracked.
pub fn conntrack_exhaustion() -> Incident {
    let tracked = |connections| Load {
        busy_node: BusyNode {
            node: 4,
            connections,
            ..BusyNode::default()
        },
        ..quiet()
    };
    let mut phases: Vec<Phase> = (1..=60)
        .map(|minute| phase("more", 1, tracked(CONNTRACK_ALLOWANCE * minute / 60)))
        .collect();
    phases.push(phase("full", 20, tracked(CONNTRACK_ALLOWANCE + 500)));
    after_quiet_days("conntrack-exhaustion", spread(), phases, 120)
}

/// The upstream answers nothing for a while.
pub fn upstream_outage() -> Incident {
    let outage = Load {
        upstream_down: true,
        ..quiet()
    };
    after_quiet_days(
        "upstream-outage",
        spread(),
        vec![phase("outage", 20, outage)],
        100,
    )
}

/// The collector dies ten minutes into a storm and comes back when it is over.
pub fn collector_dies() -> Incident {
    let mut incident = two_pods_on_one_node();
    "collector-dies".clone_into(&mut incident.scenario.name);
    let begins = incident.begins;
    incident
        .silent
        .push(begins + 10 * MINUTE..begins + 40 * MINUTE);
    incident
}

/// For hours the CoreDNS pods send a little more, until one of them, whose node
/// sends something too, is just under the limit, and for moments above it. (A
/// demand that stays above it is no leak: retries make it a storm.)
pub fn slow_leak() -> Incident {
    // A lookup is 4 queries, of which the cache answers 4 in 5; a pod gets a
    // quarter of them. The node sends 35 packets: 1011, and 1045 for moments.
    let of = |name: &str, seconds, external_lookups| Phase {
        name: name.to_owned(),
        seconds,
        load: Load {
            external_lookups,
            busy_node: BusyNode {
                packets: 30,
                ..BusyNode::default()
            },
            ..quiet()
        },
    };
    let growing = (0..180).map(|minute| of("growing", MINUTE, 100 + minute * 26));
    let at_the_limit = (0..15).flat_map(|_| {
        [
            of("at the limit", MINUTE - 4, 4880),
            of("above the limit", 4, 5050),
        ]
    });
    let phases = growing.chain(at_the_limit).collect();
    after_quiet_days("slow-leak", spread(), phases, 230)
}

/// A week that must wake no one: days and nights, roll-outs of CoreDNS
/// and of the exporters, nodes that come and go, a workload with a broken name,
/// a rebooted node, failed readings, a collector that restarts.
pub fn quiet_week() -> Incident {
    let mut node_that_goes = node(14, &["ens5"]);
    node_that_goes.lives = 0..2 * DAY + 7 * HOUR;
    let mut node_that_comes = node(15, &["ens5"]);
    node_that_comes.lives = 2 * DAY + 7 * HOUR..u64::MAX;
    let first = DAY + 10 * HOUR;
    let second = 5 * DAY + 15 * HOUR;
    let pods = [
        ("coredns-5c98db65d4-2xkqf", 11, 40, 0..first),
        ("coredns-5c98db65d4-rk7zd", 12, 70, 0..first + 45),
        ("coredns-76b9f8d6c8-84jlh", 12, 71, first - 30..second),
        (
            "coredns-76b9f8d6c8-mt5vz",
            14,
            90,
            first..2 * DAY + 7 * HOUR - 30,
        ),
        (
            "coredns-76b9f8d6c8-q2w9x",
            15,
            91,
            2 * DAY + 7 * HOUR..second + 40,
        ),
        ("coredns-6f5d8c7b9f-6zr2p", 11, 42, second - 20..u64::MAX),
        ("coredns-6f5d8c7b9f-vv8ks", 12, 72, second..u64::MAX),
    ];
    let day = Load {
        external_lookups: 500,
        cached_percent: 60,
        ..quiet()
    };
    let night = Load {
        service_lookups: 60,
        external_lookups: 5,
        ..quiet()
    };
    let mut phases = Vec::new();
    for number in 0..7 {
        let broken_lookups = if number == 3 { 20 } else { 0 };
        let day = Load {
            broken_lookups,
            ..day
        };
        phases.extend([phase("night", 12 * 60, night), phase("day", 12 * 60, day)]);
    }
    Incident {
        scenario: Scenario {
            name: "quiet-week".to_owned(),
            topology: Topology {
                cluster: "demo".to_owned(),
                nodes: vec![
                    node(11, &["ens5"]),
                    node(12, &["ens5"]),
                    node_that_goes,
                    node_that_comes,
                ],
                pods: pods
                    .into_iter()
                    .map(|(name, on, host, lives)| {
                        let mut pod = pod(name, on, host, "ens5");
                        pod.lives = lives;
                        pod
                    })
                    .collect(),
            },
            phases,
        },
        begins: 0,
        ends: 7 * DAY,
        silent: vec![DAY..DAY + 100, 6 * DAY + 500..6 * DAY + 620],
        rollouts: vec![3 * DAY + 11 * HOUR],
        resets: vec![("ip-10-0-1-11.ec2.internal", 4 * DAY + 3 * HOUR)],
        failed_readings: vec![
            ("ip-10-0-1-11.ec2.internal", 4 * DAY..4 * DAY + 60),
            ("ip-10-0-1-12.ec2.internal", 5 * DAY..5 * DAY + 60),
        ],
    }
}

fn quiet() -> Load {
    Load {
        service_lookups: 600,
        external_lookups: 60,
        cluster_suffixes: 3,
        vpc_suffixes: 1,
        cached_percent: 80,
        node_packets: 5,
        ..Load::default()
    }
}

/// Five nodes, and CoreDNS on four of them.
fn spread() -> Topology {
    Topology {
        cluster: "demo".to_owned(),
        nodes: vec![
            node(11, &["ens5", "ens6"]),
            node(12, &["ens5", "ens6"]),
            node(13, &["ens5"]),
            node(14, &["ens5"]),
            node(15, &["ens5"]),
        ],
        pods: vec![
            pod("coredns-7f9c6d8b5d-4kq2x", 11, 40, "ens5"),
            pod("coredns-7f9c6d8b5d-9wzlp", 12, 70, "ens6"),
            pod("coredns-7f9c6d8b5d-hx7mt", 13, 100, "ens5"),
            pod("coredns-7f9c6d8b5d-tb2ns", 14, 130, "ens5"),
        ],
    }
}

fn phase(name: &str, minutes: u64, load: Load) -> Phase {
    Phase {
        name: name.to_owned(),
        seconds: minutes * MINUTE,
        load,
    }
}

/// The phases after quiet days, and quiet again; evaluated for `minutes`.
fn after_quiet_days(name: &str, topology: Topology, phases: Vec<Phase>, minutes: u64) -> Incident {
    let mut all = vec![phase("quiet", BEFORE / MINUTE, quiet())];
    all.extend(phases);
    all.push(phase("quiet again", 0, quiet()));
    Incident {
        scenario: Scenario {
            name: name.to_owned(),
            topology,
            phases: all,
        },
        begins: BEFORE,
        ends: BEFORE + minutes * MINUTE,
        silent: Vec::new(),
        rollouts: Vec::new(),
        resets: Vec::new(),
        failed_readings: Vec::new(),
    }
}
