//! `time.Time`, `time.Duration`, `time.Month` and `time.Weekday` of Go.

use std::cmp::Ordering;
use std::fmt;

pub(super) const NANOS_PER_SECOND: i64 = 1_000_000_000;
const SECONDS_PER_DAY: i64 = 86_400;

pub(super) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
pub(super) const WEEKDAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];

/// A moment, with the place whose clock shows it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Time {
    /// Since the Unix epoch.
    seconds: i64,
    /// Below a second, never negative.
    nanos: i64,
    zone: Zone,
}

/// What a clock shows beyond UTC, at one moment.
#[derive(Debug, Clone, Copy)]
struct Zone {
    /// Seconds east of UTC.
    offset: i64,
    is_dst: bool,
    /// Its name for short, filled up with zeros.
    name: [u8; 8],
}

const UTC: Zone = Zone {
    offset: 0,
    is_dst: false,
    name: *b"UTC\0\0\0\0\0",
};

/// The same moment is the same, wherever it is shown.
impl PartialEq for Time {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Time {}

impl PartialOrd for Time {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Time {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.seconds, self.nanos).cmp(&(other.seconds, other.nanos))
    }
}

/// A moment's parts on the calendar and the clock.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parts {
    pub(super) year: i64,
    /// From 1.
    pub(super) month: i64,
    pub(super) day: i64,
    pub(super) hour: i64,
    pub(super) minute: i64,
    pub(super) second: i64,
    /// From 1.
    pub(super) year_day: i64,
    /// From 0, Sunday.
    pub(super) weekday: i64,
}

/// Seconds beyond which a moment is cut off: some 100 million years.
const MAX_SECONDS: i64 = 1 << 51;

impl Time {
    fn new(seconds: i64, nanos: i64) -> Self {
        let seconds = seconds.saturating_add(nanos.div_euclid(NANOS_PER_SECOND));
        Self {
            seconds: seconds.clamp(-MAX_SECONDS, MAX_SECONDS),
            nanos: nanos.rem_euclid(NANOS_PER_SECOND),
            zone: UTC,
        }
    }

    /// The first moment of year 1, Go's zero.
    pub(super) fn zero() -> Self {
        Self::new(days_from_civil(1, 1, 1) * SECONDS_PER_DAY, 0)
    }

    /// As the clocks of a place show it.
    pub(super) fn within(self, zone: &jiff::tz::TimeZone) -> Self {
        let Ok(at) = jiff::Timestamp::from_second(self.seconds) else {
            return self;
        };
        let info = zone.to_offset_info(at);
        let mut name = [0; 8];
        for (to, from) in name.iter_mut().zip(info.abbreviation().bytes()) {
            *to = from;
        }
        let zone = Zone {
            offset: info.offset().seconds().into(),
            is_dst: info.dst().is_dst(),
            name,
        };
        Self { zone, ..self }
    }

    pub(super) fn in_utc(self) -> Self {
        Self { zone: UTC, ..self }
    }

    pub(super) fn is_dst(self) -> bool {
        self.zone.is_dst
    }

    /// The zone's name for short; one that has none is called by its offset.
    fn zone_name(self) -> String {
        let name = self.zone.name.iter().take_while(|byte| **byte != 0);
        let name: String = name.map(|byte| char::from(*byte)).collect();
        if name.is_empty() {
            return self.zone_offset("", 2);
        }
        name
    }

    /// What a clock in UTC shows as this date (year, month, day) and time (hour, minute, second,
    /// nanosecond).
    pub(super) fn from_civil(date: (i64, i64, i64), time: (i64, i64, i64, i64)) -> Self {
        let (year, month, day) = date;
        let (hour, minute, second, nanos) = time;
        let seconds = hour * 3600 + minute * 60 + second;
        Self::new(
            days_from_civil(year, month, day) * SECONDS_PER_DAY + seconds,
            nanos,
        )
    }

    /// The same on the clock, in a zone that many seconds east of UTC.
    pub(super) fn with_offset(self, offset: i64, name: &str) -> Self {
        if offset == 0 && name.is_empty() {
            return self;
        }
        let moved = Self::new(self.seconds - offset, self.nanos);
        let mut zone = moved.named(name).zone;
        zone.offset = offset;
        Self { zone, ..moved }
    }

