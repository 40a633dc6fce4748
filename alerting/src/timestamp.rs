//! A moment, in milliseconds since the Unix epoch: the resolution that Prometheus stores and
//! evaluates with.

use std::fmt;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

/// Milliseconds since the Unix epoch, in UTC.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The moment `millis` milliseconds after (before, if negative) the epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// The moment `seconds` seconds after (before, if negative) the epoch.
    pub const fn from_secs(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// Milliseconds since the epoch.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Seconds since the epoch, with milliseconds as the fraction: what Prometheus's HTTP API
    /// takes as `time`, `start` and `end`.
    pub fn as_secs_f64(self) -> f64 {
        #[expect(
            clippy::cast_precision_loss,
            reason = "exact below 2^53 ms, some 285,000 years"
        )]
        let millis = self.0 as f64;
        millis / 1000.0
    }

    /// How long after `earlier` this is; zero if it is not after it.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// This moment, `by` later; at the end of time at the latest.
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(millis(by)))
    }

    /// This moment, `by` earlier; at the beginning of time at the earliest.
    #[must_use]
    pub fn minus(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(millis(by)))
    }

    /// The latest multiple of `interval` since the epoch that is not after this moment.
    ///
    /// `interval` below a millisecond counts as one.
    #[must_use]
    pub fn align_down(self, interval: Duration) -> Self {
        let step = millis(interval).max(1);
        Self(self.0.div_euclid(step).saturating_mul(step))
    }
}

/// To the millisecond; a moment before the epoch counts as the epoch.
impl From<SystemTime> for Timestamp {
    fn from(at: SystemTime) -> Self {
        let since_epoch = at
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        Self(millis(since_epoch))
    }
}

/// Whole milliseconds of a duration, as far as an `i64` reaches.
fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// RFC 3339, in any time zone, to the millisecond.
impl std::str::FromStr for Timestamp {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let at = text.parse::<jiff::Timestamp>();
        at.map(|at| Self(at.as_millisecond()))
            .map_err(|error| error.to_string())
    }
}

/// RFC 3339 in UTC, with a fraction only where there is one: `2026-11-23T06:13:14Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(moment) => write!(f, "{moment}"),
            Err(_) => write!(f, "{} ms since the epoch", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aligns_to_multiples_since_the_epoch_before_and_after_it() {
        let minute = Duration::from_secs(60);
        assert_eq!(
            Timestamp::from_secs(119).align_down(minute),
            Timestamp::from_secs(60)
        );
        assert_eq!(
            Timestamp::from_secs(120).align_down(minute),
            Timestamp::from_secs(120)
        );
        assert_eq!(
            Timestamp::from_secs(-1).align_down(minute),
            Timestamp::from_secs(-60)
        );
    }

    #[test]
    fn shows_itself_as_rfc_3339() {
        assert_eq!(
            Timestamp::from_millis(1_700_000_000_123).to_string(),
            "2023-11-14T22:13:20.123Z"
        );
        assert_eq!(Timestamp::from_secs(0).to_string(), "1970-01-01T00:00:00Z");
    }
}
