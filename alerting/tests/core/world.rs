//! A server that answers by letters, one a minute, and a rule that asks it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use alerting::config::{Config, Settings};
use alerting::evaluation::{Evaluation, Progress};
use alerting::labels::Labels;
use alerting::query::{Answer, Ask, At, FailureKind, QueryFailure, ResultType, Sample, Series};
use alerting::rules::{RuleKey, SourceFile};
use alerting::state::RuleState;
use alerting::timestamp::Timestamp;

pub(crate) const MINUTE: Duration = Duration::from_secs(60);

pub(crate) fn config(rule: &str) -> Config {
    let text = format!(
        "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: metric{{type=\"x\"}} > 5\n{rule}"
    );
    let file = SourceFile {
        name: "test.yml".to_owned(),
        text,
    };
    let mut config = Settings::default()
        .load(&vec![file].into())
        .expect("the rule loads");
    config.evaluation.max_catch_up = Duration::from_secs(3 * 60 * 60);
    // Small enough that holds and `for` reach over several chunks.
    config.evaluation.chunk = 7;
    config
}

/// What the server says at one tick, by a letter:
/// `1`…`9` that value (over 5 the condition holds), `-` no sample of this series but of others,
/// `x` no sample at all, `e` an error that passes, `r` the expression is refused.
fn answer(world: &BTreeMap<Timestamp, char>, ask: &Ask) -> Result<Answer, QueryFailure> {
    let moments: Vec<Timestamp> = match ask.at {
        At::Instant(at) => vec![at],
        At::Range { start, end, step } => {
            std::iter::successors(Some(start), |at| Some(at.plus(step)))
                .take_while(|at| *at <= end)
                .collect()
        }
    };
    let own = Labels::from_iter([("node", "a"), ("type", "x")]);
    let other = Labels::from_iter([("node", "b"), ("type", "x")]);
    let mut samples: BTreeMap<Labels, Vec<Sample>> = BTreeMap::new();
    for at in moments {
        let mut put = |labels: &Labels, value: f64| {
            let sample = Sample { at, value };
            samples.entry(labels.clone()).or_default().push(sample);
        };
        let letter = world.get(&at).copied().unwrap_or('x');
        let asks_presence = ask.expr.starts_with("count");
        let narrowed = ask.expr.contains("node=~");
        match letter {
            'e' | 'r' if !asks_presence => {
                return Err(QueryFailure {
                    kind: if letter == 'e' {
                        FailureKind::Transient
                    } else {
                        FailureKind::Refused
                    },
                    message: "no".to_owned(),
                    server: None,
                });
            }
            '-' if asks_presence && !narrowed => put(&other, 1.0),
            digit if digit.is_ascii_digit() => {
                let value = f64::from(digit.to_digit(10).unwrap_or(0));
                if asks_presence {
                    put(&own, 1.0);
                } else if value > 5.0 {
                    put(&own, value);
                }
            }
            _ => {}
        }
    }
    let result_type = match ask.at {
        At::Instant(_) => ResultType::Vector,
        At::Range { .. } => ResultType::Matrix,
    };
    let series = samples.into_iter();
    let series = series.map(|(labels, samples)| Series { labels, samples });
    Ok(Answer::new(result_type, series.collect()))
}

pub(crate) fn evaluate(
    config: &Config,
    states: &mut BTreeMap<RuleKey, RuleState>,
    world: &BTreeMap<Timestamp, char>,
    now: Timestamp,
) -> Progress {
    let mut total = Progress::default();
    let mut stopped = BTreeSet::new();
    loop {
        let mut chunk = Evaluation::plan(&config.groups, states, now, &config.evaluation, &stopped);
        loop {
            let asks = chunk.asks(states);
            if asks.is_empty() {
                break;
            }
            for ask in asks {
                let answer = answer(world, &ask);
                chunk.answer(ask, answer);
            }
        }
        total.add(&chunk.finish(states, &mut stopped));
        if !total.more {
            return total;
        }
    }
}

/// When the letters begin: a whole minute.
pub(crate) fn start() -> Timestamp {
    Timestamp::from_secs(1_700_000_040).align_down(MINUTE)
}

/// The letters, one a tick from the first after [`start`], at the moments that they are asked
/// for.
pub(crate) fn letters(config: &Config, letters: &str) -> BTreeMap<Timestamp, char> {
    let offset = config.groups[0].query_offset;
    let mut tick = start();
    letters
        .chars()
        .map(|letter| {
            tick = tick.plus(MINUTE);
            (tick.minus(offset), letter)
        })
        .collect()
}
