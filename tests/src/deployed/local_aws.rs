//! An AWS on this machine that holds each role to its policies, and the stack that SAM CLI deploys
//! to it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, ensure};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_types::SdkConfig;
use backends::aws::sdk_config;
use backends::http::{self, HttpOptions};
pub(crate) use dnswatch_demo::ministack::REGION;
use dnswatch_demo::ministack::{HEALTH, Ministack, STACK, START};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::leash::Leash;

/// Answers what a program asks on a terminal.
const PERSON: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/deployed/person.py");

/// Has SAM CLI build the functions and their template in `folder`. `make test` has compiled them
/// before.
pub(crate) fn build(folder: &Path) -> Result<()> {
    let target = target()?;
    // They pass through one place in the target folder.
    let lock = File::create(target.join("functions.lock"))?;
    lock.lock()?;
    let build = concat!(env!("CARGO_MANIFEST_DIR"), "/../demo/build-functions");
    let mut build = Command::new(build);
    run(build.arg(folder).env("CARGO_TARGET_DIR", &target))?;
    Ok(())
}

/// Cargo's target folder, which this test was built in.
pub(crate) fn target() -> Result<PathBuf> {
    let test = std::env::current_exe()?;
    let target = test.ancestors().nth(3).context("target/debug/deps")?;
    Ok(target.to_owned())
}

/// What a command prints on standard output; an error with all that it said where it fails.
fn run(command: &mut Command) -> Result<String> {
    let said = command
        .output()
        .with_context(|| format!("starting {command:?}"))?;
    ensure!(
        said.status.success(),
        "{command:?}: {}\n{}{}",
        said.status,
        String::from_utf8_lossy(&said.stdout),
        String::from_utf8_lossy(&said.stderr)
    );
    Ok(String::from_utf8(said.stdout)?)
}

/// The AWS, until it is dropped.
pub(crate) struct LocalAws {
    pub(crate) url: String,
    ministack: Ministack,
    sam: PathBuf,
    http: reqwest::Client,
    // Before the folder, so that it has ended when its files go.
    process: Leash,
    folder: TempDir,
}

/// What became of an invocation.
#[derive(Debug)]
pub(crate) enum Invoked {
    /// The function answered.
    Answered(Value),
    /// The function failed, with this type of error and this message.
    Failed(String, String),
}

impl LocalAws {
    pub(crate) async fn start(ministack: &Path, sam: &Path) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let local = Ministack::new(folder.path(), sam)?;
        let mut command = Command::new("sh");
        // It says more than a leash keeps.
        command
            .args(["-c", "exec \"$0\" >\"$TMPDIR/log\" 2>&1"])
            .arg(ministack)
            .envs(local.environment())
            .env_remove("AWS_ENDPOINT_URL")
            .current_dir(folder.path());
        let aws = Self {
            url: format!("http://{}", local.address()),
            ministack: local,
            sam: sam.to_owned(),
            http: http::client(&HttpOptions::default())?,
            process: Leash::start(&command)?,
            folder,
        };
        let health = format!("{}{HEALTH}", aws.url);
        let process = format!("/proc/{}", aws.pid());
        let is_up = async {
            while aws.http.get(&health).send().await.is_err() {
                ensure!(Path::new(&process).exists(), "it ended: {}", aws.log_end());
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Ok(())
        };
        let up = tokio::time::timeout(START, is_up).await;
        up.with_context(|| aws.log_end())??;
        Ok(aws)
    }

    /// Its process, whose children run the functions.
    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// All that it has said.
    pub(crate) fn log(&self) -> String {
        let log = std::fs::read(self.folder.path().join("log")).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }

