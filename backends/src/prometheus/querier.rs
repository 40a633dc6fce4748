//! The client as a run asks it: deadlines by the run's clock.

use alerting::notify::{Silence, silence};
use alerting::query::{Answer, Ask, At, QueryFailure};
use alerting::timestamp::Timestamp;
use tokio::time::Instant;

use super::Client;
use crate::clock::Clock;
use crate::run::Querier;
use crate::server_time::ServerTime;

/// A [`Client`] whose deadlines come from the clock `C`.
#[derive(Debug, Clone)]
pub struct PrometheusQuerier<C> {
    client: Client,
    clock: C,
    honours_silences: bool,
}

impl<C: Clock> PrometheusQuerier<C> {
    /// Asks `client`; `clock` is the run's.
    pub fn new(client: Client, clock: C) -> Self {
        Self {
            client,
            clock,
            honours_silences: false,
        }
    }

    /// The same, which also asks for the silences of the workspace's own alert manager.
    #[must_use]
    pub fn honouring_silences(self) -> Self {
        Self {
            honours_silences: true,
            ..self
        }
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

    fn host(&self) -> String {
        self.client.host()
    }

    async fn probe(&self, now: Timestamp, deadline: Timestamp) -> Option<QueryFailure> {
        let ask = Ask {
            expr: "vector(1)".to_owned(),
            at: At::Instant(now),
        };
        self.query(&ask, deadline).await.err()
    }

    async fn silences(&self, deadline: Timestamp) -> Option<Result<Vec<Silence>, String>> {
        if !self.honours_silences {
            return None;
        }
        let left = deadline.since(self.clock.now());
        let read = self.client.silences(Instant::now() + left).await;
        Some(read.and_then(|body| body.map_or(Ok(Vec::new()), |body| silence::of_api(&body))))
    }

    fn take_server_time(&self) -> Option<ServerTime> {
        self.client.take_server_time()
    }
}
