//! The planner through the real client against a real Prometheus: the same states as Prometheus's
//! own rule code comes to, at every tick, however the ticks are spread over runs.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use alerting::alert::AlertState;
use alerting::rules::{SourceFile, load};
use alerting::timestamp::Timestamp;
use anyhow::{Context as _, Result, ensure};

use crate::history::START;
use crate::nasty;
use crate::parts;
use crate::promtool_test::{AtTick, Comparison};
use crate::ruler::{Active, Bench, active, as_prometheus, starter_rules};
use crate::weather;

/// What a comparison covered.
#[derive(Debug, Default)]
struct Covered {
    /// Ticks of rules that were compared.
    states: usize,
    /// The rules that were seen pending, and those seen firing.
    pending: BTreeSet<String>,
    firing: BTreeSet<String>,
}

#[tokio::test]
async fn the_starter_rules_are_as_promtool_has_them_at_every_tick() -> Result<()> {
    let Some(tools) = parts::prometheus() else {
        return Ok(());
    };
    let mut covered = Covered::default();
    for seed in 0..3 {
        let history = weather::day(seed);
        let server = tools
            .server()
            .samples(history.samples(START))
            .start()
            .await?;
        for (names, interval) in [
            (&["link-local.yml", "coredns.yml"][..], 30),
            (&["exporter.yml"], 60),
        ] {
            let interval = Duration::from_secs(interval);
            let case = Comparison {
                tools: &tools,
                files: &starter_rules(names)?,
                history: &history,
                start: START,
                interval,
            };
            covered
                .compare(&case, server.url())
                .await
                .with_context(|| format!("day {seed}, {names:?}"))?;
        }
    }
    eprintln!("{covered:?}");
    let files = starter_rules(&["link-local.yml", "coredns.yml", "exporter.yml"])?;
    ensure!(covered.firing == names(&files)?);
    ensure!(covered.pending == names_with_for(&files)?);
    ensure!(covered.states >= 13_000);
    Ok(())
}

#[tokio::test]
async fn rules_that_are_hard_to_evaluate_are_as_promtool_has_them() -> Result<()> {
    let Some(tools) = parts::prometheus() else {
        return Ok(());
    };
    let mut covered = Covered::default();
    let history = nasty::hour(1, false);
    let server = tools
        .server()
        .samples(history.samples(START))
        .start()
        .await?;
    let files = [SourceFile {
        name: "nasty.yml".to_owned(),
        text: include_str!("../data/nasty.yml").to_owned(),
    }];
    let case = Comparison {
        tools: &tools,
        files: &files,
        history: &history,
        start: START,
        interval: Duration::from_secs(30),
    };
    covered.compare(&case, server.url()).await?;
    eprintln!("{covered:?}");
    let names = names(&files)?;
    let idle: Vec<&String> = names.difference(&covered.firing).collect();
    ensure!(idle.is_empty(), "never fired: {idle:?}");
    ensure!(covered.states >= 4_500);
    Ok(())
}

impl Covered {
    /// Evaluates a case, and has promtool judge every tick.
    async fn compare(&mut self, case: &Comparison<'_>, url: &str) -> Result<()> {
        let seen = evaluate(case, url).await?;
        let failed = seen.iter().find_map(|seen| seen.failed.as_ref());
        ensure!(failed.is_none(), "{failed:?}");
        let ticks: Vec<AtTick> = seen.into_iter().map(Seen::said).collect();
        case.agrees(&ticks)?;
        let groups = load(case.files, as_prometheus().defaults).ok();
        let groups = groups.context("rules that load")?;
        self.states += ticks.len() * groups.iter().map(|group| group.rules.len()).sum::<usize>();
        for alert in ticks.iter().flat_map(|(_, active)| active) {
            match alert.state {
                AlertState::Pending => self.pending.insert(alert.name().to_owned()),
                _ => self.firing.insert(alert.name().to_owned()),
            };
        }
        Ok(())
    }
}

