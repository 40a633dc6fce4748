//! A real Prometheus on a free loopback port.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{interval, timeout};

use crate::child::Child;

/// How long a start may take on a busy machine.
const START: Duration = Duration::from_secs(60);
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

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
    // Prometheus does not tell which port it was given for 0, so a port is found
    // free and let go. Who takes it in between makes Prometheus end and say so.
    let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await?
        .local_addr()?;
    let args = [
        format!("--config.file={}", config_file.display()),
        format!("--storage.tsdb.path={}", folder.join("data").display()),
        format!("--web.listen-address={address}"),
    ];
    let child = Child::start("Prometheus", program, &args, folder.join("prometheus.log"))?;
    Ok((child, address))
}

/// Waits until the Prometheus at `address` answers queries.
///
/// # Errors
/// Where it ends, or does not answer in a minute.
pub(crate) async fn ready(child: &mut Child, address: SocketAddr) -> anyhow::Result<()> {
    let looks = async {
        let mut pause = interval(BETWEEN_LOOKS);
        loop {
            pause.tick().await;
            if is_ready(address).await.unwrap_or(false) {
                return;
            }
        }
    };
    let in_time = tokio::select! {
        in_time = timeout(START, looks) => in_time,
        error = child.ended() => return Err(error),
    };
    if in_time.is_err() {
        bail!(
            "Prometheus was not ready after {} s; the end of its log:\n{}",
            START.as_secs(),
            child.log_tail()
        );
    }
    Ok(())
}

async fn is_ready(address: SocketAddr) -> std::io::Result<bool> {
    let mut connection = TcpStream::connect(address).await?;
    connection
        .write_all(b"GET /-/ready HTTP/1.0\r\n\r\n")
        .await?;
    let mut status = [0; 12];
    connection.read_exact(&mut status).await?;
    Ok(status.ends_with(b" 200"))
}
