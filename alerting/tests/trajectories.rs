//! The state machine and the hold, tick by tick: what goes in and what state comes out, as two
//! lines of equal length.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on must say so"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use alerting::alert::{AlertState, End};
use alerting::config::{Config, Settings};
use alerting::evaluation::Evaluation;
use alerting::labels::Labels;
use alerting::query::{Answer, Ask, At, FailureKind, QueryFailure, ResultType, Sample, Series};
use alerting::rules::{RuleKey, SourceFile};
use alerting::state::RuleState;
use alerting::timestamp::Timestamp;

const MINUTE: Duration = Duration::from_secs(60);

fn config(rule: &str) -> Config {
    let text = format!(
        "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: metric{{type=\"x\"}} > 5\n{rule}"
    );
    let file = SourceFile {
        name: "test.yml".to_owned(),
        text,
    };
    let mut config = Settings::default().load(&[file]).expect("the rule loads");
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
    Ok(Answer {
        result_type: match ask.at {
            At::Instant(_) => ResultType::Vector,
            At::Range { .. } => ResultType::Matrix,
        },
        series: samples
            .into_iter()
            .map(|(labels, samples)| Series { labels, samples })
            .collect(),
    })
}

fn evaluate(
    config: &Config,
    states: &mut BTreeMap<RuleKey, RuleState>,
    world: &BTreeMap<Timestamp, char>,
    now: Timestamp,
) {
    let mut stopped = BTreeSet::new();
    loop {
        let mut chunk = Evaluation::plan(&config.groups, states, now, &config.evaluation, &stopped);
        loop {
            let asks = chunk.asks();
            if asks.is_empty() {
                break;
            }
            for ask in asks {
                let answer = answer(world, &ask);
                chunk.answer(ask, answer);
            }
        }
        if !chunk.finish(states, &mut stopped).more {
            break;
        }
    }
}

/// The alert's state by a letter: `.` none, `P` pending, `F` firing, `S` firing, held because
/// the telemetry stopped, `G` firing, held because the series is gone, `C` ended: cleared, `N`
/// ended: no longer reported.
fn letter(states: &BTreeMap<RuleKey, RuleState>) -> char {
    let Some(alert) = states.values().flat_map(|rule| rule.active.values()).next() else {
        return '.';
    };
    match (alert.state, alert.hold, alert.end) {
        (AlertState::Pending, ..) => 'P',
        (AlertState::Firing, None, _) => 'F',
        (AlertState::Firing, Some(hold), _) if hold.gone_since.is_none() => 'S',
        (AlertState::Firing, Some(_), _) => 'G',
        (AlertState::Inactive, _, Some(End::Cleared)) => 'C',
        (AlertState::Inactive, ..) => 'N',
    }
}

/// Runs a minute at a time, a tick a minute, and then all at once, as after an outage: both must
/// end in the same state.
#[track_caller]
fn check(rule: &str, input: &str, expected: &str) {
    let config = config(rule);
    let start = Timestamp::from_secs(1_700_000_040).align_down(MINUTE);
    let offset = config.groups[0].query_offset;
    let mut world = BTreeMap::new();
    let mut tick = start;
    for letter in input.chars() {
        tick = tick.plus(MINUTE);
        world.insert(tick.minus(offset), letter);
    }
    let mut stepwise = BTreeMap::new();
    evaluate(&config, &mut stepwise, &world, start);
    let mut states = String::new();
    let mut now = start;
    for _ in input.chars() {
        now = now.plus(MINUTE);
        evaluate(&config, &mut stepwise, &world, now);
        states.push(letter(&stepwise));
    }
    assert_eq!(states, expected, "of {input}");

    if !input.contains('e') {
        let mut at_once = BTreeMap::new();
        evaluate(&config, &mut at_once, &world, start);
        evaluate(&config, &mut at_once, &world, now);
        for state in at_once.values_mut().chain(stepwise.values_mut()) {
            // Which ticks were late is all that may differ.
            for alert in state.active.values_mut().chain(state.ended.values_mut()) {
                alert.late = false;
            }
        }
        assert_eq!(at_once, stepwise, "caught up at once, of {input}");
    }
}

#[test]
fn fires_at_once_or_after_for() {
    check("", "1661", ".FFC");
    check("    for: 2m\n", "66661", "PPFFC");
    check("    for: 2m\n", "661666", "PP.PPF");
}

#[test]
fn keep_firing_for_bridges_gaps_and_ends() {
    check("    keep_firing_for: 2m\n", "6111", "FFFC");
    check("    keep_firing_for: 2m\n", "61611", "FFFFF");
    check("    keep_firing_for: 2m\n", "6161111", "FFFFFCC");
}

#[test]
fn a_resolved_alert_is_kept_a_quarter_of_an_hour_and_fires_anew() {
    check("", "611111111111111111", "FCCCCCCCCCCCCCCCC.");
    check("", "61161", "FCCFC");
}

#[test]
fn a_failing_query_changes_nothing() {
    check("", "6rr1", "FFFC");
    check("    for: 1m\n", "6rr6", "PPPF");
    // Ticks that could not be asked stay due; they are evaluated when the answers come.
    check("", "6e", "FF");
}

#[test]
fn an_alert_whose_telemetry_stopped_is_held_and_says_so() {
    check("", "6xx6", "FSSF");
    check("", "6xx1", "FSSC");
    let hour = "x".repeat(60);
    let held = "S".repeat(60);
    check("", &format!("6{hour}x"), &format!("F{held}N"));
}

#[test]
fn an_alert_whose_node_is_gone_ends_soon_and_is_not_called_over() {
    check("", "6------", "FGGGGGN");
    check("", "6--6", "FGGF");
    check("", "6--1", "FGGC");
    // The telemetry stops, comes back, and the node is gone: the short hold starts then.
    check("", "6xxx------", "FSSSGGGGGN");
}

#[test]
fn a_pending_alert_is_never_held() {
    check("    for: 5m\n", "66x", "PP.");
}

#[test]
fn what_keep_firing_for_held_is_asked_about_when_it_would_end() {
    check("    keep_firing_for: 2m\n", "6xxxx1", "FFFSSC");
}
