//! Muting, silences and storms: whole runs of the core, a minute apart.

use std::collections::BTreeMap;
use std::time::Duration;

use alerting::config::{Config, Settings};
use alerting::labels::Labels;
use alerting::matchers::Matchers;
use alerting::notify::silence::{self, SilenceError};
use alerting::notify::{self, MAX_MESSAGES, Notification, Receiver, Silence, SnsConfig};
use alerting::rules::RuleKey;
use alerting::state::State;
use alerting::timestamp::Timestamp;

use crate::world::{MINUTE, config, evaluate, letters, start};

fn silence(matchers: &str, from: Timestamp, to: Timestamp) -> Silence {
    Silence {
        id: "s".to_owned(),
        matchers: Matchers::parse(matchers).expect("matchers"),
        starts_at: from,
        ends_at: to,
        created_by: "ana".to_owned(),
        comment: "maintenance".to_owned(),
        or_matchers: Vec::new(),
        annotations: BTreeMap::new(),
    }
}

/// A run at `now`: its notifications, each as minute and start of the subject.
fn run(
    config: &Config,
    state: &mut State,
    world: &BTreeMap<Timestamp, char>,
    now: Timestamp,
) -> Vec<Notification> {
    evaluate(config, &mut state.rules, world, now);
    notify::plan(state, config, &[], now);
    let outbox = &mut state.notify.outbox;
    outbox.claim("run", now, now.plus(MINUTE));
    let claimed: Vec<Notification> = outbox.claimed_by("run", now).cloned().collect();
    for notification in &claimed {
        outbox.delivered(&notification.id, "run");
    }
    claimed
}

/// The minutes of notifications: `f` firing, `r` resolved.
fn notified(seen: &str, mut before: impl FnMut(usize, &mut State, Timestamp)) -> String {
    let config = config("");
    let world = letters(&config, seen);
    let mut state = State::default();
    run(&config, &mut state, &world, start());
    let mut notified = String::new();
    for minute in 1..=seen.len() {
        let now = start().plus(MINUTE * u32::try_from(minute).expect("few"));
        let now = now.plus(Duration::from_secs(5));
        before(minute, &mut state, now);
        for notification in run(&config, &mut state, &world, now) {
            let what = if notification.firing > 0 { "f" } else { "r" };
            notified.push_str(&format!("{minute}{what} "));
        }
    }
    notified.trim_end().to_owned()
}

#[test]
fn a_silence_keeps_quiet_until_it_ends() {
    let seen = "666666666666666666666666";
    assert_eq!(notified(seen, |_, _, _| {}), "2f");
    let silenced = notified(seen, |minute, state, now| {
        if minute == 1 {
            let silence = silence("node=a", now, now.plus(MINUTE * 10));
            silence::add(&mut state.notify, silence, now).expect("it is taken");
        }
    });
    // The group was flushed at minute 2 and is again each five minutes.
    assert_eq!(silenced, "12f");
    let expired = notified(seen, |minute, state, now| {
        if minute == 1 {
            let silence = silence("node=a", now, now.plus(MINUTE * 10));
            silence::add(&mut state.notify, silence, now).expect("it is taken");
        }
        if minute == 4 {
            silence::expire(&mut state.notify, "s", now).expect("it holds");
        }
    });
    assert_eq!(expired, "7f");
}

#[test]
fn what_ended_while_it_was_silenced_is_news_when_it_fires_again() {
    let seen = "666111111111666666666";
    let silenced = notified(seen, |minute, state, now| {
        if minute == 3 {
            let silence = silence("node=a", now, now.plus(MINUTE * 7));
            silence::add(&mut state.notify, silence, now).expect("it is taken");
        }
    });
    assert_eq!(silenced, "2f 14f");
}

