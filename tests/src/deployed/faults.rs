//! Nothing is lost: the deployed ruler is killed with -9 while it works, its schedule is doubled,
//! Prometheus and SNS fail, requests for the state and their answers are lost; and everybody who
//! is to be told is told, in order, and by Slack once.
//!
//! `DNSWATCH_SEED` repeats what is drawn; what meets what is up to the machine.

use std::collections::{BTreeMap, BTreeSet};
use std::mem::discriminant;
use std::time::Duration;

use alerting::alert::{self, AlertState};
use alerting::state::State;
use anyhow::{Context as _, Result, ensure};
use futures_util::future::{try_join, try_join_all, try_join3};
use serde_json::Value;
use tokio::time::Instant;

use super::cast::{self, fingerprint};
use super::deliveries::{none_without_a_cause, published};
use super::ledger::{Alert, judge};
use super::runs::next_second;
use super::way::{Fault, Step};
use super::world::{CANARY, World};
use crate::proxy::Weather;

/// For how long all fails at least. A claim of a run that was killed holds for two minutes more.
const STORM: Duration = Duration::from_secs(60);
/// And at most, if by then not everything has happened that is to happen.
const LONGEST_STORM: Duration = Duration::from_secs(180);
/// Only what will never come takes this long.
const OVER: Duration = Duration::from_secs(7 * 60);
/// How many nodes there are whose alerts go on until somebody was told that they fire.
const PATIENT: usize = 18;
/// And whose alerts end as soon as it is decided that somebody is to be told.
const HASTY: usize = 8;
/// How many runs are begun at a time beside the schedule's.
const RUNS_AT_ONCE: u64 = 3;

#[tokio::test]
#[ignore = "minutes of faults, on a machine of its own: make soak"]
async fn nothing_is_lost_whatever_fails() -> Result<()> {
    let seed = match std::env::var("DNSWATCH_SEED") {
        Ok(seed) => seed.parse().context("DNSWATCH_SEED is a number")?,
        Err(_) => fastrand::u64(..),
    };
    eprintln!("DNSWATCH_SEED={seed}");
    let Some(world) = World::deploy(seed).await? else {
        return Ok(());
    };
    let outcome = tokio::select! {
        outcome = tokio::time::timeout(OVER, story(&world, seed)) => {
            outcome.unwrap_or_else(|_| Err(anyhow::anyhow!("not within {OVER:?}")))
        }
        failed = world.listen() => failed,
    };
    eprintln!("{}", world.way.faults());
    outcome.with_context(|| {
        let told = world.told.borrow();
        let unfinished = world.cast.begun().into_iter().filter_map(|alert| {
            let of_it: Vec<_> = told.iter().filter_map(|told| told.of(&alert)).collect();
            (!of_it.contains(&false)).then(|| format!("{alert:?}, told {of_it:?}\n"))
        });
        let state = world.state.borrow();
        format!(
            "DNSWATCH_SEED={seed}\nwithout an end:\n{}{:#?}\n{}",
            unfinished.collect::<String>(),
            state.as_ref().map(|state| &state.notify),
            world.aws.log_end()
        )
    })
}

async fn story(world: &World, seed: u64) -> Result<()> {
    let invoke = try_join_all((0..RUNS_AT_ONCE).map(|n| world.invoke(seed.wrapping_add(n))));
    let ((patient, hasty), _) = try_join(storm(world, seed), invoke).await?;
    the_schedule_ran_it(world).await?;
    let posted = slack_posted(world).await?;

    // What SNS got the subscriber got.
    let events = world.way.events();
    let published = published(&events);
    let mut told = world.told.subscribe();
    let told = told.wait_for(|told| told.len() >= published).await?.clone();
    ensure!(told.len() == published, "{} of {published}", told.len());
    none_without_a_cause(&events)?;
    let summary = judge(&told, &world.cast.begun(), &patient)?;
    ensure!(summary.repeated > 0, "no answer of SNS was really lost");
    let ids: BTreeSet<&str> = told.iter().map(|told| told.id.as_str()).collect();
    ensure!(posted == ids.len(), "{posted} posted, {} told", ids.len());
    eprintln!(
        "{} patient and {} hasty alerts, {posted} notifications posted, {summary:?}",
        patient.len(),
        hasty.len()
    );
    no_secret_is_out(world).await
}

