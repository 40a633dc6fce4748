//! Waiting until a server that was started answers.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::bail;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{interval, timeout};

use crate::child::Child;

const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

/// Waits until `child` answers a GET of `path` at `address` with 200.
///
/// # Errors
/// Where it ends, or does not answer `within`.
pub(crate) async fn wait(
    child: &mut Child,
    address: SocketAddr,
    path: &str,
    within: Duration,
) -> anyhow::Result<()> {
    let looks = async {
        let mut pause = interval(BETWEEN_LOOKS);
        loop {
            pause.tick().await;
            if is_ready(address, path).await.unwrap_or(false) {
                return;
            }
        }
    };
    let in_time = tokio::select! {
        in_time = timeout(within, looks) => in_time,
        error = child.ended() => return Err(error),
    };
    if in_time.is_err() {
        bail!(
            "{} was not ready after {} s; the end of its log:\n{}",
            child.name(),
            within.as_secs(),
            child.log_tail()
        );
    }
    Ok(())
}

async fn is_ready(address: SocketAddr, path: &str) -> std::io::Result<bool> {
    let mut connection = TcpStream::connect(address).await?;
    connection
        .write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes())
        .await?;
    let mut status = [0; 12];
    connection.read_exact(&mut status).await?;
    Ok(status.ends_with(b" 200"))
}
