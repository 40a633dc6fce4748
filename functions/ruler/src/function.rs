//! One event: a run, or a test notification.

use std::time::{Duration, SystemTime};

use alerting::config::{ConfigFiles, Settings};
use alerting::evaluation::EvaluationOptions;
use alerting::notify::{Receiver, Route, SnsConfig};
use alerting::rules::Defaults;
use alerting::state_machine::Semantics;
use alerting::timestamp::Timestamp;
use aws_credential_types::provider::SharedCredentialsProvider;
use backends::amp::{Amp, AmpError};
use backends::aws::sdk_config;
use backends::clock::{Clock, SystemClock};
use backends::config_files;
use backends::http::{self, HttpError, HttpOptions};
use backends::line::chain;
use backends::notify::{SnsNotifier, SnsOptions};
use backends::prometheus::{Auth, Client, ClientError, ClientOptions, PrometheusQuerier, SigV4};
use backends::run::{Ruler, RunError, RunOptions};
use backends::state::DynamoStore;
use backends::sts::AssumedRole;
use lambda_runtime::Diagnostic;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::configuration::Configuration;
use crate::environment::{Environment, RulesFrom};
use crate::event::Event;
use crate::log::{Level, Log};
use crate::report::{RunLogLine, ms, short, usage_between};
use crate::shadow::Channel;
use crate::{metrics, test_notification};

/// The receiver where no `alertmanager.yml` names one.
const RECEIVER: &str = "topic";
/// What the other account's CloudTrail shows.
const SESSION_NAME: &str = "dnswatch-ruler";
/// How long before the sandbox is stopped a run is given up: time for a line of the log.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// The function with its connections, as long as its sandbox lives.
#[derive(Debug)]
pub struct Function {
    environment: Environment,
    log: Log,
    http: reqwest::Client,
    /// What is asked of the workspace is asked with these.
    query_credentials: SharedCredentialsProvider,
    /// The workspace's control plane, if there is a workspace.
    amp: Option<Amp>,
    querier: OnceCell<PrometheusQuerier<SystemClock>>,
    configuration: Configuration,
    settings: Settings,
    store: DynamoStore<SystemClock>,
    sns: SnsNotifier,
}

/// Why there is no [`Function`]: the environment's fault.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// There are no connections.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// What is to be queried cannot be.
    #[error("PROMETHEUS_URL: {0}")]
    Url(#[from] ClientError),
}

/// A failed event, as reported to Lambda. The text is one line without secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failed {
    kind: &'static str,
    message: String,
    /// Whether the log has it already, and the run's metrics.
    is_logged: bool,
}

impl Failed {
    fn new(kind: &'static str, message: String) -> Self {
        Self {
            kind,
            message,
            is_logged: false,
        }
    }
}

impl From<Failed> for Diagnostic {
    fn from(failed: Failed) -> Self {
        Self {
            error_type: failed.kind.to_owned(),
            error_message: failed.message,
        }
    }
}

impl From<AmpError> for Failed {
    fn from(error: AmpError) -> Self {
        Self::new("Workspace", error.to_string())
    }
}

impl From<RunError> for Failed {
    fn from(error: RunError) -> Self {
        let kind = match &error {
            RunError::Store(_) => "StateStore",
            RunError::State(_) => "State",
            RunError::LostRace => "LostRace",
            RunError::NoConfig(_) => "Configuration",
            RunError::ClockWrong { .. }
            | RunError::StateFromFuture { .. }
            | RunError::ClockSet { .. } => "Clock",
        };
        Self::new(kind, chain(&error))
    }
}