/// All fails for a while; then nothing does, until all is told and settled. The alerts that there
/// were, the patient and the hasty ones.
async fn storm(world: &World, seed: u64) -> Result<(BTreeSet<Alert>, BTreeSet<Alert>)> {
    // The rules' cursors are set, so that everything is seen that begins from now on.
    world.is_stored(|state| !state.rules.is_empty()).await?;
    let began = Instant::now();
    let is_over = || {
        let elapsed = began.elapsed();
        elapsed > LONGEST_STORM || (elapsed > STORM && what_did_not_happen(world).is_empty())
    };
    let all = |nodes: usize, is_patient| async move {
        let alerts = (0..nodes).map(|n| {
            let dice = fastrand::Rng::with_seed(seed.wrapping_add(n as u64));
            times(world, n, is_patient, dice, is_over)
        });
        let alerts = try_join_all(alerts).await?.into_iter().flatten();
        anyhow::Ok(alerts.collect::<BTreeSet<_>>())
    };
    let calm = async {
        world.storm(seed, is_over).await;
        let missing = what_did_not_happen(world);
        ensure!(missing.is_empty(), "it never happened: {missing:?}");
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
    world.is_stored(is_settled).await?;
    eprintln!("all was told after {:?}", began.elapsed());
    world.is_enough();
    Ok((patient, hasty))
}

/// A node's alerts, one after the other until the storm is over: each begins, ends, and is told.
async fn times(
    world: &World,
    n: usize,
    is_patient: bool,
    mut dice: fastrand::Rng,
    is_over: impl Fn() -> bool,
) -> Result<Vec<Alert>> {
    let node = format!("{}-{n}", if is_patient { "patient" } else { "hasty" });
    let mut alerts = Vec::new();
    while !is_over() {
        // So that not all are told in one run, whose death would hold them all up.
        tokio::time::sleep(Duration::from_millis(dice.u64(0..6000))).await;
        let alert = cast::alert(&node, alerts.len() + 1);
        world.cast.set(&alert, true);
        if is_patient {
            world.is_told(&alert, true).await?;
        } else {
            // What is in the log of notifications is owed, or was, or is told.
            let name = fingerprint(&alert);
            let is_planned = |state: &State| {
                let mut log = state.notify.nflog.iter();
                log.any(|told| told.firing.contains(&name))
            };
            world.is_stored(is_planned).await?;
        }
        world.cast.set(&alert, false);
        world.is_told(&alert, false).await?;
        alerts.push(alert);
    }
    Ok(alerts)
}

/// The faults without which the test would prove nothing, as far as they are still to come.
fn what_did_not_happen(world: &World) -> Vec<String> {
    let faults = world.way.faults();
    let runs = world.runs.borrow();
    let mut counts = vec![
        ("doubled run".to_owned(), runs.doubled),
        ("lost race".to_owned(), runs.lost_races),
        ("run that died".to_owned(), runs.died),
        ("kill".to_owned(), faults.kills()),
        ("run without a backend".to_owned(), runs.blind),
    ];
    for (step, fault) in [
        (Step::Load, Fault::KilledBefore),
        (Step::Commit, Fault::KilledBefore),
        (Step::Commit, Fault::KilledAfter),
        (Step::Commit, Fault::AnswerLost),
        (Step::Publish, Fault::KilledBefore),
        (Step::Publish, Fault::KilledAfter),
        (Step::Publish, Fault::Refused),
        (Step::Publish, Fault::Lost),
        (Step::Publish, Fault::AnswerLost),
    ] {
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

/// Nothing fires, nothing is owed, nothing was given up, no rule fails.
fn is_settled(state: &State) -> bool {
    let outbox = &state.notify.outbox;
    outbox.owed().is_empty()
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
    loop {
        for line in world.aws.function_logs().await? {
            let line: Value = serde_json::from_str(&line).unwrap_or_default();
            let is_done = line["message"] == "run"
                || line["message"] == "another run was faster and did the work";
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

/// How many notifications Slack was posted: each once, as the function's log has it, and as Slack
/// has it. Waits until nothing is left to post.
async fn slack_posted(world: &World) -> Result<usize> {
    loop {
        let (waiting, dead) = world.waiting_for_slack().await?;
        ensure!(dead == 0, "{dead} dead letters");
        if waiting == 0 {
            break;
        }
        next_second().await;
    }
    let mut posts: BTreeMap<String, usize> = BTreeMap::new();
    for line in world.aws.function_logs().await? {
        let line: Value = serde_json::from_str(&line).unwrap_or_default();
        if line["message"] == "posted" || line["message"] == "posted as late" {
            let id = line["notification_id"].as_str().context("an id")?;
            *posts.entry(id.to_owned()).or_default() += 1;
        }
    }
    ensure!(posts.values().all(|count| *count == 1), "{posts:?}");
    let seen = world.slack.posted().len();
    ensure!(seen == posts.len(), "{seen} seen, {} logged", posts.len());
    Ok(seen)
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
