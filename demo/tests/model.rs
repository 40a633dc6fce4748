//! The model's laws, under any load on any small cluster, read off the pages
//! that a Prometheus would scrape as well as off the model itself.

#![cfg(test)]

use std::collections::BTreeMap;

use dnswatch_demo::cluster::{Cluster, TopologyError};
use dnswatch_demo::coredns::CoreDns;
use dnswatch_demo::eni::{LINK_LOCAL_PACKETS_PER_SECOND, admit};
use dnswatch_demo::pages::Target;
use dnswatch_demo::scenario::{ALWAYS, Load, NodeSpec, PodSpec, Scenario, Topology};
use dnswatch_demo::simulation::Simulation;
use proptest::prelude::*;

fn load() -> impl Strategy<Value = Load> {
    // From idle to far beyond what an interface may send.
    (
        0u32..3000,
        0u32..3000,
        0u32..=3,
        0u32..=1,
        0u32..=100,
        0u32..2000,
    )
        .prop_map(
            |(
                service_lookups,
                external_lookups,
                cluster_suffixes,
                vpc_suffixes,
                cached_percent,
                node_packets,
            )| Load {
                service_lookups,
                external_lookups,
                cluster_suffixes,
                vpc_suffixes,
                cached_percent,
                node_packets,
                ..Load::default()
            },
        )
}

/// Two nodes with two devices each, and pods on some of the devices.
fn topology() -> impl Strategy<Value = Topology> {
    prop::collection::vec((0usize..2, 0usize..2), 0..5).prop_map(|pods| Topology {
        cluster: "test".to_owned(),
        nodes: ["a", "b"]
            .map(|name| NodeSpec {
                name: name.to_owned(),
                ip: format!("10.0.0.{name}"),
                devices: vec!["ens5".to_owned(), "ens6".to_owned()],
                lives: ALWAYS,
            })
            .to_vec(),
        pods: pods
            .into_iter()
            .enumerate()
            .map(|(number, (node, device))| PodSpec {
                name: format!("coredns-{number}"),
                ip: format!("10.0.0.{number}"),
                node: ["a", "b"][node].to_owned(),
                device: ["ens5", "ens6"][device].to_owned(),
                lives: ALWAYS,
            })
            .collect(),
    })
}

/// The samples of all pages that must never fall.
fn counters(cluster: &Cluster) -> BTreeMap<String, f64> {
    let nodes = cluster.nodes().iter().map(|node| Target::Node(&node.name));
    let pods = cluster.pods().iter().map(|pod| Target::Pod(&pod.spec.name));
    let mut samples = BTreeMap::new();
    for target in nodes.chain(pods) {
        let page = target.page(cluster).expect("a page for each target");
        let mut counts = false;
        for line in page.lines() {
            if let Some(family) = line.strip_prefix("# TYPE ") {
                counts = !family.ends_with(" gauge");
            } else if !line.starts_with('#') && (counts || line.contains("_exceeded\"")) {
                let (series, value) = line.rsplit_once(' ').expect("a series and a value");
                let value = value.parse().expect("a number");
                let again = samples.insert(format!("{} {series}", target.path()), value);
                assert!(
                    again.is_none(),
                    "{series} stands twice on {}",
                    target.path()
                );
            }
        }
    }
    samples
}

#[track_caller]
fn check_pod(pod: &CoreDns) {
    let counted = &pod.counters;
    assert_eq!(
        counted.requests(),
        counted.responses() + counted.in_flight,
        "every query is answered or waits"
    );
    assert_eq!(
        counted.request_duration.count(),
        counted.responses(),
        "every answer took its time"
    );
    assert_eq!(
        counted.upstream_noerror.count() + counted.upstream_nxdomain.count(),
        counted.upstream_sent - counted.upstream_dropped,
        "the upstream's histogram knows of no query that was dropped"
    );
    assert!(counted.healthcheck_failures <= counted.healthchecks);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn packets_are_conserved_and_dropped_only_beyond_the_allowance(
        topology in topology(),
        loads in prop::collection::vec(load(), 1..12),
    ) {
        let mut cluster = Cluster::new(topology).expect("a sound topology");
        let mut seen = counters(&cluster);
        for load in loads {
            let before = cluster.clone();
            let second = cluster.second(&load);

            for (eni, was) in cluster.enis().iter().zip(before.enis()) {
                let (offered, passed, dropped) =
                    (eni.offered - was.offered, eni.passed - was.passed, eni.dropped - was.dropped);
                prop_assert_eq!(offered, passed + dropped);
                prop_assert_eq!(passed, offered.min(LINK_LOCAL_PACKETS_PER_SECOND));
            }

            let offered: u64 = cluster.enis().iter().map(|eni| eni.offered).sum();
            let by_pods: u64 = cluster
                .pods()
                .iter()
                .map(|pod| pod.counters.upstream_sent + pod.counters.healthchecks)
                .sum();
            let by_nodes = cluster.enis().iter().filter(|eni| eni.primary).count() as u64;
            let earlier: u64 = before.enis().iter().map(|eni| eni.offered).sum();
            let earlier_pods: u64 = before
                .pods()
                .iter()
                .map(|pod| pod.counters.upstream_sent + pod.counters.healthchecks)
                .sum();
            prop_assert_eq!(
                offered - earlier,
                by_pods - earlier_pods + by_nodes * u64::from(load.node_packets),
                "every packet has a sender"
            );

            cluster.pods().iter().for_each(check_pod);

            let now = counters(&cluster);
            for (series, was) in &seen {
                prop_assert!(now.get(series) >= Some(was), "{} fell or vanished", series);
            }
            seen = now;
            prop_assert!(second.servfails <= second.responses);
        }
    }

    #[test]
    fn the_allowance_is_shared_in_proportion(flows in prop::collection::vec(0u64..5000, 0..8), allowance in 0u64..3000) {
        let passed = admit(&flows, allowance);
        let total: u64 = flows.iter().sum();
        prop_assert_eq!(passed.len(), flows.len());
        prop_assert_eq!(passed.iter().sum::<u64>(), total.min(allowance));
        for (size, through) in flows.iter().zip(&passed) {
            prop_assert!(through <= size);
            let fair = if total <= allowance { *size } else { size * allowance / total };
            prop_assert!(*through == fair || *through == fair + 1);
        }
    }
}

