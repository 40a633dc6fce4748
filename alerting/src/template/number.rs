//! Number literals of templates, and Go's `strconv.ParseFloat`.

use super::quote::{self, Unit};

/// A literal, with each type that it can be.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Number {
    pub(super) int: Option<i64>,
    pub(super) uint: Option<u64>,
    pub(super) float: Option<f64>,
    /// Real and imaginary part.
    pub(super) complex: Option<(f64, f64)>,
    pub(super) text: String,
}

impl Number {
    fn empty(text: &str) -> Self {
        Self {
            int: None,
            uint: None,
            float: None,
            complex: None,
            text: text.to_owned(),
        }
    }

    /// `'x'`.
    pub(super) fn character(text: &str) -> Result<Self, String> {
        let inner = text.strip_prefix('\'').unwrap_or(text);
        let (unit, tail) =
            quote::unquote_char(inner, '\'').ok_or_else(|| "invalid syntax".to_owned())?;
        if tail != "'" {
            return Err(format!("malformed character constant: {text}"));
        }
        let code = match unit {
            Unit::Char(c) => u32::from(c),
            Unit::Byte(byte) => u32::from(byte),
        };
        Ok(Self {
            int: Some(i64::from(code)),
            uint: Some(u64::from(code)),
            float: Some(f64::from(code)),
            ..Self::empty(text)
        })
    }

    /// `1+2i`.
    pub(super) fn complex(text: &str) -> Result<Self, String> {
        let bad = || "syntax error scanning complex number".to_owned();
        // The sign that begins the imaginary part: not the first, not one of an exponent.
        let bytes = text.as_bytes();
        let split = (1..bytes.len())
            .rev()
            .find(|at| {
                matches!(bytes.get(*at), Some(b'+' | b'-'))
                    && !matches!(bytes.get(at - 1), Some(b'e' | b'E' | b'p' | b'P'))
            })
            .ok_or_else(bad)?;
        let (real, imaginary) = text.split_at(split);
        let real = parse_float(real).map_err(|_| bad())?;
        let imaginary = imaginary.strip_suffix('i').ok_or_else(bad)?;
        let imaginary = parse_float(imaginary).map_err(|_| bad())?;
        Ok(Self::from_complex(text, real, imaginary))
    }

    fn from_complex(text: &str, real: f64, imaginary: f64) -> Self {
        let mut number = Self {
            complex: Some((real, imaginary)),
            ..Self::empty(text)
        };
        if imaginary == 0.0 {
            number.float = Some(real);
            number.int = exact_i64(real);
            number.uint = exact_u64(real);
        }
        number
    }

    /// Any other literal.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if let Some(imaginary) = text.strip_suffix('i')
            && let Ok(imaginary) = parse_float(imaginary)
        {
            return Ok(Self::from_complex(text, 0.0, imaginary));
        }
        let mut number = Self::empty(text);
        if let Some((negative, magnitude)) = parse_integer(text) {
            if !negative && !text.starts_with(['+', '-']) {
                number.uint = Some(magnitude);
            }
            number.int = if negative {
                0i64.checked_sub_unsigned(magnitude)
            } else {
                i64::try_from(magnitude).ok()
            };
            if number.int == Some(0) {
                number.uint = Some(0);
            }
        }
        #[expect(clippy::cast_precision_loss, reason = "rounded, as Go rounds")]
        if let Some(int) = number.int {
            number.float = Some(int as f64);
        } else if let Some(uint) = number.uint {
            number.float = Some(uint as f64);
        } else if let Ok(float) = parse_float(text) {
            if !text.contains(['.', 'e', 'E', 'p', 'P']) {
                return Err(format!(
                    "integer overflow: {}",
                    quote::quote(text.as_bytes())
                ));
            }
            number.float = Some(float);
            number.int = exact_i64(float);
            number.uint = exact_u64(float);
        }
        if number.float.is_none() {
            return Err(format!(
                "illegal number syntax: {}",
                quote::quote(text.as_bytes())
            ));
        }
        Ok(number)
    }

    /// Whether the literal is written as a float, and so is one where any type will do.
    pub(super) fn looks_like_float(&self) -> bool {
        let hex_integer = (self.text.starts_with("0x") || self.text.starts_with("0X"))
            && !self.text.contains(['p', 'P']);
        !hex_integer
            && !self.text.starts_with('\'')
            && self.text.contains(['.', 'e', 'E', 'p', 'P'])
    }
}

/// 2^63, the first float that is no `i64`.
const TWO_POW_63: f64 = 9_223_372_036_854_775_808.0;

#[expect(
    clippy::cast_possible_truncation,
    reason = "checked to be whole and in range"
)]
fn exact_i64(value: f64) -> Option<i64> {
    (value.trunc() == value && (-TWO_POW_63..TWO_POW_63).contains(&value)).then_some(value as i64)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "checked to be whole and in range"
)]
fn exact_u64(value: f64) -> Option<u64> {
    (value.trunc() == value && (0.0..2.0 * TWO_POW_63).contains(&value)).then_some(value as u64)
}

/// Sign and magnitude of an integer literal with Go's prefixes and underscores.
fn parse_integer(text: &str) -> Option<(bool, u64)> {
    let (negative, digits) = match text.strip_prefix(['+', '-']) {
        Some(rest) => (text.starts_with('-'), rest),
        None => (false, text),
    };
    let lower = digits.to_ascii_lowercase();
    let (base, body) = if let Some(rest) = lower.strip_prefix("0x") {
        (16, rest)
    } else if let Some(rest) = lower.strip_prefix("0b") {
        (2, rest)
    } else if let Some(rest) = lower.strip_prefix("0o") {
        (8, rest)
    } else if lower.len() > 1 && lower.starts_with('0') {
        (8, lower.get(1..)?)
    } else {
        (10, lower.as_str())
    };
    if digits.contains('_') && !underscores_good(digits) {
        return None;
    }
    let plain: String = body.chars().filter(|c| *c != '_').collect();
    if plain.starts_with(['+', '-']) {
        return None;
    }
    u64::from_str_radix(&plain, base)
        .ok()
        .map(|magnitude| (negative, magnitude))
}

