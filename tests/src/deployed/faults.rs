//! Nothing is lost: the deployed ruler is killed with -9 while it works, its schedule is doubled,
//! Prometheus and SNS fail, requests for the state and their answers are lost; and everybody who
//! is due is notified, in order, and by Slack once.
//!
//! `DNSWATCH_SEED` draws something else, as `make soak` does; what meets what is up to the machine.
//! However busy it is, the test waits for events and for all notifications, and not for a
//! time to pass. The ruler is killed at the beginning only: the claim of a run that was killed holds
//! for two minutes, in which all else fails, so that the test takes hardly longer than that.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::mem::discriminant;
use std::time::Duration;

use alerting::alert::{self, AlertState};
use alerting::state::State;
use anyhow::{Context as _, Result, anyhow, ensure};
use futures_util::future::{try_join, try_join_all, try_join3};
use serde_json::Value;
use tokio::time::Instant;

use super::cast::{self, fingerprint};
use super::deliveries::{none_without_a_cause, published};
use super::ledger::{Alert, Notified, judge};
use super::runs::next_second;
use super::way::{Failing, Fault, Step};
use super::world::{CANARY, World};
use crate::proxy::Weather;

/// For how long everything fails at least, the ruler's life included: seconds, more of them in
/// `make soak`.
const STORM: (&str, u64) = ("DNSWATCH_STORM", 15);
/// And for how long the rest continues then, at least. What a run had claimed that was killed, or
/// whose commit is in doubt, waits for two minutes after that.
const REST: Duration = Duration::from_secs(30);
/// Only what will never come takes this much longer, on however busy a machine.
const OVER: Duration = Duration::from_secs(12 * 60);
/// How many nodes there are whose alerts fire until that is notified.
const PATIENT: usize = 18;
/// And whose alerts end as soon as their notification is planned.
const HASTY: usize = 8;
/// How many runs are begun at a time beside the schedule's.
const RUNS_AT_ONCE: u64 = 3;

#[tokio::test]
async fn nothing_is_lost_whatever_fails() -> Result<()> {
    let seed = number("DNSWATCH_SEED")?.unwrap_or(1);
    eprintln!("DNSWATCH_SEED={seed}");
    let storm = Duration::from_secs(number(STORM.0)?.unwrap_or(STORM.1));
    let over = storm + OVER;
    let Some(world) = World::deploy(seed).await? else {
        return Ok(());
    };
    let outcome = tokio::select! {
        outcome = tokio::time::timeout(over, story(&world, seed, storm)) => {
            outcome.unwrap_or_else(|_| Err(anyhow!("not within {over:?}")))
        }
        failed = world.listen() => failed,
    };
    eprintln!("{}", world.way.faults());
    outcome.with_context(|| {
        let notified = world.notified.borrow();
        let unfinished = world.cast.begun().into_iter().filter_map(|alert| {
            let of_it: Vec<_> = notified
                .iter()
                .filter_map(|notified| notified.of(&alert))
                .collect();
            (!of_it.contains(&false)).then(|| format!("{alert:?}, notified {of_it:?}\n"))
        });
        let state = world.state.borrow();
        format!(
            "DNSWATCH_SEED={seed}\nawaited: {:#?}\nwithout an end:\n{}{:#?}\n{}",
            world.awaited.borrow(),
            unfinished.collect::<String>(),
            state.as_ref().map(|state| &state.notify),
            world.aws.log_end()
        )
    })
}

fn number(variable: &str) -> Result<Option<u64>> {
    let Ok(text) = std::env::var(variable) else {
        return Ok(None);
    };
    let number = text.parse();
    Ok(Some(
        number.with_context(|| format!("{variable} is a number"))?,
    ))
}

async fn story(world: &World, seed: u64, lasts: Duration) -> Result<()> {
    let invoke = try_join_all((0..RUNS_AT_ONCE).map(|n| world.invoke(seed.wrapping_add(n))));
    let ((patient, hasty), _) = try_join(storm(world, seed, lasts), invoke).await?;
    the_schedule_ran_it(world).await?;

    // What SNS got the subscriber got.
    let events = world.way.events();
    let published = published(&events);
    let mut notified = world.notified.subscribe();
    let notified = notified.wait_for(|notified| notified.len() >= published);
    let notified = world.awaits(format!("{published} deliveries"), notified);
    let notified = notified.await?.clone();
    ensure!(
        notified.len() == published,
        "{} of {published}",
        notified.len()
    );
    none_without_a_cause(&events)?;
    let summary = judge(&notified, &world.cast.begun(), &patient)?;
    ensure!(summary.repeated > 0, "no answer of SNS was really lost");
    eprintln!(
        "{} patient and {} hasty alerts, {summary:?}",
        patient.len(),
        hasty.len()
    );
    slack_posted(world, &notified).await?;
    no_secret_is_out(world).await
}