/// The rules' names.
fn names(files: &[SourceFile]) -> Result<BTreeSet<String>> {
    let groups = load(files, as_prometheus().defaults).ok();
    let groups = groups.context("rules that load")?;
    let rules = groups.iter().flat_map(|group| &group.rules);
    Ok(rules.map(|rule| rule.id.alert.clone()).collect())
}

/// The names of those that have a `for`: the others are never pending.
fn names_with_for(files: &[SourceFile]) -> Result<BTreeSet<String>> {
    let groups = load(files, as_prometheus().defaults).ok();
    let groups = groups.context("rules that load")?;
    let rules = groups.iter().flat_map(|group| &group.rules);
    Ok(rules
        .filter(|rule| !rule.hold_for.is_zero())
        .map(|rule| rule.id.alert.clone())
        .collect())
}

/// What a tick came to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Seen {
    pub(crate) tick: Timestamp,
    pub(crate) active: Vec<Active>,
    /// Why a rule failed at the tick, if one did.
    pub(crate) failed: Option<String>,
}

impl Seen {
    /// What promtool is to say of it.
    pub(crate) fn said(self) -> AtTick {
        (self.tick, self.active)
    }
}

/// What each tick of the history comes to, which is the same whether each has a run of its own or
/// many share one.
pub(crate) async fn evaluate(case: &Comparison<'_>, url: &str) -> Result<Vec<Seen>> {
    let count = usize::try_from(case.history.length().as_secs() / case.interval.as_secs())?;
    let ticks: Vec<Timestamp> =
        std::iter::successors(Some(case.start), |tick| Some(tick.plus(case.interval)))
            .take(count)
            .collect();
    let drive = |first, stride| {
        let stops = ticks.iter().copied().skip(first).step_by(stride);
        drive(case, url, stops)
    };
    let (one_by_one, from_first, from_second, outages, at_once) = tokio::try_join!(
        drive(0, 1),
        // Two at a time, beginning with the first and with the second: each tick is the last of
        // a run once.
        drive(0, 2),
        drive(1, 2),
        drive(3, 7),
        drive(count - 1, 1),
    )?;
    let by_tick: BTreeMap<Timestamp, &Seen> =
        one_by_one.iter().map(|seen| (seen.tick, seen)).collect();
    for many in [from_first, from_second, outages, at_once].concat() {
        let one = by_tick[&many.tick];
        let only = |these: &Seen, those: &Seen| -> Vec<Active> {
            let these = these.active.iter();
            let only = these.filter(|alert| !those.active.contains(alert));
            only.cloned().collect()
        };
        ensure!(
            many == *one,
            "at {}: only with many ticks a run: {:#?}, {:?}; only with one tick a run: {:#?}, {:?}",
            one.tick,
            only(&many, one),
            many.failed,
            only(one, &many),
            one.failed
        );
    }
    Ok(one_by_one)
}

/// What is seen after each run, where runs are at `stops`.
async fn drive(
    case: &Comparison<'_>,
    url: &str,
    stops: impl Iterator<Item = Timestamp>,
) -> Result<Vec<Seen>> {
    let mut bench = Bench::new(url, case.files.to_vec(), as_prometheus())?;
    let before = case.start.minus(Duration::from_millis(1));
    let report = bench.run_at(before).await?;
    ensure!(report.first && report.evaluated.due == 0, "{report:?}");
    let mut all = Vec::new();
    for stop in stops {
        let report = bench.run_at(stop).await?;
        ensure!(report.evaluated.stopped == 0, "{report:?}");
        let state = bench.state().await?;
        for rule in state.rules.values() {
            ensure!(rule.evaluated_until == stop, "{rule:?}");
        }
        let failed = state.rules.values().find_map(|rule| {
            let failure = rule.health.failure.as_ref()?;
            Some(failure.error.clone())
        });
        all.push(Seen {
            tick: stop,
            active: active(&state),
            failed,
        });
    }
    Ok(all)
}
