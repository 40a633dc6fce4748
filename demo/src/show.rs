//! The show: sets the stage, lets the storm come and go, and waits for what
//! dnswatch has to tell.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, bail};
use dnswatch_demo::acts::{self, Told};
use dnswatch_demo::eni::LINK_LOCAL_PACKETS_PER_SECOND;
use dnswatch_demo::scenario::Scenario;
use dnswatch_demo::scrape_config::scrape_config;
use dnswatch_demo::server::{PageServer, Shared};
use dnswatch_demo::simulation::Simulation;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::ChildStdout;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use crate::Args;
use crate::child::Child;
use crate::console::{Console, human};
use crate::{parts, prometheus};

const SCRAPE_INTERVAL_SECONDS: u64 = 5;
/// How long after the last line a notification counts as told to its end.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What must be put away when the show ends, however it ends.
#[derive(Debug, Default)]
pub(crate) struct Stage {
    prometheus: Option<Child>,
    dnswatch: Option<Child>,
    folder: Option<TempDir>,
    kept: Option<PathBuf>,
    console: Option<Console>,
}

impl Stage {
    /// Stops the children and removes the folder (or says where it is kept).
    pub(crate) async fn clear(self) {
        for child in [self.dnswatch, self.prometheus].into_iter().flatten() {
            child.stop().await;
        }
        drop(self.folder);
        if let Some(console) = self.console {
            // The show is over; a console that is gone cannot be told so.
            let _ = match self.kept {
                Some(folder) => {
                    console.line(&format!("Logs and state are in {}.", folder.display()))
                }
                None => console.clear(),
            };
        }
    }
}

/// Plays the show to its end.
///
/// # Errors
/// Where a part is missing or ends, or where FIRING and RESOLVED are not both
/// told in time.
pub(crate) async fn play(args: &Args, stage: &mut Stage) -> anyhow::Result<()> {
    let prometheus_program = parts::prometheus(args.prometheus.as_deref())?;
    let dnswatch_program = parts::dnswatch(args.dnswatch.as_deref())?;
    let rules = parts::rule_files(&args.rules)?;
    let mut folder =
        TempDir::with_prefix("dnswatch-demo-").context("cannot make a temporary folder")?;
    let path = folder.path().to_owned();
    if args.keep {
        folder.disable_cleanup(true);
        stage.kept = Some(path.clone());
    }
    stage.folder = Some(folder);
    let console = stage.console.insert(Console::new());

    let scenario = Scenario::dns_storm();
    let storm_ends = Duration::from_secs(scenario.phases.iter().map(|phase| phase.seconds).sum());
    console.line(&format!(
        "A DNS storm comes over a simulated cluster, and goes. This takes about {}.",
        human(acts::estimate(storm_ends))
    ))?;
    let simulation = Simulation::new(scenario)?;
    let server = PageServer::bind()
        .await
        .context("no loopback port for the cluster's pages")?;
    let config = scrape_config(
        simulation.cluster(),
        server.address(),
        SCRAPE_INTERVAL_SECONDS,
    );
    let simulation: Shared = Arc::new(Mutex::new(simulation));
    let serving = server.serve(Arc::clone(&simulation));

    let (child, address) = prometheus::start(&prometheus_program, &path, &config).await?;
    let watcher = stage.prometheus.insert(child);
    prometheus::ready(watcher, address).await?;
    console.line(&format!(
        "Prometheus is at http://{address} meanwhile; dnswatch runs on it."
    ))?;

    let run = dnswatch_args(address, &rules, &path.join("state.json"));
    let ruler = stage.dnswatch.insert(Child::start(
        "dnswatch",
        &dnswatch_program,
        &run,
        path.join("dnswatch.log"),
    )?);
    let lines = ruler
        .take_stdout()
        .context("dnswatch has no standard output")?;

    let told = tokio::select! {
        told = watch(&simulation, BufReader::new(lines).lines(), storm_ends, console) => told?,
        error = serving => return Err(error).context("the cluster's pages can no longer be served"),
        error = watcher.ended() => return Err(error),
    };
    match told {
        Watched::Both => {
            console.line("FIRING and RESOLVED were both told: the demo is over.")?;
            Ok(())
        }
        Watched::SilentFor(missing) => bail!(
            "after {} {missing}; the end of dnswatch's log:\n{}",
            human(acts::DEADLINE),
            ruler.log_tail()
        ),
        Watched::RulerLeft => Err(ruler.ended().await),
    }
}

