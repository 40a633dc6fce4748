//! The real Prometheus, on a history, a configuration or rules of the test's choosing.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use alerting::alert::AlertState;
use alerting::labels::Labels;
use alerting::timestamp::Timestamp;
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::leash::Leash;
use crate::samples::Samples;

/// Far longer than a start takes on a busy machine; only a server that hangs meets it.
const START: Duration = Duration::from_secs(60);

/// The programs of a Prometheus release: [`crate::parts::prometheus`] has them.
#[derive(Debug, Clone)]
pub(crate) struct PrometheusTools {
    pub(crate) prometheus: PathBuf,
    pub(crate) promtool: PathBuf,
}

impl PrometheusTools {
    /// Runs promtool to its end.
    pub(crate) fn promtool<A: AsRef<OsStr>>(
        &self,
        args: impl IntoIterator<Item = A>,
    ) -> Result<Output> {
        let promtool = &self.promtool;
        Command::new(promtool)
            .args(args)
            .output()
            .with_context(|| format!("running {}", promtool.display()))
    }

    /// What promtool says that it is: `3.16.0`, for example.
    pub(crate) fn version(&self) -> Result<String> {
        let said = self.promtool(["--version"])?;
        let text = String::from_utf8_lossy(&said.stdout) + String::from_utf8_lossy(&said.stderr);
        let (_, rest) = text.split_once("version ").context("a version")?;
        let end = rest.find(|c: char| c != '.' && !c.is_ascii_digit());
        Ok(rest[..end.unwrap_or(rest.len())].to_owned())
    }

    /// A server to set up and start.
    pub(crate) fn server(&self) -> Setup<'_> {
        Setup {
            tools: self,
            samples: None,
            files: vec![("prometheus.yml".to_owned(), "{}".to_owned())],
            flags: Vec::new(),
        }
    }
}

/// What a server begins with.
#[derive(Debug)]
pub(crate) struct Setup<'a> {
    tools: &'a PrometheusTools,
    samples: Option<Samples>,
    files: Vec<(String, String)>,
    flags: Vec<String>,
}

impl Setup<'_> {
    /// The history, of any age.
    pub(crate) fn samples(mut self, samples: Samples) -> Self {
        self.samples = Some(samples);
        self
    }

    /// The configuration file's text; an empty one by default.
    pub(crate) fn config(self, text: &str) -> Self {
        self.file("prometheus.yml", text)
    }

    /// A file beside the configuration, which can name it without a path: rules, for example.
    pub(crate) fn file(mut self, name: &str, text: &str) -> Self {
        self.files.push((name.to_owned(), text.to_owned()));
        self
    }

    /// One more command-line flag.
    pub(crate) fn flag(mut self, flag: &str) -> Self {
        self.flags.push(flag.to_owned());
        self
    }

    /// Starts the server, and waits until it is ready. The error holds its log.
    pub(crate) async fn start(self) -> Result<Prometheus> {
        let folder = tempfile::tempdir()?;
        let data = folder.path().join("data");
        for (name, text) in &self.files {
            std::fs::write(folder.path().join(name), text)?;
        }
        if let Some(samples) = &self.samples {
            load(self.tools, samples, folder.path(), &data)?;
        }
        let mut command = Command::new(&self.tools.prometheus);
        command
            .current_dir(folder.path())
            .arg("--config.file=prometheus.yml")
            .arg(format!("--storage.tsdb.path={}", data.display()))
            // A history of any age is kept.
            .arg("--storage.tsdb.retention.time=100y")
            .arg("--web.listen-address=127.0.0.1:0")
            .arg("--web.enable-lifecycle")
            .arg("--web.enable-remote-write-receiver")
            .args(&self.flags);
        let (process, url) = listening(&command).await?;
        // What is on this machine is asked directly, whatever proxy is set; and without TLS a
        // provider for it would still be asked for.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().build()?;
        let prometheus = Prometheus {
            http,
            url,
            process,
            command,
            folder,
        };
        prometheus.get("/-/ready", &[]).await?;
        Ok(prometheus)
    }
}

/// Starts a server, and waits until it is ready: it, and where it answers.
async fn listening(command: &Command) -> Result<(Leash, String)> {
    let process = Leash::start(command)?;
    // The kernel chooses a free port, and the log names it: no other process can take it in
    // between.
    let address = process
        .says(START, |line| {
            let (_, rest) = line.split_once("msg=\"Listening on\"")?;
            // Prometheus 3 names its component in between.
            let (_, address) = rest.split_once("address=")?;
            Some(address.trim_matches('"').to_owned())
        })
        .await?;
    process
        .says(START, |line| {
            line.contains("Server is ready to receive").then_some(())
        })
        .await?;
    Ok((process, format!("http://{address}")))
}