/// All fails for a while; then nothing does, until all is notified and settled. The alerts that
/// there were, the patient and the hasty ones.
async fn storm(
    world: &World,
    seed: u64,
    lasts: Duration,
) -> Result<(BTreeSet<Alert>, BTreeSet<Alert>)> {
    // The rules' cursors are set, so that everything is seen that begins from now on.
    let is_set = world.is_stored("with cursors", |state| !state.rules.is_empty());
    is_set.await?;
    let began = Instant::now();
    let last_kill = Cell::new(None);
    let failing = || {
        if last_kill.get().is_none() && (began.elapsed() < lasts || !is_killed_everywhere(world)) {
            return Failing::All;
        }
        let last_kill = last_kill.get().unwrap_or_else(|| {
            eprintln!("it was killed for {:?}", began.elapsed());
            last_kill.set(Some(Instant::now()));
            Instant::now()
        });
        if last_kill.elapsed() < REST || !what_did_not_happen(world).is_empty() {
            Failing::Requests
        } else {
            Failing::Nothing
        }
    };
    let is_over = Cell::new(false);
    let all = |nodes: usize, is_patient| {
        let is_over = &is_over;
        async move {
            let alerts = (0..nodes).map(|n| {
                let dice = fastrand::Rng::with_seed(seed.wrapping_add(n as u64));
                times(world, n, is_patient, dice, is_over)
            });
            let alerts = try_join_all(alerts).await?.into_iter().flatten();
            anyhow::Ok(alerts.collect::<BTreeSet<_>>())
        }
    };
    let calm = async {
        let name = "all that is to happen".to_owned();
        world.awaits(name, world.storm(seed, failing)).await;
        is_over.set(true);
        let runs = world.runs.borrow();
        eprintln!(
            "all failed for {:?}: {} runs doubled, {} lost a race, {} done ({} without a backend), \
             {} died, {} failed; {:?}",
            began.elapsed(),
            runs.doubled,
            runs.lost_races,
            runs.done,
            runs.blind,
            runs.died,
            runs.failed,
            met(world)
        );
        Ok(())
    };
    let (patient, hasty, ()) = try_join3(all(PATIENT, true), all(HASTY, false), calm).await?;
    eprintln!("all ends were notified after {:?}", began.elapsed());
    world.is_stored("that is settled", is_settled).await?;
    eprintln!("all was settled after {:?}", began.elapsed());
    world.is_enough();
    Ok((patient, hasty))
}

/// A node's alerts, one after the other until the storm is over: each begins, ends, and is
/// notified.
async fn times(
    world: &World,
    n: usize,
    is_patient: bool,
    mut dice: fastrand::Rng,
    is_over: &Cell<bool>,
) -> Result<Vec<Alert>> {
    let node = format!("{}-{n}", if is_patient { "patient" } else { "hasty" });
    let mut alerts = Vec::new();
    while !is_over.get() {
        // So that not all are notified in one run, whose death would delay them all.
        tokio::time::sleep(Duration::from_millis(dice.u64(0..6000))).await;
        let alert = cast::alert(&node, alerts.len() + 1);
        world.cast.set(&alert, true);
        if is_patient {
            world.is_reported(&alert, true).await?;
        } else {
            // A logged notification is pending, was pending, or is sent.
            let name = fingerprint(&alert);
            let is_planned = |state: &State| {
                let mut log = state.notify.nflog.iter();
                log.any(|notified| notified.firing.contains(&name))
            };
            let how = format!("that plans {alert:?}");
            world.is_stored(&how, is_planned).await?;
        }
        world.cast.set(&alert, false);
        world.is_reported(&alert, false).await?;
        alerts.push(alert);
    }
    Ok(alerts)
}

/// What kills the ruler, each at least once.
const KILLS: [(Step, Fault); 5] = [
    (Step::Load, Fault::KilledBefore),
    (Step::Commit, Fault::KilledBefore),
    (Step::Commit, Fault::KilledAfter),
    (Step::Publish, Fault::KilledBefore),
    (Step::Publish, Fault::KilledAfter),
];

fn is_killed_everywhere(world: &World) -> bool {
    let faults = world.way.faults();
    let mut kills = KILLS.iter();
    kills.all(|(step, fault)| faults.count(*step, *fault) > 0)
}

