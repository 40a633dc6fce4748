//! `dnswatch-demo`: a DNS storm comes over a simulated cluster and goes again,
//! a real Prometheus watches it, and dnswatch notifies: the stack, deployed to
//! an AWS on this machine, or `dnswatch run`.
//!
//! [`deployed`] and [`local`] are the stories, [`show`] what they share;
//! [`parts`] finds the programs, [`child`] runs them so that none outlives the
//! demo, [`ready`] waits for them, [`console`] prints. [`aws`] is the local AWS,
//! [`recorder`] the way to it, [`slack`] stands in for Slack; [`exporter`] is
//! the real one, on this machine.

mod aws;
mod child;
mod console;
mod deployed;
mod exporter;
mod local;
mod parts;
mod prometheus;
mod ready;
mod recorder;
mod show;
mod slack;

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

use crate::show::Stage;

/// Plays a DNS storm on a simulated EKS cluster under the eyes of a real
/// Prometheus and of dnswatch, and exits 0 only if both FIRING and RESOLVED
/// were notified.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// Deploy the stack that `demo/build-functions` built in this folder to a
    /// local AWS [default: `dnswatch run` watches, without AWS]
    #[arg(long, value_name = "FOLDER")]
    deploy: Option<PathBuf>,
    /// The Prometheus to start [default: the one among the parts of `make
    /// parts`, else the one on PATH]
    #[arg(long, value_name = "PATH", env = "DNSWATCH_PROMETHEUS")]
    prometheus: Option<PathBuf>,
    /// The dnswatch to start [default: the one beside this program]
    #[arg(long, value_name = "PATH")]
    dnswatch: Option<PathBuf>,
    /// The ethtool-exporter to start, without AWS [default: the one beside this program]
    #[arg(long, value_name = "PATH")]
    exporter: Option<PathBuf>,
    /// The folder of the rule files [default: the starter rules]
    #[arg(
        long,
        value_name = "FOLDER",
        default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../rules"),
        hide_default_value = true
    )]
    rules: PathBuf,
    /// Leave the logs and the state where they are, and say where
    #[arg(long)]
    keep: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let args = Args::parse();
    let mut stage = Stage::new();
    let outcome = tokio::select! {
        outcome = play(&args, &mut stage) => outcome.map(|()| 0),
        stopped = stop_signal() => stopped.map(|signal| 128 + signal),
    };
    stage.clear().await;
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            // If even this cannot be written, the exit code shows it.
            let _ = writeln!(io::stderr(), "dnswatch-demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn play(args: &Args, stage: &mut Stage) -> anyhow::Result<()> {
    match &args.deploy {
        Some(built) => deployed::play(args, built, stage).await,
        None => local::play(args, stage).await,
    }
}

/// Waits for a signal that asks the demo to end, and returns its number.
async fn stop_signal() -> anyhow::Result<u8> {
    let mut hangup = signal(SignalKind::hangup())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(tokio::select! {
        _ = hangup.recv() => 1,
        _ = interrupt.recv() => 2,
        _ = terminate.recv() => 15,
    })
}
