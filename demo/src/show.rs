//! What both shows stand on: the stage, and the scene with its cluster and its
//! Prometheus.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use dnswatch_demo::eni::LINK_LOCAL_PACKETS_PER_SECOND;
use dnswatch_demo::scenario::Scenario;
use dnswatch_demo::scrape_config::{scrape_config, this_machine};
use dnswatch_demo::server::{PageServer, Shared};
use dnswatch_demo::simulation::Simulation;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

use crate::Args;
use crate::child::Child;
use crate::console::Console;
use crate::{parts, prometheus};

const SCRAPE_INTERVAL_SECONDS: u64 = 5;

/// What must be put away when the show ends, however it ends.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) prometheus: Option<Child>,
    pub(crate) dnswatch: Option<Child>,
    pub(crate) ministack: Option<Child>,
    pub(crate) exporter: Option<Child>,
    pub(crate) console: Console,
    folder: Option<TempDir>,
    kept: Option<PathBuf>,
}

impl Stage {
    /// An empty one.
    pub(crate) fn new() -> Self {
        Self {
            prometheus: None,
            dnswatch: None,
            ministack: None,
            exporter: None,
            console: Console::new(),
            folder: None,
            kept: None,
        }
    }

    /// A folder for the time of the show, or for longer.
    pub(crate) fn folder(&mut self, keep: bool) -> anyhow::Result<PathBuf> {
        let mut folder =
            TempDir::with_prefix("dnswatch-demo-").context("cannot make a temporary folder")?;
        let path = folder.path().to_owned();
        if keep {
            folder.disable_cleanup(true);
            self.kept = Some(path.clone());
        }
        self.folder = Some(folder);
        Ok(path)
    }

    /// Stops the children and removes the folder (or says where it is kept).
    pub(crate) async fn clear(self) {
        let children = [
            self.ministack,
            self.dnswatch,
            self.prometheus,
            self.exporter,
        ];
        for child in children.into_iter().flatten() {
            child.stop().await;
        }
        drop(self.folder);
        // A closed console cannot show that the demo is over.
        let _ = match self.kept {
            Some(folder) => self
                .console
                .line(&format!("Logs and state are in {}.", folder.display())),
            None => self.console.clear(),
        };
    }
}

/// A cluster that a Prometheus scrapes, before its first second.
#[derive(Debug)]
pub(crate) struct Scene {
    /// How long after the first second the storm ends.
    pub(crate) storm_ends: Duration,
    /// Where Prometheus listens.
    pub(crate) prometheus: SocketAddr,
    simulation: Shared,
    serving: JoinHandle<io::Error>,
    seconds: Option<(Interval, Instant)>,
}

impl Scene {
    /// Sets the cluster up and starts Prometheus on it, and on this machine's own `exporter`.
    pub(crate) async fn set(
        args: &Args,
        stage: &mut Stage,
        folder: &Path,
        exporter: Option<SocketAddr>,
    ) -> anyhow::Result<Self> {
        let program = parts::prometheus(args.prometheus.as_deref())?;
        let scenario = Scenario::dns_storm();
        let storm_ends =
            Duration::from_secs(scenario.phases.iter().map(|phase| phase.seconds).sum());
        let simulation = Simulation::new(scenario)?;
        let server = PageServer::bind()
            .await
            .context("no loopback port for the cluster's pages")?;
        let mut config = scrape_config(
            simulation.cluster(),
            server.address(),
            SCRAPE_INTERVAL_SECONDS,
        );
        if let Some(exporter) = exporter {
            config.push_str(&this_machine(exporter));
        }
        let simulation: Shared = Arc::new(Mutex::new(simulation));
        let serving = tokio::spawn(server.serve(Arc::clone(&simulation)));
        let (child, address) = prometheus::start(&program, folder, &config).await?;
        let child = stage.prometheus.insert(child);
        prometheus::ready(child, address).await?;
        Ok(Self {
            storm_ends,
            prometheus: address,
            simulation,
            serving,
            seconds: None,
        })
    }

    /// Waits for the next second, and moves the cluster on to it; the first call
    /// is the first second.
    pub(crate) async fn second(&mut self) -> anyhow::Result<Instant> {
        let (seconds, moved) = self.seconds.get_or_insert_with(|| {
            let mut seconds = interval(Duration::from_secs(1));
            seconds.set_missed_tick_behavior(MissedTickBehavior::Skip);
            (seconds, Instant::now())
        });
        let now = tokio::select! {
            now = seconds.tick() => now,
            error = &mut self.serving => {
                return Err(error?).context("the cluster's pages can no longer be served");
            }
        };
        let mut simulation = self
            .simulation
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        simulation.step(now.saturating_duration_since(*moved));
        *moved = now;
        Ok(now)
    }

    /// Says how the cluster does, and what is `left`.
    pub(crate) fn report(&self, left: &str, console: &mut Console) -> anyhow::Result<()> {
        let simulation = self
            .simulation
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
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
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.serving.abort();
    }
}