    /// The last lines that it has said.
    pub(crate) fn log_end(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(60)..].join("\n")
    }

    /// For the SDK's clients.
    pub(crate) fn sdk(&self) -> SdkConfig {
        let credentials = SharedCredentialsProvider::new(account());
        sdk_config(self.http.clone(), REGION, credentials, Some(&self.url))
    }

    /// Deploys the stack that was built in `built`; its outputs.
    pub(crate) async fn deploy(
        &self,
        built: &Path,
        parameters: &[(&str, String)],
    ) -> Result<Value> {
        let mut deploy = self.ministack.deploy(built, parameters);
        tokio::task::spawn_blocking(move || run(&mut deploy)).await??;
        self.outputs().await
    }

    /// Has a person run SAM CLI in `project`, who answers its questions; what they saw.
    pub(crate) async fn person(
        &self,
        project: &Path,
        arguments: &[&str],
        answers: &Value,
    ) -> Result<String> {
        let mut person = self.ministack.python();
        person.arg(PERSON).arg(answers.to_string()).arg(&self.sam);
        person.args(arguments).current_dir(project);
        tokio::task::spawn_blocking(move || run(&mut person)).await?
    }

    /// The outputs of the stack.
    pub(crate) async fn outputs(&self) -> Result<Value> {
        let mut outputs = self.ministack.ask("outputs", STACK);
        let outputs = tokio::task::spawn_blocking(move || run(&mut outputs));
        Ok(serde_json::from_str(&outputs.await??)?)
    }

    /// Invokes a function with what the schedule sends, and waits for what becomes of it.
    pub(crate) async fn invoke(&self, function: &str) -> Result<Invoked> {
        let event = json!({"scheduled_time": "2026-01-01T00:00:00Z"});
        self.invoke_with(function, &event).await
    }

    /// Invokes a function with an event, and waits for what becomes of it.
    pub(crate) async fn invoke_with(&self, function: &str, event: &Value) -> Result<Invoked> {
        let path = format!("/2015-03-31/functions/{function}/invocations");
        let (failed, answer) = self.call("lambda", &path, &[], event).await?;
        Ok(match failed {
            None => Invoked::Answered(answer),
            Some(_) => {
                let text = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
                Invoked::Failed(text("errorType"), text("errorMessage"))
            }
        })
    }

    /// All lines of all functions' logs.
    pub(crate) async fn function_logs(&self) -> Result<Vec<String>> {
        let groups = self.logs("DescribeLogGroups", &json!({})).await?;
        let groups = groups["logGroups"].as_array().context("groups")?;
        let mut lines = Vec::new();
        for group in groups {
            let mut ask = json!({"logGroupName": group["logGroupName"]});
            loop {
                let events = self.logs("FilterLogEvents", &ask).await?;
                let messages = events["events"].as_array().context("events")?;
                lines.extend(
                    messages
                        .iter()
                        .filter_map(|event| Some(event["message"].as_str()?.trim().to_owned())),
                );
                match &events["nextToken"] {
                    Value::Null => break,
                    token => ask["nextToken"] = token.clone(),
                }
            }
        }
        Ok(lines)
    }

    async fn logs(&self, operation: &str, ask: &Value) -> Result<Value> {
        let target = format!("Logs_20140328.{operation}");
        let headers = [
            ("content-type", "application/x-amz-json-1.1"),
            ("x-amz-target", &target),
        ];
        Ok(self.call("logs", "/", &headers, ask).await?.1)
    }

    /// A signed request; whether the function failed, and the answer.
    async fn call(
        &self,
        service: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> Result<(Option<String>, Value)> {
        let url = format!("{}{path}", self.url);
        let body = body.to_string();
        let identity = account().into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(REGION)
            .name(service)
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()?
            .into();
        let signable = SignableRequest::new(
            "POST",
            &url,
            headers.iter().copied(),
            SignableBody::Bytes(body.as_bytes()),
        )?;
        let (signed, _) = sign(signable, &params)?.into_parts();
        let mut request = self.http.post(&url).timeout(START);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        for header in signed.into_parts().0 {
            request = request.header(header.name(), header.value());
        }
        let answer = request.body(body).send().await?;
        let status = answer.status();
        let failed = answer.headers().get("x-amz-function-error").cloned();
        let failed = failed.map(|failed| String::from_utf8_lossy(failed.as_bytes()).into_owned());
        let text = answer.text().await?;
        ensure!(status.is_success(), "{service}{path}: {status}: {text}");
        Ok((failed, serde_json::from_str(&text).context(text)?))
    }
}

fn account() -> Credentials {
    Credentials::new("test", "test", None, None, "test")
}
