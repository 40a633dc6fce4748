//! A series' `values`: nearly all of an answer to a range, so they are read digit by digit where they
//! are written as Prometheus writes them, `[[1760000400,"50.12"],[1760000460.5,"NaN"]]`.

use alerting::query::Sample;
use alerting::timestamp::Timestamp;

/// The most digits of which every number is a float exactly.
const EXACT_DIGITS: usize = 15;
/// The most digits of a time's seconds that are read here.
const SECONDS_DIGITS: usize = 11;

/// The samples at the beginning of `json`, and how many bytes they take; None where they are written
/// in any other way, or not as JSON is.
pub(super) fn read(json: &str) -> Option<(Vec<Sample>, usize)> {
    let mut rest = Rest(json.as_bytes());
    let mut samples = Vec::new();
    rest.take(b'[')?;
    loop {
        rest.take(b'[')?;
        let at = rest.time()?;
        rest.take(b',')?;
        rest.take(b'"')?;
        let value = rest.value()?;
        rest.take(b'"')?;
        rest.take(b']')?;
        samples.push(Sample { at, value });
        if rest.take(b',').is_none() {
            rest.take(b']')?;
            return Some((samples, json.len() - rest.0.len()));
        }
    }
}

/// What is not read yet.
struct Rest<'a>(&'a [u8]);

/// Digits as a number, and how many there are.
#[derive(Clone, Copy, Default)]
struct Digits {
    number: u64,
    count: usize,
}

impl<'a> Rest<'a> {
    /// Steps over `byte`, if it comes next.
    fn take(&mut self, byte: u8) -> Option<()> {
        let (first, rest) = self.0.split_first()?;
        (*first == byte).then(|| self.0 = rest)
    }

    /// Appends the digits that come next to `before`. They are counted right, however many.
    fn digits(&mut self, before: Digits) -> Digits {
        let Digits { mut number, count } = before;
        let all = self.0;
        while let Some((digit @ b'0'..=b'9', rest)) = self.0.split_first() {
            number = number
                .wrapping_mul(10)
                .wrapping_add(u64::from(digit - b'0'));
            self.0 = rest;
        }
        let count = count + all.len() - self.0.len();
        Digits { number, count }
    }

    /// Seconds with up to three decimals.
    fn time(&mut self) -> Option<Timestamp> {
        let starts_with_zero = self.0.first() == Some(&b'0');
        let seconds = self.digits(Digits::default());
        let most = if starts_with_zero { 1 } else { SECONDS_DIGITS };
        if !(1..=most).contains(&seconds.count) {
            return None;
        }
        let mut millis = seconds;
        if self.take(b'.').is_some() {
            millis = self.digits(seconds);
            if millis.count == seconds.count {
                return None;
            }
        }
        let missing = match millis.count - seconds.count {
            0 => 1000,
            1 => 100,
            2 => 10,
            3 => 1,
            _ => return None,
        };
        let millis = i64::try_from(millis.number.checked_mul(missing)?).ok()?;
        Some(Timestamp::from_millis(millis))
    }

    /// The float that ends before the next quotation mark.
    fn value(&mut self) -> Option<f64> {
        let text = self.0;
        if let Some(value) = self.short_value()
            && self.0.first() == Some(&b'"')
        {
            return Some(value);
        }
        let end = text.iter().position(|byte| *byte == b'"')?;
        let (text, rest) = text.split_at_checked(end)?;
        self.0 = rest;
        super::series::value(std::str::from_utf8(text).ok()?)
    }

    /// A decimal number with so few digits that a division gives the nearest float: both its sides
    /// are floats exactly.
    fn short_value(&mut self) -> Option<f64> {
        let is_negative = self.take(b'-').is_some();
        let whole = self.digits(Digits::default());
        let mut all = whole;
        if self.take(b'.').is_some() {
            all = self.digits(whole);
        }
        if whole.count == 0 || all.count > EXACT_DIGITS {
            return None;
        }
        #[expect(clippy::cast_precision_loss, reason = "EXACT_DIGITS")]
        let exact = |number: u64| number as f64;
        let decimals = u32::try_from(all.count - whole.count).ok()?;
        let value = exact(all.number) / exact(10_u64.pow(decimals));
        Some(if is_negative { -value } else { value })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_read_here_is_what_the_parser_of_floats_reads() {
        let texts = prop_oneof![
            "-?[0-9]{1,17}(\\.[0-9]{0,17})?",
            "-?[0-9]{0,3}\\.[0-9]{0,3}(e[+-]?[0-9]{1,3})?",
            any::<f64>().prop_map(|value| value.to_string()),
            "[+-]?(Inf|NaN|inf|nan|)",
        ];
        proptest!(ProptestConfig::with_cases(20_000), |(text in texts)| {
            let read = read(&format!("[[1,\"{text}\"]]"));
            let read = read.and_then(|(samples, _)| Some(samples.first()?.value.to_bits()));
            prop_assert_eq!(read, text.parse::<f64>().ok().map(f64::to_bits), "{}", text);
        });
    }

    #[test]
    fn times_are_as_serde_would_have_them() {
        for (text, millis) in [
            ("0", Some(0)),
            ("1760000400", Some(1_760_000_400_000)),
            ("1760000400.5", Some(1_760_000_400_500)),
            ("1760000400.05", Some(1_760_000_400_050)),
            ("1760000400.005", Some(1_760_000_400_005)),
            ("99999999999.999", Some(99_999_999_999_999)),
            ("1760000400.0005", None),
            ("999999999999", None),
            ("01", None),
            ("1.", None),
            ("1e9", None),
            ("-1", None),
            (".5", None),
            ("", None),
        ] {
            let read = read(&format!("[[{text},\"1\"]]"));
            let read = read.and_then(|(samples, _)| Some(samples.first()?.at.as_millis()));
            assert_eq!(read, millis, "{text}");
        }
    }

    #[test]
    fn what_is_written_in_another_way_is_left_to_serde() {
        for json in [
            "[]",
            "[[1,\"1\"]",
            "[[1,\"1\"],]",
            "[[1, \"1\"]]",
            "[[1,1]]",
            "[[1,\"\\u0031\"]]",
            "[[1,\"1\",2]]",
        ] {
            assert_eq!(read(json), None, "{json}");
        }
        assert_eq!(read("[[1,\"1\"]],[[2").map(|(_, length)| length), Some(9));
    }
}