impl Function {
    /// Builds the clients, but for those of SNS, which come with the first notification for a region
    /// and role; nothing is sent yet.
    pub fn new(environment: Environment, log: Log) -> Result<Self, SetupError> {
        let http = http::client(&HttpOptions::default())?;
        let endpoint = environment.endpoint_url.as_deref();
        let own = SharedCredentialsProvider::new(environment.credentials.clone());
        let sdk = sdk_config(http.clone(), &environment.region, own.clone(), endpoint);
        let query_credentials = match &environment.query_role_arn {
            Some(role) => {
                SharedCredentialsProvider::new(AssumedRole::new(&sdk, role, SESSION_NAME))
            }
            None => own,
        };
        let amp = environment.workspace.as_ref().map(|workspace| {
            let sdk = sdk_config(
                http.clone(),
                environment.workspace_region(),
                query_credentials.clone(),
                endpoint,
            );
            Amp::new(&sdk, &workspace.id)
        });
        let configuration = match (environment.rules_from, &amp) {
            (RulesFrom::Amp, Some(amp)) => Configuration::workspace(amp.clone()),
            _ => Configuration::Folder(environment.config_dir.clone()),
        };
        let state_of = match environment.notify {
            true => environment.identity().to_owned(),
            false => format!("{}/shadow", environment.identity()),
        };
        let function = Self {
            store: DynamoStore::new(&sdk, &environment.state_table, state_of, SystemClock),
            sns: SnsNotifier::new(sdk, SnsOptions::default()),
            settings: settings(&environment),
            querier: OnceCell::new(),
            environment,
            log,
            http,
            query_credentials,
            amp,
            configuration,
        };
        if let Configuration::Folder(folder) = &function.configuration {
            for path in config_files::passed_over(std::slice::from_ref(folder)) {
                let file = path.display().to_string();
                let message = "a file is not read: rule files are in rules/ and end in .yml, .yaml \
                               or .rules";
                function
                    .log
                    .line(Level::Warn, message, json!({"file": file}));
            }
        }
        if let Some(url) = &function.environment.prometheus_url {
            function.querier.set(function.asking(url)?).ok();
        }
        Ok(function)
    }

    /// The log.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// Answers one event; Lambda stops the sandbox at `deadline`.
    pub async fn handle(&self, payload: &Value, deadline: SystemTime) -> Result<Value, Failed> {
        let began = SystemClock.now();
        let left = deadline
            .duration_since(SystemTime::now())
            .unwrap_or_default();
        let run = format!("{:016x}", fastrand::u64(..));
        let answer = async {
            match Event::parse(payload) {
                Ok(Event::Run) => self.run(&run, began, left).await,
                Ok(Event::TestNotification) => self.test_notification(&run).await,
                Err(error) => Err(Failed::new("Event", error.to_string())),
            }
        };
        let answer = match tokio::time::timeout(left.saturating_sub(LAST_WORDS), answer).await {
            Ok(answer) => answer,
            Err(_) => Err(Failed::new(
                "Timeout",
                format!("not done within {:.1} s", left.as_secs_f64()),
            )),
        };
        answer.map_err(|failed| self.failed(&run, began, &failed))
    }

    async fn run(&self, run: &str, began: Timestamp, left: Duration) -> Result<Value, Failed> {
        let read = self.configuration.read().await;
        let (files, not_refreshed) = match read {
            Ok((files, not_refreshed)) => (self.with_receiver(files), not_refreshed),
            Err(error) => (Err(error), None),
        };
        let querier = self.querier().await?.clone();
        let configured = SystemClock.now();
        let client = querier.client().clone();
        let before = client.usage();
        let ruler = Ruler {
            clock: SystemClock,
            querier,
            store: self.store.clone(),
            notifier: match self.environment.notify {
                true => Channel::Sns(&self.sns),
                false => Channel::Shadow(&self.log),
            },
            settings: self.settings.clone(),
            options: RunOptions {
                allow_empty: self.environment.allow_empty,
                allow_empty_name: "AllowEmpty to on",
                ..run_options(left.saturating_sub(configured.since(began)))
            },
        };
        let report = match ruler.run(run, files).await {
            Ok(report) => report,
            Err(RunError::LostRace) => {
                self.log.line(
                    Level::Info,
                    "lost the commit race: a concurrent run already committed",
                    json!({"run": run}),
                );
                self.metrics(began, None);
                return Ok(json!({"run": run, "lost_race": true}));
            }
            Err(error) => return Err(error.into()),
        };
        let line = RunLogLine {
            run,
            report: &report,
            configuration: not_refreshed.as_deref(),
            configuration_took: configured.since(began),
            took: SystemClock.now().since(began),
            usage: usage_between(before, client.usage()),
        };
        let fields = line.fields();
        self.log.line(line.level(), "run", &fields);
        self.metrics(began, Some(&report));
        if report.evaluated_nothing() {
            // The line says why, and the state is stored. The invocation has failed all the same.
            let why = match &report.server {
                Some(server) => server.line(),
                None => "no rule that was due was evaluated".to_owned(),
            };
            return Err(Failed {
                kind: "Queries",
                message: short(&self.log.hide(&why)),
                is_logged: true,
            });
        }
        Ok(fields)
    }

