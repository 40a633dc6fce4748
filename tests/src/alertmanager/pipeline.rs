//! The same configuration and the same history of alerts and silences through a running
//! Alertmanager and through ours: each channel of each receiver gets the same notifications of
//! each group, in the same order and at the same step, with the same alerts in them.
//!
//! Nothing depends on fractions of a second. Time goes in steps: alerts begin and end, silences
//! and muted times begin and end at a step's start, and every group is due in a step's middle.
//! Should the machine be too slow for that, which the test sees by its own clock, it tries again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use alerting::alert::{Alert, AlertState};
use alerting::config::{Config, ConfigFiles, Settings};
use alerting::labels::Labels;
use alerting::matchers::Matchers;
use alerting::notify::{self, Notification, Silence, silence};
use alerting::rules::SourceFile;
use alerting::state::{RuleState, State};
use alerting::timestamp::Timestamp;
use anyhow::{Context as _, Result, ensure};
use fastrand::Rng;
use serde_json::{Value, json};

use super::generated;
use super::server::{Alertmanager, Recorder};
use crate::parts;

/// A step, and how far into it groups are due.
const STEP: Duration = Duration::from_secs(4);
const DUE: Duration = Duration::from_secs(2);
/// How late what belongs to a step's start or middle may be.
const SLACK: Duration = Duration::from_millis(1300);
/// What two clocks may be apart.
const BY_CLOCKS: Duration = Duration::from_millis(100);
const STEPS: usize = 14;
const SCENARIOS: usize = 90;
const RECEIVERS: usize = 4;
const TRIES: u64 = 4;

/// One firing of an alert: from the start of a step to that of another.
#[derive(Debug, Clone)]
struct Episode {
    labels: Labels,
    from: usize,
    to: usize,
}

/// A silence, likewise.
#[derive(Debug, Clone)]
struct Quiet {
    matchers: String,
    from: usize,
    to: usize,
}

/// Everything that happens, and the configuration but for its receivers.
#[derive(Debug)]
struct World {
    routing: String,
    episodes: Vec<Episode>,
    silences: Vec<Quiet>,
}

/// Channel, group; then by step: which alerts fire, which ended.
type Notified = BTreeMap<(String, String), Vec<(usize, BTreeSet<String>, BTreeSet<String>)>>;

fn minute(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs() / 60 % (24 * 60))
}

/// `HH:MM`
fn clock(minute: u64) -> String {
    format!("{:02}:{:02}", minute / 60, minute % 60)
}

