//! What a deployed function has around it: a Prometheus with samples up to now, and an AWS with a
//! table, a topic, and a queue that is subscribed to it.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use alerting::timestamp::Timestamp;
use anyhow::{Context as _, Result, ensure};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};
use aws_types::SdkConfig;
use backends::aws::sdk_config;
use backends::clock::SystemClock;
use backends::http::{self, HttpOptions};
use backends::state::{DynamoStore, StateStore as _};
use ruler::environment::Environment;
use ruler::function::Function;
use ruler::log::{Level, Log};
use serde_json::Value;
use tempfile::TempDir;

use crate::leash::Leash;
use crate::parts;
use crate::prometheus::Prometheus;
use crate::samples::Samples;

/// Far longer than a start takes on a busy machine; only a server that hangs meets it.
const START: Duration = Duration::from_secs(120);
/// What an invocation may take: Lambda would end it then.
const TIMEOUT: Duration = Duration::from_secs(55);
/// For how long a thing is waited for that a run or two bring about.
const SOON: Duration = Duration::from_secs(120);

pub(super) const REGION: &str = "eu-central-1";
pub(super) const TABLE: &str = "dnswatch-state";
/// What must be nowhere but in requests to AWS.
pub(super) const SECRET: &str = "canary+secret/key";
pub(super) const TOKEN: &str = "canary+session/token==";

/// A rule that fires on what the server has, at once.
pub(super) const RULES: &str = "groups:
  - name: dns
    interval: 1s
    rules:
      - alert: LinkLocalThrottling
        expr: drops > 0
        annotations: {summary: packets are dropped}
";

pub(super) struct Ground {
    pub(super) prometheus: Prometheus,
    pub(super) aws: String,
    pub(super) topic: String,
    queue: String,
    sdk: SdkConfig,
    folder: TempDir,
    log: Captured,
    _moto: Leash,
}

/// A log that can be read.
#[derive(Debug, Clone, Default)]
pub(super) struct Captured(Arc<Mutex<Vec<u8>>>);

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Captured {
    pub(super) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

fn seconds_now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(now.as_secs()).unwrap()
}

/// A moto of the test's own.
pub(super) async fn moto(program: &Path) -> Result<(Leash, String)> {
    let mut command = Command::new(program);
    command.args(["-H", "127.0.0.1", "-p", "0"]);
    let process = Leash::start(&command)?;
    let url = process
        .says(START, |line| {
            let (_, rest) = line.split_once("Running on ")?;
            Some(rest.trim().to_owned())
        })
        .await?;
    Ok((process, url))
}

/// The SDK's configuration for the AWS at `url`.
pub(super) fn sdk(url: &str) -> Result<SdkConfig> {
    let credentials = Credentials::new("AKIDEXAMPLE", SECRET, Some(TOKEN.to_owned()), None, "test");
    let http = http::client(&HttpOptions::default())?;
    let credentials = SharedCredentialsProvider::new(credentials);
    Ok(sdk_config(http, REGION, credentials, Some(url)))
}

impl Ground {
    /// The ground; None is a skip, which was reported.
    pub(super) async fn prepare() -> Result<Option<Self>> {
        let (Some(tools), Some(moto_server)) = (parts::prometheus(), parts::moto()) else {
            return Ok(None);
        };
        let start = Timestamp::from_secs(seconds_now() - 600);
        let step = Duration::from_secs(15);
        let history = Samples::new().series("drops{node=\"a\"}", start, step, vec![7.0; 41]);
        let prometheus = tools.server().samples(history).start().await?;
        let (process, aws) = moto(&moto_server).await?;
        let sdk = sdk(&aws)?;
        create_table(&sdk).await?;
        let sns = aws_sdk_sns::Client::new(&sdk);
        let created = sns.create_topic().name("alerts").send().await?;
        let topic = created.topic_arn().context("a topic")?.to_owned();
        let sqs = aws_sdk_sqs::Client::new(&sdk);
        let created = sqs.create_queue().queue_name("alerts").send().await?;
        let queue = created.queue_url().context("a queue")?.to_owned();
        let arn = topic.replace(":sns:", ":sqs:");
        let subscribe = sns.subscribe().topic_arn(&topic).protocol("sqs");
        subscribe.endpoint(arn).send().await?;
        let ground = Self {
            prometheus,
            aws,
            topic,
            queue,
            sdk,
            folder: tempfile::tempdir()?,
            log: Captured::default(),
            _moto: process,
        };
        ground.write("rules/dns.yml", RULES)?;
        ground.write("alertmanager.yml", &ground.alertmanager())?;
        Ok(Some(ground))
    }

    /// An `alertmanager.yml` for the topic that does not wait.
    pub(super) fn alertmanager(&self) -> String {
        format!(
            "route: {{receiver: team, group_by: [alertname], group_wait: 0s, group_interval: 1s}}\n\
             receivers: [{{name: team, sns_configs: [{{topic_arn: '{}'}}]}}]\n",
            self.topic
        )
    }