/// Turns the history into blocks, where the server will look for them.
fn load(tools: &PrometheusTools, samples: &Samples, folder: &Path, data: &Path) -> Result<()> {
    let text = folder.join("samples.txt");
    std::fs::write(&text, samples.to_openmetrics())?;
    // The text is read once for each block.
    let large = "--max-block-duration=240h";
    let create = [
        "tsdb",
        "create-blocks-from",
        large,
        "openmetrics",
        "--quiet",
    ]
    .map(OsStr::new);
    let made = tools.promtool(
        create
            .into_iter()
            .chain([text.as_os_str(), data.as_os_str()]),
    )?;
    ensure!(
        made.status.success(),
        "loading the samples: {}",
        String::from_utf8_lossy(&made.stderr)
    );
    Ok(())
}

/// A running server, stopped when this is dropped.
#[derive(Debug)]
pub(crate) struct Prometheus {
    http: reqwest::Client,
    url: String,
    // Before the folder, so that the server has ended when its files go.
    process: Leash,
    command: Command,
    folder: TempDir,
}

/// A signal to a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    /// It ends in good order, as a service manager has it.
    Terminate,
    /// It gets to do nothing more.
    Kill,
    /// It stands still.
    Freeze,
    /// It continues.
    Continue,
}

/// An active alert as `/api/v1/alerts` returns it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Served {
    pub(crate) labels: Labels,
    pub(crate) state: AlertState,
    pub(crate) active_at: Timestamp,
    pub(crate) annotations: Vec<(String, String)>,
}

impl Prometheus {
    /// Where it answers, without a slash at the end.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The server's process.
    pub(crate) fn process(&self) -> &Leash {
        &self.process
    }

    /// Sends a signal; waits until the server has ended, where it is to end. Its data stays.
    pub(crate) async fn signal(&self, signal: Signal) -> Result<()> {
        let name = match signal {
            Signal::Terminate => "-TERM",
            Signal::Kill => "-KILL",
            Signal::Freeze => "-STOP",
            Signal::Continue => "-CONT",
        };
        let pid = self.process.pid().to_string();
        let sent = Command::new("kill").args([name, &pid]).status()?;
        ensure!(sent.success(), "kill {name} {pid}: {sent}");
        if matches!(signal, Signal::Terminate | Signal::Kill) {
            self.process.ends().await?;
        }
        Ok(())
    }

    /// Starts it again on what it had stored, at another address.
    pub(crate) async fn start_again(&mut self) -> Result<()> {
        (self.process, self.url) = listening(&self.command).await?;
        Ok(())
    }

    /// The active alerts, sorted.
    pub(crate) async fn alerts(&self) -> Result<Vec<Served>> {
        let answer = self.api("alerts", &[]).await?;
        let mut alerts = Vec::new();
        for alert in answer["alerts"].as_array().context("alerts")? {
            let at: jiff::Timestamp = alert["activeAt"].as_str().context("activeAt")?.parse()?;
            let texts = alert["annotations"].as_object().context("annotations")?;
            let texts = texts.iter();
            alerts.push(Served {
                labels: serde_json::from_value(alert["labels"].clone())?,
                state: serde_json::from_value(alert["state"].clone())?,
                active_at: Timestamp::from_millis(at.as_millisecond()),
                annotations: texts
                    .map(|(name, text)| (name.clone(), text.as_str().unwrap_or("").to_owned()))
                    .collect(),
            });
        }
        alerts.sort();
        Ok(alerts)
    }

    /// How many evaluations of rules it made since it started.
    pub(crate) async fn evaluations(&self) -> Result<u64> {
        let metrics = self.get("/metrics", &[]).await?;
        let count = |line: &str| {
            let counts = line.starts_with("prometheus_rule_evaluations_total{");
            let number = line.rsplit(' ').next().filter(|_| counts)?;
            number.parse::<u64>().ok()
        };
        Ok(metrics.lines().filter_map(count).sum())
    }

    /// Makes the server reload its configuration, after one of its files was written.
    pub(crate) async fn reload(&self, file: &str, text: &str) -> Result<()> {
        std::fs::write(self.folder.path().join(file), text)?;
        let answer = self.http.post(format!("{}/-/reload", self.url));
        let answer = answer.send().await?;
        let status = answer.status();
        ensure!(status.is_success(), "{status}: {}", answer.text().await?);
        Ok(())
    }

