//! Child processes that do not outlive the demo.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use tokio::process::{ChildStdout, Command};
use tokio::time::timeout;

use crate::parts;

/// How much of a log's end an error message shows.
const TAIL_LINES: usize = 12;
/// How long a child may take to end by itself when asked to.
const GRACE: Duration = Duration::from_secs(5);

/// A program to start.
#[derive(Debug)]
pub(crate) struct Program<'a> {
    /// What messages call it.
    pub(crate) name: &'static str,
    /// Where it is.
    pub(crate) path: &'a Path,
    /// Its arguments.
    pub(crate) args: &'a [String],
    /// Its environment, if not the demo's.
    pub(crate) environment: Option<&'a [(&'a str, String)]>,
    /// Whether its standard output is [taken](Child::take_stdout), or goes to
    /// the log with its standard error.
    pub(crate) is_heard: bool,
}

/// A running program whose log goes to a file.
#[derive(Debug)]
pub(crate) struct Child {
    name: &'static str,
    process: tokio::process::Child,
    log: PathBuf,
}

impl Child {
    /// Starts a program, whose log goes to the file `log`.
    ///
    /// The child is in a process group of its own, so that a terminal's Ctrl-C
    /// reaches the demo alone, which then ends its children. Should the demo
    /// itself be killed, the kernel kills the child (`setpriv --pdeathsig`,
    /// where the machine has it).
    pub(crate) fn start(program: &Program<'_>, log: PathBuf) -> anyhow::Result<Self> {
        let name = program.name;
        let file = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let mut command = match parts::on_path("setpriv") {
            Some(setpriv) => {
                let mut command = Command::new(setpriv);
                command
                    .args(["--pdeathsig", "KILL", "--"])
                    .arg(program.path);
                command
            }
            None => Command::new(program.path),
        };
        if let Some(environment) = program.environment {
            command.env_clear().envs(environment.iter().cloned());
        }
        let said = match program.is_heard {
            true => Stdio::piped(),
            false => file.try_clone()?.into(),
        };
        let process = command
            .args(program.args)
            .stdin(Stdio::null())
            .stdout(said)
            .stderr(file)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {name} ({})", program.path.display()))?;
        Ok(Self { name, process, log })
    }

    /// What it is called.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// The child's standard output, the first time, if it [is heard](Program::is_heard).
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

    /// Ends the child, and what it started, and waits until it is gone.
    pub(crate) async fn stop(mut self) {
        let Some(group) = self.process.id() else {
            return;
        };
        signal("TERM", group).await;
        // Errors mean that it is gone already.
        let _ = timeout(GRACE, self.process.wait()).await;
        signal("KILL", group).await;
        let _ = self.process.wait().await;
    }
}

/// Sends a signal to a process group; one that is gone needs none.
async fn signal(signal: &str, group: u32) {
    // Without the `--` that others want, and dash takes for a number.
    let kill = format!("kill -{signal} -{group} 2>/dev/null");
    let _ = Command::new("sh").args(["-c", &kill]).status().await;
}
