//! An AWS on this machine: ministack, and the stack that SAM CLI deploys to it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context as _, bail};
use dnswatch_demo::ministack::{HEALTH, Ministack, STACK, START};
use serde_json::Value;

use crate::child::{Child, Program};
use crate::ready;

/// The programs.
#[derive(Debug)]
pub(crate) struct Programs {
    /// ministack.
    pub(crate) ministack: PathBuf,
    /// SAM CLI, with a Python beside it that has boto3.
    pub(crate) sam: PathBuf,
}

/// The local AWS.
#[derive(Debug)]
pub(crate) struct Aws(Ministack);

impl Aws {
    /// Starts it with all that it keeps in `folder`; returns it with its process.
    ///
    /// # Errors
    /// Where it cannot be started, or is not there in two minutes.
    pub(crate) async fn start(programs: &Programs, folder: &Path) -> anyhow::Result<(Self, Child)> {
        let folder = folder.join("aws");
        std::fs::create_dir(&folder)?;
        let ministack = Ministack::new(&folder, &programs.sam)?;
        let environment = ministack.environment();
        let program = Program {
            name: "ministack",
            path: &programs.ministack,
            args: &[],
            environment: Some(&environment),
            is_heard: false,
        };
        let mut child = Child::start(&program, folder.join("ministack.log"))?;
        ready::wait(&mut child, ministack.address(), HEALTH, START).await?;
        Ok((Self(ministack), child))
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.0.address()
    }

    /// Keeps a secret; returns its ARN.
    pub(crate) async fn put_secret(&self, value: &str) -> anyhow::Result<String> {
        self.ask("put-secret", value).await
    }

    /// Deploys the stack that was built in `built`.
    ///
    /// # Errors
    /// Where it cannot be deployed, with what SAM CLI said.
    pub(crate) async fn deploy(
        &self,
        built: &Path,
        parameters: &[(&str, String)],
    ) -> anyhow::Result<()> {
        run(self.0.deploy(built, parameters))
            .await
            .context("sam deploy")?;
        Ok(())
    }

    /// An output of the stack.
    pub(crate) async fn output(&self, name: &str) -> anyhow::Result<String> {
        let outputs: Value = serde_json::from_str(&self.ask("outputs", STACK).await?)?;
        let output = outputs.get(name).and_then(Value::as_str);
        Ok(output
            .with_context(|| format!("the stack has no output {name}"))?
            .to_owned())
    }

    /// What a function answers to the event in a file.
    ///
    /// # Errors
    /// Where it fails, with what it says.
    pub(crate) async fn invoke(&self, function: &str, event: &Path) -> anyhow::Result<String> {
        self.ask("invoke", &format!("{function}={}", event.display()))
            .await
    }

    /// The last lines of the functions' logs, or why there are none.
    pub(crate) async fn logs(&self) -> String {
        let logs = self.ask("logs", STACK).await;
        logs.unwrap_or_else(|error| format!("{error:#}"))
    }

    async fn ask(&self, verb: &str, argument: &str) -> anyhow::Result<String> {
        let said = run(self.0.ask(verb, argument))
            .await
            .with_context(|| format!("aws.py {verb}"))?;
        Ok(String::from_utf8(said.stdout)?.trim().to_owned())
    }
}

async fn run(command: Command) -> anyhow::Result<Output> {
    let mut command = tokio::process::Command::from(command);
    let said = command.kill_on_drop(true).output().await?;
    if !said.status.success() {
        bail!(
            "{}:\n{}{}",
            said.status,
            String::from_utf8_lossy(&said.stdout),
            String::from_utf8_lossy(&said.stderr)
        );
    }
    Ok(said)
}