    /// The same moment, with UTC called by another name.
    pub(super) fn named(self, name: &str) -> Self {
        let mut zone = Zone {
            name: [0; 8],
            ..UTC
        };
        for (to, from) in zone.name.iter_mut().zip(name.bytes()) {
            *to = from;
        }
        Self { zone, ..self }
    }

    /// The zone's offset, with `between` hours, minutes and as many of them as `parts` says.
    fn zone_offset(self, between: &str, parts: usize) -> String {
        let sign = if self.zone.offset < 0 { '-' } else { '+' };
        let offset = self.zone.offset.unsigned_abs();
        let shown = [offset / 3600, offset / 60 % 60, offset % 60];
        let shown = shown.iter().take(parts).map(|part| format!("{part:02}"));
        format!("{sign}{}", shown.collect::<Vec<_>>().join(between))
    }

    /// The same, or `Z` in UTC.
    fn zulu_offset(self, between: &str, parts: usize) -> String {
        match self.zone.offset {
            0 => "Z".to_owned(),
            _ => self.zone_offset(between, parts),
        }
    }

    pub(super) fn from_millis(millis: i64) -> Self {
        Self::new(millis.div_euclid(1000), millis.rem_euclid(1000) * 1_000_000)
    }

    pub(super) fn nanosecond(self) -> i64 {
        self.nanos
    }

    pub(super) fn unix(self) -> i64 {
        self.seconds
    }

    /// Seconds since the beginning of year 1.
    pub(super) fn since_year_one(self) -> i64 {
        self.seconds - days_from_civil(1, 1, 1) * SECONDS_PER_DAY
    }

    /// Units of which `per_second` are a second, wrapping as Go's do.
    pub(super) fn unix_in(self, per_second: i64) -> i64 {
        self.seconds
            .wrapping_mul(per_second)
            .wrapping_add(self.nanos / (NANOS_PER_SECOND / per_second))
    }

    pub(super) fn plus(self, nanos: i64) -> Self {
        let moved = Self::new(
            self.seconds
                .saturating_add(nanos.div_euclid(NANOS_PER_SECOND)),
            self.nanos + nanos.rem_euclid(NANOS_PER_SECOND),
        );
        Self {
            zone: self.zone,
            ..moved
        }
    }

    /// Nanoseconds since `earlier`, as far as a duration reaches.
    pub(super) fn since(self, earlier: Self) -> i64 {
        let seconds = i128::from(self.seconds) - i128::from(earlier.seconds);
        let nanos = seconds * i128::from(NANOS_PER_SECOND) + i128::from(self.nanos - earlier.nanos);
        i64::try_from(nanos.clamp(i128::from(i64::MIN), i128::from(i64::MAX))).unwrap_or_default()
    }

    /// `AddDate`: what is beyond a month or year goes over into the next.
    pub(super) fn plus_date(self, years: i64, months: i64, days: i64) -> Self {
        // Bounded far beyond any calendar, so that the sums below cannot overflow.
        let bound = |value: i64| value.clamp(-1_000_000_000, 1_000_000_000);
        let parts = self.parts();
        let month = parts.month - 1 + bound(months);
        let year = parts.year + bound(years) + month.div_euclid(12);
        let first = days_from_civil(year, month.rem_euclid(12) + 1, 1);
        let day = first + parts.day - 1 + bound(days);
        let clock = self.seconds.rem_euclid(SECONDS_PER_DAY);
        Self::new(
            day.saturating_mul(SECONDS_PER_DAY).saturating_add(clock),
            self.nanos,
        )
    }

    /// Down to a multiple of `step` nanoseconds since year 1, or with `round` to the nearest.
    pub(super) fn truncate(self, step: i64, round: bool) -> Self {
        if step <= 0 {
            return self;
        }
        let since_year_one = i128::from(self.since_year_one()) * i128::from(NANOS_PER_SECOND)
            + i128::from(self.nanos);
        let rest = i64::try_from(since_year_one.rem_euclid(i128::from(step))).unwrap_or_default();
        if round && rest >= step - rest {
            self.plus(step - rest)
        } else {
            self.plus(-rest)
        }
    }

