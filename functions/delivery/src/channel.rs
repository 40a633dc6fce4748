//! The [`Channel`] trait, implemented by each chat or paging service.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::envelope::Delivery;
use crate::message::Message;

/// A service that notifications are sent to.
pub trait Channel {
    /// What its items in the table begin with.
    const NAME: &'static str;

    /// Whether anything can be sent at all. It is asked before a notification is claimed.
    fn ready(&self, now: Timestamp) -> impl Future<Output = Result<(), SendError>>;

    /// Sends a notification. After an error it may have been sent all the same; then it comes
    /// again.
    fn send(
        &self,
        received: &Received<'_>,
        budget: Budget,
    ) -> impl Future<Output = Result<Sent, SendError>>;
}

/// A notification, with what is known of it beside its message.
#[derive(Debug, Clone, Copy)]
pub struct Received<'a> {
    /// How it was delivered.
    pub delivery: &'a Delivery,
    /// The message.
    pub message: &'a Message,
    /// The same for each delivery of it.
    pub id: &'a str,
    /// A later notification of the same group was sent, or begun to be.
    pub is_late: bool,
    /// What the channel noted of the group when it sent the one before.
    pub note: Option<&'a str>,
    /// Now.
    pub now: Timestamp,
}

/// A notification was sent.
#[derive(Debug, PartialEq, Eq)]
pub struct Sent {
    /// What was done, in the log's words.
    pub how: &'static str,
    /// What to note of the group.
    pub note: Note,
}

/// What becomes of the note of a group.
#[derive(Debug, PartialEq, Eq)]
pub enum Note {
    /// It stays.
    Keep,
    /// It is this from now on.
    Set(String),
}

/// A notification was not sent, or it is not known whether it was. The texts hold no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// Too much at once: nothing should be tried for so long.
    #[error("{why}")]
    RateLimited {
        /// What the service said.
        why: String,
        /// How long to wait.
        wait: Duration,
    },
    /// It may work later.
    #[error("{0}")]
    Transient(String),
    /// A retry fails until the secret, the channel or the message is fixed.
    #[error("{0}")]
    Refused(String),
}

/// The time that sending one notification may take, however many requests it makes.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    until: Instant,
}

impl Budget {
    /// How long one request may take at most.
    const REQUEST: Duration = Duration::from_secs(10);
    /// Less than this is not worth a request.
    const WORTH_IT: Duration = Duration::from_secs(1);

    /// From now on for `time`.
    pub fn new(time: Duration) -> Self {
        Self {
            until: Instant::now() + time,
        }
    }

    /// How long the next request may take.
    pub fn next(self) -> Result<Duration, SendError> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left < Self::WORTH_IT {
            return Err(SendError::Transient("the run's time is used".to_owned()));
        }
        Ok(left.min(Self::REQUEST))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_request_has_ten_seconds_at_most_and_one_at_least() {
        let budget = Budget::new(Duration::from_secs(25));
        assert_eq!(budget.next(), Ok(Duration::from_secs(10)));
        tokio::time::advance(Duration::from_secs(20)).await;
        assert_eq!(budget.next(), Ok(Duration::from_secs(5)));
        tokio::time::advance(Duration::from_millis(4001)).await;
        let late = "the run's time is used".to_owned();
        assert_eq!(budget.next(), Err(SendError::Transient(late)));
    }
}
