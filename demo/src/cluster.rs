//! The cluster: who sends how much by which interface, second by second.

use thiserror::Error;

use crate::coredns::{Arrivals, CoreDns};
use crate::eni::{CONNTRACK_ALLOWANCE, Eni};
use crate::scenario::{Load, NodeSpec, Topology};

/// A topology that contradicts itself.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum TopologyError {
    /// A pod is placed on a node that is not there, or on a device that the
    /// node does not have.
    #[error("pod {pod} is on device {device} of node {node}, which is not in the topology")]
    NoSuchDevice {
        /// The pod.
        pod: String,
        /// The node that it names.
        node: String,
        /// The device that it names.
        device: String,
    },
}

/// What one second brought, for a line of progress.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Second {
    /// Link-local packets offered to the busiest interface.
    pub busiest_offered: u64,
    /// Packets dropped, on all interfaces.
    pub dropped: u64,
    /// Answers that CoreDNS gave, SERVFAIL included.
    pub responses: u64,
    /// Answers that were SERVFAIL.
    pub servfails: u64,
}

/// Nodes, interfaces and CoreDNS pods with all their counters.
#[derive(Clone, Debug)]
pub struct Cluster {
    name: String,
    nodes: Vec<NodeSpec>,
    enis: Vec<Eni>,
    pods: Vec<CoreDns>,
    now: u64,
}

impl Cluster {
    /// A cluster at rest, all counters zero.
    ///
    /// # Errors
    /// Where a pod names a node or device that the topology lacks.
    pub fn new(topology: Topology) -> Result<Self, TopologyError> {
        let mut enis = Vec::new();
        for (node, spec) in topology.nodes.iter().enumerate() {
            for (position, device) in spec.devices.iter().enumerate() {
                enis.push(Eni {
                    node,
                    device: device.clone(),
                    primary: position == 0,
                    offered: 0,
                    passed: 0,
                    dropped: 0,
                    conntrack_available: CONNTRACK_ALLOWANCE,
                    conntrack_exceeded: 0,
                });
            }
        }
        let mut pods = Vec::new();
        for spec in topology.pods {
            let node = topology
                .nodes
                .iter()
                .position(|node| node.name == spec.node);
            let eni = enis
                .iter()
                .position(|eni| Some(eni.node) == node && eni.device == spec.device);
            match eni {
                Some(eni) => pods.push(CoreDns::new(spec, eni)),
                None => {
                    return Err(TopologyError::NoSuchDevice {
                        pod: spec.name,
                        node: spec.node,
                        device: spec.device,
                    });
                }
            }
        }
        Ok(Self {
            name: topology.cluster,
            nodes: topology.nodes,
            enis,
            pods,
            now: 0,
        })
    }

    /// Lives through one second under `load`.
    pub fn second(&mut self, load: &Load) -> Second {
        let answered = self.answered();
        let now = self.now;
        let pods = self.living_pods().count() as u64;
        let living = |pod: &&mut CoreDns| pod.spec.lives.contains(&now);
        for (index, pod) in self.pods.iter_mut().filter(living).enumerate() {
            // The Service spreads queries evenly; the pod that got a remainder's
            // query gets none next second.
            let turn = (index as u64 + self.now) % pods;
            pod.receive(
                self.now,
                Arrivals {
                    service_lookups: share(load.service_lookups, pods, turn),
                    external_lookups: share(load.external_lookups, pods, turn),
                    broken_lookups: share(load.broken_lookups, pods, turn),
                },
                load,
            );
        }
        let mut second = Second::default();
        for (index, eni) in self.enis.iter_mut().enumerate() {
            let busy = load.busy_node;
            let is_busy = eni.node == busy.node;
            eni.track(if is_busy { busy.connections } else { 0 });
            let own = match (eni.primary, is_busy) {
                (true, true) => u64::from(load.node_packets) + u64::from(busy.packets),
                (true, false) => u64::from(load.node_packets),
                (false, _) => 0,
            };
            let mut flows = vec![own];
            let is_here = |pod: &CoreDns| pod.eni == index && pod.spec.lives.contains(&now);
            for pod in self.pods.iter().filter(|pod| is_here(pod)) {
                flows.extend(pod.flows());
            }
            let dropped = eni.dropped;
            let mut passed = eni.send(&flows).into_iter().skip(1);
            for pod in self.pods.iter_mut().filter(|pod| is_here(pod)) {
                pod.settle(now, &mut passed, load.upstream_down);
            }
            second.busiest_offered = second.busiest_offered.max(flows.iter().sum());
            second.dropped += eni.dropped - dropped;
        }
        self.now += 1;
        let answered_now = self.answered();
        second.responses = answered_now.0 - answered.0;
        second.servfails = answered_now.1 - answered.1;
        second
    }

    /// All responses and, of them, SERVFAILs since the start.
    fn answered(&self) -> (u64, u64) {
        self.pods.iter().fold((0, 0), |(all, failed), pod| {
            (
                all + pod.counters.responses(),
                failed + pod.counters.servfail + pod.counters.servfail_upstream,
            )
        })
    }

    /// The value of the `cluster` label.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The nodes that are there now.
    pub fn living_nodes(&self) -> impl Iterator<Item = &NodeSpec> {
        let now = self.now;
        self.nodes
            .iter()
            .filter(move |node| node.lives.contains(&now))
    }

    /// The CoreDNS pods that run now.
    pub fn living_pods(&self) -> impl Iterator<Item = &CoreDns> {
        let now = self.now;
        self.pods
            .iter()
            .filter(move |pod| pod.spec.lives.contains(&now))
    }

    /// The nodes.
    pub fn nodes(&self) -> &[NodeSpec] {
        &self.nodes
    }

    /// The interfaces of all nodes, in the nodes' order.
    pub fn enis(&self) -> &[Eni] {
        &self.enis
    }

    /// The CoreDNS pods.
    pub fn pods(&self) -> &[CoreDns] {
        &self.pods
    }
}

/// The part of `total` that falls to the one whose turn it is, of `parts`.
fn share(total: u32, parts: u64, turn: u64) -> u64 {
    let total = u64::from(total);
    total / parts + u64::from(turn < total % parts)
}
