//! Nothing is lost: the deployed ruler is killed with -9 while it works, its schedule is doubled,
//! Prometheus and SNS fail, requests for the state and their answers are lost; and everybody who
//! is to be told is told, in order, and by Slack once.
//!
//! `DNSWATCH_SEED` repeats what is drawn; what meets what is up to the machine.

use std::collections::{BTreeMap, BTreeSet};
use std::mem::discriminant;
use std::time::Duration;

use alerting::state::State;
use anyhow::{Context as _, Result, ensure};
use futures_util::future::{join, join_all, try_join_all};
use serde_json::Value;
use tokio::time::Instant;

use super::cast::{alert, fingerprint};
use super::ledger::{Alert, judge};
use super::way::{Fault, Step};
use super::world::{CANARY, World};
use crate::proxy::Weather;

/// For how long all fails at least. A claim of a run that was killed holds for two minutes more.
const STORM: Duration = Duration::from_secs(60);
/// And at most, if by then not everything has happened that is to happen.
const LONGEST_STORM: Duration = Duration::from_secs(180);
/// Only what will never come takes this long.
const OVER: Duration = Duration::from_secs(10 * 60);
/// Their alerts go on until somebody was told that they fire.
const PATIENT: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];
/// Their alerts end as soon as it is decided that somebody is to be told.
const HASTY: [&str; 4] = ["w", "x", "y", "z"];
/// How many runs are begun at a time beside the schedule's.
const RUNS_AT_ONCE: usize = 3;

#[tokio::test]
async fn nothing_is_lost_whatever_fails() -> Result<()> {
    let seed = match std::env::var("DNSWATCH_SEED") {
        Ok(seed) => seed.parse().context("DNSWATCH_SEED is a number")?,
        Err(_) => fastrand::u64(..),
    };
    eprintln!("DNSWATCH_SEED={seed}");
    let Some(world) = World::deploy(seed).await? else {
        return Ok(());
    };
    let invoke = try_join_all((0..RUNS_AT_ONCE).map(|_| world.invoke()));
    let outcome = tokio::select! {
        outcome = tokio::time::timeout(OVER, story(&world, seed)) => {
            outcome.unwrap_or_else(|_| Err(anyhow::anyhow!("not within {OVER:?}")))
        }
        failed = invoke => failed.map(|_| ()),
        failed = world.listen() => failed,
    };
    eprintln!("{}\n{:?}", world.way.faults(), world.runs.get());
    outcome.with_context(|| {
        let state = world.state.borrow();
        let owed = state.as_ref().map(|state| &state.notify);
        let told = world.told.borrow();
        let told = &told[told.len().saturating_sub(20)..];
        format!(
            "DNSWATCH_SEED={seed}\n{owed:#?}\n{told:#?}\n{}",
            world.aws.log_end()
        )
    })
}

async fn story(world: &World, seed: u64) -> Result<()> {
    // The rules' cursors are set, so that everything is seen that begins from now on.
    world.is_stored(|state| !state.rules.is_empty()).await?;
    let began = Instant::now();
    let is_over = || {
        let elapsed = began.elapsed();
        elapsed > LONGEST_STORM || (elapsed > STORM && what_did_not_happen(world).is_empty())
    };
    let patient = join_all(PATIENT.map(|node| times(world, node, true, is_over)));
    let hasty = join_all(HASTY.map(|node| times(world, node, false, is_over)));
    let (_, (patient, hasty)) = join(world.storm(seed, is_over), join(patient, hasty)).await;
    eprintln!("all told after {:?}", began.elapsed());
    let missing = what_did_not_happen(world);
    ensure!(missing.is_empty(), "it never happened: {missing:?}");

    let all = |times: Vec<Result<Vec<Alert>>>| -> Result<BTreeSet<Alert>> {
        let times: Vec<Vec<Alert>> = times.into_iter().collect::<Result<_>>()?;
        Ok(times.into_iter().flatten().collect())
    };
    let (patient, hasty) = (all(patient)?, all(hasty)?);
    ensure!(patient.len() >= PATIENT.len() && hasty.len() >= HASTY.len());
    world.is_stored(is_settled).await?;
    the_schedule_ran_it(world).await?;
    let posted = slack_posted(world).await?;
    eprintln!("all settled after {:?}", began.elapsed());

    let told = world.told.borrow().clone();
    let summary = judge(&told, &world.cast.begun(), &patient)?;
    eprintln!(
        "{} patient and {} hasty alerts, {posted} posted, {summary:?}",
        patient.len(),
        hasty.len()
    );
    ensure!(summary.repeated > 0, "no answer of SNS was really lost");
    let ids: BTreeSet<&str> = told.iter().map(|told| told.id.as_str()).collect();
    ensure!(posted == ids.len(), "{posted} posted, {} told", ids.len());
    no_secret_is_out(world).await
}

/// A node's alerts, one after the other until the storm is over: each begins, ends, and is told.
async fn times(
    world: &World,
    node: &str,
    is_patient: bool,
    is_over: impl Fn() -> bool,
) -> Result<Vec<Alert>> {
    let mut alerts = Vec::new();
    while !is_over() {
        let alert = alert(node, alerts.len() + 1);
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
    let runs = world.runs.get();
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
    let met = world.backend.met();
    for weather in [
        Weather::Refuse,
        Weather::Cut(0),
        Weather::Unavailable,
        Weather::AnswerLost,
    ] {
        let alike = |met: &&Weather| discriminant(*met) == discriminant(&weather);
        let count = met.iter().filter(alike).count();
        counts.push((format!("backend {weather:?}"), count));
    }
    let missing = counts.into_iter().filter(|(_, count)| *count == 0);
    missing.map(|(what, _)| what).collect()
}

/// Nothing fires, nothing is owed, nothing was given up, no rule fails.
fn is_settled(state: &State) -> bool {
    let outbox = &state.notify.outbox;
    outbox.owed().is_empty()
        && outbox.dead_letters().is_empty()
        && state.notify.alerts.is_empty()
        && state
            .rules
            .values()
            .all(|rule| rule.active.is_empty() && rule.health.failure.is_none())
}

/// The schedule of the template fired the function, which ran: its output, under the heading that
/// the local AWS has for what nobody waits for. The test's own invocations have another.
async fn the_schedule_ran_it(world: &World) -> Result<()> {
    let heading = format!("Lambda {} async output", world.ruler);
    let ran = |log: &str| {
        log.split(&heading).skip(1).any(|output| {
            let first = output.lines().nth(1).unwrap_or_default();
            let line: Value = serde_json::from_str(first).unwrap_or_default();
            line["message"] == "run" || line["message"] == "another run was faster and did the work"
        })
    };
    let mut runs = world.state.subscribe();
    while !ran(&world.aws.log()) {
        runs.changed().await?;
    }
    Ok(())
}

/// How many notifications Slack was posted: each once, as the function's log has it, and as Slack
/// has it. Waits until nothing is left to post.
async fn slack_posted(world: &World) -> Result<usize> {
    let mut runs = world.state.subscribe();
    loop {
        let (waiting, dead) = world.waiting_for_slack().await?;
        ensure!(dead == 0, "{dead} dead letters");
        if waiting == 0 {
            break;
        }
        runs.changed().await?;
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
        ("the log of the AWS", world.aws.log(), "async output"),
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
