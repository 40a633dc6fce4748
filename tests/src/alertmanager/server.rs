//! A running Alertmanager, and a place that records what it sends.

use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;

use super::AlertmanagerTools;
use crate::front::{Front, Request};
use crate::leash::Leash;

/// Far longer than a start takes on a busy machine; only a server that hangs meets it.
const START: Duration = Duration::from_secs(60);

/// What came, when, to which path.
#[derive(Debug, Clone)]
pub(super) struct Received {
    pub(super) at: SystemTime,
    pub(super) path: String,
    pub(super) body: Vec<u8>,
}

/// Takes every request, and answers with `answer`.
pub(super) struct Recorder {
    front: Front,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Recorder {
    pub(super) async fn start(answer: &'static str) -> Result<Self> {
        let received: Arc<Mutex<Vec<Received>>> = Arc::default();
        let seen = Arc::clone(&received);
        let front = Front::start("", move |request: &Request| {
            let path = request.line().split(' ').nth(1).unwrap_or_default();
            seen.lock().unwrap().push(Received {
                at: SystemTime::now(),
                path: path.to_owned(),
                body: request.body.clone(),
            });
            Some((200, "text/xml", answer.to_owned()))
        })
        .await?;
        Ok(Self { front, received })
    }

    pub(super) fn url(&self) -> &str {
        &self.front.url
    }

    pub(super) fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }
}

/// The server, until it is dropped.
pub(super) struct Alertmanager {
    http: reqwest::Client,
    url: String,
    _process: Leash,
    _folder: TempDir,
}

impl Alertmanager {
    /// Starts one with a configuration and files beside it.
    pub(super) async fn start(
        tools: &AlertmanagerTools,
        config: &str,
        files: &[(&str, &str)],
        external_url: &str,
    ) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        for (name, text) in files.iter().chain(&[("alertmanager.yml", config)]) {
            std::fs::write(folder.path().join(name), text)?;
        }
        // Debian's reads its own templates where it runs, as `tests/parts/install` has it.
        let part = tools.alertmanager.parent().context("its folder")?;
        for entry in std::fs::read_dir(part)? {
            let path = entry?.path();
            if path
                .extension()
                .is_some_and(|extension| extension == "tmpl")
            {
                let name = path.file_name().context("a name")?;
                std::fs::copy(&path, folder.path().join(name))?;
            }
        }
        let mut command = Command::new(&tools.alertmanager);
        command
            .current_dir(folder.path())
            .arg("--config.file=alertmanager.yml")
            .arg(format!(
                "--storage.path={}",
                folder.path().join("data").display()
            ))
            .arg(format!("--web.external-url={external_url}"))
            .arg("--web.route-prefix=/")
            .arg("--web.listen-address=127.0.0.1:0")
            .arg("--cluster.listen-address=")
            .env("NO_PROXY", "127.0.0.1");
        let process = Leash::start(&command)?;
        let address = process
            .says(START, |line| {
                let (_, rest) = line.split_once("msg=\"Listening on\" address=")?;
                Some(rest.trim_matches('"').to_owned())
            })
            .await?;
        let _ = rustls::crypto::ring::default_provider().install_default();
        Ok(Self {
            http: reqwest::Client::builder().no_proxy().build()?,
            url: format!("http://{address}"),
            _process: process,
            _folder: folder,
        })
    }

    /// What its API says.
    pub(super) async fn get(&self, path: &str) -> Result<String> {
        let url = format!("{}/api/v2/{path}", self.url);
        let answer = self.http.get(url).send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        ensure!(status.is_success(), "{status}: {text}");
        Ok(text)
    }

    /// Posts to its API.
    pub(super) async fn post(&self, path: &str, body: &Value) -> Result<Value> {
        let url = format!("{}/api/v2/{path}", self.url);
        let sent = self
            .http
            .post(url)
            .header("content-type", "application/json");
        let answer = sent.body(body.to_string()).send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        ensure!(status.is_success(), "{status}: {text}");
        Ok(serde_json::from_str(&text).unwrap_or_default())
    }
}
