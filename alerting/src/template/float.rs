//! Floats as Go's `strconv.FormatFloat` writes them.

/// No float has more digits after the point, nor before it.
const MAX_DIGITS: usize = 1100;

/// Writes `value`, without a sign where it is positive. `precision` is a count of digits, `None`
/// for as few as read back the same. `verb` is one of `e`, `E`, `f`, `g`, `G`, `b`, `x`, `X`.
pub(super) fn format(value: f64, verb: char, precision: Option<usize>) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let sign = if value.is_sign_negative() { "-" } else { "" };
    let magnitude = value.abs();
    let text = match verb {
        'e' | 'E' => exponential(magnitude, verb, precision),
        'f' => fixed(magnitude, precision),
        'b' => binary(magnitude),
        'x' | 'X' => hexadecimal(magnitude, verb, precision),
        'G' => general(magnitude, 'E', precision),
        _ => general(magnitude, 'e', precision),
    };
    format!("{sign}{text}")
}

/// Digits `d.ddd` and the exponent of ten; `places` after the point, or as few as needed.
fn scientific(value: f64, places: Option<usize>) -> (String, i32) {
    let text = match places {
        Some(places) => {
            let exact = places.min(MAX_DIGITS);
            format!("{value:.exact$e}")
        }
        None => format!("{value:e}"),
    };
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let mut digits = mantissa.replace('.', "");
    if let Some(places) = places {
        let missing = (places + 1).saturating_sub(digits.len());
        digits.extend(std::iter::repeat_n('0', missing));
    }
    (digits, exponent.parse().unwrap_or(0))
}

fn with_exponent(digits: &str, exponent: i32, letter: char) -> String {
    let mut text = String::with_capacity(digits.len() + 6);
    let (first, rest) = digits.split_at(1.min(digits.len()));
    text.push_str(first);
    if !rest.is_empty() {
        text.push('.');
        text.push_str(rest);
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    text.push_str(&format!("{letter}{sign}{:02}", exponent.unsigned_abs()));
    text
}

fn exponential(value: f64, letter: char, places: Option<usize>) -> String {
    let (digits, exponent) = scientific(value, places);
    with_exponent(&digits, exponent, letter)
}

fn fixed(value: f64, places: Option<usize>) -> String {
    let Some(places) = places else {
        return format!("{value}");
    };
    let exact = places.min(MAX_DIGITS);
    let mut text = format!("{value:.exact$}");
    text.extend(std::iter::repeat_n('0', places - exact));
    text
}

/// `%e` where the exponent is small or large, else `%f`, without zeros at the end.
fn general(value: f64, letter: char, precision: Option<usize>) -> String {
    // What most values are; it comes to the same below, and takes longer.
    if precision.is_none() && (1e-4..1e6).contains(&value) {
        return fixed(value, None);
    }
    let precision = precision.map(|digits| digits.max(1));
    let (digits, exponent) = scientific(value, precision.map(|digits| digits - 1));
    let significant = match digits.trim_end_matches('0') {
        "" => "0",
        significant => significant,
    };
    let threshold = match precision {
        None => 6,
        Some(precision) => {
            let whole = usize::try_from(exponent + 1).unwrap_or(0);
            if precision > significant.len() && significant.len() >= whole {
                significant.len()
            } else {
                precision
            }
        }
    };
    let small = exponent < -4;
    let large = i64::from(exponent) >= i64::try_from(threshold).unwrap_or(i64::MAX);
    if small || large {
        return with_exponent(significant, exponent, letter);
    }
    plain(significant, exponent)
}

/// Digits `d.ddd` times ten to the exponent, without an exponent.
fn plain(digits: &str, exponent: i32) -> String {
    match usize::try_from(exponent + 1) {
        Ok(whole) if whole > 0 => {
            let zeros = "0".repeat(whole.saturating_sub(digits.len()));
            let (before, after) = digits.split_at(whole.min(digits.len()));
            let point = if after.is_empty() { "" } else { "." };
            format!("{before}{zeros}{point}{after}")
        }
        _ => {
            let zeros = usize::try_from(-exponent - 1).unwrap_or(0);
            format!("0.{}{digits}", "0".repeat(zeros))
        }
    }
}

/// Mantissa (with its leading one, if it has one) and exponent of two of its last bit.
fn parts(value: f64) -> (u64, i32) {
    let bits = value.to_bits();
    let mantissa = bits & ((1 << 52) - 1);
    let exponent = i32::try_from((bits >> 52) & 0x7ff).unwrap_or(0);
    if exponent == 0 {
        (mantissa, -1074)
    } else {
        (mantissa | 1 << 52, exponent - 1075)
    }
}

/// `4503599627370496p-52`.
fn binary(value: f64) -> String {
    let (mantissa, exponent) = parts(value);
    format!("{mantissa}p{exponent:+}")
}

/// `0x1.8p+03`.
fn hexadecimal(value: f64, verb: char, precision: Option<usize>) -> String {
    let (mut mantissa, mut exponent) = parts(value);
    if mantissa == 0 {
        exponent = 0;
    } else {
        // The leading one goes to bit 60, so that 15 hexadecimal digits follow it.
        let shift = mantissa.leading_zeros().saturating_sub(3);
        exponent += 60 - i32::try_from(shift).unwrap_or(0);
        mantissa <<= shift;
    }
    if let Some(places) = precision.filter(|places| *places < 15) {
        let shift = u32::try_from((15 - places) * 4).unwrap_or(0);
        let extra = mantissa & ((1 << shift) - 1);
        mantissa >>= shift;
        let half = 1u64 << (shift - 1);
        if extra > half || (extra == half && mantissa & 1 == 1) {
            mantissa += 1;
        }
        mantissa <<= shift;
        if mantissa >> 61 != 0 {
            mantissa >>= 1;
            exponent += 1;
        }
    }
    let whole = mantissa >> 60;
    let all = format!("{:015x}", mantissa & ((1 << 60) - 1));
    let fraction = match precision {
        None => all.trim_end_matches('0').to_owned(),
        Some(places) => {
            let mut fraction: String = all.chars().take(places).collect();
            let missing = places.saturating_sub(fraction.len());
            fraction.extend(std::iter::repeat_n('0', missing));
            fraction
        }
    };
    let point = if fraction.is_empty() { "" } else { "." };
    let sign = if exponent < 0 { '-' } else { '+' };
    let text = format!(
        "0x{whole}{point}{fraction}p{sign}{:02}",
        exponent.unsigned_abs()
    );
    if verb == 'X' {
        text.to_uppercase()
    } else {
        text
    }
}
