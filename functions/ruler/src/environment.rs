//! What the function is configured with: its environment, read once.

use std::path::PathBuf;
use std::time::Duration;

use alerting::duration;
use aws_credential_types::Credentials;
use backends::amp::WorkspaceId;

use crate::log::Level;

/// The environment, ready to be used. [`Environment::read`] says which variables there are.
#[derive(Debug, Clone)]
pub struct Environment {
    /// `AMP_WORKSPACE`: the workspace that is queried.
    pub workspace: Option<WorkspaceId>,
    /// `PROMETHEUS_URL`: what is queried, in the place of the workspace's own endpoint.
    pub prometheus_url: Option<String>,
    /// `AWS_REGION`: where the function and what it uses are.
    pub region: String,
    /// `STATE_TABLE`: the DynamoDB table that keeps the state.
    pub state_table: String,
    /// `TOPIC_ARN`: the SNS topic that is told where there is no `alertmanager.yml`.
    pub topic_arn: Option<String>,
    /// `CONFIG_DIR`: where `rules/` and `alertmanager.yml` are.
    pub config_dir: PathBuf,
    /// `NOTIFY`: whether anything is sent.
    pub notify: bool,
    /// `QUERY_ROLE_ARN`: the role by which the workspace is asked.
    pub query_role_arn: Option<String>,
    /// `RULES_FROM`: where rules and routing come from.
    pub rules_from: RulesFrom,
    /// `SCHEDULE_SECONDS`: how often the function is started.
    pub schedule: Duration,
    /// `QUERY_OFFSET`: how far back of a tick its samples are asked for; a group's own wins.
    pub query_offset: Duration,
    /// `MAX_CATCH_UP`: how far back missed ticks are made up for.
    pub max_catch_up: Duration,
    /// `LOG_LEVEL`.
    pub log_level: Level,
    /// `DNSWATCH_ENDPOINT_URL`: a local stack that stands for all of AWS.
    pub endpoint_url: Option<String>,
    /// `AWS_LAMBDA_FUNCTION_NAME`: the dimension of the metrics.
    pub function_name: String,
    /// `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`: the function's own, good
    /// for as long as the sandbox lives.
    pub credentials: Credentials,
}

/// Where rules and routing come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RulesFrom {
    /// The files in [`Environment::config_dir`], a layer's.
    Layer,
    /// The workspace's own rule groups namespaces and alert manager definition.
    Amp,
}

/// What is wrong with the environment, all of it, in one line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("; "))]
pub struct EnvironmentError(Vec<String>);

impl Environment {
    /// Reads the variables that `get` knows; an empty one counts as not set.
    pub fn read(get: impl Fn(&str) -> Option<String>) -> Result<Self, EnvironmentError> {
        let mut reader = Reader {
            get,
            wrong: Vec::new(),
        };
        let environment = reader.environment();
        if reader.wrong.is_empty() {
            Ok(environment)
        } else {
            Err(EnvironmentError(reader.wrong))
        }
    }

    /// What state and notification ids belong to: the workspace, or else the URL that is queried.
    pub fn identity(&self) -> &str {
        match (&self.workspace, &self.prometheus_url) {
            (Some(workspace), _) => &workspace.id,
            (None, Some(url)) => url,
            (None, None) => "",
        }
    }

    /// The workspace's region: its ARN's, or else the function's.
    pub fn workspace_region(&self) -> &str {
        self.workspace
            .as_ref()
            .and_then(|workspace| workspace.region.as_deref())
            .unwrap_or(&self.region)
    }

    /// What must never be shown.
    pub fn secrets(&self) -> Vec<String> {
        let token = self.credentials.session_token().map(str::to_owned);
        let mut secrets = vec![self.credentials.secret_access_key().to_owned()];
        secrets.extend(token);
        secrets
    }
}

struct Reader<G> {
    get: G,
    wrong: Vec<String>,
}

