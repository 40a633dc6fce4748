//! When a rule is evaluated: the multiples of its group's interval since the epoch.

use std::time::Duration;

use crate::timestamp::Timestamp;

/// The ticks of a rule that are due, oldest first, and those that are too old to be evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DueTicks {
    /// The first due tick.
    pub(crate) first: Timestamp,
    /// The last due tick; not before `first`.
    pub(crate) last: Timestamp,
    /// From tick to tick.
    pub(crate) interval: Duration,
    /// The ticks before `first` that are skipped for being older than the bound: first and last.
    pub(crate) skipped: Option<(Timestamp, Timestamp)>,
}

impl DueTicks {
    /// The ticks `t` with `evaluated_until < t <= now` that are not older than `max_catch_up`;
    /// or `None`.
    pub(crate) fn between(
        evaluated_until: Timestamp,
        now: Timestamp,
        interval: Duration,
        max_catch_up: Duration,
    ) -> Option<Self> {
        let last = now.align_down(interval);
        let next = evaluated_until.align_down(interval).plus(interval);
        if next > last {
            return None;
        }
        // The newest tick is always within reach, however small the bound.
        let oldest = now.minus(max_catch_up);
        let mut first = oldest.align_down(interval);
        if first < oldest {
            first = first.plus(interval);
        }
        let first = first.min(last).max(next);
        Some(Self {
            first,
            last,
            interval,
            skipped: (next < first).then(|| (next, first.minus(interval))),
        })
    }

    /// The same, but at most the `count` oldest ticks.
    #[must_use]
    pub(crate) fn at_most(self, count: u32) -> Self {
        let count = count.max(1);
        let last = self.first.plus(self.interval.saturating_mul(count - 1));
        Self {
            last: self.last.min(last),
            ..self
        }
    }

    /// The ticks, oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Timestamp> {
        let (last, interval) = (self.last, self.interval);
        std::iter::successors(Some(self.first), move |tick| Some(tick.plus(interval)))
            .take_while(move |tick| *tick <= last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// First and last due tick, and first and last skipped one, in seconds.
    type Expected = Option<(i64, i64, Option<(i64, i64)>)>;

    #[track_caller]
    fn check(evaluated_until: i64, now: i64, expected: Expected) {
        let seconds = |s: i64| Timestamp::from_secs(s);
        let due = DueTicks::between(
            seconds(evaluated_until),
            seconds(now),
            Duration::from_secs(15),
            Duration::from_secs(60),
        );
        assert_eq!(
            due.map(|due| (due.first, due.last, due.skipped)),
            expected.map(|(first, last, skipped)| (
                seconds(first),
                seconds(last),
                skipped.map(|(from, to)| (seconds(from), seconds(to)))
            ))
        );
    }

    #[test]
    fn due_are_the_multiples_after_the_cursor_up_to_now() {
        check(30, 44, None);
        check(30, 45, Some((45, 45, None)));
        check(30, 89, Some((45, 75, None)));
        // A cursor between two ticks, as after a change of the interval.
        check(31, 89, Some((45, 75, None)));
        // A clock that went backwards.
        check(300, 100, None);
    }

    #[test]
    fn ticks_older_than_the_bound_are_skipped_and_named() {
        check(0, 120, Some((60, 120, Some((15, 45)))));
        check(0, 121, Some((75, 120, Some((15, 60)))));
    }

    #[test]
    fn a_chunk_is_the_oldest_ticks() {
        let due = DueTicks::between(
            Timestamp::from_secs(0),
            Timestamp::from_secs(100),
            Duration::from_secs(10),
            Duration::from_secs(3600),
        )
        .expect("ten ticks are due")
        .at_most(3);
        let ticks: Vec<i64> = due.iter().map(|tick| tick.as_millis() / 1000).collect();
        assert_eq!(ticks, [10, 20, 30]);
    }
}