#[test]
fn silences_that_cannot_be_read_hold_on_for_a_day() {
    let mut state = State::default();
    let now = start();
    let week = now.plus(MINUTE * 60 * 24 * 7);
    let read = |state: &mut State, read, now| {
        silence::take_workspace(&mut state.notify, read, now);
        let config = config("");
        notify::plan(state, &config, &[], now);
        let known = state.notify.workspace_silences.clone().expect("known");
        (known.silences.len(), known.failing.map(|(since, _)| since))
    };
    let one = vec![silence("node=a", now, week)];
    assert_eq!(read(&mut state, Ok(one), now), (1, None));
    let failing = |hours: u32, state: &mut State| {
        read(state, Err("503".to_owned()), now.plus(MINUTE * 60 * hours))
    };
    let since = now.plus(MINUTE * 60);
    assert_eq!(failing(1, &mut state), (1, Some(since)));
    // A firing alert says so meanwhile.
    let names: Vec<&str> = state
        .notify
        .alerts
        .keys()
        .map(|labels| labels.get("alertname"))
        .collect();
    assert_eq!(names, [""; 0]);
    assert_eq!(failing(2, &mut state), (1, Some(since)));
    let names: Vec<&str> = state
        .notify
        .alerts
        .keys()
        .map(|labels| labels.get("alertname"))
        .collect();
    assert_eq!(names, ["DnswatchSilencesUnread"]);
    assert_eq!(failing(25, &mut state), (0, Some(since)));
    assert_eq!(read(&mut state, Ok(Vec::new()), week), (0, None));
}

