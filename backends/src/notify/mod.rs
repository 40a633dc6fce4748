//! Where notifications are published.

mod queues;
mod sns;
pub mod subscriptions;
mod terminal;

use std::time::Duration;

use alerting::notify::{Found, Outgoing, SnsConfig};

pub use sns::{SnsNotifier, SnsOptions};
pub use terminal::Terminal;

/// A notification was not published, or it is not known whether it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// It may work later: the next run tries again.
    #[error("{0}")]
    Transient(String),
    /// It is refused, and will be again.
    #[error("{0}")]
    Refused(String),
}

/// A channel that notifications go out by.
pub trait Notifier {
    /// Publishes one notification. After a [`PublishError::Transient`] it may have been
    /// published all the same; then it is published again with the same id.
    fn publish(&self, outgoing: &Outgoing<'_>) -> impl Future<Output = Result<(), PublishError>>;

    /// Looks up who receives what is published to these topics, within so much time: what is not
    /// known by then is unknown. Nothing where the channel has no subscribers.
    fn subscribers(
        &self,
        _topics: &[&SnsConfig],
        _within: Duration,
    ) -> impl Future<Output = Vec<Found>> {
        async { Vec::new() }
    }
}
