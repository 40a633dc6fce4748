//! Reading a moment by a layout, as Go's `time.ParseInLocation` reads it in UTC.

use super::time::{MONTHS, Time, WEEKDAYS};

/// What a layout is made of, longer parts before those that they begin with.
const CHUNKS: [&str; 34] = [
    "January",
    "Monday",
    "MST",
    "01",
    "002",
    "02",
    "03",
    "04",
    "05",
    "06",
    "15",
    "1",
    "2006",
    "2",
    "_2006",
    "_2",
    "__2",
    "3",
    "4",
    "5",
    "PM",
    "pm",
    "-070000",
    "-07:00:00",
    "-0700",
    "-07:00",
    "-07",
    "Z070000",
    "Z07:00:00",
    "Z0700",
    "Z07:00",
    "Z07",
    "Jan",
    "Mon",
];

/// What was read so far.
#[derive(Default)]
struct Parts {
    year: i64,
    month: Option<i64>,
    day: Option<i64>,
    year_day: Option<i64>,
    hour: i64,
    minute: i64,
    second: i64,
    nanos: i64,
    /// Whether PM, or AM, was read.
    is_pm: Option<bool>,
    offset: Option<i64>,
    zone: Option<String>,
}

/// The moment that `text` says by `layout`; None where it says none.
pub(super) fn parse(layout: &str, text: &str) -> Option<Time> {
    let mut parts = Parts::default();
    let (mut layout, mut text) = (layout, text);
    while let Some(c) = layout.chars().next() {
        if let Some((count, is_optional)) = fraction(layout) {
            (parts.nanos, text) = nanos(text, count, is_optional)?;
            layout = layout.get(count + 1..)?;
        } else if let Some(chunk) = chunk(layout) {
            layout = layout.get(chunk.len()..)?;
            text = parts.read(chunk, text)?;
            // A fraction may follow the second, though the layout has none.
            let is_second = matches!(chunk, "5" | "05") && fraction(layout).is_none();
            let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
            if is_second && text.starts_with(['.', ',']) {
                let count = digits(text.get(1..)?);
                if count > 0 {
                    (parts.nanos, text) = nanos(text, count, false)?;
                }
            }
        } else if c == ' ' {
            // A run of spaces is as good as another, but for the first of them.
            if !text.is_empty() && !text.starts_with(' ') {
                return None;
            }
            (layout, text) = (layout.trim_start_matches(' '), text.trim_start_matches(' '));
        } else {
            text = text.strip_prefix(c)?;
            layout = layout.get(c.len_utf8()..)?;
        }
    }
    if text.is_empty() { parts.time() } else { None }
}

fn chunk(layout: &str) -> Option<&'static str> {
    CHUNKS.into_iter().find(|chunk| {
        let next = layout.as_bytes().get(3);
        layout.starts_with(chunk)
            && !(matches!(*chunk, "Jan" | "Mon") && next.is_some_and(u8::is_ascii_lowercase))
    })
}

/// Of `.000` and `.999` how many digits, and whether they may be missing.
fn fraction(layout: &str) -> Option<(usize, bool)> {
    let run = layout.strip_prefix(['.', ','])?;
    let digit = run
        .chars()
        .next()
        .filter(|digit| matches!(digit, '0' | '9'))?;
    let count = run.len() - run.trim_start_matches(digit).len();
    let ends = !run.as_bytes().get(count).is_some_and(u8::is_ascii_digit);
    ends.then_some((count, digit == '9'))
}

/// `.123` as nanoseconds, and what follows.
fn nanos(text: &str, count: usize, is_optional: bool) -> Option<(i64, &str)> {
    let Some(run) = text.strip_prefix(['.', ',']) else {
        return is_optional.then_some((0, text));
    };
    let found = run.bytes().take_while(u8::is_ascii_digit).count();
    let count = match is_optional {
        true if found == 0 => return Some((0, text)),
        true => found.min(9),
        false if found < count => return None,
        false => count,
    };
    let digits = run.get(..count)?;
    let nanos = format!("{:0<9}", digits.get(..count.min(9))?)
        .parse()
        .ok()?;
    Some((nanos, run.get(count..)?))
}

