//! `time_intervals`, from what was typed to what runs (`timeinterval/timeinterval.go`).

use serde_saphyr::Spanned;

use super::file::{self, List, Mapping, Text, Texts};
use super::known;
use super::load::Loader;
use crate::notify::{TimeInterval, TimeIntervals, location};

const WEEKDAYS: [&str; 7] = [
    "sunday",
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
];
const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

impl Loader<'_> {
    /// The named times of the file, from both of the lists that it may have.
    pub(super) fn intervals(&mut self, lists: [List<file::NamedIntervals>; 2]) -> TimeIntervals {
        let mut all = TimeIntervals::new();
        for named in lists.into_iter().flatten().flatten() {
            let at = named.defined;
            let named = named.value.unwrap_or_default();
            self.refuse(&named.others, &known::NAMED_INTERVALS);
            let Some(name) = named.fields.name.filter(|name| !name.value.is_empty()) else {
                self.error(Some(at), "a time interval needs a `name`");
                continue;
            };
            let intervals = named.fields.time_intervals.unwrap_or_default();
            let intervals = intervals.into_iter().map(|it| self.time_interval(it.value));
            let intervals: Vec<TimeInterval> = intervals.collect();
            if all.insert(name.value.clone(), intervals).is_some() {
                self.error(
                    Some(name.defined),
                    format!("two time intervals are named {:?}", name.value),
                );
            }
        }
        all
    }

    fn time_interval(&mut self, typed: Option<Mapping<file::Interval>>) -> TimeInterval {
        let typed = typed.unwrap_or_default();
        self.refuse(&typed.others, &known::INTERVAL);
        let typed = typed.fields;
        let times = typed.times.unwrap_or_default();
        TimeInterval {
            times: times.into_iter().filter_map(|it| self.times(it)).collect(),
            weekdays: self.ranges(typed.weekdays, weekdays),
            days_of_month: self.ranges(typed.days_of_month, days_of_month),
            months: self.ranges(typed.months, months),
            years: self.ranges(typed.years, years),
            location: self.location(typed.location),
        }
    }

    fn times(&mut self, typed: Spanned<Option<Mapping<file::Times>>>) -> Option<(u16, u16)> {
        let at = Some(typed.defined);
        let typed = typed.value.unwrap_or_default();
        self.refuse(&typed.others, &known::TIMES);
        let (Some(start), Some(end)) = (typed.fields.start_time, typed.fields.end_time) else {
            self.error(at, "a time needs both `start_time` and `end_time`");
            return None;
        };
        let mut minutes = |typed: &Spanned<String>| {
            let minutes = minutes(&typed.value);
            if minutes.is_none() {
                self.error(
                    Some(typed.defined),
                    format!("{:?} is no time of day: write for example `09:30`, or `24:00` for the end of the day", typed.value),
                );
            }
            minutes
        };
        let (from, to) = (minutes(&start), minutes(&end));
        let (from, to) = (from?, to?);
        if from >= to {
            self.error(
                Some(end.defined),
                "`end_time` must be later than `start_time`: for a night write two times, up to \
                 `24:00` and from `00:00`",
            );
        }
        Some((from, to))
    }

    fn ranges<T>(
        &mut self,
        typed: Texts,
        read: impl Fn(&str, &str) -> Result<(T, T), String>,
    ) -> Vec<(T, T)> {
        let typed = typed.unwrap_or_default().into_iter();
        typed
            .filter_map(|text| {
                let lower = text.value.to_lowercase();
                let parts: Vec<&str> = lower.split(':').collect();
                let range = match *parts.as_slice() {
                    [only] => read(only, only),
                    [from, to] => read(from, to),
                    _ => Err(format!("{:?} is no range: write FROM:TO", text.value)),
                };
                range
                    .map_err(|error| self.error(Some(text.defined), error))
                    .ok()
            })
            .collect()
    }

    fn location(&mut self, typed: Text) -> Option<jiff::tz::TimeZone> {
        let typed = typed?;
        match typed.value.as_str() {
            // The clock of a Lambda function is UTC's.
            "" | "UTC" | "Local" => None,
            name => {
                let zone = location(name);
                if zone.is_none() {
                    self.error(
                        Some(typed.defined),
                        format!("{name:?} is no time zone: write for example `Europe/Berlin`"),
                    );
                }
                zone
            }
        }
    }
}

/// `09:30`, in minutes.
fn minutes(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let two = |text: &str| match text.as_bytes() {
        [a, b] if a.is_ascii_digit() && b.is_ascii_digit() => text.parse::<u16>().ok(),
        _ => None,
    };
    match (two(hours)?, two(minutes)?) {
        (24, 0) => Some(24 * 60),
        (hours @ 0..24, minutes @ 0..60) => Some(hours * 60 + minutes),
        _ => None,
    }
}

fn position<T: TryFrom<usize>>(names: &[&str], name: &str) -> Option<T> {
    let at = names.iter().position(|known| *known == name)?;
    T::try_from(at).ok()
}

fn weekdays(from: &str, to: &str) -> Result<(i8, i8), String> {
    let day = |name: &str| {
        position(&WEEKDAYS, name)
            .ok_or_else(|| format!("{name:?} is no day of the week: write for example `monday`"))
    };
    // A range that ends before it begins wraps around Saturday.
    Ok((day(from)?, day(to)?))
}

fn months(from: &str, to: &str) -> Result<(i64, i64), String> {
    let month = |name: &str| {
        let named = position::<i64>(&MONTHS, name).map(|at| at + 1);
        named
            .or_else(|| number(name).filter(|month| (1..=12).contains(month)))
            .ok_or_else(|| format!("{name:?} is no month: write for example `march` or `3`"))
    };
    ordered(month(from)?, month(to)?)
}

fn years(from: &str, to: &str) -> Result<(i64, i64), String> {
    let year = |text: &str| number(text).ok_or_else(|| format!("{text:?} is no year"));
    ordered(year(from)?, year(to)?)
}

fn days_of_month(from: &str, to: &str) -> Result<(i8, i8), String> {
    let day = |text: &str| {
        number(text)
            .and_then(|day| i8::try_from(day).ok())
            .filter(|day| *day != 0 && (-31..=31).contains(day))
            .ok_or_else(|| format!("{text:?} is no day of a month: write 1 to 31, or -1 to -31"))
    };
    let (from, to) = (day(from)?, day(to)?);
    if from < 0 && to > 0 {
        return Err("what begins with a day from the end must end with one".to_owned());
    }
    // The shortest month decides.
    let counted = |day: i8| if day < 0 { 28 + day } else { day };
    if counted(from) > counted(to) {
        return Err(format!("{from}:{to} ends before it begins"));
    }
    Ok((from, to))
}

/// As Go's `strconv.Atoi` reads it.
fn number(text: &str) -> Option<i64> {
    text.parse().ok()
}

fn ordered<T: PartialOrd + std::fmt::Display>(from: T, to: T) -> Result<(T, T), String> {
    if from > to {
        return Err("the range ends before it begins".to_owned());
    }
    Ok((from, to))
}
