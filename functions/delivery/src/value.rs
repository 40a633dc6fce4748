//! Numbers as people read them.

use serde_json::Value;

/// A number at four significant digits where it has a fraction; a text that is no number as it
/// is; nothing where there is neither.
pub fn text(value: &Value) -> Option<String> {
    match value {
        Value::Number(number) => Some(number.as_f64().map_or_else(|| number.to_string(), short)),
        Value::String(text) if !text.trim().is_empty() => match text.trim().parse::<f64>() {
            Ok(number) if number.is_finite() => Some(short(number)),
            _ => Some(text.clone()),
        },
        _ => None,
    }
}

fn short(value: f64) -> String {
    if value == value.trunc() {
        if value.abs() < 1e15 {
            return format!("{value}");
        }
        return format!("{value:e}");
    }
    let digits = value.abs().log10().floor();
    if !(-6.0..15.0).contains(&digits) {
        return format!("{value:.3e}");
    }
    let places = (3.0 - digits).clamp(0.0, 12.0);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and 12"
    )]
    let places = places as usize;
    let text = format!("{value:.places$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(given: &Value, expected: Option<&str>) {
        assert_eq!(text(given).as_deref(), expected);
    }

    #[test]
    fn values_are_short() {
        check(&json!(1024), Some("1024"));
        check(&json!(0.012345), Some("0.01235"));
        check(&json!(1234.5678), Some("1235"));
        check(&json!("12.50"), Some("12.5"));
        check(&json!("NaN"), Some("NaN"));
        check(&json!("+Inf"), Some("+Inf"));
        check(&json!(1e300), Some("1e300"));
        check(&json!(-1.234567e-9), Some("-1.235e-9"));
        check(&json!("<!here>"), Some("<!here>"));
        check(&json!(null), None);
        check(&json!({}), None);
    }
}