/// A number of one or two digits, or of exactly two.
fn number(text: &str, is_fixed: bool) -> Option<(i64, &str)> {
    let digits = text.bytes().take(2).take_while(u8::is_ascii_digit).count();
    if digits == 0 || (is_fixed && digits < 2) {
        return None;
    }
    let (number, rest) = text.split_at_checked(digits)?;
    Some((number.parse().ok()?, rest))
}

/// A number of exactly so many digits.
fn exactly(text: &str, count: usize) -> Option<(i64, &str)> {
    let (number, rest) = text.split_at_checked(count)?;
    let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
    Some((number.parse().ok().filter(|_| is_number)?, rest))
}

/// The position of the name that the text begins with.
fn name<'a>(names: &[&str], length: Option<usize>, text: &'a str) -> Option<(usize, &'a str)> {
    names.iter().enumerate().find_map(|(at, name)| {
        let name = name.get(..length.unwrap_or(name.len()))?;
        let (found, rest) = text.split_at_checked(name.len())?;
        found.eq_ignore_ascii_case(name).then_some((at, rest))
    })
}

impl Parts {
    /// Reads what a part of the layout stands for; what follows.
    fn read<'a>(&mut self, chunk: &str, text: &'a str) -> Option<&'a str> {
        let counted = |at: usize| i64::try_from(at).map(|at| at + 1).ok();
        let rest = match chunk {
            "06" => {
                let (year, rest) = exactly(text, 2)?;
                self.year = if year >= 69 { 1900 + year } else { 2000 + year };
                rest
            }
            "2006" | "_2006" => {
                let text = match chunk {
                    "_2006" => text.strip_prefix('_')?,
                    _ => text,
                };
                let (year, rest) = exactly(text, 4)?;
                self.year = year;
                rest
            }
            "January" | "Jan" => {
                let length = (chunk == "Jan").then_some(3);
                let (at, rest) = name(&MONTHS, length, text)?;
                self.month = counted(at);
                rest
            }
            "Monday" | "Mon" => name(&WEEKDAYS, (chunk == "Mon").then_some(3), text)?.1,
            "1" | "01" => {
                let (month, rest) = number(text, chunk == "01")?;
                self.month = Some(month);
                rest
            }
            "2" | "_2" | "02" => {
                let text = match chunk {
                    "_2" => text.strip_prefix(' ').unwrap_or(text),
                    _ => text,
                };
                let (day, rest) = number(text, chunk == "02")?;
                self.day = Some(day);
                rest
            }
            "002" | "__2" => {
                let text = match chunk {
                    "__2" => text.trim_start_matches(' '),
                    _ => text,
                };
                let wanted = if chunk == "002" {
                    3
                } else {
                    text.bytes().take(3).take_while(u8::is_ascii_digit).count()
                };
                let (day, rest) = exactly(text, wanted)?;
                self.year_day = Some(day);
                rest
            }
            "15" | "3" | "03" => {
                let (hour, rest) = number(text, chunk == "03")?;
                self.hour =
                    Some(hour).filter(|hour| *hour <= if chunk == "15" { 23 } else { 12 })?;
                rest
            }
            "4" | "04" => {
                let (minute, rest) = number(text, chunk == "04")?;
                self.minute = Some(minute).filter(|minute| *minute < 60)?;
                rest
            }
            "5" | "05" => {
                let (second, rest) = number(text, chunk == "05")?;
                self.second = Some(second).filter(|second| *second < 60)?;
                rest
            }
            "PM" | "pm" => {
                let (word, rest) = text.split_at_checked(2)?;
                self.is_pm = Some(match (chunk, word) {
                    ("PM", "PM") | ("pm", "pm") => true,
                    ("PM", "AM") | ("pm", "am") => false,
                    _ => return None,
                });
                rest
            }
            "MST" => {
                let end = text.bytes().take_while(u8::is_ascii_uppercase).count();
                let (zone, rest) = text.split_at_checked(end)?;
                if !(3..=5).contains(&end) {
                    return None;
                }
                if zone == "UTC" {
                    self.offset.get_or_insert(0);
                } else {
                    self.zone = Some(zone.to_owned());
                }
                rest
            }
            offset => return self.read_offset(offset, text),
        };
        Some(rest)
    }

    fn read_offset<'a>(&mut self, chunk: &str, text: &'a str) -> Option<&'a str> {
        if chunk.starts_with('Z')
            && let Some(rest) = text.strip_prefix('Z')
        {
            self.offset = Some(0);
            return Some(rest);
        }
        let sign = match text.bytes().next()? {
            b'+' => 1,
            b'-' => -1,
            _ => return None,
        };
        let mut rest = text.get(1..)?;
        let colons = chunk.contains(':');
        let parts = (chunk.bytes().filter(u8::is_ascii_digit).count()) / 2;
        let mut seconds = 0;
        for (at, unit) in [3600, 60, 1].into_iter().take(parts).enumerate() {
            if at > 0 && colons {
                rest = rest.strip_prefix(':')?;
            }
            let (number, after) = exactly(rest, 2)?;
            if number > if at == 0 { 24 } else { 59 } {
                return None;
            }
            seconds += number * unit;
            rest = after;
        }
        self.offset = Some(sign * seconds);
        Some(rest)
    }

    fn time(self) -> Option<Time> {
        let hour = match self.is_pm {
            Some(true) if self.hour < 12 => self.hour + 12,
            Some(false) if self.hour == 12 => 0,
            _ => self.hour,
        };
        let is_leap = self.year % 4 == 0 && (self.year % 100 != 0 || self.year % 400 == 0);
        let length = |month: i64| match month {
            2 if is_leap => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        let (month, day) = match self.year_day {
            Some(of_year) => {
                let mut day = of_year;
                let mut month = 1;
                while month < 12 && day > length(month) {
                    day -= length(month);
                    month += 1;
                }
                (month, day)
            }
            None => (self.month.unwrap_or(1), self.day.unwrap_or(1)),
        };
        let is_date = (1..=12).contains(&month) && (1..=length(month)).contains(&day);
        let time = Time::from_civil(
            (self.year, month, day),
            (hour, self.minute, self.second, self.nanos),
        );
        let zone = self.zone.unwrap_or_default();
        is_date.then(|| match self.offset {
            Some(offset) => time.with_offset(offset, &zone),
            None if zone.is_empty() => time,
            // A name that the place does not know is one of its own, as far from UTC as UTC.
            None => time.named(&zone),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_as_go_reads_them() {
        // Each as Go 1.27 prints it.
        for (layout, text, expected) in [
            ("2006-01-02", "2026-11-23", "2026-11-23 00:00:00 +0000 UTC"),
            (
                "2006-01-02T15:04:05Z07:00",
                "2026-11-23T06:07:08Z",
                "2026-11-23 06:07:08 +0000 UTC",
            ),
            (
                "2006-01-02T15:04:05Z07:00",
                "2026-11-23T06:07:08.5+02:00",
                "2026-11-23 06:07:08.5 +0200 +0200",
            ),
            (
                "Jan _2 3:04PM 2006",
                "feb  3 1:05PM 2024",
                "2024-02-03 13:05:00 +0000 UTC",
            ),
            ("2006 002", "2024 060", "2024-02-29 00:00:00 +0000 UTC"),
            ("06 Mon", "99 Tue", "1999-01-01 00:00:00 +0000 UTC"),
        ] {
            let read = parse(layout, text).map(|time| time.to_string());
            assert_eq!(read.as_deref(), Some(expected), "{text} by {layout}");
        }
        for (layout, text) in [
            ("2006-01-02", "2026-02-30"),
            ("2006-01-02", "2026-13-01"),
            ("2006-01-02", "2026-11-23T"),
            ("15:04", "24:00"),
            ("2006", "ü"),
            ("01", ""),
            ("MST", "ü"),
            ("-07:00", "+99:00"),
        ] {
            assert!(parse(layout, text).is_none(), "{text} by {layout}");
        }
    }
}
