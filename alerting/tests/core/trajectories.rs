//! The state machine and the hold, tick by tick: what goes in and what state comes out, as two
//! lines of equal length.

use std::collections::BTreeMap;

use alerting::alert::{AlertState, End};
use alerting::rules::RuleKey;
use alerting::state::RuleState;

use crate::world::{MINUTE, config, evaluate, letters, start};

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
    let world = letters(&config, input);
    let mut stepwise = BTreeMap::new();
    evaluate(&config, &mut stepwise, &world, start());
    let mut states = String::new();
    let mut now = start();
    for _ in input.chars() {
        now = now.plus(MINUTE);
        evaluate(&config, &mut stepwise, &world, now);
        states.push(letter(&stepwise));
    }
    assert_eq!(states, expected, "of {input}");

    if !input.contains('e') {
        let mut at_once = BTreeMap::new();
        evaluate(&config, &mut at_once, &world, start());
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

/// No oracle that can be had does this yet: `Eval` in Prometheus's `rules/alerting.go`, since
/// prometheus/prometheus#18244.
#[test]
fn a_firing_alert_whose_for_was_raised_is_pending_again() {
    let (before, after) = (config("    for: 1m\n"), config("    for: 4m\n"));
    let world = letters(&before, "666666");
    let mut states = BTreeMap::new();
    evaluate(&before, &mut states, &world, start());
    let mut now = start();
    let mut run = |config| {
        now = now.plus(MINUTE);
        evaluate(config, &mut states, &world, now);
        letter(&states)
    };
    let seen: String = [&before, &before, &after, &after, &after, &after]
        .map(&mut run)
        .iter()
        .collect();
    // It was active all along.
    assert_eq!(seen, "PFPPFF");
}

#[test]
fn keep_firing_for_bridges_gaps_and_ends() {
    check("    keep_firing_for: 2m\n", "6111", "FFFC");
    check("    keep_firing_for: 2m\n", "61611", "FFFFF");
    check("    keep_firing_for: 2m\n", "6161111", "FFFFFCC");
}

#[test]
fn a_resolved_alert_is_kept_for_15_minutes_and_fires_again() {
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

/// After an outage longer than the bound: what fires keeps firing, what was pending starts
/// again, and the ticks that are never evaluated are named.
#[test]
fn ticks_that_are_too_old_are_skipped_and_named() {
    let mut config = config("    for: 2m\n");
    config.evaluation.max_catch_up = 3 * MINUTE;
    let check = |input: &str, expected: char| {
        let world = letters(&config, input);
        let mut states = BTreeMap::new();
        evaluate(&config, &mut states, &world, start());
        let ticks = u32::try_from(input.len()).expect("few");
        for tick in (1..=4).chain([ticks]) {
            evaluate(&config, &mut states, &world, start().plus(tick * MINUTE));
        }
        assert_eq!(letter(&states), expected, "of {input}");
        let rule = states.values().next().expect("the rule");
        let skipped = rule.health.skipped.expect("an outage");
        assert_eq!(skipped.from, start().plus(5 * MINUTE));
        assert_eq!(skipped.to, start().plus((ticks - 4) * MINUTE));
    };
    // It fired before the outage and still does.
    check("66661111111116666", 'F');
    // Pending before it: the two minutes begin at the first of the last four ticks, at which it
    // would otherwise have fired.
    check("11661111111116111", '.');
    check("11661111111116666", 'F');
    check("11661111111111666", 'F');
    check("11661111111111166", 'P');
}

/// Without catching up a missed tick is none, as in Prometheus: what was pending before continues
/// being so, and skipped ticks are not reported.
#[test]
fn without_catching_up_missed_ticks_are_as_in_prometheus() {
    let mut config = config("    for: 3m\n");
    config.evaluation.max_catch_up = std::time::Duration::ZERO;
    let world = letters(&config, "11666616");
    let mut states = BTreeMap::new();
    evaluate(&config, &mut states, &world, start());
    let mut seen = String::new();
    for tick in [2, 4, 6, 8] {
        evaluate(&config, &mut states, &world, start().plus(tick * MINUTE));
        seen.push(letter(&states));
    }
    // Active at the fourth minute: two minutes later not yet, four minutes later it fires, although
    // at the seventh, which was missed, the condition did not hold.
    assert_eq!(seen, ".PPF");
    let rule = states.values().next().expect("the rule");
    assert_eq!(rule.health.skipped, None);
}
