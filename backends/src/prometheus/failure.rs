//! One attempt that failed, and what follows from it.

use std::time::Duration;

use alerting::query::FailureKind;
use alerting::server::ServerTrouble;

/// Why one attempt brought no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    /// What it means for the ticks that wait for the answer.
    pub(super) kind: FailureKind,
    /// Whether to ask again in this run.
    pub(super) repeat: Repeat,
    /// What happened, as far as it is our own words or has gone through
    /// [`one_line`](crate::line::one_line).
    pub(super) message: String,
    /// What it says of the server, and whether any query would have failed like this.
    pub(super) server: Option<(ServerTrouble, bool)>,
}

/// Whether the same request is sent again soon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    /// It would end the same way, or make matters worse.
    No,
    /// After the back-off, and not before this time, if the server gave one.
    Yes(Option<Duration>),
}

impl Failure {
    /// Perhaps the next attempt is answered.
    pub(super) fn passing(message: impl Into<String>) -> Self {
        Self {
            kind: FailureKind::Transient,
            repeat: Repeat::Yes(None),
            message: message.into(),
            server: Some((ServerTrouble::Failing, false)),
        }
    }

    /// Not the expression's fault, and not to be asked again in this run.
    pub(super) fn lasting(message: impl Into<String>) -> Self {
        Self {
            kind: FailureKind::Transient,
            repeat: Repeat::No,
            message: message.into(),
            server: Some((ServerTrouble::Failing, false)),
        }
    }

    /// This question gets no answer, now or later.
    pub(super) fn refused(message: impl Into<String>) -> Self {
        Self {
            kind: FailureKind::Refused,
            repeat: Repeat::No,
            message: message.into(),
            server: None,
        }
    }

    /// The same, by `trouble`, which any query meets.
    pub(super) fn of_server(self, trouble: ServerTrouble) -> Self {
        Self {
            server: Some((trouble, true)),
            ..self
        }
    }

    /// The same, by `trouble`, which other queries may not meet.
    pub(super) fn perhaps(self, trouble: ServerTrouble) -> Self {
        Self {
            server: Some((trouble, false)),
            ..self
        }
    }
}
