//! A question as the form that is posted.
//!
//! A form, because what the signature covers is then the body as it is sent: between AWS's
//! signers and URL libraries, the spelling of query strings is disputed.

use std::fmt::Write;
use std::time::Duration;

use alerting::query::{Ask, At};
use alerting::timestamp::Timestamp;

/// The `Content-Type` of [`encode`]'s bytes.
pub(super) const CONTENT_TYPE: &str = "application/x-www-form-urlencoded";

/// The form for `ask`; the server gives up after `timeout`, and returns statistics if asked.
pub(super) fn encode(ask: &Ask, timeout: Duration, stats: bool) -> Vec<u8> {
    let mut form = String::with_capacity(ask.expr.len().saturating_mul(2).saturating_add(128));
    form.push_str("query=");
    percent_encode(&mut form, &ask.expr);
    match ask.at {
        At::Instant(time) => push(&mut form, "time", &moment(time)),
        At::Range { start, end, step } => {
            push(&mut form, "start", &moment(start));
            push(&mut form, "end", &moment(end));
            push(&mut form, "step", &whole(step));
        }
    }
    push(
        &mut form,
        "timeout",
        &seconds(timeout.max(Duration::from_millis(1))),
    );
    if stats {
        push(&mut form, "stats", "all");
    }
    form.into_bytes()
}

/// Adds a field whose value needs no escapes.
fn push(form: &mut String, name: &str, value: &str) {
    form.push('&');
    form.push_str(name);
    form.push('=');
    form.push_str(value);
}

/// Seconds with as many of three decimals as it takes: written as digits, since a float would
/// round moments far from the epoch.
fn moment(time: Timestamp) -> String {
    let millis = time.as_millis();
    let sign = if millis < 0 { "-" } else { "" };
    format!(
        "{sign}{}",
        seconds(Duration::from_millis(millis.unsigned_abs()))
    )
}

/// A step in whole seconds or whole milliseconds: Prometheus multiplies a fraction of seconds into
/// nanoseconds and cuts, so that its 1.003 is 1002 ms (seen with 2.42).
fn whole(step: Duration) -> String {
    match step.subsec_millis() {
        0 => step.as_secs().to_string(),
        _ => format!("{}ms", step.as_millis()),
    }
}

fn seconds(duration: Duration) -> String {
    match duration.subsec_millis() {
        0 => duration.as_secs().to_string(),
        millis => format!("{}.{millis:03}", duration.as_secs()),
    }
}

/// Percent-encodes all but RFC 3986's unreserved characters, a space too.
fn percent_encode(form: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            form.push(char::from(byte));
        } else {
            // Writing to a String does not fail.
            let _ = write!(form, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(expr: &str, at: At, timeout_millis: u64, expected: &str) {
        let expr = expr.to_owned();
        let form = encode(
            &Ask { expr, at },
            Duration::from_millis(timeout_millis),
            false,
        );
        assert_eq!(String::from_utf8_lossy(&form), expected);
    }

    #[test]
    fn writes_times_exactly_and_escapes_everything_else() {
        check(
            "a{b=\"+ ~é\"}",
            At::Instant(Timestamp::from_millis(1_700_000_000_123)),
            29_500,
            "query=a%7Bb%3D%22%2B%20~%C3%A9%22%7D&time=1700000000.123&timeout=29.500",
        );
        check(
            "up",
            At::Range {
                start: Timestamp::from_secs(-60),
                end: Timestamp::from_millis(-5),
                step: Duration::from_millis(15_005),
            },
            0,
            "query=up&start=-60&end=-0.005&step=15005ms&timeout=0.001",
        );
        check(
            "",
            At::Instant(Timestamp::from_millis(i64::MIN)),
            1000,
            "query=&time=-9223372036854775.808&timeout=1",
        );
    }
}
