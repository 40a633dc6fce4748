//! A network interface and its allowances: link-local packets, and the
//! instance's tracked connections.

/// Packets per second that one network interface may send to link-local
/// services (the VPC's resolver, IMDS, NTP). A quota of the VPC that cannot be
/// raised (Amazon VPC User Guide, "Amazon DNS server", DNS quotas).
pub const LINK_LOCAL_PACKETS_PER_SECOND: u64 = 1024;

/// One ENA interface of a node.
#[derive(Clone, Debug)]
pub struct Eni {
    /// Position of its node in the topology.
    pub node: usize,
    /// The device's name, such as `ens5`.
    pub device: String,
    /// Whether it is the node's first interface, by which the node's own
    /// link-local traffic leaves.
    pub primary: bool,
    /// Link-local packets that were to be sent since the start.
    pub offered: u64,
    /// Those of them that the allowance let through.
    pub passed: u64,
    /// Those that were dropped: the driver's `linklocal_allowance_exceeded`.
    pub dropped: u64,
    /// Connections that the instance can still track.
    pub conntrack_available: u64,
    /// Packets of connections that it could not track any more.
    pub conntrack_exceeded: u64,
}

/// Connections that an instance can track.
pub const CONNTRACK_ALLOWANCE: u64 = 113_094;
/// Of so many connections beyond the allowance one sends a packet each second.
const REFUSED_RETRY_SECONDS: u64 = 10;

impl Eni {
    /// Tracks `connections` for a second, or as many as it may.
    pub fn track(&mut self, connections: u64) {
        self.conntrack_available = CONNTRACK_ALLOWANCE.saturating_sub(connections);
        let refused = connections.saturating_sub(CONNTRACK_ALLOWANCE);
        self.conntrack_exceeded += refused.div_ceil(REFUSED_RETRY_SECONDS);
    }

    /// Sends one second's packets, given as the sizes of the flows that share
    /// this interface, and returns how many of each flow got through.
    pub fn send(&mut self, flows: &[u64]) -> Vec<u64> {
        let passed = admit(flows, LINK_LOCAL_PACKETS_PER_SECOND);
        let offered: u64 = flows.iter().sum();
        let through: u64 = passed.iter().sum();
        self.offered += offered;
        self.passed += through;
        self.dropped += offered - through;
        passed
    }
}

/// Shares `allowance` among `flows` in proportion to their sizes, whole packets
/// only: everything passes where it fits, else exactly `allowance` packets do.
/// What rounding leaves goes to the largest fractions, the earlier flow first.
pub fn admit(flows: &[u64], allowance: u64) -> Vec<u64> {
    let total: u64 = flows.iter().sum();
    if total <= allowance {
        return flows.to_vec();
    }
    let mut passed: Vec<u64> = flows.iter().map(|size| size * allowance / total).collect();
    let left = allowance - passed.iter().sum::<u64>();
    let mut by_fraction: Vec<(u64, &mut u64)> = flows
        .iter()
        .map(|size| size * allowance % total)
        .zip(passed.iter_mut())
        .collect();
    by_fraction.sort_by_key(|(fraction, _)| std::cmp::Reverse(*fraction));
    for ((_, flow), _) in by_fraction.into_iter().zip(0..left) {
        *flow += 1;
    }
    passed
}