fn world(rng: &mut Rng, begin: SystemTime) -> World {
    let now = minute(begin);
    // The test has one change of minutes in it, but at midnight.
    let next = if now + 1 < 24 * 60 { now + 1 } else { now };
    let mut routing = format!(
        "time_intervals:\n\
         - {{name: always, time_intervals: [{{times: [{{start_time: '00:00', end_time: '24:00'}}]}}]}}\n\
         - {{name: never, time_intervals: [{{years: ['1999']}}]}}\n\
         - {{name: later, time_intervals: [{{times: [{{start_time: '{}', end_time: '24:00'}}]}}]}}\n\
         - {{name: before, time_intervals: [{{times: [{{start_time: '00:00', end_time: '{}'}}]}}]}}\n\
         - {{name: abroad, time_intervals: [{{times: [{{start_time: '06:00', end_time: '18:00'}}], location: Asia/Kolkata}}]}}\n\
         route:\n  receiver: r0-0\n  group_by: [alertname]\n  group_wait: 2s\n  group_interval: 4s\n  \
         repeat_interval: 10s\n  routes:\n",
        clock(next),
        if next == 0 {
            "24:00".to_owned()
        } else {
            clock(next)
        },
    );
    let mut inhibitions = String::new();
    let mut world = World {
        routing: String::new(),
        episodes: Vec::new(),
        silences: Vec::new(),
    };
    for scenario in 0..SCENARIOS {
        let receiver = |rng: &mut Rng| format!("r{}-{}", rng.usize(..RECEIVERS), rng.usize(..2));
        routing.push_str(&format!(
            "  - matchers: [scenario=\"{scenario}\"]\n    receiver: {}\n",
            receiver(rng)
        ));
        let (mut mutes, mut waits) = (false, false);
        timings(rng, "    ", &mut routing, &mut mutes, &mut waits);
        let children = rng.usize(..4);
        if children > 0 {
            routing.push_str("    routes:\n");
        }
        for child in 0..children {
            // So that no two have the same key, as which Alertmanager would take them for one.
            routing.push_str(&format!(
                "    - continue: {}\n      receiver: {}\n      matchers: ['child!=\"{child}\"', '{}']\n",
                rng.u8(..3) > 0,
                receiver(rng),
                generated::matcher(rng),
            ));
            timings(rng, "      ", &mut routing, &mut mutes, &mut waits);
        }
        if rng.bool() {
            mutes = true;
            inhibitions.push_str(&format!(
                "- source_matchers: [scenario=\"{scenario}\", '{}']\n  target_matchers: \
                 [scenario=\"{scenario}\", '{}']\n  equal: [{}]\n",
                generated::matcher(rng),
                generated::matcher(rng),
                ["", "node", "team", "node, team"][rng.usize(..4)],
            ));
        }
        if rng.u8(..3) == 0 {
            mutes = true;
            let from = rng.usize(..STEPS - 2);
            world.silences.push(Quiet {
                matchers: format!(
                    "scenario=\"{scenario}\",{}",
                    generated::matcher(rng).trim_matches(['{', '}'])
                ),
                from,
                to: rng.usize(from + 1..STEPS + 4),
            });
        }
        let mut known = BTreeSet::new();
        for _ in 0..rng.usize(2..7) {
            let mut labels = generated::labels(rng);
            labels.push(("scenario".to_owned(), scenario.to_string()));
            let labels: Labels = labels.into_iter().collect();
            if !known.insert(labels.clone()) {
                continue;
            }
            // What ended while it was muted is news here when it fires again, and is none to
            // Alertmanager: so where anything is muted, an alert fires once.
            let mut from = rng.usize(..6);
            for _ in 0..if mutes { 1 } else { 3 } {
                // A group that is empty is forgotten at once here, by Alertmanager within half a
                // minute. That shows where the next alert would wait longer than a step.
                let to = if waits { STEPS } else { from + rng.usize(1..7) };
                if from + 1 < STEPS {
                    world.episodes.push(Episode {
                        labels: labels.clone(),
                        from,
                        to,
                    });
                }
                from = to + rng.usize(1..4);
            }
        }
    }
    world.routing = format!("{routing}inhibit_rules:\n{inhibitions}");
    world
}

fn timings(rng: &mut Rng, indent: &str, out: &mut String, mutes: &mut bool, waits: &mut bool) {
    let mut put = |line: &str| out.push_str(&format!("{indent}{line}\n"));
    match rng.u8(..5) {
        0 => put("group_by: ['...']"),
        1 => put("group_by: [node, severity]"),
        2 => put("group_by: [scenario]"),
        // An empty list is no "as above".
        3 => put("group_by: []"),
        _ => {}
    }
    if rng.u8(..8) == 0 {
        *waits = true;
        put("group_wait: 6s");
    }
    if rng.u8(..8) == 0 {
        *waits = true;
        put("group_interval: 8s");
    }
    if rng.u8(..4) == 0 {
        put("repeat_interval: 1h");
    }
    if rng.u8(..5) == 0 {
        *mutes = true;
        let interval = ["never", "later", "before", "abroad"][rng.usize(..4)];
        put(&format!("mute_time_intervals: [{interval}]"));
    }
    if rng.u8(..5) == 0 {
        *mutes = true;
        let interval = ["always", "later", "before", "abroad"][rng.usize(..4)];
        put(&format!("active_time_intervals: [{interval}]"));
    }
}

/// Receivers of two channels each; those whose name ends in 1 have send_resolved: false.
fn receivers(channel: impl Fn(&str, usize, bool) -> String) -> String {
    let mut text = String::from("receivers:\n");
    for receiver in 0..RECEIVERS {
        for quiet in 0..2 {
            let name = format!("r{receiver}-{quiet}");
            text.push_str(&format!("- name: {name}\n"));
            let channels: Vec<String> = (0..=receiver % 2)
                .map(|at| channel(&name, at, quiet == 0))
                .collect();
            text.push_str(&channels.concat());
        }
    }
    text
}

fn theirs(world: &World, url: &str) -> String {
    let receivers = receivers(|name, at, resolved| {
        let head = if at == 0 { "  webhook_configs:\n" } else { "" };
        format!("{head}  - url: {url}/{name}/{at}\n    send_resolved: {resolved}\n")
    });
    format!("{}{receivers}", world.routing)
}

