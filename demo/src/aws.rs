//! An AWS on this machine: ministack, and the stack that SAM CLI deploys to it.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::process::Command;

use crate::child::{Child, Program};
use crate::ready;

const STACK: &str = "dnswatch";
const REGION: &str = "eu-central-1";
/// Asks [`Aws`] what SAM CLI cannot.
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/aws.py");
/// How long a start may take on a busy machine.
const START: Duration = Duration::from_secs(120);

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
pub(crate) struct Aws {
    sam: PathBuf,
    address: SocketAddr,
    folder: PathBuf,
}

impl Aws {
    /// Starts it with all that it keeps in `folder`; returns it with its process.
    ///
    /// It checks every signature, and holds every role to its policies.
    ///
    /// # Errors
    /// Where it cannot be started, or is not there in two minutes.
    pub(crate) async fn start(programs: &Programs, folder: &Path) -> anyhow::Result<(Self, Child)> {
        let folder = folder.join("aws");
        std::fs::create_dir(&folder)?;
        // It must be told a port: one is found free and let go. Who takes it in between makes it
        // end and say so.
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await?
            .local_addr()?;
        let own = folder.display().to_string();
        let environment = [
            ("PATH", std::env::var("PATH").unwrap_or_default()),
            ("HOME", own.clone()),
            ("TMPDIR", own),
            ("AUTH", "true".to_owned()),
            ("AWS_DEFAULT_REGION", REGION.to_owned()),
            ("MINISTACK_REGION", REGION.to_owned()),
            ("BIND_HOST", address.ip().to_string()),
            ("MINISTACK_HOST", address.ip().to_string()),
            ("GATEWAY_PORT", address.port().to_string()),
            ("IOT_MTLS_ENABLED", "0".to_owned()),
        ];
        let program = Program {
            name: "ministack",
            path: &programs.ministack,
            args: &[],
            environment: Some(&environment),
            is_heard: false,
        };
        let mut child = Child::start(&program, folder.join("ministack.log"))?;
        ready::wait(&mut child, address, "/_ministack/health", START).await?;
        let sam = programs.sam.clone();
        Ok((
            Self {
                sam,
                address,
                folder,
            },
            child,
        ))
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
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
        let mut command = self.command(&self.sam);
        command
            .args(["deploy", "--stack-name", STACK, "--resolve-s3"])
            .args(["--capabilities", "CAPABILITY_IAM", "--no-progressbar"])
            .args(["--no-confirm-changeset", "--template-file"])
            .arg(built.join("template.yaml"))
            .arg("--parameter-overrides")
            .args(
                parameters
                    .iter()
                    .map(|(name, value)| format!("{name}={value}")),
            );
        run(command).await.context("sam deploy")?;
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
        let mut command = self.command(&self.sam.with_file_name("python"));
        command.args([SCRIPT, verb, argument]);
        let said = run(command)
            .await
            .with_context(|| format!("aws.py {verb}"))?;
        Ok(String::from_utf8(said.stdout)?.trim().to_owned())
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .env("AWS_ENDPOINT_URL", format!("http://{}", self.address))
            .env("AWS_DEFAULT_REGION", REGION)
            // Whatever account the user has is not for the demo.
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .env_remove("AWS_SESSION_TOKEN")
            .env_remove("AWS_PROFILE")
            .env("AWS_CONFIG_FILE", "/dev/null")
            .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
            .env("NO_PROXY", "127.0.0.1")
            .env("SAM_CLI_TELEMETRY", "0")
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }
}

async fn run(mut command: Command) -> anyhow::Result<Output> {
    let said = command.output().await?;
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
