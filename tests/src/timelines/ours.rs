//! What we make of timelines at every tick, and whether it is the same however the ticks are
//! spread over runs.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use alerting::alert::AlertState;
use alerting::config::{Config, Settings};
use alerting::evaluation::{Evaluation, Happened};
use alerting::labels::Labels;
use alerting::query::{Answer, Ask, At, QueryFailure, ResultType, Series};
use alerting::rules::{RuleKey, SourceFile};
use alerting::state::RuleState;
use alerting::timestamp::Timestamp;
use anyhow::{Context as _, Result, anyhow, ensure};
use backends::backtest::{Backtest, News};
use backends::clock::SystemClock;
use backends::http::{self, HttpOptions};
use backends::prometheus::{Client, PrometheusQuerier};
use backends::run::Querier as _;
use fastrand::Rng;
use futures_util::{StreamExt as _, stream};

use super::timeline::{EXTERNAL_LABELS, Timeline};
use crate::history::START;
use crate::planner::Seen;
use crate::ruler::{Active, Bench, active_of, as_prometheus, patient};

/// How many questions are under way at once.
const CONCURRENCY: usize = 8;
/// A moment before the first tick.
const BEFORE: Duration = Duration::from_millis(1);

/// All that is different from Prometheus switched off, and external labels.
pub(super) fn settings() -> Settings {
    let mut settings = as_prometheus();
    settings.evaluation.external.labels = Labels::from_iter(EXTERNAL_LABELS);
    settings
}

pub(super) fn files(timelines: &[Timeline]) -> Vec<SourceFile> {
    let timelines = timelines.iter().enumerate();
    timelines
        .map(|(id, timeline)| timeline.rule_file(id))
        .collect()
}

/// The real client, which asks for each expression once and for all ticks.
struct Prefetched {
    querier: PrometheusQuerier<SystemClock>,
    vectors: BTreeMap<(String, Timestamp), Vec<Series>>,
    known: BTreeSet<(String, Timestamp)>,
}

impl Prefetched {
    async fn new(url: &str, config: &Config, timelines: &[Timeline]) -> Result<Self> {
        let client = Client::new(http::client(&HttpOptions::default())?, patient(url))?;
        let mut made = Self {
            querier: PrometheusQuerier::new(client, SystemClock),
            vectors: BTreeMap::new(),
            known: BTreeSet::new(),
        };
        let mut asks = Vec::new();
        for (group, timeline) in config.groups.iter().zip(timelines) {
            for rule in &group.rules {
                if rule.expr.range_equals_instants() {
                    let last = timeline.ticks().last().context("a tick")?;
                    let at = At::Range {
                        start: START.minus(group.query_offset),
                        end: last.minus(group.query_offset),
                        step: group.interval,
                    };
                    let expr = rule.expr.text().to_owned();
                    asks.push(Ask { expr, at });
                }
            }
        }
        for (ask, answer) in made.fetch(asks).await {
            // One that fails at a tick is asked for tick by tick.
            if let (Ok(answer), At::Range { start, end, step }) = (answer, ask.at) {
                made.keep(&ask.expr, start, end, step, answer);
            }
        }
        Ok(made)
    }

    async fn fetch(&self, asks: Vec<Ask>) -> Vec<(Ask, Result<Answer, QueryFailure>)> {
        let deadline = Timestamp::from_millis(i64::MAX / 2);
        stream::iter(asks)
            .map(|ask| async move {
                let answer = self.querier.query(&ask, deadline).await;
                (ask, answer)
            })
            .buffer_unordered(CONCURRENCY)
            .collect()
            .await
    }

    fn keep(&mut self, expr: &str, start: Timestamp, end: Timestamp, step: Duration, all: Answer) {
        let mut at = start;
        while at <= end {
            self.known.insert((expr.to_owned(), at));
            at = at.plus(step);
        }
        for series in all.series {
            for sample in series.samples {
                let vector = self.vectors.entry((expr.to_owned(), sample.at));
                vector.or_default().push(Series {
                    labels: series.labels.clone(),
                    samples: vec![sample],
                });
            }
        }
    }

    /// The answer to a question about one tick, if it is known already.
    fn get(&self, ask: &Ask) -> Option<Answer> {
        let At::Instant(at) = ask.at else {
            return None;
        };
        let key = (ask.expr.clone(), at);
        self.known.contains(&key).then(|| {
            let series = self.vectors.get(&key).cloned().unwrap_or_default();
            Answer::new(ResultType::Vector, series)
        })
    }
}

