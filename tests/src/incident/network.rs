//! A VPC in network namespaces: its resolver, its router, and nodes whose link-local packets are
//! counted and, beyond the limit, dropped on the way to the resolver.
//!
//! The policer is where the Nitro card is, outside the node: to the node a dropped packet looks
//! sent. (A firewall's drop on the node itself would be seen by the sender as `EPERM`.)

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::exporter::namespace::Namespace;
use crate::leash::Leash;

/// Far longer than a start takes on a busy machine.
pub(super) const START: Duration = Duration::from_secs(60);
/// The resolver: the VPC's network plus two.
pub(super) const RESOLVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
/// Where services outside the cluster answer: the workspace, and the Kubernetes API.
pub(super) const OUTSIDE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 10);
/// The name under which the shipped settings know the workspace.
pub(super) const WORKSPACE: &str = "aps-workspaces.eu-west-1.amazonaws.com";
/// The node's interface.
pub(super) const DEVICE: &str = "ens5";
/// Packets a second that an interface may send to link-local services, and as many at once: the
/// quota is for a second, and what is below it is not documented.
pub(super) const LIMIT: u32 = 1024;

/// A node.
pub(super) struct Node {
    pub(super) name: String,
    pub(super) ip: Ipv4Addr,
    number: u8,
    pub(super) namespace: Namespace,
}

/// The VPC, until it is dropped.
pub(super) struct Vpc {
    pub(super) namespace: Namespace,
    dns: PathBuf,
    upstream: Leash,
    folder: TempDir,
}

/// The two counters of the policer for a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Packets {
    /// Packets that the node sent to the resolver.
    pub(super) sent: u64,
    /// Those of them that were dropped.
    pub(super) dropped: u64,
}

impl Vpc {
    /// A VPC with its resolver, which takes `latency` for an answer. `dns` is the part.
    pub(super) async fn new(dns: &Path, latency: Duration) -> Result<Self> {
        let namespace = Namespace::new().await?;
        for address in [RESOLVER, OUTSIDE] {
            namespace.run(&format!("ip address add {address}/32 dev lo"))?;
        }
        let vpc = Self {
            dns: dns.to_owned(),
            upstream: {
                let mut upstream = namespace.command();
                upstream.arg(dns).arg("upstream");
                upstream.args(["-listen", &format!("{RESOLVER}:53")]);
                upstream.args(["-latency", &format!("{}us", latency.as_micros())]);
                upstream.args(["-name", &format!("{WORKSPACE}={OUTSIDE}")]);
                Leash::start(&upstream)?
            },
            folder: readable_folder()?,
            namespace,
        };
        vpc.input("sh", "echo 1 >/proc/sys/net/ipv4/ip_forward")?;
        vpc.input(
            "nft",
            "table inet nitro {\nchain arrives {\ntype filter hook prerouting priority 0\n}\n}\n",
        )?;
        for network in ["udp", "tcp"] {
            let line = format!("listening on {network} {RESOLVER}:53");
            vpc.upstream
                .says(START, |said| (said == line).then_some(()))
                .await?;
        }
        Ok(vpc)
    }

    /// Adds a node with its interface, and a policer for it unless it is to be without one.
    pub(super) async fn node(&self, number: u8, is_policed: bool) -> Result<Node> {
        let namespace = Namespace::new().await?;
        let ip = Ipv4Addr::new(10, 0, number, 2);
        let gateway = Ipv4Addr::new(10, 0, number, 1);
        let vpc = self.namespace.pid();
        namespace.run(&format!(
            "ip link add {DEVICE} type veth peer name node{number} netns {vpc}"
        ))?;
        self.namespace
            .run(&format!("ip address add {gateway}/24 dev node{number}"))?;
        self.namespace
            .run(&format!("ip link set node{number} up"))?;
        namespace.run(&format!("ip address add {ip}/24 dev {DEVICE}"))?;
        namespace.run(&format!("ip link set {DEVICE} up"))?;
        namespace.run(&format!("ip route add default via {gateway}"))?;
        let policer = if is_policed {
            format!(
                "limit rate over {LIMIT}/second burst {LIMIT} packets counter name dropped{number} drop"
            )
        } else {
            String::new()
        };
        self.input(
            "nft",
            &format!(
                "add counter inet nitro sent{number}\n\
                 add counter inet nitro dropped{number}\n\
                 add rule inet nitro arrives iifname node{number} ip daddr {RESOLVER} \
                 counter name sent{number} {policer}\n"
            ),
        )?;
        let node = Node {
            name: format!("ip-10-0-{number}-2.eu-west-1.compute.internal"),
            ip,
            number,
            namespace,
        };
        node.resolves_by(&self.folder, &node_resolv_conf())?;
        Ok(node)
    }