#[test]
fn a_silence_must_say_what_it_is_about() {
    let mut state = State::default();
    let now = start();
    let later = now.plus(MINUTE);
    let mut add = |matchers: &str, from, to| {
        silence::add(&mut state.notify, silence(matchers, from, to), now)
    };
    assert_eq!(
        add("a=~.*", now, later),
        Err(SilenceError::MatchesEverything)
    );
    assert_eq!(
        add("a=b", later, now),
        Err(SilenceError::EndsBeforeItBegins)
    );
    assert_eq!(
        add("a=b", now.minus(MINUTE), now),
        Err(SilenceError::EndIsPast)
    );
    assert_eq!(
        add("a=b,a=c", now, later),
        Err(SilenceError::NeverMatches(
            r#"no value of `a` meets both a="b" and a="c""#.to_owned()
        ))
    );
    // What is not equal to something asks for something, as in Alertmanager from 0.28 on.
    assert_eq!(add(r#"severity!="critical""#, now, later), Ok(()));
    state.notify.silences.clear();
    let mut add = |matchers: &str, from, to| {
        silence::add(&mut state.notify, silence(matchers, from, to), now)
    };
    assert_eq!(add("a=b", now, later), Ok(()));
    let expired = Err(SilenceError::Expired("s".to_owned()));
    assert_eq!(silence::expire(&mut state.notify, "s", later), expired);
}

#[test]
fn one_set_of_matchers_is_enough_and_each_must_say_something() {
    let seen = "1666666666661";
    let notified = |sets: &[&str]| {
        notified(seen, |minute, state, now| {
            if minute == 1 {
                let mut silence = silence(sets[0], now, now.plus(MINUTE * 10));
                let rest = sets[1..].iter();
                silence.or_matchers = rest
                    .map(|set| Matchers::parse(set).expect("matchers"))
                    .collect();
                silence::add(&mut state.notify, silence, now).expect("it is taken");
            }
        })
    };
    assert_eq!(
        notified(&["node=a"]),
        notified(&["node=other", "node=a,type=x"])
    );
    assert_eq!(
        notified(&["node=other"]),
        notified(&["node=other", "node=a,type=y"])
    );
    assert_ne!(notified(&["node=a"]), notified(&["node=other"]));
    let mut state = State::default();
    let mut add = |set: &str| {
        let mut silence = silence("node=a", start(), start().plus(MINUTE));
        silence.or_matchers = vec![Matchers::parse(set).expect("matchers")];
        silence::add(&mut state.notify, silence, start())
    };
    assert_eq!(add(""), Err(SilenceError::MatchesEverything));
    assert_eq!(add("a=~.*"), Err(SilenceError::MatchesEverything));
    assert!(matches!(
        add("a=b,a!=b"),
        Err(SilenceError::NeverMatches(_))
    ));
}

/// What Alertmanager's API may say of a silence, and what must not come of it.
#[test]
fn silences_of_the_api_are_read_with_all_that_they_say() {
    let read = |silence: &str| {
        let json = format!(
            r#"[{{"id": "1", "startsAt": "2026-11-23T06:00:00.000Z", "endsAt": "2026-11-23T07:00:00.000Z",
                "updatedAt": "2026-11-23T06:00:00.000Z", "status": {{"state": "active"}}, {silence}}}]"#
        );
        silence::of_api(json.as_bytes()).map(|mut all| all.remove(0))
    };
    let matcher = |name: &str| {
        format!(r#"{{"isEqual": true, "isRegex": false, "name": "{name}", "value": "b"}}"#)
    };
    let one = read(&format!(
        r#""matchers": [{}], "annotations": {{"ticket": "OPS-1"}}, "comment": "c", "createdBy": "ana""#,
        matcher("a")
    ))
    .expect("it is read");
    assert_eq!(one.annotations["ticket"], "OPS-1");
    assert!(one.or_matchers.is_empty());
    // Several sets, should an API write them; the first stands under both names.
    let two = read(&format!(
        r#""matchers": [{0}], "matcherSets": [{{"matchers": [{0}]}}, {{"matchers": [{1}]}}]"#,
        matcher("a"),
        matcher("c")
    ))
    .expect("it is read");
    let sets: Vec<String> = two.matcher_sets().map(ToString::to_string).collect();
    assert_eq!(sets, [r#"{a="b"}"#, r#"{c="b"}"#]);
    // Without any matcher Alertmanager's silences nothing, and so does it here.
    for empty in [r#""matchers": []"#, r#""annotations": null"#] {
        let none = read(empty).expect("it is read");
        let mut state = State::default();
        let config = config("");
        let world = letters(&config, "1666");
        silence::take_workspace(&mut state.notify, Ok(vec![none]), start());
        state
            .notify
            .workspace_silences
            .as_mut()
            .expect("read")
            .silences[0]
            .ends_at = start().plus(MINUTE * 60);
        run(&config, &mut state, &world, start());
        let notified = (1..=4).any(|minute| {
            let now = start().plus(MINUTE * minute);
            !run(&config, &mut state, &world, now).is_empty()
        });
        assert!(notified, "{empty}");
    }
    assert!(read(r#""matchers": [{"name": "a"}]"#).is_err());
}

/// 5,000 groups at once.
#[test]
fn a_storm_is_combined_into_one_message_and_loses_nothing() {
    let mut config = Settings::default().load(&config_files()).expect("it loads");
    config.receivers = vec![Receiver {
        name: "default".to_owned(),
        sns: vec![SnsConfig::from_topic(
            "arn:aws:sns:eu-central-1:123456789012:alerts"
                .parse()
                .expect("an ARN"),
        )],
        ..Receiver::default()
    }];
    config.route.group_by = vec!["...".to_owned()];
    config.route.group_wait = Duration::ZERO;
    let mut state = State::default();
    let now = start();
    for at in 0..5_000 {
        let labels: Labels = [("alertname", "A".to_owned()), ("node", at.to_string())]
            .into_iter()
            .collect();
        let entry = notify::AlertEntry {
            labels: labels.clone(),
            annotations: Default::default(),
            value: 1.0,
            starts_at: now,
            ends_at: None,
            end: None,
            hold: None,
            past: false,
            fired_by: [RuleKey::ruler()].into(),
            rule: RuleKey::ruler(),
        };
        state.notify.alerts.insert(labels, entry);
    }
    // The ruler does not raise them: they end at once, so what fires is planned by hand.
    for entry in state.notify.alerts.values_mut() {
        entry.past = true;
    }
    notify::plan(&mut state, &config, &[], now);
    let outbox = &mut state.notify.outbox;
    outbox.claim("run", now, now.plus(MINUTE));
    let claimed: Vec<&Notification> = outbox.claimed_by("run", now).collect();
    assert_eq!(claimed.len(), 5_000);
    let digest = notify::digest(&claimed[MAX_MESSAGES - 1..], now).expect("there are some");
    assert_eq!(digest.groups, 5_000 - MAX_MESSAGES + 1);
    assert_eq!(digest.alerts.len() + digest.truncated, digest.groups);
    assert_eq!(digest.resolved, digest.groups);
}

fn config_files() -> alerting::config::ConfigFiles {
    alerting::config::ConfigFiles::default()
}