    /// Whether this is the first moment of year 1, Go's zero.
    pub(super) fn is_zero(self) -> bool {
        self.since_year_one() == 0 && self.nanos == 0
    }

    pub(super) fn parts(self) -> Parts {
        let seconds = self.seconds + self.zone.offset;
        let days = seconds.div_euclid(SECONDS_PER_DAY);
        let clock = seconds.rem_euclid(SECONDS_PER_DAY);
        let (year, month, day) = civil_from_days(days);
        Parts {
            year,
            month,
            day,
            hour: clock / 3600,
            minute: clock / 60 % 60,
            second: clock % 60,
            year_day: days - days_from_civil(year, 1, 1) + 1,
            weekday: (days + 4).rem_euclid(7),
        }
    }

    /// `Format`: the layout written as Go's reference moment, `Mon Jan 2 15:04:05 MST 2006`.
    pub(super) fn format(self, layout: &str) -> String {
        let parts = self.parts();
        let mut text = String::with_capacity(layout.len() + 8);
        let mut rest = layout;
        while let Some(c) = rest.chars().next() {
            match self.chunk(&parts, rest) {
                Some((shown, length)) => {
                    text.push_str(&shown);
                    rest = rest.get(length..).unwrap_or("");
                }
                None => {
                    text.push(c);
                    rest = rest.get(c.len_utf8()..).unwrap_or("");
                }
            }
        }
        text
    }

    /// What the beginning of a layout stands for, and how long that beginning is.
    fn chunk(self, parts: &Parts, layout: &str) -> Option<(String, usize)> {
        let twelve = match parts.hour % 12 {
            0 => 12,
            hour => hour,
        };
        // Longer layouts before those that they begin with.
        let table: [(&str, &dyn Fn() -> String); 38] = [
            ("January", &|| month_text(parts.month)),
            ("Monday", &|| weekday_text(parts.weekday)),
            ("MST", &|| self.zone_name()),
            ("01", &|| format!("{:02}", parts.month)),
            ("002", &|| format!("{:03}", parts.year_day)),
            ("02", &|| format!("{:02}", parts.day)),
            ("03", &|| format!("{twelve:02}")),
            ("04", &|| format!("{:02}", parts.minute)),
            ("05", &|| format!("{:02}", parts.second)),
            ("06", &|| format!("{:02}", parts.year.rem_euclid(100))),
            ("15", &|| format!("{:02}", parts.hour)),
            ("1", &|| parts.month.to_string()),
            ("2006", &|| year_text(parts.year)),
            ("2", &|| parts.day.to_string()),
            ("_2006", &|| format!("_{}", year_text(parts.year))),
            ("_2", &|| format!("{:2}", parts.day)),
            ("__2", &|| format!("{:3}", parts.year_day)),
            ("3", &|| twelve.to_string()),
            ("4", &|| parts.minute.to_string()),
            ("5", &|| parts.second.to_string()),
            ("PM", &|| {
                if parts.hour >= 12 { "PM" } else { "AM" }.to_owned()
            }),
            ("pm", &|| {
                if parts.hour >= 12 { "pm" } else { "am" }.to_owned()
            }),
            ("-070000", &|| self.zone_offset("", 3)),
            ("-07:00:00", &|| self.zone_offset(":", 3)),
            ("-0700", &|| self.zone_offset("", 2)),
            ("-07:00", &|| self.zone_offset(":", 2)),
            ("-07", &|| self.zone_offset("", 1)),
            ("Z070000", &|| self.zulu_offset("", 3)),
            ("Z07:00:00", &|| self.zulu_offset(":", 3)),
            ("Z0700", &|| self.zulu_offset("", 2)),
            ("Z07:00", &|| self.zulu_offset(":", 2)),
            ("Z07", &|| self.zulu_offset("", 1)),
            // Names cut to three letters, unless a longer word only begins so.
            ("Jan", &|| short(&month_text(parts.month))),
            ("Mon", &|| short(&weekday_text(parts.weekday))),
            (".0", &String::new),
            (",0", &String::new),
            (".9", &String::new),
            (",9", &String::new),
        ];
        for (name, show) in table {
            if !layout.starts_with(name) {
                continue;
            }
            match name {
                "Jan" | "Mon" => {
                    let next = layout.as_bytes().get(3);
                    if next.is_some_and(u8::is_ascii_lowercase) {
                        continue;
                    }
                }
                ".0" | ",0" | ".9" | ",9" => return self.fraction(layout),
                _ => {}
            }
            return Some((show(), name.len()));
        }
        None
    }