    /// What the policer counted.
    pub(super) fn packets(&self, node: &Node) -> Result<Packets> {
        let counter = |name: &str| -> Result<u64> {
            counter(&self.namespace, &format!("{name}{}", node.number))
        };
        // In this order: what is dropped was sent before.
        let dropped = counter("dropped")?;
        Ok(Packets {
            sent: counter("sent")?,
            dropped,
        })
    }

    /// Reads the count of dropped packets.
    pub(super) fn drop_counter(
        &self,
        node: &Node,
    ) -> impl Fn() -> Result<u64> + Send + Sync + 'static {
        let command = self.namespace.entering();
        let name = format!("dropped{}", node.number);
        move || {
            let mut nft = Command::new("nsenter");
            nft.args(&command);
            read_counter(nft, &name)
        }
    }

    /// The command that asks a server at a rate, from a node.
    pub(super) fn load(&self, node: &Node, server: &str, rate: u32, seconds: u64) -> Command {
        let mut load = node.namespace.command();
        load.arg(&self.dns).arg("load");
        load.args(["-server", server, "-rate", &rate.to_string()]);
        load.args(["-duration", &format!("{seconds}s")]);
        load
    }

    /// Listens in the VPC outside the nodes.
    pub(super) fn listen(&self, port: u16) -> Result<tokio::net::TcpListener> {
        self.namespace.listen(SocketAddr::from((OUTSIDE, port)))
    }

    fn input(&self, program: &str, text: &str) -> Result<()> {
        input(&self.namespace, program, text)
    }
}

impl Node {
    /// Has all that starts on it from now on resolve names by this `resolv.conf`.
    fn resolves_by(&self, folder: &TempDir, resolv_conf: &str) -> Result<()> {
        let file = folder.path().join(format!("resolv-{}.conf", self.number));
        std::fs::write(&file, resolv_conf)?;
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o644))?;
        self.namespace
            .run(&format!("mount --bind {} /etc/resolv.conf", file.display()))?;
        Ok(())
    }
}

/// The node's own, as the VPC's DHCP has it.
pub(super) fn node_resolv_conf() -> String {
    format!("search eu-west-1.compute.internal\nnameserver {RESOLVER}\n")
}

/// A folder whose files all users may read.
pub(super) fn readable_folder() -> Result<TempDir> {
    let folder = tempfile::tempdir()?;
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755))?;
    Ok(folder)
}

/// Hands a text to a program in a namespace, which must take it.
fn input(namespace: &Namespace, program: &str, text: &str) -> Result<()> {
    let mut command = namespace.command();
    command.arg(program);
    command.args(if program == "nft" {
        &["-f", "-"][..]
    } else {
        &["-eu"][..]
    });
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let mut pipe = child.stdin.take().context("a pipe")?;
    pipe.write_all(text.as_bytes())?;
    drop(pipe);
    let said = child.wait_with_output()?;
    ensure!(
        said.status.success(),
        "{program}: {text}: {}",
        String::from_utf8_lossy(&said.stderr)
    );
    Ok(())
}

fn counter(namespace: &Namespace, name: &str) -> Result<u64> {
    read_counter(namespace.command(), name)
}

fn read_counter(mut command: Command, name: &str) -> Result<u64> {
    let said = command
        .args(["nft", "-j", "list", "counter", "inet", "nitro", name])
        .output()?;
    ensure!(
        said.status.success(),
        "{}",
        String::from_utf8_lossy(&said.stderr)
    );
    let read: Value = serde_json::from_slice(&said.stdout)?;
    let listed = read["nftables"].as_array().context("a list")?;
    let counter = listed
        .iter()
        .find_map(|entry| entry["counter"]["packets"].as_u64());
    counter.with_context(|| format!("{name}: {read}"))
}
