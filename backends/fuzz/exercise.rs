//! What is done to bytes as a server's answer, by the fuzzer and by the tests.

use std::time::Duration;

use alerting::query::{Answer, Ask, At, FailureKind, QueryFailure, ResultType};
use alerting::timestamp::Timestamp;

use super::naive::{naive, same};

/// The moment that is asked about, and the last one of the range.
const AT: Timestamp = Timestamp::from_secs(1_700_000_000);
/// The least that a sample takes: `[0,{}]`.
const LEAST: usize = 6;
/// Up to this length every beginning of an answer is tried; of a longer one, so many.
const EVERY: usize = 600;

/// Reads an answer.
type Read<'a> = &'a dyn Fn(&[u8], &Ask) -> Result<Answer, QueryFailure>;

/// Reads them as the answer to an instant query and to one over a range. What is read is what is
/// written there, no larger than it, and not the beginning of something else.
pub(crate) fn query_answers(bytes: &[u8], read: Read<'_>) {
    let step = Duration::from_secs(15);
    let start = AT.minus(step * 4);
    for at in [
        At::Instant(AT),
        At::Range {
            start,
            end: AT,
            step,
        },
    ] {
        let ask = Ask {
            expr: "up == 0".to_owned(),
            at,
        };
        match read(bytes, &ask) {
            Ok(answer) => {
                check(&answer, bytes, &ask);
                no_beginning(bytes, &ask, read);
            }
            Err(failure) => {
                let notified = &failure.message;
                assert!(!notified.is_empty() && notified.len() <= 2000, "{notified}");
                assert!(!notified.contains(char::is_control), "{notified:?}");
            }
        }
    }
}

fn check(answer: &Answer, bytes: &[u8], ask: &Ask) {
    let mut samples = 0;
    let mut text = 0;
    for series in &answer.series {
        assert!(!series.samples.is_empty());
        assert!(series.samples.is_sorted_by(|one, next| one.at < next.at));
        for sample in &series.samples {
            let asked = match ask.at {
                At::Instant(at) => sample.at == at,
                At::Range { start, end, .. } => start <= sample.at && sample.at <= end,
            };
            assert!(asked, "{sample:?} was not asked for");
        }
        samples += series.samples.len();
        let labels = series.labels.iter();
        text += labels
            .map(|(name, value)| name.len() + value.len())
            .sum::<usize>();
    }
    assert!(samples * LEAST + text <= bytes.len(), "more than was sent");
    let expected: &[ResultType] = match ask.at {
        At::Instant(_) => &[ResultType::Vector, ResultType::Scalar],
        At::Range { .. } => &[ResultType::Matrix],
    };
    assert!(expected.contains(&answer.result_type));
    // It is stricter in what it passes over: depth, numbers that are none.
    if let Ok(body) = serde_json::from_slice(bytes) {
        let naive = naive(&body);
        assert!(
            naive.as_ref().is_some_and(|naive| same(naive, answer)),
            "{answer:?} {naive:?}"
        );
    }
}

/// Of what is an answer no beginning is one.
fn no_beginning(bytes: &[u8], ask: &Ask, read: Read<'_>) {
    let whole = bytes.trim_ascii_end();
    for cut in (0..whole.len()).step_by(whole.len().div_ceil(EVERY).max(1)) {
        let cut = whole.get(..cut).unwrap_or(whole);
        let failure = read(cut, ask).expect_err("the beginning of an answer");
        assert_eq!(failure.kind, FailureKind::Transient, "{failure}");
    }
}