/// What each timeline comes to at each of its ticks, evaluated one tick after the other.
pub(super) async fn at_every_tick(url: &str, timelines: &[Timeline]) -> Result<Vec<Vec<Seen>>> {
    let config = load(timelines)?;
    let known = Prefetched::new(url, &config, timelines).await?;
    let mut states = BTreeMap::new();
    evaluate(&config, &mut states, START.minus(BEFORE), &known).await?;
    let ticks: BTreeSet<Timestamp> = timelines.iter().flat_map(Timeline::ticks).collect();
    let mut seen: Vec<Vec<Seen>> = timelines.iter().map(|_| Vec::new()).collect();
    for tick in ticks {
        evaluate(&config, &mut states, tick, &known).await?;
        for ((rules, timeline), seen) in by_timeline(&states, timelines.len())?
            .iter()
            .zip(timelines)
            .zip(&mut seen)
        {
            let is_due = tick.align_down(timeline.interval) == tick;
            if is_due && seen.len() < timeline.ticks as usize {
                seen.push(look(rules, tick)?);
            }
        }
    }
    Ok(seen)
}

fn load(timelines: &[Timeline]) -> Result<Config> {
    settings()
        .load(&files(timelines).into())
        .map_err(|errors| anyhow!("{:#?}", &errors[..errors.len().min(5)]))
}

async fn evaluate(
    config: &Config,
    states: &mut BTreeMap<RuleKey, RuleState>,
    now: Timestamp,
    known: &Prefetched,
) -> Result<()> {
    let mut stopped = BTreeSet::new();
    let options = &config.evaluation;
    let mut chunk = Evaluation::plan(&config.groups, states, now, options, &stopped);
    loop {
        let asks = chunk.asks(states);
        if asks.is_empty() {
            break;
        }
        let mut unknown = Vec::new();
        for ask in asks {
            match known.get(&ask) {
                Some(answer) => chunk.answer(ask, Ok(answer)),
                None => unknown.push(ask),
            }
        }
        for (ask, answer) in known.fetch(unknown).await {
            chunk.answer(ask, answer);
        }
    }
    let progress = chunk.finish(states, &mut stopped);
    ensure!(progress.stopped == 0 && !progress.more, "{progress:?}");
    Ok(())
}

/// The rules of each timeline.
fn by_timeline(
    states: &BTreeMap<RuleKey, RuleState>,
    count: usize,
) -> Result<Vec<Vec<&RuleState>>> {
    let mut all = vec![Vec::new(); count];
    for state in states.values() {
        let id: usize = state.id.namespace.trim_start_matches('t').parse()?;
        all[id].push(state);
    }
    Ok(all)
}

fn look(rules: &[&RuleState], tick: Timestamp) -> Result<Seen> {
    ensure!(
        rules.iter().all(|rule| rule.evaluated_until == tick),
        "not evaluated at {tick}"
    );
    let failures = rules.iter().filter_map(|rule| rule.health.failure.as_ref());
    Ok(Seen {
        tick,
        active: active_of(rules.iter().copied()),
        failed: failures.map(|failure| failure.error.clone()).next(),
    })
}

/// The real run at moments of its own, many ticks at once, comes to the same as `seen`. How many
/// looks were compared.
pub(super) async fn the_same_in_long_runs(
    url: &str,
    timelines: &[Timeline],
    seen: &[Vec<Seen>],
    seed: u64,
) -> Result<usize> {
    let mut rng = Rng::with_seed(seed);
    let mut bench = Bench::new(url, files(timelines), settings())?;
    bench.run_at(START.minus(BEFORE)).await?;
    let end = timelines
        .iter()
        .filter_map(|timeline| timeline.ticks().last());
    let end = end.max().context("a tick")?;
    let mut now = START;
    let mut looks = 0;
    while now < end {
        now = now.plus(Duration::from_secs(rng.u64(30..20 * 60))).min(end);
        let report = bench.run_at(now).await?;
        ensure!(report.evaluated.stopped == 0, "{report:?}");
        let state = bench.state().await?;
        let rules = by_timeline(&state.rules, timelines.len())?;
        for (id, (rules, seen)) in rules.iter().zip(seen).enumerate() {
            let tick = now.align_down(timelines[id].interval);
            // After its last tick a timeline continues here, and promtool is no longer asked.
            if let Some(seen) = seen.iter().find(|seen| seen.tick == tick) {
                let here = look(rules, tick)?;
                ensure!(
                    here == *seen,
                    "timeline {id}, {tick}, in a run that ends at {now}: {here:#?}\nby itself: {seen:#?}\n{}",
                    timelines[id].rule_file(id).text
                );
                looks += 1;
            }
        }
    }
    Ok(looks)
}

