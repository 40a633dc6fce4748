//! ministack, an AWS on this machine: how it is started, and how others are brought to take it for
//! AWS. Commands are only made here: who runs them waits as suits them.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Where everything in it is.
pub const REGION: &str = "eu-central-1";
/// What answers once it is up.
pub const HEALTH: &str = "/_ministack/health";
/// Far longer than a start takes on a busy machine.
pub const START: Duration = Duration::from_secs(120);
/// The stack that is deployed to it.
pub const STACK: &str = "dnswatch";
/// Asks what SAM CLI cannot.
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/aws.py");

/// One ministack.
#[derive(Debug, Clone)]
pub struct Ministack {
    address: SocketAddr,
    folder: PathBuf,
    sam: PathBuf,
}

impl Ministack {
    /// One that will keep all that it has in `folder`. `sam` is SAM CLI, with a Python beside it
    /// that has boto3.
    ///
    /// # Errors
    /// Where no port is free.
    pub fn new(folder: &Path, sam: &Path) -> io::Result<Self> {
        Ok(Self {
            // It needs a port number: a free one is found and released. A process that takes it in
            // between makes it end and say so.
            address: TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?,
            folder: folder.to_owned(),
            sam: sam.to_owned(),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The environment to start it with. It checks every signature, and holds every role to its
    /// policies.
    pub fn environment(&self) -> [(&'static str, String); 10] {
        let own = self.folder.display().to_string();
        [
            ("PATH", std::env::var("PATH").unwrap_or_default()),
            ("HOME", own.clone()),
            ("TMPDIR", own),
            ("AUTH", "true".to_owned()),
            ("AWS_DEFAULT_REGION", REGION.to_owned()),
            ("MINISTACK_REGION", REGION.to_owned()),
            ("BIND_HOST", self.address.ip().to_string()),
            ("MINISTACK_HOST", self.address.ip().to_string()),
            ("GATEWAY_PORT", self.address.port().to_string()),
            ("IOT_MTLS_ENABLED", "0".to_owned()),
        ]
    }

    /// A program that takes it for AWS.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .env("AWS_ENDPOINT_URL", format!("http://{}", self.address))
            .env("AWS_DEFAULT_REGION", REGION)
            // Whatever account the user has is not meant.
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .env_remove("AWS_SESSION_TOKEN")
            .env_remove("AWS_PROFILE")
            .env("AWS_CONFIG_FILE", "/dev/null")
            .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
            .env("NO_PROXY", "127.0.0.1")
            .env("SAM_CLI_TELEMETRY", "0")
            .current_dir(&self.folder)
            .stdin(Stdio::null());
        command
    }

    /// `sam deploy` of the stack that was built in `built`.
    pub fn deploy(&self, built: &Path, parameters: &[(&str, String)]) -> Command {
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
        command
    }

    /// A question of `aws.py`'s, which says what can be asked.
    pub fn ask(&self, verb: &str, argument: &str) -> Command {
        let mut command = self.python();
        command.args([SCRIPT, verb, argument]);
        command
    }

    /// A Python that has boto3.
    pub fn python(&self) -> Command {
        self.command(&self.sam.with_file_name("python"))
    }
}