    async fn test_notification(&self, run: &str) -> Result<Value, Failed> {
        let configuration = |message: String| Failed::new("Configuration", message);
        if !self.environment.notify {
            return Err(configuration(
                "NOTIFY is off, so nothing is sent: set it to on for a test".to_owned(),
            ));
        }
        let (files, _) = self.configuration.read().await.map_err(configuration)?;
        let files = self.with_receiver(files).map_err(configuration)?;
        // Receivers can be tested even if the rules are invalid.
        let files = ConfigFiles {
            rules: Vec::new(),
            ..files
        };
        let config = self.settings.load(&files).map_err(|errors| {
            let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
            configuration(errors.join("; "))
        })?;
        let now = SystemClock.now();
        let outcomes = test_notification::send(&config, &self.sns, run, now).await;
        let sent = outcomes.iter().filter(|outcome| outcome.published).count();
        let level = if sent < outcomes.len() {
            Level::Error
        } else if outcomes
            .iter()
            .all(test_notification::Outcome::is_as_intended)
        {
            Level::Info
        } else {
            Level::Warn
        };
        let fields = json!({"run": run, "topics": outcomes.len(), "sent": sent});
        self.log.line(level, "test notification", fields);
        let answer = self.log.hide(&json!({ "topics": outcomes }).to_string());
        Ok(serde_json::from_str(&answer).unwrap_or_default())
    }

    /// The files, if they or the environment name a receiver.
    fn with_receiver(&self, files: ConfigFiles) -> Result<ConfigFiles, String> {
        if files.alertmanager.is_some() || self.environment.topic_arn.is_some() {
            return Ok(files);
        }
        Err(match self.environment.rules_from {
            RulesFrom::Layer => format!(
                "no receiver configured: create {}, or set TOPIC_ARN to the ARN of an SNS topic",
                self.environment
                    .config_dir
                    .join("alertmanager.yml")
                    .display()
            ),
            RulesFrom::Amp => "no receiver configured: the workspace has no alert manager definition; set TOPIC_ARN to the ARN of an SNS topic"
                .to_owned(),
        })
    }

    /// What is queried: the given URL, or the workspace's endpoint, which is asked for once.
    async fn querier(&self) -> Result<&PrometheusQuerier<SystemClock>, Failed> {
        self.querier
            .get_or_try_init(|| async {
                let Some(amp) = &self.amp else {
                    let message = "AMP_WORKSPACE and PROMETHEUS_URL are both not set".to_owned();
                    return Err(Failed::new("Configuration", message));
                };
                let endpoint = amp.endpoint().await?;
                self.asking(&endpoint).map_err(|error| {
                    let message = format!("the endpoint of the workspace: {error}");
                    Failed::new("Workspace", message)
                })
            })
            .await
    }

    /// A querier of `url`. Only AMP gets to see a signature, and with it the session token.
    fn asking(&self, url: &str) -> Result<PrometheusQuerier<SystemClock>, ClientError> {
        let mut options = ClientOptions::new(url);
        options.jitter_seed = fastrand::u64(..);
        if let Some(memory) = self.environment.memory {
            options.max_answer_bytes = options.max_answer_bytes.min(answer_bytes(memory));
        }
        if let Some(region) = amp_region(url) {
            options.auth = Auth::SigV4(SigV4::amp(region, self.query_credentials.clone()));
        }
        let client = Client::new(self.http.clone(), options)?;
        let querier = PrometheusQuerier::new(client, SystemClock);
        Ok(match self.environment.workspace {
            Some(_) => querier.honouring_silences(),
            None => querier,
        })
    }

    fn metrics(&self, began: Timestamp, report: Option<&backends::run::RunReport>) {
        let now = SystemClock.now();
        let function = &self.environment.function_name;
        self.log
            .metrics(&metrics::from_run(function, now, now.since(began), report));
    }

    /// Logs the failure and redacts it for the Lambda response.
    fn failed(&self, run: &str, began: Timestamp, failed: &Failed) -> Failed {
        if failed.is_logged {
            return failed.clone();
        }
        let message = short(&self.log.hide(&failed.message));
        self.log.line(
            Level::Error,
            "failed",
            json!({
                "run": run,
                "kind": failed.kind,
                "error": message,
                "ms": {"total": ms(SystemClock.now().since(began))},
            }),
        );
        self.metrics(began, None);
        Failed::new(failed.kind, message)
    }
}

