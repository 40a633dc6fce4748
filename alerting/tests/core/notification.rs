//! From evaluations to notifications: whole runs of the core, a minute apart, each
//! notification written as one line.

use std::time::Duration;

use alerting::config::Config;
use alerting::notify::{self, Details, Message, Notification, Receiver, SnsConfig, Trouble};
use alerting::state::State;
use alerting::timestamp::Timestamp;

use crate::world::{MINUTE, config, evaluate, letters, start};

/// A run starts this long after the minute.
const LAG: Duration = Duration::from_secs(5);

/// One run: evaluate, plan, claim, deliver.
fn run(
    config: &Config,
    state: &mut State,
    world: &std::collections::BTreeMap<Timestamp, char>,
    now: Timestamp,
    troubles: &[Trouble],
) -> Vec<Notification> {
    evaluate(config, &mut state.rules, world, now);
    notify::plan(state, config, troubles, now);
    let outbox = &mut state.notify.outbox;
    outbox.claim("run", now, now.plus(MINUTE));
    let claimed: Vec<Notification> = outbox.claimed_by("run", now).cloned().collect();
    for notification in &claimed {
        assert!(outbox.delivered(&notification.id, "run"));
    }
    claimed
}

fn line(notification: &Notification, now: Timestamp) -> String {
    let message = Message::from_notification(notification, &Details::default(), now);
    let minute = now.since(start()).as_secs() / 60;
    format!("{minute} {}: {}", message.subject, notification.reason)
}

/// The rule sees `letters`; a run each minute, but for those marked `.` in `runs` (`r`: a run).
/// After the letters' end `more` minutes repeat the last one.
#[track_caller]
fn check(rule: &str, seen: &str, runs: &str, expected: &[&str]) {
    let config = config(rule);
    let world = letters(&config, seen);
    let mut state = State::default();
    run(&config, &mut state, &world, start(), &[]);
    let mut notified = Vec::new();
    let mut now = start().plus(LAG);
    for is_run in runs.chars() {
        now = now.plus(MINUTE);
        if is_run == 'r' {
            for notification in run(&config, &mut state, &world, now, &[]) {
                notified.push(line(&notification, now));
            }
        }
    }
    assert_eq!(notified, expected, "of {seen}");
}

#[test]
fn a_group_waits_and_is_notified_once() {
    // Fires at minute 1; group_wait of 30 s is met by the run at minute 2.
    check(
        "",
        "6666",
        "rrrr",
        &["2 [FIRING:1] A (a x): first notification"],
    );
}

#[test]
fn the_end_is_notified_after_group_interval_and_never_twice() {
    check(
        "",
        "66611111111",
        "rrrrrrrrrrr",
        &[
            "2 [FIRING:1] A (a x): first notification",
            "7 [RESOLVED] A (a x): all alerts resolved",
        ],
    );
}

#[test]
fn an_alert_that_ends_before_its_first_flush_is_not_notified() {
    check("", "6111", "rrrr", &[]);
}

#[test]
fn an_unchanged_group_is_notified_again_after_repeat_interval() {
    let long = "6".repeat(250);
    check(
        "",
        &long,
        &"r".repeat(250),
        &[
            "2 [FIRING:1] A (a x): first notification",
            // The first flush later than four hours after the first notification.
            "247 [FIRING:1] A (a x): repeat interval elapsed",
        ],
    );
}

#[test]
fn after_a_gap_each_group_is_flushed_once_with_what_is_true_now() {
    check(
        "",
        "66161616611",
        "rr.......rr",
        &[
            "2 [FIRING:1] A (a x): first notification",
            "10 [RESOLVED] A (a x): all alerts resolved",
        ],
    );
}

#[test]
fn an_alert_that_refired_in_a_gap_has_its_latest_start() {
    let config = config("");
    // In Alertmanager a resolved alert is replaced by the same one firing again (`provider/mem`).
    let world = letters(&config, "661611");
    let mut state = State::default();
    let mut notified = Vec::new();
    for minute in [0, 1, 2, 10] {
        let now = start().plus(MINUTE * minute).plus(LAG);
        notified.extend(run(&config, &mut state, &world, now, &[]));
    }
    let times = notified.iter().map(|notification| {
        let minutes = |at: Timestamp| at.since(start()).as_secs() / 60;
        let alert = &notification.alerts[0];
        (minutes(alert.starts_at), alert.ends_at.map(minutes))
    });
    assert_eq!(times.collect::<Vec<_>>(), [(1, None), (4, Some(5))]);
}

#[test]
fn what_fired_and_resolved_in_an_outage_is_sent_once() {
    check(
        "",
        "11666111111111",
        "rr........rrrr",
        &["11 [PAST] A (a x): ended unseen"],
    );
}

#[test]
fn a_failing_rule_is_reported_and_resolves_nothing() {
    check(
        "",
        "666eeeeeeeeeee",
        "rrrrrrrrrrrrrr",
        &[
            "2 [FIRING:1] A (a x): first notification",
            "9 [FIRING:1] DnswatchRuleFailing (A g test warning): first notification",
        ],
    );
}

#[test]
fn telemetry_that_stops_holds_the_alert_and_is_reported() {
    check(
        "",
        "666xxxxxxx",
        "rrrrrrrrrr",
        &[
            "2 [FIRING:1] A (a x): first notification",
            "5 [FIRING:1] DnswatchTelemetryStopped (A g test warning): first notification",
        ],
    );
}

