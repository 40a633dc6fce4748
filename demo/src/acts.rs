//! The notifications that the demo waits for, and how long it waits.

use std::time::Duration;

use crate::subject::{self, Status};

/// The alert that the show is about.
pub const ALERT: &str = "LinkLocalThrottling";

/// How long the rule still sees drops after the last one: its window of two
/// minutes, an evaluation every 30 s and the samples' way here.
const AFTERGLOW: Duration = Duration::from_secs(165);
/// The longest that the demo may take, as README.md promises.
pub const DEADLINE: Duration = Duration::from_secs(360);

/// The longest that it may take from the deployment on, where a schedule of a
/// minute drives it.
pub const DEPLOYED_DEADLINE: Duration = Duration::from_secs(540);

/// The notifications so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Notified {
    /// Nothing about [`ALERT`].
    #[default]
    Nothing,
    /// That it fires.
    Firing,
    /// That it fires, and after that that it is resolved.
    Resolved,
}

impl Notified {
    /// Hears one line of the notifications.
    pub fn hear(&mut self, line: &str) {
        match (*self, subject::parse(line)) {
            (Self::Nothing, Some((Status::Firing, ALERT))) => *self = Self::Firing,
            (Self::Firing, Some((Status::Resolved, ALERT))) => *self = Self::Resolved,
            _ => {}
        }
    }

    /// What is still missing, for a message.
    pub fn missing(self) -> Option<&'static str> {
        match self {
            Self::Nothing => Some("neither FIRING nor RESOLVED was notified"),
            Self::Firing => Some("FIRING was notified, RESOLVED was not"),
            Self::Resolved => None,
        }
    }
}

/// How long the show should take, whose storm ends after `storm_ends`.
pub fn estimate(storm_ends: Duration) -> Duration {
    storm_ends + AFTERGLOW
}

/// The same from the deployment on: the schedule may have fired just before.
pub fn estimate_deployed(storm_ends: Duration) -> Duration {
    storm_ends + AFTERGLOW + Duration::from_secs(60)
}

#[cfg(test)]
mod tests {
    use super::Notified;

    #[track_caller]
    fn check(lines: &[&str], expected: Notified) {
        let mut notified = Notified::default();
        for line in lines {
            notified.hear(line);
        }
        assert_eq!(notified, expected, "{lines:?}");
    }

    #[test]
    fn both_must_be_notified_in_order() {
        let firing = "[FIRING:1] LinkLocalThrottling demo";
        let resolved = "[RESOLVED] LinkLocalThrottling demo";
        check(&[], Notified::Nothing);
        check(&[resolved], Notified::Nothing);
        check(&[firing, "  since 12:00"], Notified::Firing);
        check(&[firing, firing], Notified::Firing);
        check(
            &[firing, "[RESOLVED] CoreDNSServfailHigh demo"],
            Notified::Firing,
        );
        check(&[firing, resolved], Notified::Resolved);
        check(&[firing, resolved, firing], Notified::Resolved);
    }
}
