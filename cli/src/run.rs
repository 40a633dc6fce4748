//! `dnswatch run`: the ruler on a schedule of its own.

use std::io;
use std::path::PathBuf;
use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use alerting::config::ConfigFiles;
use alerting::duration;
use anyhow::{Context, Result};
use backends::clock::SystemClock;
use backends::config_files;
use backends::line::chain;
use backends::notify::Terminal;
use backends::prometheus::PrometheusQuerier;
use backends::run::{Ruler, RunError, RunOptions, RunReport};
use backends::state::FileStore;
use tracing::{error, info, warn};

use crate::ruling::Ruling;
use crate::server::Access;
use crate::stop::{GRACE, Stop};

/// What `dnswatch run` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The Prometheus, or the AMP workspace (…/workspaces/ws-…), to query.
    #[arg(long, env = "DNSWATCH_URL")]
    url: String,
    /// Rule files, or folders of them. Reloaded on every run.
    #[arg(long, required = true, num_args = 1.., value_name = "PATH")]
    rules: Vec<PathBuf>,
    /// Where the state is kept from run to run.
    #[arg(long, default_value = "dnswatch-state.json", value_name = "FILE")]
    state: PathBuf,
    /// Run once and exit, with 1 if a due rule was not evaluated, the rule files were refused or a
    /// notification was not delivered. On an empty state this records the start time and asks the
    /// server whether it answers.
    #[arg(long)]
    once: bool,
    /// Accept rule files without alerting rules. Otherwise they are refused, and the last good ones
    /// stay in force.
    #[arg(long)]
    allow_empty: bool,
    /// Maximum age of missed evaluations to catch up on after an outage.
    #[arg(long, default_value = "1h", value_parser = duration::parse, value_name = "DURATION")]
    max_catch_up: Duration,
    #[command(flatten)]
    access: Access,
    #[command(flatten)]
    ruling: Ruling,
}

type LocalRuler =
    Ruler<SystemClock, PrometheusQuerier<SystemClock>, FileStore, Terminal<io::Stdout>>;

/// Runs until it is asked to stop, or once.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let ruler = ruler(args)?;
    let stop = Stop::listen(stopped_code(args))?;
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the runtime")?
        .block_on(schedule(args, &ruler, stop))
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
            allow_empty: args.allow_empty,
            ..defaults
        },
    })
}

/// The rule files as they are now. `known` are those that the last run had.
async fn files(args: &Args, known: Option<&ConfigFiles>) -> Result<ConfigFiles, String> {
    let files = config_files::read_settled(&args.rules, known).await;
    let files = files.map_err(|error| error.to_string())?;
    match &files.alertmanager {
        // Without effect it would only seem to be in force.
        Some(file) => Err(format!(
            "{}: `dnswatch run` prints notifications and reads no Alertmanager configuration; name \
             the rule files alone",
            file.name
        )),
        None => Ok(files),
    }
}

async fn schedule(args: &Args, ruler: &LocalRuler, mut stop: Stop) -> Result<ExitCode> {
    let mut due = tokio::time::interval(args.ruling.interval.max(Duration::from_millis(100)));
    due.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    let mut known = None;
    let mut passed_over = Vec::new();
    loop {
        tokio::select! {
            biased;
            () = stop.asked() => return Ok(stopped(args)),
            _ = due.tick() => {}
        }
        warn_of_passed_over(&args.rules, &mut passed_over);
        let run_id = format!("{:016x}", fastrand::u64(..));
        let (result, read) = {
            let mut run = pin!(async {
                let files = files(args, known.as_ref()).await;
                let read = files.as_ref().ok().cloned();
                (ruler.run(&run_id, files).await, read)
            });
            let done = tokio::select! {
                done = &mut run => Some(done),
                () = stop.asked() => tokio::time::timeout(GRACE, &mut run).await.ok(),
            };
            match done {
                Some(done) => done,
                None => {
                    info!("stopped during a run; the next run does its work");
                    return Ok(stopped(args));
                }
            }
        };
        known = read;
        match &result {
            Ok(report) => log(report),
            Err(RunError::LostRace) => {
                info!("lost the commit race: a concurrent run already committed");
            }
            Err(error) => error!("the run failed: {}", chain(error)),
        }
        if args.once {
            let success = match &result {
                Ok(report) => report.is_success(),
                Err(RunError::LostRace) => true,
                Err(_) => false,
            };
            return Ok(match success {
                true => ExitCode::SUCCESS,
                false => ExitCode::FAILURE,
            });
        }
        // Without any configuration no run can do anything.
        if let Err(RunError::NoConfig(_)) = result {
            return Ok(ExitCode::FAILURE);
        }
    }
}

/// The exit status of a process that was asked to stop: one run alone was not finished, while a
/// schedule ends like this.
fn stopped(args: &Args) -> ExitCode {
    ExitCode::from(stopped_code(args))
}

fn stopped_code(args: &Args) -> u8 {
    u8::from(args.once)
}

/// Names files that look like rule files and are not read, once.
fn warn_of_passed_over(paths: &[PathBuf], known: &mut Vec<PathBuf>) {
    let found = config_files::passed_over(paths);
    for path in found.iter().filter(|path| !known.contains(path)) {
        warn!(
            "{} is not read: rule files end in .yml, .yaml or .rules",
            path.display()
        );
    }
    *known = found;
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

fn log(report: &RunReport) {
    warn_of_clocks(report);
    if report.first {
        info!(
            "first run: recording the start time; rules are evaluated from each group's next tick"
        );
    }
    if let Some(error) = &report.config_refused {
        warn!("the rule files were refused, the last good ones stay in force: {error}");
    }
    if let Some(server) = &report.server {
        let stopped = match report.without_answer {
            0 => String::new(),
            some => format!("; {some} of {} rules are not evaluated", report.rules),
        };
        warn!("{}{stopped}. {}", server.line(), server.trouble.advice());
    }
    for failing in &report.failing {
        warn!("failing: {failing}");
    }
    if report.evaluated.skipped > 0 {
        warn!(
            "{} evaluations were skipped: they are older than --max-catch-up",
            report.evaluated.skipped
        );
    }
    let published = &report.published;
    for problem in published.postponed.iter().chain(&published.refused) {
        warn!("notification {problem}");
    }
    info!(
        due = report.evaluated.due,
        evaluated = report.evaluated.evaluated,
        failed = report.failed(),
        notifications = published.delivered,
        "run"
    );
}
