//! The real exporter, on this machine's own network devices.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use tokio::net::TcpListener;

use crate::Args;
use crate::child::{Child, Program};
use crate::show::Stage;
use crate::{parts, ready};

/// How long a start may take on a busy machine.
const START: Duration = Duration::from_secs(30);

/// Starts it with all metrics of the drivers: few machines have an ENA.
///
/// # Errors
/// Where it is not there, or does not answer.
pub(crate) async fn start(
    args: &Args,
    stage: &mut Stage,
    folder: &Path,
) -> anyhow::Result<SocketAddr> {
    let path = parts::exporter(args.exporter.as_deref())?;
    // As with Prometheus: a port is found free and let go.
    let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await?
        .local_addr()?;
    let args = [format!("--listen={address}"), "--all-metrics".to_owned()];
    let program = Program {
        name: "ethtool-exporter",
        path: &path,
        args: &args,
        environment: None,
        is_heard: false,
    };
    let child = Child::start(&program, folder.join("ethtool-exporter.log"))?;
    let child = stage.exporter.insert(child);
    ready::wait(child, address, "/readyz", START).await?;
    Ok(address)
}
