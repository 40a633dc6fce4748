//! A scenario played on a cluster.

use std::collections::VecDeque;
use std::time::Duration;

use crate::cluster::{Cluster, Second, TopologyError};
use crate::scenario::{Phase, Scenario};

/// How many seconds [`Simulation::recent`] looks back: longer than the waves in
/// which queries that were dropped together come again.
const RECENT: usize = 5;

/// A cluster, the scenario that it goes through, and how far it has come.
#[derive(Clone, Debug)]
pub struct Simulation {
    cluster: Cluster,
    scenario: Scenario,
    elapsed: Duration,
    lived: u64,
    recent: VecDeque<Second>,
}

impl Simulation {
    /// The scenario's first moment.
    ///
    /// # Errors
    /// Where the scenario's topology contradicts itself.
    pub fn new(scenario: Scenario) -> Result<Self, TopologyError> {
        Ok(Self {
            cluster: Cluster::new(scenario.topology.clone())?,
            scenario,
            elapsed: Duration::ZERO,
            lived: 0,
            recent: VecDeque::new(),
        })
    }

    /// Lets `dt` pass. The model moves in whole seconds; a rest counts towards
    /// the next step.
    pub fn step(&mut self, dt: Duration) {
        self.elapsed += dt;
        while self.lived < self.elapsed.as_secs() {
            let load = self
                .scenario
                .phase_at(self.lived)
                .map(|phase| phase.load)
                .unwrap_or_default();
            self.recent.push_back(self.cluster.second(&load));
            if self.recent.len() > RECENT {
                self.recent.pop_front();
            }
            self.lived += 1;
        }
    }

    /// The cluster as it is now.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// What a second brought of late, on average.
    pub fn recent(&self) -> Second {
        let mean = |field: fn(&Second) -> u64| {
            let sum: u64 = self.recent.iter().map(field).sum();
            sum.checked_div(self.recent.len() as u64).unwrap_or(0)
        };
        Second {
            busiest_offered: mean(|second| second.busiest_offered),
            dropped: mean(|second| second.dropped),
            responses: mean(|second| second.responses),
            servfails: mean(|second| second.servfails),
        }
    }

    /// The phase in force.
    pub fn phase(&self) -> Option<&Phase> {
        self.scenario.phase_at(self.lived)
    }

    /// How many seconds have been lived through.
    pub fn lived(&self) -> u64 {
        self.lived
    }
}