#[test]
fn telemetry_that_never_comes_back_resolves_nothing_not_even_its_own_alert() {
    let silence = "x".repeat(70);
    check(
        "",
        &format!("666{silence}"),
        &"r".repeat(73),
        &[
            "2 [FIRING:1] A (a x): first notification",
            "5 [FIRING:1] DnswatchTelemetryStopped (A g test warning): first notification",
            "65 [NO LONGER REPORTED] DnswatchTelemetryStopped (A g test warning): all alerts resolved",
            "67 [NO LONGER REPORTED] A (a x): all alerts resolved",
        ],
    );
}

#[test]
fn a_node_that_is_gone_is_not_called_resolved() {
    check(
        "",
        "666----------",
        "rrrrrrrrrrrrr",
        &[
            "2 [FIRING:1] A (a x): first notification",
            "12 [NO LONGER REPORTED] A (a x): all alerts resolved",
        ],
    );
}

#[test]
fn a_removed_rule_ends_its_alerts_and_says_why() {
    let with_rule = config("");
    let mut without_rule = with_rule.clone();
    without_rule.groups.clear();
    let world = letters(&with_rule, "666666666666");
    let mut state = State::default();
    run(&with_rule, &mut state, &world, start(), &[]);
    let mut notified = Vec::new();
    let mut now = start().plus(LAG);
    for minute in 1..=10 {
        now = now.plus(MINUTE);
        let config = if minute < 4 {
            &with_rule
        } else {
            &without_rule
        };
        notified.extend(run(config, &mut state, &world, now, &[]));
    }
    let last = notified.last().expect("two notifications");
    let message = Message::from_notification(last, &Details::default(), now);
    assert_eq!(notified.len(), 2);
    assert_eq!(message.subject, "[ENDED] A (a x)");
    assert!(
        message.body.contains("the rule was removed"),
        "{}",
        message.body
    );
}

#[test]
fn a_refused_configuration_is_reported() {
    let config = config("");
    let world = letters(&config, "1111");
    let mut state = State::default();
    let trouble = Trouble::ConfigRefused {
        error: "rules.yml:3:4: `expr` is set twice".to_owned(),
    };
    let mut now = start();
    let mut notified = Vec::new();
    for _ in 0..4 {
        notified.extend(run(
            &config,
            &mut state,
            &world,
            now,
            std::slice::from_ref(&trouble),
        ));
        now = now.plus(MINUTE);
    }
    assert_eq!(notified.len(), 1);
    let message = Message::from_notification(&notified[0], &Details::default(), now);
    assert_eq!(
        message.subject,
        "[FIRING:1] DnswatchConfigRefused (warning)"
    );
    assert!(message.body.contains("rules.yml:3:4: `expr` is set twice"));
}

/// The same as [`check`] for a receiver with two topics, of which the second is notified only of
/// what fires; each line begins with the channel.
#[track_caller]
fn check_two_topics(seen: &str, expected: &[&str]) {
    let mut config = config("");
    let arn = "arn:aws:sns:eu-central-1:123456789012:alerts";
    let sns = [true, false].map(|send_resolved| SnsConfig {
        send_resolved,
        ..SnsConfig::from_topic(arn.parse().expect("an ARN"))
    });
    config.receivers = vec![Receiver {
        name: "default".to_owned(),
        sns: sns.to_vec(),
        ..Receiver::default()
    }];
    let world = letters(&config, seen);
    let mut state = State::default();
    run(&config, &mut state, &world, start(), &[]);
    let mut notified = Vec::new();
    let mut now = start().plus(LAG);
    for _ in seen.chars() {
        now = now.plus(MINUTE);
        for notification in run(&config, &mut state, &world, now, &[]) {
            assert!(notification.integration == "sns[0]" || notification.resolved == 0);
            notified.push(format!(
                "{} {} #{}",
                notification.integration,
                line(&notification, now),
                notification.sequence
            ));
        }
    }
    assert_eq!(notified, expected, "of {seen}");
}

#[test]
fn send_resolved_false_still_notifies_on_refire() {
    check_two_topics(
        "6661111111116666",
        &[
            "sns[0] 2 [FIRING:1] A (a x): first notification #1",
            "sns[1] 2 [FIRING:1] A (a x): first notification #1",
            "sns[0] 7 [RESOLVED] A (a x): all alerts resolved #2",
            "sns[0] 14 [FIRING:1] A (a x): first notification #3",
            "sns[1] 14 [FIRING:1] A (a x): first notification #2",
        ],
    );
}

#[test]
fn a_receiver_without_integrations_gets_nothing() {
    let mut config = config("");
    config.receivers = vec![Receiver {
        name: "default".to_owned(),
        sns: Vec::new(),
        ..Receiver::default()
    }];
    let world = letters(&config, "66666");
    let mut state = State::default();
    let mut now = start();
    for _ in 0..6 {
        assert!(run(&config, &mut state, &world, now, &[]).is_empty());
        now = now.plus(MINUTE);
    }
    assert!(!state.notify.alerts.is_empty() && state.notify.nflog.is_empty());
}

#[test]
fn group_by_ellipsis_groups_by_all_labels() {
    let mut config = config("");
    config.route.group_by = vec!["...".to_owned()];
    let world = letters(&config, "666");
    let mut state = State::default();
    run(&config, &mut state, &world, start(), &[]);
    for minute in 1..=2 {
        run(
            &config,
            &mut state,
            &world,
            start().plus(MINUTE * minute).plus(LAG),
            &[],
        );
    }
    let groups: Vec<&String> = state.notify.groups.keys().collect();
    assert_eq!(groups, [r#"{}:{alertname="A", node="a", type="x"}"#]);
}
