//! `dnswatch run`: the ruler on a schedule of its own.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use alerting::config::ConfigFiles;
use alerting::duration;
use anyhow::{Context, Result};
use backends::clock::SystemClock;
use backends::config_files;
use backends::notify::Terminal;
use backends::prometheus::PrometheusQuerier;
use backends::run::{Ruler, RunError, RunOptions, RunReport};
use backends::state::FileStore;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info, warn};

use crate::ruling::Ruling;
use crate::server::Access;

/// What `dnswatch run` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The Prometheus, or the AMP workspace (…/workspaces/ws-…), to query.
    #[arg(long, env = "DNSWATCH_URL")]
    url: String,
    /// Rule files, or folders of them. They are read again at every run.
    #[arg(long, required = true, num_args = 1.., value_name = "PATH")]
    rules: Vec<PathBuf>,
    /// Where the state is kept from run to run.
    #[arg(long, default_value = "dnswatch-state.json", value_name = "FILE")]
    state: PathBuf,
    /// Run once and exit. On an empty state this only sets where the next run goes on from.
    #[arg(long)]
    once: bool,
    /// After an outage, how far back missed evaluations are made up for.
    #[arg(long, default_value = "1h", value_parser = duration::parse, value_name = "DURATION")]
    max_catch_up: Duration,
    #[command(flatten)]
    access: Access,
    #[command(flatten)]
    ruling: Ruling,
}

type LocalRuler =
    Ruler<SystemClock, PrometheusQuerier<SystemClock>, FileStore, Terminal<io::Stdout>>;

/// Runs until it is told to stop, or once.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let ruler = ruler(args)?;
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the runtime")?
        .block_on(schedule(args, &ruler))
}

fn ruler(args: &Args) -> Result<LocalRuler> {
    let client = args.access.client(&args.url)?;
    let mut settings = args.ruling.settings(&args.url);
    settings.evaluation.max_catch_up = args.max_catch_up;
    let defaults = RunOptions::default();
    let interval = args.ruling.interval.max(Duration::from_secs(5));
    let budget = defaults.budget.min(interval);
    Ok(Ruler {
        clock: SystemClock,
        querier: PrometheusQuerier::new(client, SystemClock),
        store: FileStore::new(&args.state),
        notifier: Terminal::new(io::stdout()),
        settings,
        options: RunOptions {
            budget,
            // Nothing is begun after the budget; what was begun before it ends well within this.
            claim: budget + Duration::from_secs(15),
            ..defaults
        },
    })
}

/// The rule files as they are now.
fn files(args: &Args) -> Result<ConfigFiles, String> {
    let files = config_files::read(&args.rules).map_err(|error| error.to_string())?;
    match &files.alertmanager {
        // Without effect it would only seem to be in force.
        Some(file) => Err(format!(
            "{}: `dnswatch run` tells in its terminal and reads no Alertmanager configuration; \
             name the rule files alone",
            file.name
        )),
        None => Ok(files),
    }
}

async fn schedule(args: &Args, ruler: &LocalRuler) -> Result<ExitCode> {
    let mut interrupt = signal(SignalKind::interrupt()).context("listening for Ctrl-C")?;
    let mut terminate = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
    let mut due = tokio::time::interval(args.ruling.interval.max(Duration::from_millis(100)));
    due.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            _ = due.tick() => {}
            _ = interrupt.recv() => return Ok(ExitCode::SUCCESS),
            _ = terminate.recv() => return Ok(ExitCode::SUCCESS),
        }
        let files = files(args);
        let run_id = format!("{:016x}", fastrand::u64(..));
        let result = ruler.run(&run_id, files).await;
        match &result {
            Ok(report) => tell(report),
            Err(RunError::LostRace) => info!("another run was faster and did the work"),
            Err(error) => error!("the run failed: {:#}", chain(error)),
        }
        if args.once {
            return match result {
                // Nothing is due where the state is from the future: that is no health.
                Ok(report) if !report.state_ahead.is_zero() => Ok(ExitCode::FAILURE),
                Ok(_) | Err(RunError::LostRace) => Ok(ExitCode::SUCCESS),
                Err(_) => Ok(ExitCode::FAILURE),
            };
        }
        // Without any configuration there is nothing to go on with.
        if let Err(RunError::NoConfig(_)) = result {
            return Ok(ExitCode::FAILURE);
        }
    }
}

fn chain(error: &RunError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        text.push_str(&format!(": {error}"));
        source = error.source();
    }
    text
}

/// What is wrong with the clocks.
fn warn_of_clocks(report: &RunReport) {
    if !report.state_ahead.is_zero() {
        warn!(
            "the state is {:.1} s ahead of this host's clock: rules that are evaluated up to then wait \
             for it; check the time synchronisation of every host that runs dnswatch on this state",
            report.state_ahead.as_secs_f64()
        );
    }
    if report.clock_stepped {
        warn!("the state was written under a clock that was ahead; evaluation continues from now");
    }
    if let Some(off) = report.server_clock_off_ms {
        warn!(
            "the query server's clock is {} s off (its Date), while the state store's agrees with this \
             host: the server's samples may have wrong times",
            off / 1000
        );
    }
}

fn tell(report: &RunReport) {
    warn_of_clocks(report);
    if report.first {
        info!(
            "no state yet: this run only sets where to go on from; the first evaluation comes at \
             each group's next tick"
        );
    }
    if let Some(error) = &report.config_refused {
        warn!("the rule files were refused, the last good ones stay in force: {error}");
    }
    for failing in &report.failing {
        warn!("failing: {failing}");
    }
    let published = &report.published;
    for problem in published.postponed.iter().chain(&published.refused) {
        warn!("notification {problem}");
    }
    info!(
        due = report.evaluated.due,
        evaluated = report.evaluated.evaluated,
        failed = report.evaluated.failed,
        told = published.delivered,
        "run"
    );
}