    /// Writes a file of the layer.
    pub(super) fn write(&self, name: &str, text: &str) -> Result<()> {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().context("a folder")?)?;
        Ok(std::fs::write(path, text)?)
    }

    /// The function in a new sandbox, with `changes` to its environment; an empty value takes a
    /// variable away.
    pub(super) fn function(&self, changes: &[(&str, &str)]) -> Result<Function> {
        let folder = self.folder.path().display().to_string();
        let mut variables = BTreeMap::from([
            ("AWS_REGION", REGION),
            ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", SECRET),
            ("AWS_SESSION_TOKEN", TOKEN),
            ("AWS_LAMBDA_FUNCTION_NAME", "the-ruler"),
            ("PROMETHEUS_URL", self.prometheus.url()),
            ("STATE_TABLE", TABLE),
            ("CONFIG_DIR", &folder),
            ("AWS_ENDPOINT_URL", &self.aws),
        ]);
        variables.extend(changes.iter().copied());
        let environment =
            Environment::read(|name| variables.get(name).map(|value| (*value).to_owned()))?;
        let log = Log::new(Level::Info, environment.secrets(), self.log.clone());
        Ok(Function::new(environment, log)?)
    }

    /// Everything that was logged.
    pub(super) fn log(&self) -> String {
        self.log.text()
    }

    /// The log's lines since it had `before` bytes.
    pub(super) fn lines_since(&self, before: usize) -> Vec<Value> {
        self.log()[before..]
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// The next message in the queue, taken out of it: SNS's envelope. None if there is none.
    pub(super) async fn message(&self) -> Result<Option<Value>> {
        let sqs = aws_sdk_sqs::Client::new(&self.sdk);
        let received = sqs.receive_message().queue_url(&self.queue).send().await?;
        let Some(message) = received.messages().first() else {
            return Ok(None);
        };
        sqs.delete_message()
            .queue_url(&self.queue)
            .receipt_handle(message.receipt_handle().context("a handle")?)
            .send()
            .await?;
        let body = message.body().context("a body")?;
        Ok(Some(serde_json::from_str(body)?))
    }

    /// The webhook JSON within the next message.
    pub(super) async fn webhook(&self) -> Result<Option<Value>> {
        let Some(envelope) = self.message().await? else {
            return Ok(None);
        };
        let text = envelope["Message"].as_str().context("a text")?;
        Ok(Some(serde_json::from_str(text).context(text.to_owned())?))
    }

    /// The stored document of `workspace`, unpacked.
    pub(super) async fn state(&self, workspace: &str) -> Result<Option<Value>> {
        let store = DynamoStore::new(&self.sdk, TABLE, workspace, SystemClock);
        let Some((document, _)) = store.load().await? else {
            return Ok(None);
        };
        Ok(Some(serde_json::from_slice(&document)?))
    }

    /// Where the strict AWS is.
    pub(super) fn aws_url(&self) -> &str {
        &self.aws
    }

    /// Where Prometheus is.
    pub(super) fn prometheus_url(&self) -> &str {
        self.prometheus.url()
    }

    pub(super) fn sdk(&self) -> &SdkConfig {
        &self.sdk
    }
}

/// Invokes a function as the schedule does.
pub(super) async fn invoke(function: &Function) -> Result<Value> {
    with(
        function,
        &serde_json::json!({"time": "2026-01-01T00:00:00Z"}),
    )
    .await
}

/// Invokes a function with an event.
pub(super) async fn with(function: &Function, event: &Value) -> Result<Value> {
    Ok(function.handle(event, SystemTime::now() + TIMEOUT).await?)
}

/// Runs until a run is what is waited for: rules have a tick a second, and time must pass.
pub(super) async fn run_until(
    function: &Function,
    is_it: impl Fn(&Value) -> bool,
) -> Result<Value> {
    let began = SystemTime::now();
    loop {
        let answer = invoke(function).await?;
        if is_it(&answer) {
            return Ok(answer);
        }
        ensure!(began.elapsed()? < SOON, "not so within {SOON:?}: {answer}");
        next_second().await;
    }
}

/// Waits for the next tick of a rule.
pub(super) async fn next_second() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    tokio::time::sleep(Duration::from_millis(1001 - u64::from(now.subsec_millis()))).await;
}

async fn create_table(sdk: &SdkConfig) -> Result<()> {
    let mut create = aws_sdk_dynamodb::Client::new(sdk)
        .create_table()
        .table_name(TABLE)
        .billing_mode(BillingMode::PayPerRequest);
    for (name, kind) in [("id", KeyType::Hash), ("part", KeyType::Range)] {
        let key = KeySchemaElement::builder().attribute_name(name);
        let attribute = AttributeDefinition::builder().attribute_name(name);
        create = create
            .key_schema(key.key_type(kind).build()?)
            .attribute_definitions(attribute.attribute_type(ScalarAttributeType::S).build()?);
    }
    // A request whose answer was too long in coming was sent again.
    match create.send().await {
        Err(error)
            if !error
                .as_service_error()
                .is_some_and(|e| e.is_resource_in_use_exception()) =>
        {
            Err(error.into())
        }
        _ => Ok(()),
    }
}