/// The same for ours, with a rule that fires whatever the history says.
fn ours(world: &World) -> Result<Config> {
    let receivers = receivers(|_, at, resolved| {
        let head = if at == 0 { "  sns_configs:\n" } else { "" };
        let arn = "arn:aws:sns:eu-central-1:123456789012:alerts";
        format!("{head}  - topic_arn: {arn}\n    send_resolved: {resolved}\n")
    });
    let files = ConfigFiles {
        rules: vec![SourceFile {
            name: "r.yml".to_owned(),
            text: "groups: [{name: g, rules: [{alert: R, expr: up > 0}]}]".to_owned(),
        }],
        alertmanager: Some(SourceFile {
            name: "alertmanager.yml".to_owned(),
            text: format!("{}{receivers}", world.routing),
        }),
        templates: Vec::new(),
    };
    Settings::default()
        .load(&files)
        .map_err(|errors| anyhow::anyhow!("{errors:?}"))
}

fn timestamp(at: SystemTime) -> Timestamp {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or_default())
}

fn step(begin: SystemTime, step: usize) -> SystemTime {
    begin + STEP * u32::try_from(step).unwrap_or_default()
}

/// Our notifications.
fn run_ours(world: &World, begin: SystemTime) -> Result<Notified> {
    let config = ours(world)?;
    let rule = &config.groups[0].rules[0];
    let mut state = State::default();
    let mut notified = Notified::new();
    let at = |index: usize| timestamp(step(begin, index));
    for index in 0..STEPS {
        let now = at(index);
        // As read again from the store.
        let mut rules = RuleState::new(rule.id.clone(), now.plus(STEP));
        if let Some(before) = state.rules.remove(&rule.key) {
            rules.ended = before.ended;
        }
        for episode in &world.episodes {
            let ended = episode.to == index;
            if (episode.from..=episode.to).contains(&index) {
                let alert = Alert {
                    labels: episode.labels.clone(),
                    annotations: Default::default(),
                    value: 1.0,
                    state: if ended {
                        AlertState::Inactive
                    } else {
                        AlertState::Firing
                    },
                    active_at: at(episode.from),
                    fired_at: Some(at(episode.from)),
                    resolved_at: ended.then_some(now),
                    keep_firing_since: None,
                    hold: None,
                    end: None,
                    late: false,
                };
                let kept = if ended {
                    &mut rules.ended
                } else {
                    &mut rules.active
                };
                kept.insert(episode.labels.clone(), alert);
            }
        }
        state.rules.insert(rule.key.clone(), rules);
        for (number, quiet) in world.silences.iter().enumerate() {
            if quiet.from == index {
                let silence = Silence {
                    id: number.to_string(),
                    matchers: Matchers::parse(&quiet.matchers)?,
                    starts_at: now,
                    ends_at: at(quiet.to),
                    created_by: "test".to_owned(),
                    comment: "test".to_owned(),
                    or_matchers: Vec::new(),
                    annotations: BTreeMap::new(),
                };
                silence::add(&mut state.notify, silence, now)?;
            }
        }
        for now in [now, now.plus(DUE)] {
            notify::plan(&mut state, &config, &[], now);
            let outbox = &mut state.notify.outbox;
            outbox.claim("run", now, now.plus(STEP));
            let claimed: Vec<Notification> = outbox.claimed_by("run", now).cloned().collect();
            for one in claimed {
                outbox.delivered(&one.id, "run");
                let channel = format!(
                    "/{}/{}",
                    one.receiver,
                    one.integration.trim_matches(|c: char| !c.is_ascii_digit())
                );
                let of = |firing: bool| {
                    let alerts = one
                        .alerts
                        .iter()
                        .filter(|alert| alert.is_firing() == firing);
                    alerts.map(|alert| alert.labels.to_string()).collect()
                };
                let group = notified
                    .entry((channel, one.group_key.clone()))
                    .or_default();
                group.push((index, of(true), of(false)));
            }
        }
    }
    Ok(notified)
}

