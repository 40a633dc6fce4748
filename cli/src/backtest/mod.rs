//! `dnswatch backtest`: what rules would have done over a span of history.

mod bar;
mod lines;
mod moment;
mod progress;
mod timeline;

use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use alerting::config::Config;
use alerting::timestamp::Timestamp;
use anyhow::{Context, Result, anyhow, bail};
use backends::backtest::{Backtest, BacktestError, Covered, News};
use backends::clock::{Clock, SystemClock};
use backends::config_files;
use backends::prometheus::PrometheusQuerier;

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
    /// among them says who would have been told.
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

/// Goes through history and tells it.
pub(crate) fn backtest(args: &Args) -> Result<ExitCode> {
    let now = SystemClock.now();
    let start = args.start.at(now);
    let end = args.end.at(now).min(now);
    if start >= end {
        bail!("--start {start} is not before --end {end}");
    }
    let backtest = Backtest {
        querier: PrometheusQuerier::new(args.access.client(&args.url)?, SystemClock),
        config: config(args)?,
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
    match args.format {
        Format::Json => as_json(backtest, out, &mut progress),
        Format::Text => as_text(backtest, out, &mut progress),
    }
    .map(|_| ExitCode::SUCCESS)
}

fn as_json(
    backtest: Backtest,
    mut out: impl Write,
    progress: &mut Option<Progress>,
) -> Result<Covered> {
    let told = go(backtest, progress, &mut |news| {
        lines::write(&news, &mut out)
    });
    out.flush().context("writing the result")?;
    Ok(told?)
}

fn as_text(
    backtest: Backtest,
    mut out: impl Write,
    progress: &mut Option<Progress>,
) -> Result<Covered> {
    let mut timeline = Timeline::new(&backtest.config, backtest.start, backtest.end);
    let told = go(backtest, progress, &mut |news| {
        timeline.take(&news);
        Ok(())
    });
    // What is known is shown even where the server stopped to answer.
    timeline
        .draw(&mut out)
        .and_then(|()| out.flush())
        .context("writing the result")?;
    Ok(told?)
}

fn go(
    backtest: Backtest,
    progress: &mut Option<Progress>,
    tell: &mut dyn FnMut(News<'_>) -> io::Result<()>,
) -> Result<Covered, BacktestError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    runtime.block_on(backtest.run(&mut |news| {
        if let (News::Until(until), Some(progress)) = (&news, &mut *progress) {
            progress.reached(*until)?;
        }
        tell(news)
    }))
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
