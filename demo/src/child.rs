//! Child processes that do not outlive the demo.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use anyhow::Context as _;
use tokio::process::{ChildStdout, Command};

use crate::parts;

/// How much of a log's end an error message shows.
const TAIL_LINES: usize = 12;

/// A running program whose log goes to a file.
#[derive(Debug)]
pub(crate) struct Child {
    name: &'static str,
    process: tokio::process::Child,
    log: PathBuf,
}

impl Child {
    /// Starts `program`. Its standard error goes to `log`; its standard output
    /// can be [taken](Child::take_stdout).
    ///
    /// The child is in a process group of its own, so that a terminal's Ctrl-C
    /// reaches the demo alone, which then ends its children. Should the demo
    /// itself be killed, the kernel kills the child (`setpriv --pdeathsig`,
    /// where the machine has it).
    pub(crate) fn start(
        name: &'static str,
        program: &Path,
        args: &[String],
        log: PathBuf,
    ) -> anyhow::Result<Self> {
        let file = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let mut command = match parts::on_path("setpriv") {
            Some(setpriv) => {
                let mut command = Command::new(setpriv);
                command.args(["--pdeathsig", "KILL", "--"]).arg(program);
                command
            }
            None => Command::new(program),
        };
        let process = command
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(file)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {name} ({})", program.display()))?;
        Ok(Self { name, process, log })
    }

    /// The child's standard output, the first time.
    pub(crate) fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.process.stdout.take()
    }

    /// Waits for the child to end by itself, which is always too early, and
    /// returns the error to end the demo with.
    pub(crate) async fn ended(&mut self) -> anyhow::Error {
        match self.process.wait().await {
            Ok(status) => self.failure(status),
            Err(error) => anyhow::Error::new(error).context(format!("lost sight of {}", self.name)),
        }
    }

    fn failure(&self, status: ExitStatus) -> anyhow::Error {
        anyhow::anyhow!(
            "{} ended ({status}); the end of its log:\n{}",
            self.name,
            self.log_tail()
        )
    }

    /// The last lines of the child's log.
    pub(crate) fn log_tail(&self) -> String {
        let log = std::fs::read(&self.log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let mut lines: Vec<&str> = log.lines().rev().take(TAIL_LINES).collect();
        lines.reverse();
        match lines.is_empty() {
            true => "(empty)".to_owned(),
            false => lines.join("\n"),
        }
    }

    /// Kills the child and waits until it is gone.
    pub(crate) async fn stop(mut self) {
        // An error means that it is gone already.
        let _ = self.process.kill().await;
    }
}