/// The faults without which the test would prove nothing, as far as they are still to come.
fn what_did_not_happen(world: &World) -> Vec<String> {
    let faults = world.way.faults();
    let runs = world.runs.borrow();
    let mut counts = vec![
        ("doubled run".to_owned(), runs.doubled),
        ("lost race".to_owned(), runs.lost_races),
        ("run that died".to_owned(), runs.died),
        ("run without a backend".to_owned(), runs.blind),
    ];
    let others = [
        (Step::Load, Fault::Lost),
        (Step::Commit, Fault::AnswerLost),
        (Step::Publish, Fault::Refused),
        (Step::Publish, Fault::Lost),
        (Step::Publish, Fault::AnswerLost),
    ];
    for (step, fault) in KILLS.into_iter().chain(others) {
        counts.push((format!("{step:?} {fault:?}"), faults.count(step, fault)));
    }
    counts.extend(met(world).map(|(weather, count)| (format!("backend {weather:?}"), count)));
    let missing = counts.into_iter().filter(|(_, count)| *count == 0);
    missing.map(|(what, _)| what).collect()
}

/// How many connections to the backend met which weather.
fn met(world: &World) -> [(Weather, usize); 4] {
    let met = world.backend.met();
    [
        Weather::Refuse,
        Weather::Cut(0),
        Weather::Unavailable,
        Weather::AnswerLost,
    ]
    .map(|weather| {
        let alike = |met: &&Weather| discriminant(*met) == discriminant(&weather);
        (weather, met.iter().filter(alike).count())
    })
}

/// Nothing fires, nothing is pending, nothing was given up, no rule fails.
fn is_settled(state: &State) -> bool {
    let outbox = &state.notify.outbox;
    outbox.pending().is_empty()
        && outbox.dead_letters().is_empty()
        && state.notify.alerts.is_empty()
        && state.rules.values().all(|rule| {
            // What ended is known for a while.
            let fires = |alert: &alert::Alert| alert.state != AlertState::Inactive;
            rule.health.failure.is_none() && !rule.active.values().any(fires)
        })
}

/// The schedule of the template fired the function, and it ran: its log has runs that the test did
/// not begin. Waits for one; none of the test's own is under way any more.
async fn the_schedule_ran_it(world: &World) -> Result<()> {
    let name = "a run of the schedule".to_owned();
    world.awaits(name, a_run_of_the_schedule(world)).await
}

async fn a_run_of_the_schedule(world: &World) -> Result<()> {
    loop {
        for line in world.aws.function_logs().await? {
            let line: Value = serde_json::from_str(&line).unwrap_or_default();
            let is_done = line["message"] == "run"
                || line["message"] == "lost the commit race: a concurrent run already committed";
            if is_done {
                let run = line["run"].as_str().context("a run")?;
                if !world.runs.borrow().names.contains(run) {
                    return Ok(());
                }
            }
        }
        next_second().await;
    }
}

/// Slack got each notification once: as the function's log has it, and as
/// Slack has it.
async fn slack_posted(world: &World, notified: &[Notified]) -> Result<()> {
    let notified: BTreeSet<&str> = notified
        .iter()
        .map(|notified| notified.id.as_str())
        .collect();
    let all = async {
        loop {
            let (waiting, dead) = world.waiting_for_slack().await?;
            ensure!(dead == 0, "{dead} dead letters");
            if waiting == 0 && world.slack.posted().len() >= notified.len() {
                return Ok(());
            }
            next_second().await;
        }
    };
    world
        .awaits(format!("{} posts to Slack", notified.len()), all)
        .await?;
    let mut posts: BTreeMap<String, usize> = BTreeMap::new();
    for line in world.aws.function_logs().await? {
        let line: Value = serde_json::from_str(&line).unwrap_or_default();
        if line["message"] == "posted" || line["message"] == "posted as late" {
            let id = line["notification_id"].as_str().context("an id")?;
            *posts.entry(id.to_owned()).or_default() += 1;
        }
    }
    ensure!(posts.values().all(|count| *count == 1), "{posts:?}");
    let posted: BTreeSet<&str> = posts.keys().map(String::as_str).collect();
    ensure!(
        posted == notified,
        "posted {posted:?}, notified {notified:?}"
    );
    let seen = world.slack.posted().len();
    ensure!(seen == posts.len(), "{seen} seen, {} logged", posts.len());
    Ok(())
}

/// The webhook's path is nowhere but where it must be.
async fn no_secret_is_out(world: &World) -> Result<()> {
    let functions = world.aws.function_logs().await?.join("\n");
    let places = [
        ("the functions' logs", functions, "\"message\":\"run\""),
        ("the log of the AWS", world.aws.log(), "SNS publish to"),
        ("the table", world.stored().await?, "posted_at"),
        (
            "the queue",
            world.messages.borrow().join("\n"),
            "LinkLocalThrottling",
        ),
        (
            "what SNS got",
            world.way.published().join("\n"),
            "LinkLocalThrottling",
        ),
    ];
    for (place, text, known) in places {
        ensure!(text.contains(known), "{place} has no {known}: {text}");
        ensure!(!text.contains(CANARY), "{place}: {text}");
    }
    Ok(())
}
