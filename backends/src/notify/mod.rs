//! Where notifications are published.

mod sns;
pub mod subscriptions;
mod terminal;

use alerting::notify::Outgoing;

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
    /// published all the same; then it comes again with the same id.
    fn publish(&self, outgoing: &Outgoing<'_>) -> impl Future<Output = Result<(), PublishError>>;
}
