//! The exporter as it runs on a node: any user, no capability.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use reqwest::header::HeaderMap;
use tempfile::TempDir;

use super::namespace::Namespace;
use super::page::Page;
use crate::dnswatch::binary;
use crate::leash::Leash;

const START: Duration = Duration::from_secs(30);
const LOOPBACK: &str = "127.0.0.1:0";

/// What takes all privileges from a command that root starts.
pub(crate) const UNPRIVILEGED: [&str; 8] = [
    "setpriv",
    "--reuid=65534",
    "--regid=65534",
    "--clear-groups",
    "--bounding-set=-all",
    "--inh-caps=-all",
    "--no-new-privs",
    "--",
];

/// A running exporter.
#[derive(Debug)]
pub(crate) struct Exporter {
    pub(crate) process: Leash,
    /// Where it answers, seen from the test.
    pub(crate) address: SocketAddr,
    http: reqwest::Client,
    _folder: TempDir,
}

impl Exporter {
    /// Starts it in a namespace, unprivileged.
    pub(crate) async fn start_in(namespace: &mut Namespace, arguments: &[&str]) -> Result<Self> {
        let (folder, process, port) = listening(namespace, LOOPBACK, arguments).await?;
        let address = namespace.forward(port).await?;
        Self::at(process, address, folder)
    }

    /// Starts it on this machine's own network, as the test's user.
    pub(crate) async fn start(arguments: &[&str]) -> Result<Self> {
        let (folder, program) = for_everyone()?;
        let mut command = Command::new(program);
        command.args(arguments);
        let (process, port) = start(command, LOOPBACK).await?;
        let address = (Ipv4Addr::LOCALHOST, port).into();
        Self::at(process, address, folder)
    }

    fn at(process: Leash, address: SocketAddr, folder: TempDir) -> Result<Self> {
        Ok(Self {
            process,
            address,
            http: client()?,
            _folder: folder,
        })
    }

    /// A page, its status and its headers.
    pub(crate) async fn get(
        &self,
        path: &str,
        headers: HeaderMap,
    ) -> Result<(u16, HeaderMap, Vec<u8>)> {
        let url = format!("http://{}{path}", self.address);
        let answer = self.http.get(url).headers(headers).send().await?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        Ok((status, headers, answer.bytes().await?.to_vec()))
    }

    /// The metrics.
    pub(crate) async fn page(&self) -> Result<Page> {
        let (status, _, body) = self.get("/metrics", HeaderMap::new()).await?;
        let body = String::from_utf8(body)?;
        ensure!(status == 200, "{status}: {body}");
        Page::read(body)
    }

    /// Scrapes until the page is as the test would have it.
    pub(crate) async fn page_where(&self, wanted: impl Fn(&Page) -> bool) -> Result<Page> {
        let mut last = None;
        let looking = async {
            loop {
                let page = self.page().await?;
                if wanted(&page) {
                    return anyhow::Ok(page);
                }
                last = Some(page);
            }
        };
        match tokio::time::timeout(START, looking).await {
            Ok(page) => page,
            Err(_) => anyhow::bail!(
                "never as expected; last:\n{}",
                last.map_or_else(String::new, |it| it.text)
            ),
        }
    }

    /// A number in the process's `status`, in KiB or as it is.
    pub(crate) fn status(&self, name: &str) -> Result<u64> {
        let path = format!("/proc/{}/status", self.process.pid());
        let status = std::fs::read_to_string(path)?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let number = line.and_then(|line| line.split_whitespace().next());
        Ok(number.context(name.to_owned())?.parse()?)
    }

    /// How many files and connections it has open.
    pub(crate) fn open_files(&self) -> Result<usize> {
        let path = format!("/proc/{}/fd", self.process.pid());
        Ok(std::fs::read_dir(path)?.count())
    }
}

/// A client that unpacks nothing by itself, and has a new connection for each request: an idle one
/// may have made way for others.
fn client() -> Result<reqwest::Client> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Ok(reqwest::Client::builder()
        .no_proxy()
        .no_gzip()
        .pool_max_idle_per_host(0)
        .build()?)
}

/// A copy of the program where anybody may run it.
pub(crate) fn for_everyone() -> Result<(TempDir, PathBuf)> {
    let folder = tempfile::tempdir()?;
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755))?;
    let program = folder.path().join("ethtool-exporter");
    std::fs::copy(binary("ethtool-exporter"), &program)?;
    Ok((folder, program))
}

/// The exporter's output for `--once`.
pub(crate) fn once(program: &Path, arguments: &[&str]) -> Result<Page> {
    let output = Command::new(program)
        .arg("--once")
        .args(arguments)
        .output()?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{error}");
    Page::read(String::from_utf8(output.stdout)?)
}

/// Starts it in a namespace, unprivileged, where it is to listen: what it lives in, and its port.
pub(crate) async fn listening(
    namespace: &Namespace,
    listen: &str,
    arguments: &[&str],
) -> Result<(TempDir, Leash, u16)> {
    let (folder, program) = for_everyone()?;
    let mut command = namespace.command();
    command.args(UNPRIVILEGED).arg(program).args(arguments);
    let (process, port) = start(command, listen).await?;
    Ok((folder, process, port))
}

/// Starts it on a port that the kernel chooses, which it logs.
async fn start(mut command: Command, listen: &str) -> Result<(Leash, u16)> {
    command.arg(format!("--listen={listen}"));
    let process = Leash::start(&command)?;
    let port = process
        .says(START, |line| {
            let (_, rest) = line.split_once("listening on http://")?;
            let (_, port) = rest.strip_suffix("/metrics")?.rsplit_once(':')?;
            port.parse().ok()
        })
        .await?;
    Ok((process, port))
}
