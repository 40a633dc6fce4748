//! What a server says the time is: the `Date` header of its answers, the witness of this host's
//! clock.

use std::sync::{Arc, Mutex, PoisonError};

use alerting::timestamp::Timestamp;
use reqwest::header::{AGE, DATE, HeaderMap};

/// What is left out of a `Date`: it has whole seconds, and no fraction.
const RESOLUTION_MS: i64 = 999;

/// One answer's `Date`, and when this host asked and got it, by its own clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerTime {
    /// The `Date`, which has whole seconds.
    pub date: Timestamp,
    /// When the request was sent.
    pub asked_at: Timestamp,
    /// When the answer's head was there.
    pub answered_at: Timestamp,
}

impl ServerTime {
    /// The time that a header of an answer says (RFC 9110, section 6.6.1), if it says one.
    ///
    /// An answer with an `Age` comes from a cache, which kept the `Date` of long ago: it is no
    /// witness. Nor is one with two dates, or with one that cannot be read.
    pub fn from_headers(
        headers: &HeaderMap,
        asked_at: Timestamp,
        answered_at: Timestamp,
    ) -> Option<Self> {
        if headers.contains_key(AGE) {
            return None;
        }
        let mut dates = headers.get_all(DATE).iter();
        let (date, None) = (dates.next()?, dates.next()) else {
            return None;
        };
        Self::from_date(date.to_str().ok()?, asked_at, answered_at)
    }

    /// The time that a `Date` says, if it can be read.
    fn from_date(date: &str, asked_at: Timestamp, answered_at: Timestamp) -> Option<Self> {
        // HTTP's times are always GMT; a zone of its own would be a proxy's invention.
        let date = date.trim();
        if !date.ends_with(" GMT") {
            return None;
        }
        let date = jiff::fmt::rfc2822::parse(date).ok()?.timestamp();
        Some(Self {
            date: Timestamp::from_millis(date.as_millisecond()),
            asked_at,
            answered_at,
        })
    }

    /// How far the server is ahead of this host's clock for certain, in milliseconds (behind it, if
    /// negative); 0 where the answer may have been made between `asked_at` and `answered_at`.
    /// `began` is the moment that the run takes for its time, which the answer must not be before
    /// either: a clock that was set during the run is right now, and was not then.
    pub fn offset_ms(&self, began: Timestamp) -> i64 {
        let date = self.date.as_millis();
        let earliest = self.asked_at.max(began).as_millis();
        let latest = date.saturating_add(RESOLUTION_MS);
        if latest < earliest {
            latest.saturating_sub(earliest)
        } else {
            date.saturating_sub(self.answered_at.as_millis()).max(0)
        }
    }
}

/// The time of the last answer. Its clones share it.
#[derive(Debug, Clone, Default)]
pub struct LastAnswer(Arc<Mutex<Option<ServerTime>>>);

impl LastAnswer {
    /// Keeps an answer's time, if it has one.
    pub fn note(&self, time: Option<ServerTime>) {
        if let Some(time) = time {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(time);
        }
    }

    /// The last answer's time since it was last taken.
    pub fn take(&self) -> Option<ServerTime> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATE_S: i64 = 784_111_777;

    fn seconds(seconds: i64) -> Timestamp {
        Timestamp::from_secs(seconds)
    }

    #[track_caller]
    fn check_headers(headers: &[(&'static str, &str)], is_witness: bool) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().expect("a value"));
        }
        let found = ServerTime::from_headers(&map, seconds(1), seconds(2));
        let expected = is_witness.then(|| ServerTime {
            date: seconds(DATE_S),
            asked_at: seconds(1),
            answered_at: seconds(2),
        });
        assert_eq!(found, expected, "{headers:?}");
    }

    #[test]
    fn only_a_fresh_date_that_can_be_read_is_a_witness() {
        let date = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");
        check_headers(&[date], true);
        check_headers(&[], false);
        check_headers(&[date, date], false);
        check_headers(&[date, ("age", "600")], false);
        check_headers(&[date, ("age", "0")], false);
        for bad in [
            "",
            "0",
            "yesterday",
            "Sun, 06 Nov 1994 08:49:37 +0200",
            "Sun, 06 Nov 1994 08:49:37",
            "Mon, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun, 06 Nov 19941994 08:49:37 GMT",
        ] {
            check_headers(&[("date", bad)], false);
        }
    }

    #[track_caller]
    fn check_offset(began: i64, asked: i64, answered: i64, expected_ms: i64) {
        let time = ServerTime {
            date: seconds(1000),
            asked_at: seconds(asked),
            answered_at: seconds(answered),
        };
        assert_eq!(time.offset_ms(seconds(began)), expected_ms);
    }

    #[test]
    fn an_answer_is_made_between_request_and_arrival() {
        check_offset(990, 999, 1000, 0);
        check_offset(990, 1000, 1000, 0);
        // A slow answer says nothing of the time that it took.
        check_offset(990, 970, 1030, 0);
        check_offset(990, 1001, 1002, -1);
        check_offset(990, 1601, 1602, -600_001);
        check_offset(390, 399, 400, 600_000);
        // The clock was ten minutes ahead when the run began, and has been set since.
        check_offset(1600, 1000, 1000, -599_001);
    }
}
