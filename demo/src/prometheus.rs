//! A real Prometheus on a free loopback port.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::TcpListener;

use crate::child::{Child, Program};
use crate::ready;

/// How long a start may take on a busy machine.
const START: Duration = Duration::from_secs(60);

/// Starts Prometheus with the configuration `config` in `folder`; returns it
/// with its address.
///
/// # Errors
/// Where it cannot be started.
pub(crate) async fn start(
    program: &Path,
    folder: &Path,
    config: &str,
) -> anyhow::Result<(Child, SocketAddr)> {
    let config_file = folder.join("prometheus.yml");
    std::fs::write(&config_file, config)
        .with_context(|| format!("cannot write {}", config_file.display()))?;
    // Prometheus does not report the port that it got for 0, so a port is found
    // free and let go. Who takes it in between makes Prometheus end and say so.
    let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await?
        .local_addr()?;
    let args = [
        format!("--config.file={}", config_file.display()),
        format!("--storage.tsdb.path={}", folder.join("data").display()),
        format!("--web.listen-address={address}"),
    ];
    let program = Program {
        name: "Prometheus",
        path: program,
        args: &args,
        environment: None,
        is_heard: false,
    };
    let child = Child::start(&program, folder.join("prometheus.log"))?;
    Ok((child, address))
}

/// Waits until the Prometheus at `address` answers queries.
///
/// # Errors
/// Where it ends, or does not answer in a minute.
pub(crate) async fn ready(child: &mut Child, address: SocketAddr) -> anyhow::Result<()> {
    ready::wait(child, address, "/-/ready", START).await
}
