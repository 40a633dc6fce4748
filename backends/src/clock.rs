//! Where a run's time comes from.

use std::time::SystemTime;

use alerting::timestamp::Timestamp;

/// A source of time: the system's, or one that a test turns by hand.
pub trait Clock {
    /// The present moment.
    fn now(&self) -> Timestamp;

    /// Whether it is this host's clock, which what servers say the time is can be compared with. One
    /// that is turned by hand is compared with nothing.
    fn is_of_host(&self) -> bool {
        false
    }
}

/// The system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::from(SystemTime::now())
    }

    fn is_of_host(&self) -> bool {
        true
    }
}