/// Alertmanager's notifications; None if the machine was too slow to keep the steps apart.
async fn ask(world: &World, begin: SystemTime) -> Result<Option<Notified>> {
    let tools = parts::alertmanager().context("it is there")?;
    let recorder = Recorder::start("").await?;
    let server =
        Alertmanager::start(&tools, &theirs(world, recorder.url()), &[], "http://am").await?;
    let far = "2100-01-01T00:00:00Z";
    let text = |at: SystemTime| timestamp(at).to_string();
    for index in 0..STEPS {
        let start = step(begin, index);
        let Ok(left) = start.duration_since(SystemTime::now()) else {
            return Ok(None);
        };
        tokio::time::sleep(left).await;
        for quiet in world.silences.iter().filter(|quiet| quiet.from == index) {
            let matchers = serde_json::to_value(Matchers::parse(&quiet.matchers)?)?;
            let silence = json!({
                "matchers": matchers, "startsAt": text(SystemTime::now()),
                "endsAt": text(step(begin, quiet.to)), "createdBy": "test", "comment": "test",
            });
            server.post("silences", &silence).await?;
        }
        let alerts = world
            .episodes
            .iter()
            .filter(|it| it.from == index || it.to == index);
        let alerts: Vec<Value> = alerts
            .map(|it| {
                let ends = if it.to == index {
                    text(start)
                } else {
                    far.to_owned()
                };
                json!({"labels": it.labels, "startsAt": text(step(begin, it.from)), "endsAt": ends})
            })
            .collect();
        if !alerts.is_empty() {
            server.post("alerts", &Value::Array(alerts)).await?;
        }
        if SystemTime::now().duration_since(start)? > SLACK {
            return Ok(None);
        }
    }
    let end = step(begin, STEPS);
    tokio::time::sleep(end.duration_since(SystemTime::now()).unwrap_or_default()).await;
    let mut notified = Notified::new();
    for received in recorder.received() {
        let since = received.at.duration_since(begin)?;
        let index = usize::try_from(since.as_secs() / STEP.as_secs())?;
        // What comes before it can be due is of the step before.
        let into = since.saturating_sub(step(begin, index).duration_since(begin)?);
        if into > DUE + SLACK || into < DUE - BY_CLOCKS {
            return Ok(None);
        }
        if index >= STEPS {
            continue;
        }
        let webhook: Value = serde_json::from_slice(&received.body)?;
        let mut sets = [BTreeSet::new(), BTreeSet::new()];
        for alert in webhook["alerts"].as_array().context("alerts")? {
            let labels: Labels = serde_json::from_value(alert["labels"].clone())?;
            sets[usize::from(alert["status"] != "firing")].insert(labels.to_string());
        }
        let [firing, resolved] = sets;
        let group = webhook["groupKey"].as_str().context("a key")?.to_owned();
        notified
            .entry((received.path, group))
            .or_default()
            .push((index, firing, resolved));
    }
    Ok(Some(notified))
}

#[tokio::test]
async fn notifications_are_those_of_alertmanager() -> Result<()> {
    let Some(tools) = parts::alertmanager() else {
        return Ok(());
    };
    println!("{}", tools.version()?);
    for attempt in 0..TRIES {
        // At a whole number of steps since the epoch, so that minutes change at a step's start.
        let soon = timestamp(SystemTime::now() + STEP)
            .align_down(STEP)
            .plus(STEP);
        let begin = UNIX_EPOCH + Duration::from_millis(u64::try_from(soon.as_millis())?);
        let mut rng = Rng::with_seed(80 + attempt);
        let world = world(&mut rng, begin);
        let ours = run_ours(&world, begin)?;
        let Some(theirs) = ask(&world, begin).await? else {
            eprintln!("the machine was too slow: once more");
            continue;
        };
        let mut differing = String::new();
        for key in ours.keys().chain(theirs.keys()).collect::<BTreeSet<_>>() {
            let (mine, real) = (ours.get(key), theirs.get(key));
            if mine != real && differing.len() < 6000 {
                differing.push_str(&format!(
                    "{key:?}\n  here:         {mine:?}\n  Alertmanager: {real:?}\n"
                ));
            }
        }
        ensure!(differing.is_empty(), "{differing}{}", world.routing);
        let notifications: usize = theirs.values().map(Vec::len).sum();
        let ends = theirs
            .values()
            .flatten()
            .filter(|(_, firing, _)| firing.is_empty())
            .count();
        println!(
            "pipeline: {SCENARIOS} trees, {} episodes, {} silences, {} groups and channels, \
             {notifications} notifications, {ends} of them that all is over: the same",
            world.episodes.len(),
            world.silences.len(),
            theirs.len(),
        );
        // How many are muted is up to the hour and to the try.
        ensure!(theirs.len() >= 200 && notifications >= 500 && ends >= 30);
        return Ok(());
    }
    anyhow::bail!("the machine was too slow {TRIES} times")
}
