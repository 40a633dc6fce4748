//! `ethtool-exporter`: see the library for the map.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use clap::Parser as _;
use ethtool_exporter::args::Args;
use ethtool_exporter::collector::Collector;
use ethtool_exporter::ethtool::Kernel;
use ethtool_exporter::exposition::Format;
use ethtool_exporter::http::{connections, routes};
use ethtool_exporter::log::log_line;
use ethtool_exporter::page::Snapshot;
use ethtool_exporter::scrapes::Scrapes;
use tokio::runtime;
use tokio::signal::unix::{SignalKind, signal};

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log_line(format_args!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<()> {
    let kernel = Kernel::open().context("cannot ask the kernel about network devices")?;
    let mut collector = Collector::new(kernel, args.selection());
    if args.once {
        let snapshot = Snapshot::new(collector.collect().map_err(|error| error.to_string()));
        if let Some(failure) = snapshot.failure() {
            bail!("cannot list the network devices: {failure}");
        }
        return std::io::stdout()
            .write_all(&snapshot.page(Format::Text))
            .context("cannot print the metrics");
    }
    runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start")?
        .block_on(serve(args, collector))
}

async fn serve(args: &Args, collector: Collector<Kernel>) -> Result<()> {
    let listen = args.listen;
    let listener = listen
        .listen()
        .with_context(|| format!("cannot listen on {listen}"))?;
    let scrapes = Scrapes::start(collector).context("cannot start a thread")?;
    // Logs the devices, and makes the first probe succeed.
    scrapes.snapshot().await;
    log_line(format_args!(
        "listening on http://{}/metrics",
        listener.local_addr()?
    ));
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let stop = async {
        loop {
            tokio::select! {
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
                // What other daemons reload by. It would end this one.
                _ = hangup.recv() => log_line(format_args!("SIGHUP: there is nothing to reload")),
            }
        }
        log_line(format_args!("stopping"));
    };
    let respond = move |request| routes::respond(request, scrapes.clone());
    connections::serve(listener, respond, stop).await;
    Ok(())
}
