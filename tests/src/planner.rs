//! The planner through the real client against a real Prometheus: the same states as Prometheus's
//! own rule code comes to, at every tick, however the ticks are spread over runs.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use alerting::alert::AlertState;
use alerting::rules::{SourceFile, load};
use alerting::timestamp::Timestamp;
use anyhow::{Context as _, Result, ensure};

use crate::history::History;
use crate::nasty;
use crate::parts;
use crate::prometheus::PrometheusTools;
use crate::promtool_test::{AtTick, Comparison};
use crate::ruler::{Active, Bench, active, as_prometheus, starter_rules};
use crate::weather;

/// The beginning of a day, so that expressions which look at the time of day see promtool's.
const START: Timestamp = Timestamp::from_secs(1_767_225_600);

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
            let files = starter_rules(names)?;
            compare(
                &tools,
                server.url(),
                files,
                &history,
                interval,
                &mut covered,
            )
            .await
            .with_context(|| format!("day {seed}, {names:?}"))?;
        }
    }
    eprintln!("{covered:?}");
    let all = names(&starter_rules(&[
        "link-local.yml",
        "coredns.yml",
        "exporter.yml",
    ])?)?;
    ensure!(covered.firing == all && covered.pending == all);
    ensure!(covered.states >= 3_500);
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
    let files = vec![SourceFile {
        name: "nasty.yml".to_owned(),
        text: include_str!("../data/nasty.yml").to_owned(),
    }];
    let names = names(&files)?;
    compare(&tools, server.url(), files, &history, 30, &mut covered).await?;
    eprintln!("{covered:?}");
    let idle: Vec<&String> = names.difference(&covered.firing).collect();
    ensure!(idle.is_empty(), "never fired: {idle:?}");
    ensure!(covered.states >= 4_500);
    Ok(())
}

/// Evaluates `files` over the whole history, a tick a run and several ticks a run, and has all of
/// it compared.
async fn compare(
    tools: &PrometheusTools,
    url: &str,
    files: Vec<SourceFile>,
    history: &History,
    interval: u64,
    covered: &mut Covered,
) -> Result<()> {
    let interval = Duration::from_secs(interval);
    let length = history.series.iter().map(|(_, values)| values.len()).max();
    let length = history.step * u32::try_from(length.unwrap_or_default())?;
    let count = usize::try_from(length.as_secs() / interval.as_secs())?;
    let ticks: Vec<Timestamp> =
        std::iter::successors(Some(START), |tick| Some(tick.plus(interval)))
            .take(count)
            .collect();

    let drive = |first, stride| {
        let stops = ticks.iter().copied().skip(first).step_by(stride);
        drive(url, &files, stops)
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
    let said: Vec<AtTick> = one_by_one.clone().into_iter().collect();
    Comparison {
        tools,
        files: &files,
        history,
        start: START,
        interval,
    }
    .agrees(&said)?;

    for (tick, alerts) in [from_first, from_second, outages, at_once]
        .into_iter()
        .flatten()
    {
        ensure!(
            one_by_one.get(&tick) == Some(&alerts),
            "at {tick}, several ticks a run: {alerts:#?}, a tick a run: {:#?}",
            one_by_one.get(&tick)
        );
    }

    let groups = load(&files, as_prometheus().defaults).ok();
    let groups = groups.context("rules that load")?;
    covered.states += count * groups.iter().map(|group| group.rules.len()).sum::<usize>();
    for alert in one_by_one.values().flatten() {
        match alert.state {
            AlertState::Pending => covered.pending.insert(alert.name().to_owned()),
            _ => covered.firing.insert(alert.name().to_owned()),
        };
    }
    Ok(())
}

/// The rules' names.
fn names(files: &[SourceFile]) -> Result<BTreeSet<String>> {
    let groups = load(files, as_prometheus().defaults).ok();
    let groups = groups.context("rules that load")?;
    let rules = groups.iter().flat_map(|group| &group.rules);
    Ok(rules.map(|rule| rule.id.alert.clone()).collect())
}

/// The active alerts after each run, where runs are at `stops` and the first tick is at [`START`].
async fn drive(
    url: &str,
    files: &[SourceFile],
    stops: impl Iterator<Item = Timestamp>,
) -> Result<BTreeMap<Timestamp, Vec<Active>>> {
    let mut bench = Bench::new(url, files.to_vec(), as_prometheus())?;
    let report = bench.run_at(START.minus(Duration::from_millis(1))).await?;
    ensure!(report.first && report.evaluated.due == 0, "{report:?}");
    let mut seen = BTreeMap::new();
    for stop in stops {
        let report = bench.run_at(stop).await?;
        let evaluated = report.evaluated;
        ensure!(
            evaluated.evaluated == evaluated.due && evaluated.failed == 0,
            "{report:?}"
        );
        let state = bench.state().await?;
        ensure!(
            state
                .rules
                .values()
                .all(|rule| rule.evaluated_until == stop)
        );
        seen.insert(stop, active(&state));
    }
    Ok(seen)
}