#[test]
fn a_storm_looks_as_throttling_does_on_eks() {
    let mut simulation = Simulation::new(Scenario::dns_storm()).expect("a sound scenario");
    let dropped = |simulation: &Simulation| -> Vec<u64> {
        simulation
            .cluster()
            .enis()
            .iter()
            .map(|eni| eni.dropped)
            .collect()
    };

    simulation.step(std::time::Duration::from_secs(25));
    assert_eq!(
        dropped(&simulation),
        [0; 5],
        "nothing is dropped in quiet times"
    );

    simulation.step(std::time::Duration::from_secs(60));
    let after_storm = dropped(&simulation);
    let crowded: u64 = after_storm[0];
    assert!(
        crowded > 60_000,
        "the interface of two pods dropped {crowded}"
    );
    assert_eq!(after_storm[1..], [0; 4], "no other interface is touched");
    let [first, second, alone] = simulation.cluster().pods() else {
        panic!("three pods");
    };
    for pod in [first, second] {
        assert!(
            pod.counters.servfail > 10_000,
            "{} SERVFAILs",
            pod.counters.servfail
        );
        assert!(pod.counters.healthcheck_failures > 0);
        let slow = pod
            .counters
            .request_duration
            .cumulative()
            .find(|(bound, _)| *bound == 1_024_000)
            .map(|(_, quick)| pod.counters.request_duration.count() - quick);
        assert!(slow >= Some(pod.counters.servfail), "no SERVFAIL is quick");
        let upstream = pod
            .counters
            .upstream_noerror
            .cumulative()
            .find(|(bound, _)| *bound == 2_000);
        assert_eq!(
            upstream.map(|(_, quick)| quick),
            Some(pod.counters.upstream_noerror.count()),
            "and yet the upstream looks quick"
        );
    }
    assert_eq!(alone.counters.servfail, 0);

    // What still waits is answered, and then all is as before.
    simulation.step(std::time::Duration::from_secs(15));
    let settled = dropped(&simulation);
    simulation.step(std::time::Duration::from_secs(60));
    assert_eq!(dropped(&simulation), settled);
    assert!(simulation.recent().servfails == 0 && simulation.recent().responses > 0);
}

#[test]
fn steps_of_any_size_come_to_the_same() {
    let play = |step_millis: u64| {
        let mut simulation = Simulation::new(Scenario::dns_storm()).expect("a sound scenario");
        for _ in 0..40_000 / step_millis {
            simulation.step(std::time::Duration::from_millis(step_millis));
        }
        counters(simulation.cluster())
    };
    assert_eq!(play(40_000), play(250));
    assert_eq!(play(40_000), play(1_600));
}

#[test]
fn a_pod_must_be_somewhere() {
    let mut topology = Scenario::dns_storm().topology;
    topology.pods[1].device = "eth0".to_owned();
    let error = Cluster::new(topology).err();
    assert_eq!(
        error,
        Some(TopologyError::NoSuchDevice {
            pod: "coredns-7f9c6d8b5d-9wzlp".to_owned(),
            node: "ip-10-0-1-11.ec2.internal".to_owned(),
            device: "eth0".to_owned(),
        })
    );
}

/// What a real CoreDNS did for a minute (docs/incident.md, without its cache of failures), by lookups
/// a second: packets sent to the resolver, those of them dropped, queries, and those answered SERVFAIL.
const MEASURED: [(u32, [f64; 4]); 3] = [
    (1200, [123_102.0, 58_513.0, 87_791.0, 23_294.0]),
    (1500, [203_541.0, 137_878.0, 126_382.0, 60_822.0]),
    (2000, [303_460.0, 236_596.0, 182_497.0, 115_772.0]),
];

/// The model is near it: what it sends by a quarter, the shares by a tenth of all.
#[test]
fn the_model_is_near_what_was_measured() {
    for (rate, [sent, dropped, queries, servfails]) in MEASURED {
        let mut topology = Scenario::dns_storm().topology;
        topology.nodes.truncate(1);
        topology.pods.truncate(1);
        let mut cluster = Cluster::new(topology).expect("a sound topology");
        // One query a lookup: the model asks for two addresses of a name.
        let storm = Load {
            external_lookups: rate / 2,
            ..Load::default()
        };
        for second in 0..75 {
            cluster.second(&if second < 60 { storm } else { Load::default() });
        }
        let ([eni, ..], [pod]) = (cluster.enis(), cluster.pods()) else {
            panic!("an interface and a pod");
        };
        let counters = &pod.counters;
        let times = eni.offered as f64 / sent;
        assert!((0.75..1.25).contains(&times), "{rate}: sent {times} times");
        for (what, modelled, measured) in [
            (
                "dropped",
                eni.dropped as f64 / eni.offered as f64,
                dropped / sent,
            ),
            (
                "SERVFAIL",
                counters.servfail as f64 / counters.requests() as f64,
                servfails / queries,
            ),
        ] {
            assert!(
                (modelled - measured).abs() < 0.1,
                "{rate}: {what}: {modelled}, measured {measured}"
            );
        }
    }
}