/// How the watch ended.
enum Watched {
    Both,
    /// The deadline came; what was missing then.
    SilentFor(&'static str),
    /// dnswatch closed its output.
    RulerLeft,
}

/// Moves the cluster on in real time and listens to dnswatch, until both
/// notifications were told or the deadline has come.
async fn watch(
    simulation: &Shared,
    mut lines: Lines<BufReader<ChildStdout>>,
    storm_ends: Duration,
    console: &mut Console,
) -> anyhow::Result<Watched> {
    let began = Instant::now();
    let mut moved = began;
    let mut seconds = interval(Duration::from_secs(1));
    seconds.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut told = Told::default();
    loop {
        tokio::select! {
            now = seconds.tick() => {
                if let (Some(missing), true) = (told.missing(), now - began >= acts::DEADLINE) {
                    return Ok(Watched::SilentFor(missing));
                }
                let mut simulation = simulation.lock().unwrap_or_else(PoisonError::into_inner);
                simulation.step(now - moved);
                moved = now;
                report(&simulation, &left(told, now - began, storm_ends), console)?;
            }
            line = lines.next_line() => {
                let Some(line) = line.context("cannot read what dnswatch says")? else {
                    return Ok(Watched::RulerLeft);
                };
                console.line(&line)?;
                told.hear(&line);
                if told == Told::Resolved {
                    while let Ok(Ok(Some(line))) = timeout(LAST_WORDS, lines.next_line()).await {
                        console.line(&line)?;
                    }
                    return Ok(Watched::Both);
                }
            }
        }
    }
}

/// What is left, for the line of progress, `elapsed` after the beginning.
fn left(told: Told, elapsed: Duration, storm_ends: Duration) -> String {
    let left = acts::estimate(storm_ends).saturating_sub(elapsed);
    if left.is_zero() {
        let patience = acts::DEADLINE.saturating_sub(elapsed);
        format!("late, giving up in {}", human(patience))
    } else if told == Told::Firing && elapsed > storm_ends {
        format!("RESOLVED in {}", human(left))
    } else {
        format!("{} left", human(left))
    }
}

fn report(simulation: &Simulation, left: &str, console: &mut Console) -> anyhow::Result<()> {
    let Some(phase) = simulation.phase() else {
        return Ok(());
    };
    let second = simulation.recent();
    let percent = (100 * second.servfails)
        .checked_div(second.responses)
        .unwrap_or(0);
    console.status(
        simulation.lived(),
        &phase.name,
        &format!(
            "{}/{LINK_LOCAL_PACKETS_PER_SECOND} pps, {} dropped/s, SERVFAIL {percent} %, {left}",
            second.busiest_offered, second.dropped,
        ),
    )?;
    Ok(())
}

fn dnswatch_args(prometheus: SocketAddr, rules: &[PathBuf], state: &Path) -> Vec<String> {
    let mut args = vec!["run".to_owned(), format!("--url=http://{prometheus}")];
    args.extend(
        rules
            .iter()
            .map(|file| format!("--rules={}", file.display())),
    );
    args.push(format!("--state={}", state.display()));
    args.extend(
        [
            "--interval=5s",
            "--query-offset=5s",
            "--group-wait=0s",
            "--group-interval=5s",
            "--repeat-interval=1h",
        ]
        .map(str::to_owned),
    );
    args
}
