//! A moment as it is written on the command line.

use std::str::FromStr;
use std::time::Duration;

use alerting::duration;
use alerting::timestamp::Timestamp;

/// How a date is written.
const DATE: &str = "YYYY-MM-DD";

/// A moment, perhaps given by how long ago it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Moment {
    At(Timestamp),
    Ago(Duration),
}

impl Moment {
    /// The moment, where it is `now`.
    pub(super) fn at(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::Ago(ago) => now.minus(ago),
        }
    }
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "now" {
            return Ok(Self::Ago(Duration::ZERO));
        }
        if let Some(ago) = text.strip_prefix('-') {
            return duration::parse(ago)
                .map(Self::Ago)
                .map_err(|error| error.to_string());
        }
        // A longer text has a time of day, which a date would drop.
        if text.len() == DATE.len()
            && let Ok(date) = text.parse::<jiff::civil::Date>()
            && let Ok(day) = date.to_zoned(jiff::tz::TimeZone::UTC)
        {
            return Ok(Self::At(Timestamp::from_millis(
                day.timestamp().as_millisecond(),
            )));
        }
        if let Ok(ago) = duration::parse(text)
            && text.ends_with(|unit: char| unit.is_ascii_alphabetic())
        {
            return Ok(Self::Ago(ago));
        }
        if let Ok(seconds) = text.parse::<f64>()
            && let Ok(moment) = jiff::SignedDuration::try_from_secs_f64(seconds)
            && let Ok(millis) = i64::try_from(moment.as_millis())
        {
            return Ok(Self::At(Timestamp::from_millis(millis)));
        }
        text.parse::<jiff::Timestamp>()
            .map(|at| Self::At(Timestamp::from_millis(at.as_millisecond())))
            .map_err(|_| {
                "write it as 2026-11-23, 2026-11-23T06:00:00Z, Unix seconds, or 30d (that long ago)"
                    .to_owned()
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected_millis: Option<i64>) {
        let now = Timestamp::from_secs(1_000_000);
        let at = text.parse::<Moment>().map(|moment| moment.at(now));
        assert_eq!(at.ok().map(Timestamp::as_millis), expected_millis, "{text}");
    }

    #[test]
    fn a_moment_has_five_forms() {
        check("now", Some(1_000_000_000));
        check("-1h30m", Some(994_600_000));
        check("1700000000", Some(1_700_000_000_000));
        check("1700000000.5", Some(1_700_000_000_500));
        check("2023-11-14T22:13:20Z", Some(1_700_000_000_000));
        check("2023-11-14", Some(1_699_920_000_000));
        check("1h30m", Some(994_600_000));
        check("2023-11-14T23:13:20+01:00", Some(1_700_000_000_000));
        for text in ["", "-", "-30", "NaN", "1e300", "yesterday", "2023-11-32"] {
            check(text, None);
        }
    }
}
