//! Where notifications go: to their topics, or with `NOTIFY` off into the log.

use std::time::Duration;

use alerting::notify::{Found, Outgoing, SnsConfig};
use backends::notify::{Notifier, PublishError, SnsNotifier};
use serde_json::json;

use crate::log::{Level, Log};

/// What a run publishes by.
pub(crate) enum Channel<'a> {
    /// The topics.
    Sns(&'a SnsNotifier),
    /// The log: what would have been published is logged.
    Shadow(&'a Log),
}

impl Notifier for Channel<'_> {
    async fn publish(&self, outgoing: &Outgoing<'_>) -> Result<(), PublishError> {
        match self {
            Self::Sns(sns) => sns.publish(outgoing).await,
            Self::Shadow(log) => {
                let notification = outgoing.notification;
                let text = outgoing.text();
                log.line(
                    Level::Info,
                    "NOTIFY is off: this would have been sent",
                    json!({
                        "notification_id": notification.id,
                        "receiver": notification.receiver,
                        "integration": notification.integration,
                        "reason": notification.reason,
                        "subject": text.subject,
                        "body": text.body,
                    }),
                );
                Ok(())
            }
        }
    }

    async fn subscribers(&self, topics: &[&SnsConfig], within: Duration) -> Vec<Found> {
        match self {
            Self::Sns(sns) => sns.subscribers(topics, within).await,
            // Nothing is sent, so nothing can fail to arrive.
            Self::Shadow(_) => Vec::new(),
        }
    }
}
