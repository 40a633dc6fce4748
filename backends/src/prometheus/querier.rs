//! The client as a run asks it: deadlines by the run's clock.

use alerting::query::{Answer, Ask, QueryFailure};
use alerting::timestamp::Timestamp;
use tokio::time::Instant;

use super::Client;
use crate::clock::Clock;
use crate::run::Querier;

/// A [`Client`] whose deadlines are told by `C`.
#[derive(Debug, Clone)]
pub struct PrometheusQuerier<C> {
    client: Client,
    clock: C,
}

impl<C: Clock> PrometheusQuerier<C> {
    /// Asks `client`; `clock` is the run's.
    pub fn new(client: Client, clock: C) -> Self {
        Self { client, clock }
    }

    /// The client.
    pub fn client(&self) -> &Client {
        &self.client
    }
}

impl<C: Clock> Querier for PrometheusQuerier<C> {
    async fn query(&self, ask: &Ask, deadline: Timestamp) -> Result<Answer, QueryFailure> {
        let left = deadline.since(self.clock.now());
        self.client.query(ask, Instant::now() + left).await
    }
}
