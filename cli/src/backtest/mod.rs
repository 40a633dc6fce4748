//! `dnswatch backtest`: what rules would have done over a span of history.

mod bar;
mod coverage;
mod lines;
mod moment;
mod progress;
mod timeline;

use std::collections::BTreeSet;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use alerting::alert::AlertState;
use alerting::config::Config;
use alerting::evaluation::Happened;
use alerting::rules::RuleKey;
use alerting::timestamp::Timestamp;
use anyhow::{Context, Result, anyhow, bail};
use backends::backtest::{Backtest, BacktestError, News};
use backends::clock::{Clock, SystemClock};
use backends::config_files;
use backends::prometheus::PrometheusQuerier;

use self::coverage::Coverage;
use self::moment::Moment;
use self::progress::Progress;
use self::timeline::Timeline;
use crate::ruling::Ruling;
use crate::server::Access;

/// How long the answers of a chunk are waited for, tries again included.
const PATIENCE: Duration = Duration::from_secs(5 * 60);

/// What `dnswatch backtest` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The Prometheus, or the AMP workspace (…/workspaces/ws-…), whose history it is.
    #[arg(long, env = "DNSWATCH_URL")]
    url: String,
    /// Rule files, folders of them, or the stack's folder config/dnswatch. An alertmanager.yml
    /// among them decides who would have been notified.
    #[arg(long, required = true, num_args = 1.., value_name = "PATH")]
    rules: Vec<PathBuf>,
    /// Where to begin: RFC 3339, Unix seconds, or how long ago, as in -30d.
    #[arg(long, value_name = "T", allow_hyphen_values = true)]
    start: Moment,
    /// Where to end, in the same forms.
    #[arg(
        long,
        value_name = "T",
        allow_hyphen_values = true,
        default_value = "now"
    )]
    end: Moment,
    /// A timeline for people, or one JSON object a line.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    #[command(flatten)]
    access: Access,
    #[command(flatten)]
    ruling: Ruling,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Format {
    Text,
    Json,
}

/// Replays history and prints it.
pub(crate) fn backtest(args: &Args) -> Result<ExitCode> {
    let now = SystemClock.now();
    let start = args.start.at(now);
    let end = args.end.at(now).min(now);
    if start >= end {
        bail!("--start {start} is not before --end {end}");
    }
    let client = args.access.client(&args.url)?;
    let config = config(args)?;
    let coverage = Coverage::read(&client, &config, (start, end), PATIENCE)?;
    let backtest = Backtest {
        querier: PrometheusQuerier::new(client, SystemClock),
        config,
        start,
        end,
        concurrency: 4,
        patience: PATIENCE,
    };
    // Lines that come to the same terminal meanwhile show by themselves how far it is.
    let lines_are_seen = matches!(args.format, Format::Json) && io::stdout().is_terminal();
    let mut progress =
        (io::stderr().is_terminal() && !lines_are_seen).then(|| Progress::new(start, end));
    let out = BufWriter::with_capacity(64 << 10, io::stdout().lock());
    let with_alerts = match args.format {
        Format::Json => as_json(backtest, &coverage, out, &mut progress),
        Format::Text => as_text(backtest, &coverage, out, &mut progress),
    }?;
    Ok(if coverage.without_data(&with_alerts).is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn as_json(
    backtest: Backtest,
    coverage: &Coverage,
    mut out: impl Write,
    progress: &mut Option<Progress>,
) -> Result<BTreeSet<RuleKey>> {
    let done = replay(backtest, progress, &mut |news| {
        lines::write(&news, &mut out)
    });
    if let Ok(with_alerts) = &done {
        coverage
            .write(with_alerts, &mut out)
            .context("writing the result")?;
    }
    out.flush().context("writing the result")?;
    Ok(done?)
}

/// Nothing is drawn where the replay stopped early: totals of a part would look like those of all.
fn as_text(
    backtest: Backtest,
    coverage: &Coverage,
    mut out: impl Write,
    progress: &mut Option<Progress>,
) -> Result<BTreeSet<RuleKey>> {
    let mut timeline = Timeline::new(&backtest.config, backtest.start, backtest.end);
    let with_alerts = replay(backtest, progress, &mut |news| {
        timeline.take(&news);
        Ok(())
    })?;
    let without_data = coverage.without_data(&with_alerts);
    timeline
        .draw(&without_data, &mut out)
        .and_then(|()| coverage.draw(&with_alerts, &mut out))
        .and_then(|()| out.flush())
        .context("writing the result")?;
    Ok(with_alerts)
}

/// Replays history. Returns the rules that had an alert, pending or firing.
fn replay(
    backtest: Backtest,
    progress: &mut Option<Progress>,
    report: &mut dyn FnMut(News<'_>) -> io::Result<()>,
) -> Result<BTreeSet<RuleKey>, BacktestError> {
    let mut with_alerts = BTreeSet::new();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    runtime.block_on(backtest.run(&mut |news| {
        if let (News::Until(until), Some(progress)) = (&news, &mut *progress) {
            progress.reached(*until)?;
        }
        if let News::Tick(event) = &news
            && let Happened::Changed { to, .. } = &event.what
            && *to != AlertState::Inactive
            && !with_alerts.contains(&event.rule.key)
        {
            with_alerts.insert(event.rule.key.clone());
        }
        report(news)
    }))?;
    Ok(with_alerts)
}

fn config(args: &Args) -> Result<Config> {
    let files = config_files::read(&args.rules)?;
    let mut settings = args.ruling.settings(&args.url);
    let schedule = &mut settings.evaluation.schedule;
    *schedule = (*schedule).max(Duration::from_secs(1));
    settings.load(&files).map_err(|errors| {
        let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
        anyhow!("the rules do not load:\n{}", errors.join("\n"))
    })
}

/// A moment as people read it, to the minute.
fn minute(at: Timestamp) -> String {
    let text = at.align_down(Duration::from_secs(60)).to_string();
    let text = text.strip_suffix(":00Z").unwrap_or(&text);
    text.replace('T', " ")
}
