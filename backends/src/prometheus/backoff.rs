//! When a failed attempt is repeated.

use std::time::{Duration, SystemTime};

use reqwest::header::{HeaderMap, RETRY_AFTER};

/// Exponential back-off with jitter.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    /// The longest wait after the first failure; it doubles with each one.
    pub initial: Duration,
    /// The longest wait at all, unless the server asks for more with `Retry-After`.
    pub max: Duration,
    /// The most attempts at one question; at least one is made.
    pub attempts: u32,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            initial: Duration::from_millis(500),
            max: Duration::from_secs(8),
            attempts: 5,
        }
    }
}

impl Backoff {
    /// How long to wait after `failed` attempts, or `None` if there is to be no other or it would
    /// not begin within `left`.
    ///
    /// Half of the wait is fixed and half of it is `jitter`'s, which lies in 0 to 1: so runs that
    /// were throttled together do not come back together. `at_least` is what the server asked for.
    pub(super) fn wait(
        &self,
        failed: u32,
        at_least: Option<Duration>,
        jitter: f64,
        left: Duration,
    ) -> Option<Duration> {
        if failed >= self.attempts {
            return None;
        }
        let doubled = 1u32
            .checked_shl(failed.saturating_sub(1))
            .unwrap_or(u32::MAX);
        let longest = self.initial.saturating_mul(doubled).min(self.max);
        let half = longest / 2;
        // Anything else would make mul_f64 panic.
        let jitter = if (0.0..=1.0).contains(&jitter) {
            jitter
        } else {
            1.0
        };
        let wait = half
            .saturating_add(half.mul_f64(jitter))
            .max(at_least.unwrap_or_default());
        (wait < left).then_some(wait)
    }
}

/// What `Retry-After` asks for: seconds, or a date (RFC 9110, section 10.2.3).
pub(super) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(text).ok()?;
    let until: SystemTime = date.timestamp().into();
    Some(until.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff = Backoff {
        initial: Duration::from_millis(100),
        max: Duration::from_millis(1000),
        attempts: 40,
    };

    #[track_caller]
    fn check(failed: u32, at_least: Option<u64>, jitter: f64, left: u64, expected: Option<u64>) {
        let wait = BACKOFF.wait(
            failed,
            at_least.map(Duration::from_millis),
            jitter,
            Duration::from_millis(left),
        );
        assert_eq!(wait, expected.map(Duration::from_millis), "after {failed}");
    }

    #[test]
    fn doubles_up_to_a_bound_and_stays_within_the_time_left() {
        check(1, None, 0.0, 9999, Some(50));
        check(1, None, 1.0, 9999, Some(100));
        check(2, None, 0.5, 9999, Some(150));
        check(4, None, 1.0, 9999, Some(800));
        check(5, None, 1.0, 9999, Some(1000));
        check(39, None, 1.0, 9999, Some(1000));
        check(40, None, 1.0, 9999, None);
        check(1, None, 1.0, 100, None);
        check(1, None, 1.0, 101, Some(100));
        check(1, Some(3000), 1.0, 9999, Some(3000));
        check(1, Some(60), 1.0, 9999, Some(100));
        check(1, Some(30_000), 0.0, 9999, None);
        check(1, None, f64::NAN, 0, None);
    }

    #[test]
    fn reads_both_forms_of_retry_after() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        for (text, expected) in [
            ("0", Some(0)),
            (" 120 ", Some(120)),
            ("Sun, 06 Nov 1994 08:49:47 GMT", Some(10)),
            ("Sun, 06 Nov 1994 08:49:07 GMT", Some(0)),
            ("-1", None),
            ("soon", None),
            ("99999999999999999999999", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, text.parse().unwrap());
            let found = retry_after(&headers, now);
            assert_eq!(found, expected.map(Duration::from_secs), "{text}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }
}