    /// `.000` or `.999`: as many digits, all or without zeros at the end.
    fn fraction(self, layout: &str) -> Option<(String, usize)> {
        let digit = layout.chars().nth(1)?;
        let run = layout.get(1..)?;
        let count = run.len() - run.trim_start_matches(digit).len();
        // Only a run of one digit to the end of all digits means a fraction.
        if run
            .as_bytes()
            .get(count)
            .is_some_and(|byte| byte.is_ascii_digit())
        {
            return None;
        }
        let nanos = format!("{:09}", self.nanos);
        let mut shown = nanos.get(..count.min(9)).unwrap_or(&nanos).to_owned();
        if digit == '9' {
            shown.truncate(shown.trim_end_matches('0').len());
            if shown.is_empty() {
                return Some((String::new(), count + 1));
            }
        }
        Some((format!("{}{shown}", layout.get(..1)?), count + 1))
    }
}

/// `2015-06-23 13:19:44.128 +0000 UTC`.
impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.format("2006-01-02 15:04:05.999999999 -0700 MST"))
    }
}

fn year_text(year: i64) -> String {
    if year < 0 {
        format!("-{:04}", year.unsigned_abs())
    } else {
        format!("{year:04}")
    }
}

fn short(name: &str) -> String {
    name.get(..3).unwrap_or(name).to_owned()
}

/// `Month.String`.
pub(super) fn month_text(month: i64) -> String {
    usize::try_from(month - 1)
        .ok()
        .and_then(|at| MONTHS.get(at))
        .map_or_else(|| format!("%!Month({month})"), |name| (*name).to_owned())
}

/// `Weekday.String`.
pub(super) fn weekday_text(weekday: i64) -> String {
    usize::try_from(weekday)
        .ok()
        .and_then(|at| WEEKDAYS.get(at))
        .map_or_else(
            || format!("%!Weekday({weekday})"),
            |name| (*name).to_owned(),
        )
}

/// `Duration.String` of nanoseconds: `1h0m0.5s`, `1.5ms`, `0s`.
pub(super) fn duration_text(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let magnitude = nanos.unsigned_abs();
    let with_fraction = |unit: u64, digits: usize| {
        let rest = format!("{:0digits$}", magnitude % unit);
        let rest = rest.trim_end_matches('0');
        let point = if rest.is_empty() { "" } else { "." };
        format!("{point}{rest}")
    };
    match magnitude {
        0 => "0s".to_owned(),
        1..1_000 => format!("{sign}{magnitude}ns"),
        1_000..1_000_000 => format!("{sign}{}{}µs", magnitude / 1000, with_fraction(1000, 3)),
        1_000_000..1_000_000_000 => format!(
            "{sign}{}{}ms",
            magnitude / 1_000_000,
            with_fraction(1_000_000, 6)
        ),
        _ => {
            let seconds = magnitude / 1_000_000_000;
            let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
            let fraction = with_fraction(1_000_000_000, 9);
            let mut text = sign.to_owned();
            if hours > 0 {
                text.push_str(&format!("{hours}h"));
            }
            if seconds >= 60 {
                text.push_str(&format!("{minutes}m"));
            }
            text.push_str(&format!("{}{fraction}s", seconds % 60));
            text
        }
    }
}

/// `Duration.Truncate`, or with `round` `Duration.Round`.
pub(super) fn truncate_duration(nanos: i64, step: i64, round: bool) -> i64 {
    if step <= 0 {
        return nanos;
    }
    let rest = nanos % step;
    let down = nanos - rest;
    let away = rest.unsigned_abs().cmp(&(step - rest.abs()).unsigned_abs()) != Ordering::Less;
    if !round || !away {
        return down;
    }
    if nanos < 0 {
        down.saturating_sub(step)
    } else {
        down.saturating_add(step)
    }
}

/// Days since the epoch of a date in the Gregorian calendar, by eras of 400 years.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    // The year is made to begin in March, so that a leap day is its last.
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Year, month and day of a count of days since the epoch.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}