/// Whether each underscore stands between digits, or between a prefix and a digit.
fn underscores_good(text: &str) -> bool {
    let bytes = text.as_bytes();
    let prefixed =
        bytes.first() == Some(&b'0') && bytes.get(1).is_some_and(|byte| b"bBoOxX".contains(byte));
    let hex = prefixed && bytes.get(1).is_some_and(|byte| b"xX".contains(byte));
    let digit = |byte: &u8| byte.is_ascii_digit() || (hex && byte.is_ascii_hexdigit());
    let mut last_was_digit = prefixed;
    let mut last_was_underscore = false;
    for byte in bytes.iter().skip(if prefixed { 2 } else { 0 }) {
        if digit(byte) {
            (last_was_digit, last_was_underscore) = (true, false);
        } else if *byte == b'_' {
            if !last_was_digit {
                return false;
            }
            (last_was_digit, last_was_underscore) = (false, true);
        } else {
            if last_was_underscore {
                return false;
            }
            last_was_digit = false;
        }
    }
    !last_was_underscore
}

/// Go's `strconv.ParseFloat(text, 64)`, with its error texts.
pub(super) fn parse_float(text: &str) -> Result<f64, String> {
    let failed = |why: &str| {
        Err(format!(
            "strconv.ParseFloat: parsing {}: {why}",
            quote::quote(text.as_bytes())
        ))
    };
    let (negative, body) = match text.strip_prefix(['+', '-']) {
        Some(rest) => (text.starts_with('-'), rest),
        None => (false, text),
    };
    // Rust would read a second sign.
    if body.starts_with(['+', '-']) {
        return failed("invalid syntax");
    }
    let named = body.eq_ignore_ascii_case("inf")
        || body.eq_ignore_ascii_case("infinity")
        || body.eq_ignore_ascii_case("nan");
    if named && body.eq_ignore_ascii_case("nan") && body.len() != text.len() {
        return failed("invalid syntax");
    }
    if body.contains('_') && !underscores_good(body) {
        return failed("invalid syntax");
    }
    let hex = body.starts_with("0x") || body.starts_with("0X");
    let plain: String = body.chars().filter(|c| *c != '_').collect();
    let parsed = if hex {
        parse_hex_float(plain.get(2..).unwrap_or(""))
    } else {
        plain.parse::<f64>().ok()
    };
    match parsed {
        None => failed("invalid syntax"),
        Some(value) if value.is_infinite() && !named => failed("value out of range"),
        Some(value) => Ok(if negative { -value } else { value }),
    }
}

/// `1.8p3` of `0x1.8p3`; the exponent is required.
fn parse_hex_float(text: &str) -> Option<f64> {
    let (mantissa, exponent) = text.split_once(['p', 'P'])?;
    let exponent: i32 = exponent.parse::<i32>().ok()?.clamp(-100_000, 100_000);
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    // The leading bits that a u128 holds; below them only whether there is anything.
    let mut bits: u128 = 0;
    let mut scale: i64 = 0;
    let mut sticky = false;
    for (digit, fractional) in whole
        .chars()
        .map(|c| (c, false))
        .chain(fraction.chars().map(|c| (c, true)))
    {
        let digit = digit.to_digit(16)?;
        if bits >> 120 == 0 {
            bits = (bits << 4) | u128::from(digit);
            scale -= if fractional { 4 } else { 0 };
        } else {
            sticky |= digit != 0;
            scale += if fractional { 0 } else { 4 };
        }
    }
    Some(scale_bits(
        bits | u128::from(sticky),
        scale + i64::from(exponent),
    ))
}

/// `bits` times two to the `scale`, rounded once.
fn scale_bits(bits: u128, scale: i64) -> f64 {
    if bits == 0 {
        return 0.0;
    }
    let top = 127 - i64::from(bits.leading_zeros());
    let exponent = top + scale;
    if exponent > 1023 {
        return f64::INFINITY;
    }
    // The unit in the last place of the result, as a power of two.
    let unit = (exponent - 52).max(-1074);
    let drop = unit - scale;
    if drop > 127 {
        return 0.0;
    }
    let (mantissa, remainder, half) = if drop > 0 {
        let mantissa = bits >> drop;
        (mantissa, bits & ((1 << drop) - 1), 1u128 << (drop - 1))
    } else {
        // Fewer than 54 significant bits: exact.
        (bits << (-drop).min(60), 0, 1)
    };
    let round_up = remainder > half || (remainder == half && mantissa & 1 == 1);
    let mantissa = mantissa + u128::from(round_up);
    #[expect(
        clippy::cast_precision_loss,
        reason = "at most 2^53, which a float holds"
    )]
    let value = mantissa as f64;
    power_of_two(unit) * value
}

fn power_of_two(exponent: i64) -> f64 {
    let exponent = exponent.clamp(-1074, 1023);
    let bits = if exponent >= -1022 {
        u64::try_from(exponent + 1023).unwrap_or(0) << 52
    } else {
        1u64 << u32::try_from(exponent + 1074).unwrap_or(0)
    };
    f64::from_bits(bits)
}
