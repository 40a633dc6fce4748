//! When samples were taken, and how late they came.

use std::time::Duration;

use alerting::labels::Labels;
use alerting::query::Series;
use alerting::timestamp::Timestamp;

use super::questions::{Look, RESOLUTION};

/// The times of one series' samples.
#[derive(Debug, Clone)]
pub(super) struct Times {
    /// Its labels, without the metric's name.
    pub(super) labels: Labels,
    /// In order, each once.
    pub(super) times: Vec<Timestamp>,
    /// Whether the series still is there when it is asked for; else it has ended.
    pub(super) is_live: bool,
}

impl Times {
    /// Reads the answer to `timestamp(…)` over a range that ends at `now`.
    pub(super) fn read(series: &Series, now: Timestamp) -> Self {
        let mut times: Vec<Timestamp> = series
            .samples
            .iter()
            .filter_map(|sample| moment(sample.value))
            .collect();
        times.dedup();
        let last_seen = series.samples.last().map(|sample| sample.at);
        Self {
            labels: series.labels.clone(),
            times,
            is_live: last_seen.is_some_and(|at| now.since(at) < RESOLUTION),
        }
    }

    /// How old the newest sample is.
    pub(super) fn age(&self, now: Timestamp) -> Option<Duration> {
        self.times.last().map(|newest| now.since(*newest))
    }

    /// The usual time from one sample to the next; none of fewer than two.
    pub(super) fn interval(&self) -> Option<Duration> {
        median(self.gaps().collect())
    }

    /// Whether two collectors seem to write this one series: a short and a long gap in turn, the
    /// sum of two always the same, as of two regular scrapes out of step.
    pub(super) fn alternates(&self) -> bool {
        let gaps: Vec<f64> = self.gaps().map(|gap| gap.as_secs_f64()).collect();
        if gaps.len() < 6 {
            return false;
        }
        let pairs: Vec<(f64, f64)> = gaps
            .iter()
            .zip(gaps.iter().skip(1))
            .map(|(first, second)| (*first, *second))
            .collect();
        let Some(period) = median(
            pairs
                .iter()
                .map(|(first, second)| Duration::from_secs_f64(first + second))
                .collect(),
        )
        .map(|period| period.as_secs_f64()) else {
            return false;
        };
        pairs.iter().all(|(first, second)| {
            (first + second - period).abs() < period * 0.1 && (first - second).abs() > period * 0.2
        })
    }

    fn gaps(&self) -> impl Iterator<Item = Duration> {
        self.times
            .iter()
            .zip(self.times.iter().skip(1))
            .map(|(earlier, later)| later.since(*earlier))
    }
}

/// How late samples come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lateness {
    /// They come no sooner after they were taken.
    pub(super) at_least: Duration,
    /// What is old enough to have come, as far as was seen.
    pub(super) at_most: Duration,
}

/// How late the samples of `all` come. Of one look this is known within a scrape interval: a
/// sample that should have been taken since the newest has not come yet. Further looks see samples
/// come.
pub(super) fn lateness(all: &[Times], now: Timestamp, looks: &[Look]) -> Option<Lateness> {
    let live: Vec<&Times> = all.iter().filter(|times| times.is_live).collect();
    let age = median(live.iter().filter_map(|times| times.age(now)).collect())?;
    let interval = median(live.iter().filter_map(|times| times.interval()).collect())?;
    let first = Lateness {
        at_least: age.saturating_sub(interval),
        at_most: age,
    };
    let mut seen = Vec::new();
    for times in live {
        let Some(mut newest) = times.times.last().copied() else {
            continue;
        };
        let mut before = now;
        for look in looks {
            let next = look
                .newest
                .iter()
                .find(|series| series.labels == times.labels)
                .and_then(|series| series.samples.last())
                .and_then(|sample| moment(sample.value));
            if let Some(next) = next.filter(|next| *next > newest) {
                seen.push(Lateness {
                    at_least: before.since(next),
                    at_most: look.at.since(next),
                });
                newest = next;
            }
            before = look.at;
        }
    }
    Some(seen.into_iter().fold(first, |all, one| Lateness {
        at_least: all.at_least.max(one.at_least),
        at_most: all.at_most.max(one.at_most),
    }))
}

/// The middle one; of an even number the earlier of the two.
pub(super) fn median(mut all: Vec<Duration>) -> Option<Duration> {
    all.sort_unstable();
    all.get(all.len().saturating_sub(1) / 2).copied()
}

/// A sample's value as a moment.
fn moment(seconds: f64) -> Option<Timestamp> {
    let millis = (seconds * 1000.0).round();
    (millis.abs() < 9_007_199_254_740_992.0).then(|| {
        #[expect(clippy::cast_possible_truncation, reason = "whole, and checked above")]
        let millis = millis as i64;
        Timestamp::from_millis(millis)
    })
}

#[cfg(test)]
mod tests {
    use alerting::query::Sample;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_secs(1_700_000_000 + seconds)
    }

    fn times(seconds: &[i64]) -> Times {
        Times {
            labels: Labels::default(),
            times: seconds.iter().map(|second| at(*second)).collect(),
            is_live: true,
        }
    }

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn two_regular_scrapes_in_one_series_are_recognised() {
        let turns = [0, 4, 15, 19, 30, 34, 45, 49, 60];
        assert!(times(&turns).alternates());
        assert!(!times(&[0, 15, 30, 45, 60, 75, 90, 105]).alternates());
        // A scrape that was missed, and a collector that restarted.
        assert!(!times(&[0, 15, 30, 60, 75, 90, 105]).alternates());
        assert!(!times(&[0, 15, 30, 45, 52, 67, 82, 97]).alternates());
        // Too few samples to decide.
        assert!(!times(&[0, 4, 15, 19]).alternates());
    }

    #[test]
    fn further_looks_make_lateness_exact() {
        let taken = times(&[0, 15, 30]);
        let one = lateness(std::slice::from_ref(&taken), at(40), &[]);
        let lateness_of = |at_least, at_most| {
            Some(Lateness {
                at_least: secs(at_least),
                at_most: secs(at_most),
            })
        };
        assert_eq!(one, lateness_of(0, 10));
        // The sample of second 45 is not there at second 90, and is at second 95.
        let look = |now, newest: i64| Look {
            at: at(now),
            newest: vec![Series {
                labels: Labels::default(),
                samples: vec![Sample {
                    at: at(now),
                    value: at(newest).as_secs_f64(),
                }],
            }],
        };
        let looks = [look(85, 30), look(90, 30), look(95, 45)];
        assert_eq!(lateness(&[taken], at(80), &looks), lateness_of(45, 50));
    }
}
