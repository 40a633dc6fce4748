//! `dnswatch run`: the ruler on a schedule of its own.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use alerting::config::{ConfigFiles, Settings};
use alerting::duration;
use alerting::evaluation::EvaluationOptions;
use alerting::labels::Labels;
use alerting::notify::{Receiver, Route};
use alerting::rules::Defaults;
use alerting::state_machine::{External, Semantics};
use anyhow::{Context, Result};
use aws_credential_types::Credentials;
use backends::clock::SystemClock;
use backends::config_files;
use backends::http::{self, HttpOptions};
use backends::notify::Terminal;
use backends::prometheus::{Auth, Client, ClientOptions, PrometheusQuerier, SigV4};
use backends::run::{Ruler, RunError, RunOptions, RunReport};
use backends::state::FileStore;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info, warn};

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
    /// How often to run.
    #[arg(long, default_value = "1m", value_parser = duration::parse, value_name = "DURATION")]
    interval: Duration,
    /// The interval of groups that name none.
    #[arg(long, default_value = "1m", value_parser = duration::parse, value_name = "DURATION")]
    evaluation_interval: Duration,
    /// How far back samples are asked for, so that late ones have arrived; a group's own wins.
    #[arg(long, default_value = "1m", value_parser = duration::parse, value_name = "DURATION")]
    query_offset: Duration,
    /// After an outage, how far back missed evaluations are made up for.
    #[arg(long, default_value = "1h", value_parser = duration::parse, value_name = "DURATION")]
    max_catch_up: Duration,
    /// How long a firing alert is held whose telemetry stopped altogether.
    #[arg(long, default_value = "1h", value_parser = duration::parse, value_name = "DURATION")]
    stale_hold: Duration,
    /// How long a firing alert is held whose own series are gone while others of the kind go on.
    #[arg(long, default_value = "5m", value_parser = duration::parse, value_name = "DURATION")]
    gone_hold: Duration,
    /// Resolve alerts as soon as their series vanish, without asking why, as Prometheus does.
    #[arg(long)]
    resolve_vanished: bool,
    /// Forget a rule's alerts when it exceeds its group's `limit`, as Prometheus does.
    #[arg(long)]
    limit_wipes_state: bool,
    /// The labels that alerts are grouped by in notifications.
    #[arg(
        long,
        default_value = "alertname,cluster",
        value_delimiter = ',',
        value_name = "LABEL"
    )]
    group_by: Vec<String>,
    /// How long a new group waits for more alerts before it is told.
    #[arg(long, default_value = "30s", value_parser = duration::parse, value_name = "DURATION")]
    group_wait: Duration,
    /// How long a group that was told waits before it tells of changes.
    #[arg(long, default_value = "5m", value_parser = duration::parse, value_name = "DURATION")]
    group_interval: Duration,
    /// After what time a group that goes on unchanged is told again.
    #[arg(long, default_value = "4h", value_parser = duration::parse, value_name = "DURATION")]
    repeat_interval: Duration,
    /// A label that alerts get which lack it, as NAME=VALUE. May be given several times.
    #[arg(long, value_parser = label, value_name = "NAME=VALUE")]
    external_label: Vec<(String, String)>,
    /// What `$externalURL` is in templates.
    #[arg(long, default_value = "", value_name = "URL")]
    external_url: String,
    /// Sign queries for AMP in this region, with the credentials in AWS_ACCESS_KEY_ID,
    /// AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN.
    #[arg(long, value_name = "REGION")]
    sigv4_region: Option<String>,
}

fn label(text: &str) -> Result<(String, String), String> {
    text.split_once('=')
        .filter(|(name, value)| !name.is_empty() && !value.is_empty())
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .ok_or_else(|| "write it as NAME=VALUE".to_owned())
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
    let mut options = ClientOptions::new(&args.url);
    options.jitter_seed = fastrand::u64(..);
    if let Some(region) = &args.sigv4_region {
        options.auth = Auth::SigV4(SigV4::amp(region, credentials("--sigv4-region")?));
    }
    let http = http::client(&HttpOptions::default())?;
    let client = Client::new(http, options).context("--url")?;
    let defaults = RunOptions::default();
    let budget = defaults
        .budget
        .min(args.interval.max(Duration::from_secs(5)));
    Ok(Ruler {
        clock: SystemClock,
        querier: PrometheusQuerier::new(client, SystemClock),
        store: FileStore::new(&args.state),
        notifier: Terminal::new(io::stdout()),
        settings: settings(args),
        options: RunOptions {
            budget,
            // Nothing is begun after the budget; what was begun before it ends well within this.
            claim: budget + Duration::from_secs(15),
            ..defaults
        },
    })
}

fn settings(args: &Args) -> Settings {
    Settings {
        workspace: args.url.clone(),
        defaults: Defaults {
            interval: args.evaluation_interval,
            query_offset: args.query_offset,
        },
        route: Route {
            receiver: "terminal".to_owned(),
            group_by: args.group_by.clone(),
            group_wait: args.group_wait,
            group_interval: args.group_interval,
            repeat_interval: args.repeat_interval,
            ..Route::default()
        },
        receivers: vec![Receiver::terminal("terminal")],
        evaluation: EvaluationOptions {
            semantics: Semantics {
                ask_before_resolve: !args.resolve_vanished,
                stale_hold: args.stale_hold,
                gone_hold: args.gone_hold,
                limit_wipes_state: args.limit_wipes_state,
            },
            external: External {
                labels: Labels::from_iter(args.external_label.iter().cloned()),
                url: args.external_url.clone(),
            },
            max_catch_up: args.max_catch_up,
            schedule: args.interval,
            ..EvaluationOptions::default()
        },
        ..Settings::default()
    }
}

/// The credentials of the environment, which `option` needs.
pub(crate) fn credentials(option: &str) -> Result<Credentials> {
    let variable = |name: &str| {
        std::env::var(name).with_context(|| format!("{option} needs {name} to be set"))
    };
    Ok(Credentials::new(
        variable("AWS_ACCESS_KEY_ID")?,
        variable("AWS_SECRET_ACCESS_KEY")?,
        std::env::var("AWS_SESSION_TOKEN").ok(),
        None,
        "environment",
    ))
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
    let mut due = tokio::time::interval(args.interval.max(Duration::from_millis(100)));
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

fn tell(report: &RunReport) {
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