    /// The body of a page; an error if it is not a good answer.
    async fn get(&self, path: &str, parameters: &[(&str, &str)]) -> Result<String> {
        let url = reqwest::Url::parse_with_params(&format!("{}{path}", self.url), parameters)?;
        let answer = self.http.get(url.clone()).send().await?;
        let status = answer.status();
        let body = answer.text().await?;
        ensure!(status.is_success(), "{url}: {status}: {body}");
        Ok(body)
    }

    /// The `data` of an API's answer: `api("query", &[("query", "up"), ("time", "1700000000")])`.
    pub(crate) async fn api(&self, endpoint: &str, parameters: &[(&str, &str)]) -> Result<Value> {
        let body = self.get(&format!("/api/v1/{endpoint}"), parameters).await?;
        let mut answer: Value = serde_json::from_str(&body).with_context(|| body.clone())?;
        Ok(answer["data"].take())
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use alerting::timestamp::Timestamp;

    use super::*;
    use crate::parts;

    const START_OF_HISTORY: Timestamp = Timestamp::from_secs(1_600_000_000);
    const MINUTE: Duration = Duration::from_secs(60);

    /// The value of `drops` at a minute of the history; `None` where the server has none.
    async fn drops_at(prometheus: &Prometheus, minute: i64) -> Result<Option<String>> {
        let time = (START_OF_HISTORY.as_millis() / 1000 + minute * 60).to_string();
        let data = prometheus
            .api("query", &[("query", "drops{node=\"a\"}"), ("time", &time)])
            .await?;
        Ok(data["result"][0]["value"][1].as_str().map(str::to_owned))
    }

    #[tokio::test]
    async fn answers_from_the_history_it_was_given() -> Result<()> {
        let Some(tools) = parts::prometheus() else {
            return Ok(());
        };
        // Four hours, so that the history spans blocks, and a gap longer than the look-back.
        let value = |minute: i32| (!(100..110).contains(&minute)).then(|| f64::from(minute) / 2.0);
        let history = Samples::new().series(
            "drops{node=\"a\"}",
            START_OF_HISTORY,
            MINUTE,
            (0..240).map(value),
        );
        let prometheus = tools.server().samples(history).start().await?;
        for (minute, expected) in [
            (-1, None),
            (0, Some("0")),
            (99, Some("49.5")),
            (103, Some("49.5")),
            (109, None),
            (110, Some("55")),
            (239, Some("119.5")),
            (245, None),
        ] {
            let answer = drops_at(&prometheus, minute).await?;
            assert_eq!(answer.as_deref(), expected, "minute {minute}");
        }
        Ok(())
    }

    #[tokio::test]
    async fn loads_rules_and_is_gone_once_dropped() -> Result<()> {
        let Some(tools) = parts::prometheus() else {
            return Ok(());
        };
        let prometheus = tools
            .server()
            .config("rule_files: [rules.yml]")
            .file(
                "rules.yml",
                "groups: [{name: dns, rules: [{alert: A, expr: up}]}]",
            )
            .flag("--log.level=debug")
            .start()
            .await?;
        let rules = prometheus.api("rules", &[]).await?;
        assert_eq!(rules["groups"][0]["name"], "dns", "{rules}");

        let address = prometheus.url().trim_start_matches("http://").to_owned();
        let process = PathBuf::from(format!("/proc/{}", prometheus.process().pid()));
        assert!(process.exists());
        drop(prometheus);
        assert!(!process.exists());
        assert!(TcpStream::connect(address).is_err());
        Ok(())
    }

    #[tokio::test]
    async fn a_server_that_cannot_start_says_why() -> Result<()> {
        let Some(tools) = parts::prometheus() else {
            return Ok(());
        };
        let refused = tools.server().config("scrape: []").start().await;
        let error = refused.expect_err("there is no such key").to_string();
        assert!(error.contains("field scrape not found"), "{error}");
        Ok(())
    }

    #[test]
    fn promtool_refuses_what_is_not_a_rule_file() -> Result<()> {
        let Some(tools) = parts::prometheus() else {
            return Ok(());
        };
        let folder = tempfile::tempdir()?;
        let rules = folder.path().join("rules.yml");
        std::fs::write(
            &rules,
            "groups: [{name: dns, rules: [{alert: A, expr: 'up ='}]}]",
        )?;
        let check = ["check", "rules"].map(OsStr::new);
        let refused = tools.promtool(check.into_iter().chain([rules.as_os_str()]))?;
        assert!(!refused.status.success(), "{refused:?}");
        Ok(())
    }
}