/// Something that a backtest reports, or that follows from what is seen at each tick.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Notified {
    Changed {
        labels: Labels,
        from: AlertState,
        to: AlertState,
        /// Since when it is active, and its annotations, unless it ended.
        alert: Option<(Timestamp, Vec<(String, String)>)>,
    },
    Failed,
}

/// A backtest over all of it reports the transitions and failures that follow from `seen`, and no
/// others. How many there were.
pub(super) async fn the_same_in_a_backtest(
    url: &str,
    timelines: &[Timeline],
    seen: &[Vec<Seen>],
) -> Result<usize> {
    let client = Client::new(http::client(&HttpOptions::default())?, patient(url))?;
    let ends: Vec<Option<Timestamp>> = timelines.iter().map(|one| one.ticks().last()).collect();
    let backtest = Backtest {
        querier: PrometheusQuerier::new(client, SystemClock),
        config: load(timelines)?,
        start: START,
        end: ends.iter().flatten().copied().max().context("a tick")?,
        concurrency: CONCURRENCY,
        patience: Duration::from_secs(60),
    };
    let mut notified: Vec<BTreeSet<(Timestamp, Notified)>> = vec![BTreeSet::new(); timelines.len()];
    let mut keep = |news: News<'_>| {
        let News::Tick(event) = news else {
            return Ok(());
        };
        let id = event.group.namespace.trim_start_matches('t').parse();
        let id: usize = id.map_err(std::io::Error::other)?;
        if Some(event.at) <= ends[id] {
            notified[id].insert((event.at, what(&event.what)));
        }
        Ok(())
    };
    backtest.run(&mut keep).await?;
    let mut count = 0;
    for (id, (notified, seen)) in notified.iter().zip(seen).enumerate() {
        let expected = transitions(seen);
        let only = |these: &BTreeSet<(Timestamp, Notified)>, those: &BTreeSet<_>| -> Vec<_> {
            these.difference(those).cloned().collect()
        };
        ensure!(
            *notified == expected,
            "timeline {id}: only in the backtest: {:#?}; missing in it: {:#?}\n{}",
            only(notified, &expected),
            only(&expected, notified),
            timelines[id].rule_file(id).text
        );
        count += notified.len();
    }
    Ok(count)
}

fn what(happened: &Happened) -> Notified {
    match happened {
        Happened::Failed(_) => Notified::Failed,
        Happened::Changed { from, to, alert } => Notified::Changed {
            labels: alert.labels.clone(),
            from: *from,
            to: *to,
            alert: (*to != AlertState::Inactive).then(|| {
                let texts = alert.annotations.iter();
                let texts = texts.map(|(name, text)| (name.clone(), text.clone()));
                (alert.active_at, texts.collect())
            }),
        },
    }
}

/// The transitions and failures between one look and the next.
fn transitions(seen: &[Seen]) -> BTreeSet<(Timestamp, Notified)> {
    let mut all = BTreeSet::new();
    let mut before: BTreeMap<&Labels, &Active> = BTreeMap::new();
    for seen in seen {
        if seen.failed.is_some() {
            all.insert((seen.tick, Notified::Failed));
        }
        let now: BTreeMap<&Labels, &Active> = seen.active.iter().map(|a| (&a.labels, a)).collect();
        for labels in before.keys().chain(now.keys()) {
            let state = |at: Option<&&Active>| at.map_or(AlertState::Inactive, |a| a.state);
            let (from, to) = (state(before.get(labels)), state(now.get(labels)));
            if from != to {
                let alert = now.get(labels);
                let changed = Notified::Changed {
                    labels: (*labels).clone(),
                    from,
                    to,
                    alert: alert.map(|a| (a.active_at, a.annotations.clone())),
                };
                all.insert((seen.tick, changed));
            }
        }
        before = now;
    }
    all
}