/// The region in the name of a host of AMP's, such as `aps-workspaces.REGION.amazonaws.com`, or a
/// VPC endpoint's.
fn amp_region(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let host = rest.split(['/', ':', '?', '#']).next()?;
    let is_amazons = [".amazonaws.com", ".amazonaws.com.cn", ".api.aws"]
        .iter()
        .any(|domain| host.ends_with(domain));
    let mut labels = host.split('.');
    labels.find(|label| label.starts_with("aps-workspaces"))?;
    labels.next().filter(|_| is_amazons)
}

fn settings(environment: &Environment) -> Settings {
    let topics = environment.topic_arn.iter();
    let topics = topics.chain(&environment.amazon_q_topic_arns);
    Settings {
        workspace: environment.identity().to_owned(),
        defaults: Defaults {
            query_offset: environment.query_offset,
            ..Defaults::default()
        },
        route: Route {
            receiver: RECEIVER.to_owned(),
            ..Route::default()
        },
        receivers: vec![Receiver {
            name: RECEIVER.to_owned(),
            sns: topics.cloned().map(SnsConfig::from_topic).collect(),
            ..Receiver::default()
        }],
        evaluation: EvaluationOptions {
            max_catch_up: environment.max_catch_up,
            schedule: environment.schedule,
            semantics: Semantics {
                ask_before_resolve: !environment.resolve_vanished,
                limit_wipes_state: environment.limit_wipes_state,
                ..Semantics::default()
            },
            ..EvaluationOptions::default()
        },
        grafana: environment.grafana.clone(),
        amazon_q: environment.amazon_q_topic_arns.clone(),
        alarm_topic: environment.alarm_topic_arn.clone(),
        unsubscribed_topics: environment.unsubscribed_topic_arns.clone(),
    }
}

/// The most bytes of an answer to a function with so many MiB: several are read at once, and what is
/// read of one takes about as much again.
fn answer_bytes(memory: usize) -> usize {
    memory.saturating_mul(1 << 20) / 16
}

/// A run takes new work for four fifths of its time, and leaves at least a second and at most
/// fifteen for a last commit, a publish that is under way, and its strike-off. Its claims outlive
/// it by a minute.
fn run_options(left: Duration) -> RunOptions {
    let margin = (left / 5).clamp(Duration::from_secs(1), Duration::from_secs(15));
    let defaults = RunOptions::default();
    RunOptions {
        budget: left.saturating_sub(margin).min(defaults.budget),
        claim: defaults.claim.max(left + Duration::from_secs(60)),
        ..defaults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_options(left: f64, budget: f64, claim: f64) {
        let options = run_options(Duration::from_secs_f64(left));
        let found = (options.budget.as_secs_f64(), options.claim.as_secs_f64());
        assert_eq!(found, (budget, claim), "{left}");
    }

    #[test]
    fn a_run_ends_before_its_time_and_its_claims_after() {
        check_options(0.0, 0.0, 120.0);
        check_options(0.5, 0.0, 120.0);
        check_options(5.0, 4.0, 120.0);
        check_options(55.0, 40.0, 120.0);
        check_options(50.0, 40.0, 120.0);
        check_options(900.0, 40.0, 960.0);
    }

    #[track_caller]
    fn check_region(url: &str, expected: Option<&str>) {
        assert_eq!(amp_region(url), expected, "{url}");
    }

    #[test]
    fn amps_own_hosts_are_known_by_their_name() {
        let path = "/workspaces/ws-1/api/v1/query";
        check_region(
            &format!("https://aps-workspaces.eu-west-1.amazonaws.com{path}"),
            Some("eu-west-1"),
        );
        check_region(
            &format!("https://aps-workspaces.cn-north-1.amazonaws.com.cn:443{path}"),
            Some("cn-north-1"),
        );
        check_region(
            "https://vpce-1a-2b.aps-workspaces.us-east-1.vpce.amazonaws.com/workspaces/ws-1",
            Some("us-east-1"),
        );
        check_region("http://aps-workspaces.example.com/", None);
        check_region(
            "https://aps-workspaces.eu-west-1.amazonaws.com.example.com/",
            None,
        );
        check_region("https://s3.eu-west-1.amazonaws.com/", None);
        check_region("https://aps-workspaces.amazonaws.com@example.com/", None);
        check_region("http://127.0.0.1:9090", None);
        check_region("", None);
    }
}
