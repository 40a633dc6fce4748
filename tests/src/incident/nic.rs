//! A network interface of AWS's, which no machine here has. The exporter is the real program and
//! asks the kernel as it does on a node; its `ioctl` about this device is answered by [`Ena`], with
//! the policer's count as `linklocal_allowance_exceeded` at that very moment.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinHandle;

use super::network::{DEVICE, readable_folder};
use crate::exporter::ena::Ena;

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/incident/nic.c");
const NAME: usize = 16;
const REQUEST: usize = 20;
const ENODEV: u32 = 19;
const EIO: u32 = 5;

/// The interface, until it is dropped.
pub(super) struct Nic {
    folder: TempDir,
    task: JoinHandle<()>,
}

impl Nic {
    /// One whose packets `dropped` counts.
    pub(super) fn new(dropped: impl Fn() -> Result<u64> + Send + Sync + 'static) -> Result<Self> {
        let folder = readable_folder()?;
        let library = library(folder.path());
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"])
            .arg(&library)
            .arg(SOURCE)
            .output()?;
        ensure!(
            built.status.success(),
            "{}",
            String::from_utf8_lossy(&built.stderr)
        );
        let socket = socket(folder.path());
        let listener = UnixListener::bind(&socket)?;
        // The exporter is unprivileged.
        std::fs::set_permissions(&socket, PermissionsExt::from_mode(0o777))?;
        let dropped = Arc::new(dropped);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let dropped = Arc::clone(&dropped);
                if let Err(error) = answer(stream, dropped).await {
                    eprintln!("nic: {error:#}");
                }
            }
        });
        Ok(Self { folder, task })
    }

    /// What the exporter is started with.
    pub(super) fn environment(&self) -> [String; 3] {
        let folder = self.folder.path();
        [
            format!("LD_PRELOAD={}", library(folder).display()),
            format!("DEVICE_NAME={DEVICE}"),
            format!("DEVICE_SOCKET={}", socket(folder).display()),
        ]
    }
}

impl Drop for Nic {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn library(folder: &Path) -> PathBuf {
    folder.join("nic.so")
}

fn socket(folder: &Path) -> PathBuf {
    folder.join("nic.socket")
}

/// Answers one `ioctl`.
async fn answer(
    mut stream: UnixStream,
    dropped: Arc<impl Fn() -> Result<u64> + Send + Sync + 'static>,
) -> Result<()> {
    let mut question = [0; NAME + REQUEST];
    stream.read_exact(&mut question).await?;
    let (name, request) = question.split_at(NAME);
    let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
    let answered = if name == DEVICE.as_bytes() {
        let command = request.first_chunk::<4>().context("a command")?;
        let command = u32::from_ne_bytes(*command);
        let counted = tokio::task::spawn_blocking(move || dropped()).await?;
        counted.map_err(|_| EIO).and_then(|dropped| {
            let mut ena = Ena::new(2);
            ena.set("linklocal_allowance_exceeded", dropped);
            ena.set("interface_up", 1);
            ena.set("conntrack_allowance_available", 113_094);
            ena.answer_to(command)
        })
    } else {
        Err(ENODEV)
    };
    let (error, bytes) = match answered {
        Ok(bytes) => (0, bytes),
        Err(error) => (error, Vec::new()),
    };
    let length = u32::try_from(bytes.len())?;
    stream.write_all(&error.to_ne_bytes()).await?;
    stream.write_all(&length.to_ne_bytes()).await?;
    stream.write_all(&bytes).await?;
    Ok(())
}
