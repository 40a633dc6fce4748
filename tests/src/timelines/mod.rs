//! A thousand made-up timelines, each a rule group and an hour of its series, evaluated by the real
//! client against a real Prometheus and by `promtool test rules`: the same alerts at every tick,
//! pending ones and those that fire, since when, with which labels and annotations; and the same
//! failures.
//!
//! One seed makes one timeline. A difference is reduced before it is reported.
//!
//! ```text
//! DNSWATCH_TIMELINES=5000    how many (1000)
//! DNSWATCH_SEED=17           the first one's seed
//! ```

mod covered;
mod generate;
mod judge;
mod ours;
mod points;
pub(crate) mod remote_write;
mod shrink;
mod templates;
mod timeline;

use anyhow::{Result, bail};

use crate::parts;
use crate::planner::Seen;
use crate::prometheus::{Prometheus, PrometheusTools};
use covered::Covered;
use timeline::Timeline;

/// How many timelines there are, where nothing else is said.
const TIMELINES: u64 = 1_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_timelines_are_as_prometheus_3_has_them() -> Result<()> {
    let Some(tools) = parts::prometheus3() else {
        return Ok(());
    };
    let seed = setting("DNSWATCH_SEED")?.unwrap_or(0);
    let count = setting("DNSWATCH_TIMELINES")?.unwrap_or(TIMELINES);
    let version = tools.version()?;
    eprintln!("{count} timelines from seed {seed} on (DNSWATCH_SEED), by promtool {version}");
    let timelines: Vec<Timeline> = (seed..seed + count).map(generate::timeline).collect();
    let server = serve(&tools, &timelines).await?;
    let seen = ours::at_every_tick(server.url(), &timelines).await?;
    let verdicts = judge::judge(&tools, &timelines, &seen)?;
    let wrong: Vec<usize> = (0..timelines.len())
        .filter(|id| verdicts[*id].is_some())
        .collect();
    if let Some(first) = wrong.first() {
        eprintln!("{} differ; the first of them is made small", wrong.len());
        let smallest = shrink::shrink(&tools, timelines[*first].clone()).await?;
        bail!(
            "{} of {count} differ; the first of them (DNSWATCH_SEED={} DNSWATCH_TIMELINES=1):\n{}\n\
             made small:\n{smallest}\nall: {:?}",
            wrong.len(),
            seed + *first as u64,
            verdicts[*first].as_deref().unwrap_or_default(),
            wrong,
        );
    }
    let looks = ours::the_same_in_long_runs(server.url(), &timelines, &seen, seed).await?;
    let notified = ours::the_same_in_a_backtest(server.url(), &timelines, &seen).await?;
    let mut covered = Covered::default();
    for (timeline, seen) in timelines.iter().zip(&seen) {
        covered.add(timeline, seen);
    }
    eprintln!("{covered}{looks:>8} looks after runs of many ticks");
    eprintln!("{notified:>8} transitions and failures reported by a backtest");
    covered.is_enough(timelines.len())
}

/// A server that has seen all of `timelines`.
async fn serve(tools: &PrometheusTools, timelines: &[Timeline]) -> Result<Prometheus> {
    let server = tools.server().start().await?;
    remote_write::send(server.url(), timelines).await?;
    Ok(server)
}

/// What promtool has against what we make of each of `timelines`.
async fn verdicts(tools: &PrometheusTools, timelines: &[Timeline]) -> Result<Vec<Option<String>>> {
    let server = serve(tools, timelines).await?;
    let seen: Vec<Vec<Seen>> = ours::at_every_tick(server.url(), timelines).await?;
    judge::judge(tools, timelines, &seen)
}

fn setting(variable: &str) -> Result<Option<u64>> {
    match std::env::var(variable) {
        Ok(text) if !text.is_empty() => Ok(Some(text.parse()?)),
        _ => Ok(None),
    }
}
