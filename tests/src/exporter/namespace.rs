//! A network of a test's own, which goes when it is dropped, and its devices with it.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::AsFd as _;
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

use crate::leash::Leash;

const START: Duration = Duration::from_secs(20);

/// A network namespace, with loopback up and `/sys` showing it.
#[derive(Debug)]
pub(crate) struct Namespace {
    holder: Leash,
    forwarders: Vec<AbortHandle>,
}

impl Namespace {
    /// An empty one.
    pub(crate) async fn new() -> Result<Self> {
        let mut holder = Command::new("unshare");
        holder.args(["--net", "--mount", "--propagation", "private", "sh", "-c"]);
        holder.arg(
            "mount -t sysfs sysfs /sys && ip link set lo up && echo ready && exec sleep infinity",
        );
        let holder = Leash::start(&holder)?;
        holder
            .says(START, |line| (line == "ready").then_some(()))
            .await?;
        Ok(Self {
            holder,
            forwarders: Vec::new(),
        })
    }

    /// The beginning of a command that runs in it.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new("nsenter");
        command.args(self.entering());
        command
    }

    /// What `nsenter` is given for that.
    pub(crate) fn entering(&self) -> [String; 5] {
        let pid = self.holder.pid().to_string();
        ["--net", "--mount", "--target", &pid, "--"].map(str::to_owned)
    }

    /// Runs a command in it to its end, which must be a good one.
    pub(crate) fn run(&self, line: &str) -> Result<Output> {
        let output = self.command().args(line.split_whitespace()).output()?;
        let error = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{line}: {error}");
        Ok(output)
    }

    /// A loopback address of the test's own network that leads to `port` on loopback in here.
    pub(crate) async fn forward(&mut self, port: u16) -> Result<SocketAddr> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let namespace = self.path();
        let to = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let forwarding = tokio::spawn(async move {
            while let Ok((mut outside, _)) = listener.accept().await {
                let namespace = namespace.clone();
                tokio::spawn(async move {
                    let connected =
                        tokio::task::spawn_blocking(move || connect(&namespace, to)).await??;
                    connected.set_nonblocking(true)?;
                    let mut inside = TcpStream::from_std(connected)?;
                    tokio::io::copy_bidirectional(&mut outside, &mut inside).await?;
                    anyhow::Ok(())
                });
            }
        });
        self.forwarders.push(forwarding.abort_handle());
        Ok(address)
    }

    /// A connection from in here.
    pub(crate) fn connect(&self, to: SocketAddr) -> Result<std::net::TcpStream> {
        connect(&self.path(), to)
    }

    /// A listener in here.
    pub(crate) fn listen(&self, at: SocketAddr) -> Result<TcpListener> {
        let listener = within(&self.path(), move || std::net::TcpListener::bind(at))?;
        listener.set_nonblocking(true)?;
        Ok(TcpListener::from_std(listener)?)
    }

    /// The process that keeps it.
    pub(crate) fn pid(&self) -> u32 {
        self.holder.pid()
    }

    fn path(&self) -> String {
        format!("/proc/{}/ns/net", self.holder.pid())
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        for forwarder in &self.forwarders {
            forwarder.abort();
        }
    }
}

fn connect(namespace: &str, to: SocketAddr) -> Result<std::net::TcpStream> {
    within(namespace, move || std::net::TcpStream::connect(to))
}

/// Makes a socket in a namespace: it belongs to the one in which it was made.
fn within<T: Send + 'static>(
    namespace: &str,
    make: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T> {
    let namespace = namespace.to_owned();
    // A thread of its own, which is not given back: it stays in the namespace.
    let making = std::thread::spawn(move || {
        let file = File::open(&namespace)?;
        move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))?;
        anyhow::Ok(make()?)
    });
    let made = making.join().ok().context("the thread panicked")?;
    made.context("a socket in the namespace")
}
