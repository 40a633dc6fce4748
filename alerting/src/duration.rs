//! Durations as Prometheus writes them: `1h30m`, `5m`, `90s`, `1d`, `0`.
//!
//! The rules are those of `ParseDuration` in prometheus/common, `model/time.go`: units in
//! descending order, each at most once, no sign, no fraction.

use std::time::Duration;

/// The units, largest first, with their length in milliseconds. A year is 365 days.
const UNITS: [(&str, u64); 7] = [
    ("y", 365 * 24 * 60 * 60 * 1000),
    ("w", 7 * 24 * 60 * 60 * 1000),
    ("d", 24 * 60 * 60 * 1000),
    ("h", 60 * 60 * 1000),
    ("m", 60 * 1000),
    ("s", 1000),
    ("ms", 1),
];

/// Why a text is no duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// The text is empty.
    #[error("empty duration: write for example `5m`")]
    Empty,
    /// The text does not have the form.
    #[error("not a valid duration: {0:?}: write for example `30s`, `5m` or `1h30m`")]
    Invalid(String),
    /// The duration does not fit Go's 64-bit nanoseconds, some 292 years.
    #[error("duration out of range: {0:?}")]
    OutOfRange(String),
}

/// Reads a duration.
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    if text.is_empty() {
        return Err(DurationError::Empty);
    }
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let invalid = || DurationError::Invalid(text.to_owned());
    let out_of_range = || DurationError::OutOfRange(text.to_owned());
    let mut units = UNITS.iter();
    let mut total: u64 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit())
            .ok_or_else(invalid)?;
        let (number, tail) = rest.split_at(digits);
        let unit_end = tail
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        let (_, length) = units.find(|(name, _)| *name == unit).ok_or_else(invalid)?;
        if number.is_empty() {
            return Err(invalid());
        }
        let number: u64 = number.parse().map_err(|_| out_of_range())?;
        total = number
            .checked_mul(*length)
            .and_then(|part| total.checked_add(part))
            .filter(|sum| *sum <= u64::MAX / 2 / 1_000_000)
            .ok_or_else(out_of_range)?;
        rest = tail;
    }
    Ok(Duration::from_millis(total))
}

/// Writes a duration the way Prometheus does: `5m`, `1h30m`, `0s`.
pub fn format(duration: Duration) -> String {
    let mut rest = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if rest == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (unit, length) in UNITS {
        // As in Prometheus: years, weeks and days only where they divide what is left.
        let coarse = matches!(unit, "y" | "w" | "d");
        if rest >= length && (!coarse || rest.is_multiple_of(length)) {
            text.push_str(&format!("{}{unit}", rest / length));
            rest %= length;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_prometheus_reads() {
        for (text, millis) in [
            ("0", 0),
            ("0s", 0),
            ("324ms", 324),
            ("5m", 300_000),
            ("1h30m", 5_400_000),
            ("1d", 86_400_000),
            ("3w2d1h", 1_990_800_000),
            ("1y", 31_536_000_000),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn refuses_what_prometheus_refuses() {
        for text in [
            "",
            "1",
            "1.5m",
            "-5m",
            "1m1h",
            "m",
            "5m ",
            "5M",
            "1s1s",
            "300y",
            "99999999999999999999s",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn writes_what_prometheus_writes() {
        for text in [
            "0s", "324ms", "5m", "1h30m", "1d", "2w", "25h", "1y", "90m1ms",
        ] {
            let written = format(parse(text).expect(text));
            assert_eq!(parse(&written), parse(text), "{text} became {written}");
        }
        assert_eq!(format(Duration::from_secs(90)), "1m30s");
        assert_eq!(format(Duration::from_secs(25 * 3600)), "25h");
        assert_eq!(format(Duration::from_secs(24 * 3600)), "1d");
    }
}