impl<G: Fn(&str) -> Option<String>> Reader<G> {
    fn environment(&mut self) -> Environment {
        let environment = Environment {
            workspace: self.parsed("AMP_WORKSPACE", |text| {
                text.parse()
                    .map_err(|error: backends::amp::NoWorkspace| error.to_string())
            }),
            prometheus_url: self.parsed("PROMETHEUS_URL", url),
            region: self.required("AWS_REGION", "Lambda sets it"),
            state_table: self.required("STATE_TABLE", "write the DynamoDB table's name"),
            topic_arn: self.parsed("TOPIC_ARN", topic),
            config_dir: self
                .optional("CONFIG_DIR")
                .unwrap_or_else(|| "/opt/dnswatch".to_owned())
                .into(),
            notify: self
                .one_of("NOTIFY", &[("on", true), ("off", false)])
                .unwrap_or(true),
            query_role_arn: self.parsed("QUERY_ROLE_ARN", role),
            rules_from: self
                .one_of(
                    "RULES_FROM",
                    &[("layer", RulesFrom::Layer), ("amp", RulesFrom::Amp)],
                )
                .unwrap_or(RulesFrom::Layer),
            schedule: self
                .parsed("SCHEDULE_SECONDS", seconds)
                .unwrap_or(Duration::from_secs(60)),
            query_offset: self
                .parsed("QUERY_OFFSET", prometheus_duration)
                .unwrap_or(Duration::from_secs(60)),
            max_catch_up: self
                .parsed("MAX_CATCH_UP", prometheus_duration)
                .unwrap_or(Duration::from_secs(60 * 60)),
            log_level: self
                .parsed("LOG_LEVEL", |text| {
                    Level::of(text).ok_or_else(|| {
                        format!("{text:?} is no level: write debug, info, warn or error")
                    })
                })
                .unwrap_or(Level::Info),
            endpoint_url: self.parsed("DNSWATCH_ENDPOINT_URL", url),
            function_name: self
                .optional("AWS_LAMBDA_FUNCTION_NAME")
                .unwrap_or_else(|| "ruler".to_owned()),
            credentials: Credentials::new(
                self.required("AWS_ACCESS_KEY_ID", "Lambda sets it"),
                self.required("AWS_SECRET_ACCESS_KEY", "Lambda sets it"),
                self.optional("AWS_SESSION_TOKEN"),
                None,
                "environment",
            ),
        };
        let asked = |name: &str| (self.get)(name).is_some_and(|text| !text.trim().is_empty());
        if !asked("AMP_WORKSPACE") && !asked("PROMETHEUS_URL") {
            self.wrong.push(
                "AMP_WORKSPACE and PROMETHEUS_URL are both not set: write the ARN or id of the \
                 AMP workspace to query, or the URL of a Prometheus"
                    .to_owned(),
            );
        } else if environment.rules_from == RulesFrom::Amp && !asked("AMP_WORKSPACE") {
            self.wrong.push(
                "RULES_FROM is amp, and AMP_WORKSPACE is not set: write the ARN or id of the \
                 workspace whose rules are meant"
                    .to_owned(),
            );
        }
        environment
    }

    fn optional(&self, name: &str) -> Option<String> {
        let text = (self.get)(name)?.trim().to_owned();
        (!text.is_empty()).then_some(text)
    }

    fn required(&mut self, name: &str, hint: &str) -> String {
        self.optional(name).unwrap_or_else(|| {
            self.wrong.push(format!("{name} is not set: {hint}"));
            String::new()
        })
    }

    fn parsed<T>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let text = self.optional(name)?;
        match parse(&text) {
            Ok(value) => Some(value),
            Err(problem) => {
                self.wrong.push(format!("{name}: {problem}"));
                None
            }
        }
    }

    fn one_of<T: Copy>(&mut self, name: &str, choices: &[(&str, T)]) -> Option<T> {
        self.parsed(name, |text| {
            let chosen = choices.iter().find(|(choice, _)| *choice == text);
            chosen.map(|(_, value)| *value).ok_or_else(|| {
                let names: Vec<&str> = choices.iter().map(|(choice, _)| *choice).collect();
                format!("{text:?} is not known: write {}", names.join(" or "))
            })
        })
    }
}

/// A URL is not repeated in an error: it may hold a password.
fn url(text: &str) -> Result<String, String> {
    let hint = "write a URL, as in https://prometheus.example.com";
    let url = reqwest::Url::parse(text).map_err(|error| format!("{error}: {hint}"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        return Err(format!("that is no http:// or https:// URL: {hint}"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("take name and password out of it".to_owned());
    }
    Ok(text.to_owned())
}

fn topic(text: &str) -> Result<String, String> {
    Ok(text.to_owned())
}

fn role(text: &str) -> Result<String, String> {
    let is_role = match text.splitn(6, ':').collect::<Vec<_>>().as_slice() {
        ["arn", partition, "iam", "", account, name] => {
            partition.starts_with("aws")
                && account.len() == 12
                && account.bytes().all(|byte| byte.is_ascii_digit())
                && name.strip_prefix("role/").is_some_and(|name| !name.is_empty())
        }
        _ => false,
    };
    if is_role {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "{text:?} is no role: write its ARN, as in arn:aws:iam::123456789012:role/NAME"
        ))
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(seconds @ 1..=86_400) => Ok(Duration::from_secs(seconds)),
        _ => Err(format!(
            "{text:?} is no number of seconds between 1 and 86400: write 60 for a run a minute"
        )),
    }
}

fn prometheus_duration(text: &str) -> Result<Duration, String> {
    duration::parse(text).map_err(|error| error.to_string())
}
