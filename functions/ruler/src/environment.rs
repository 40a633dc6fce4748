//! What the function is configured with: its environment, read once.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use alerting::duration;
use alerting::notify::{Grafana, TopicArn, TopicArnError};
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
    /// `TOPIC_ARN`: the SNS topic that is notified if there is no `alertmanager.yml`.
    pub topic_arn: Option<TopicArn>,
    /// `AMAZON_Q_TOPIC_ARNS`: the topics, by commas, that Amazon Q Developer in chat applications
    /// reads: they get its message format, and are notified if there is no `alertmanager.yml`.
    pub amazon_q_topic_arns: BTreeSet<TopicArn>,
    /// `ALARM_TOPIC_ARN`: the SNS topic of the alarms about the ruler itself, the first other way for
    /// alerts about notifications that no one receives.
    pub alarm_topic_arn: Option<TopicArn>,
    /// `UNSUBSCRIBED_TOPIC_ARNS`: the topics, by commas, that have no subscriber on purpose.
    pub unsubscribed_topic_arns: BTreeSet<TopicArn>,
    /// `GRAFANA_URL`, `GRAFANA_DATASOURCE`: where people look at graphs, and the data source there.
    pub grafana: Option<Grafana>,
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
    /// `RESOLVE_VANISHED`: whether alerts resolve as soon as their series vanish.
    pub resolve_vanished: bool,
    /// `LIMIT_WIPES_STATE`: whether a rule that exceeds its group's `limit` forgets its alerts.
    pub limit_wipes_state: bool,
    /// `ALLOW_EMPTY`: whether a configuration without alerting rules, or that lost its routing, is
    /// intended.
    pub allow_empty: bool,
    /// `LOG_LEVEL`.
    pub log_level: Level,
    /// `AWS_ENDPOINT_URL`: a local stack that stands for all of AWS.
    pub endpoint_url: Option<String>,
    /// `AWS_LAMBDA_FUNCTION_NAME`: the dimension of the metrics.
    pub function_name: String,
    /// `AWS_LAMBDA_FUNCTION_MEMORY_SIZE`: the MiB that the function may use.
    pub memory: Option<usize>,
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
            amazon_q_topic_arns: self
                .parsed("AMAZON_Q_TOPIC_ARNS", topics)
                .unwrap_or_default(),
            alarm_topic_arn: self.parsed("ALARM_TOPIC_ARN", topic),
            unsubscribed_topic_arns: self
                .parsed("UNSUBSCRIBED_TOPIC_ARNS", topics)
                .unwrap_or_default(),
            grafana: self.parsed("GRAFANA_URL", url).map(|url| Grafana {
                url,
                datasource: self.optional("GRAFANA_DATASOURCE").unwrap_or_default(),
            }),
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
            resolve_vanished: self
                .one_of("RESOLVE_VANISHED", &[("on", true), ("off", false)])
                .unwrap_or(false),
            limit_wipes_state: self
                .one_of("LIMIT_WIPES_STATE", &[("on", true), ("off", false)])
                .unwrap_or(false),
            allow_empty: self
                .one_of("ALLOW_EMPTY", &[("on", true), ("off", false)])
                .unwrap_or(false),
            log_level: self
                .parsed("LOG_LEVEL", |text| {
                    Level::parse(text).ok_or_else(|| {
                        format!("{text:?} is no level: write debug, info, warn or error")
                    })
                })
                .unwrap_or(Level::Info),
            endpoint_url: self.parsed("AWS_ENDPOINT_URL", url),
            function_name: self
                .optional("AWS_LAMBDA_FUNCTION_NAME")
                .unwrap_or_else(|| "ruler".to_owned()),
            memory: self.parsed("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", |text| {
                text.parse()
                    .map_err(|_| format!("{text:?} is no number of MiB"))
            }),
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

fn topic(text: &str) -> Result<TopicArn, String> {
    text.parse()
        .map_err(|error: TopicArnError| format!("{text:?}: {error}"))
}

fn topics(text: &str) -> Result<BTreeSet<TopicArn>, String> {
    text.split(',').map(|arn| topic(arn.trim())).collect()
}

fn role(text: &str) -> Result<String, String> {
    let is_role = match text.splitn(6, ':').collect::<Vec<_>>().as_slice() {
        ["arn", partition, "iam", "", account, name] => {
            partition.starts_with("aws")
                && account.len() == 12
                && account.bytes().all(|byte| byte.is_ascii_digit())
                && name
                    .strip_prefix("role/")
                    .is_some_and(|name| !name.is_empty())
        }
        _ => false,
    };
    if is_role {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "{text:?} is not an IAM role ARN (expected arn:aws:iam::123456789012:role/NAME)"
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use super::*;

    const ARN: &str = "arn:aws:aps:eu-west-1:123456789012:workspace/ws-1";
    const TOPIC: &str = "arn:aws:sns:eu-central-1:123456789012:alerts";

    /// What every function has, with `changes`; an empty value takes a variable away.
    fn read(changes: &[(&str, &str)]) -> Result<Environment, String> {
        let mut variables = BTreeMap::from([
            ("AMP_WORKSPACE", "ws-1"),
            ("AWS_REGION", "eu-central-1"),
            ("STATE_TABLE", "state"),
            ("TOPIC_ARN", TOPIC),
            ("AWS_ACCESS_KEY_ID", "AKID"),
            ("AWS_SECRET_ACCESS_KEY", "hunter2"),
            ("AWS_SESSION_TOKEN", "hunter3"),
        ]);
        variables.extend(changes.iter().copied());
        Environment::read(|name| variables.get(name).map(|value| (*value).to_owned()))
            .map_err(|error| error.to_string())
    }

    #[track_caller]
    fn check(changes: &[(&str, &str)], expected: impl Fn(&Environment) -> bool) {
        let environment = read(changes).expect("it is accepted");
        assert!(expected(&environment), "{changes:?}: {environment:?}");
    }

    #[track_caller]
    fn refused(changes: &[(&str, &str)], expected: &str) {
        let error = read(changes).expect_err("it is refused");
        assert!(error.starts_with(expected), "{error}");
        assert!(
            !error.contains(['\n']) && !error.contains("hunter"),
            "{error}"
        );
    }

    #[test]
    fn what_is_not_set_has_its_default() {
        check(&[], |it| {
            it.identity() == "ws-1"
                && it.workspace_region() == "eu-central-1"
                && it.prometheus_url.is_none()
                && it.config_dir == Path::new("/opt/dnswatch")
                && it.notify
                && it.query_role_arn.is_none()
                && it.amazon_q_topic_arns.is_empty()
                && it.alarm_topic_arn.is_none()
                && it.unsubscribed_topic_arns.is_empty()
                && it.grafana.is_none()
                && it.rules_from == RulesFrom::Layer
                && it.schedule == Duration::from_secs(60)
                && it.query_offset == Duration::from_secs(60)
                && it.max_catch_up == Duration::from_secs(3600)
                && !it.resolve_vanished
                && !it.limit_wipes_state
                && it.log_level == Level::Info
                && it.endpoint_url.is_none()
                && it.memory.is_none()
                && it.secrets() == ["hunter2", "hunter3"]
        });
    }

    #[test]
    fn reads_every_variable() {
        check(&[("AMP_WORKSPACE", ARN)], |it| {
            it.identity() == "ws-1" && it.workspace_region() == "eu-west-1"
        });
        let url = "http://127.0.0.1:9090/prom";
        check(&[("AMP_WORKSPACE", ""), ("PROMETHEUS_URL", url)], |it| {
            it.identity() == url && it.workspace.is_none()
        });
        check(&[("PROMETHEUS_URL", url)], |it| it.identity() == "ws-1");
        check(&[("TOPIC_ARN", "")], |it| it.topic_arn.is_none());
        check(&[("ALARM_TOPIC_ARN", TOPIC)], |it| {
            it.alarm_topic_arn.as_ref().map(TopicArn::as_str) == Some(TOPIC)
        });
        let two = format!("{TOPIC}, {TOPIC}-2");
        check(&[("UNSUBSCRIBED_TOPIC_ARNS", &two)], |it| {
            it.unsubscribed_topic_arns.len() == 2
        });
        check(&[("NOTIFY", "off")], |it| !it.notify);
        check(&[("RULES_FROM", "amp")], |it| {
            it.rules_from == RulesFrom::Amp
        });
        check(&[("QUERY_OFFSET", "1m30s")], |it| {
            it.query_offset == Duration::from_secs(90)
        });
        check(&[("QUERY_OFFSET", "0s")], |it| it.query_offset.is_zero());
        check(&[("RESOLVE_VANISHED", "on")], |it| {
            it.resolve_vanished && !it.limit_wipes_state
        });
        check(&[("ALLOW_EMPTY", "on")], |it| it.allow_empty);
        check(&[("ALLOW_EMPTY", "")], |it| !it.allow_empty);
        check(&[("LIMIT_WIPES_STATE", "on")], |it| {
            it.limit_wipes_state && !it.resolve_vanished
        });
        check(&[("MAX_CATCH_UP", "2h")], |it| {
            it.max_catch_up == Duration::from_secs(7200)
        });
        check(&[("SCHEDULE_SECONDS", " 300 ")], |it| {
            it.schedule == Duration::from_secs(300)
        });
        check(&[("LOG_LEVEL", "WARN")], |it| it.log_level == Level::Warn);
        check(
            &[(
                "QUERY_ROLE_ARN",
                "arn:aws:iam::123456789012:role/path/reader",
            )],
            |it| it.query_role_arn.is_some(),
        );
        check(&[("AWS_ENDPOINT_URL", "http://localhost:5555")], |it| {
            it.endpoint_url.is_some()
        });
    }

    #[test]
    fn what_is_wrong_is_named_with_what_to_write() {
        refused(
            &[("AMP_WORKSPACE", "")],
            "AMP_WORKSPACE and PROMETHEUS_URL are both not set: write",
        );
        refused(
            &[("AMP_WORKSPACE", "my-workspace")],
            "AMP_WORKSPACE: write the workspace's ARN",
        );
        refused(
            &[
                ("AMP_WORKSPACE", ""),
                ("PROMETHEUS_URL", "http://h"),
                ("RULES_FROM", "amp"),
            ],
            "RULES_FROM is amp, and AMP_WORKSPACE is not set",
        );
        refused(
            &[("PROMETHEUS_URL", "http://me:hunter2@prometheus")],
            "PROMETHEUS_URL: take name and password out",
        );
        refused(
            &[("PROMETHEUS_URL", "prometheus:9090")],
            "PROMETHEUS_URL: that is no http:// or https:// URL: write",
        );
        refused(
            &[("PROMETHEUS_URL", "prometheus")],
            "PROMETHEUS_URL: relative URL",
        );
        refused(&[("STATE_TABLE", " ")], "STATE_TABLE is not set: write");
        refused(&[("AWS_REGION", "")], "AWS_REGION is not set: Lambda");
        refused(
            &[("AWS_SECRET_ACCESS_KEY", "")],
            "AWS_SECRET_ACCESS_KEY is not set: Lambda",
        );
        refused(
            &[("TOPIC_ARN", "alerts")],
            "TOPIC_ARN: \"alerts\": this is no ARN of an SNS topic",
        );
        refused(
            &[("ALARM_TOPIC_ARN", "alarms")],
            "ALARM_TOPIC_ARN: \"alarms\": this is no ARN of an SNS topic",
        );
        refused(
            &[("UNSUBSCRIBED_TOPIC_ARNS", "alarms")],
            "UNSUBSCRIBED_TOPIC_ARNS: \"alarms\": this is no ARN of an SNS topic",
        );
        refused(
            &[("NOTIFY", "yes")],
            "NOTIFY: \"yes\" is not known: write on or off",
        );
        refused(
            &[("RULES_FROM", "s3")],
            "RULES_FROM: \"s3\" is not known: write layer or amp",
        );
        refused(
            &[("QUERY_ROLE_ARN", "arn:aws:iam::123456789012:user/me")],
            "QUERY_ROLE_ARN: \"arn:aws:iam::123456789012:user/me\" is not an IAM role ARN",
        );
        for seconds in ["0", "-1", "1m", "100000"] {
            refused(&[("SCHEDULE_SECONDS", seconds)], "SCHEDULE_SECONDS: ");
        }
        refused(&[("QUERY_OFFSET", "60")], "QUERY_OFFSET: ");
        refused(
            &[("LOG_LEVEL", "loud")],
            "LOG_LEVEL: \"loud\" is no level: write",
        );
        refused(
            &[("STATE_TABLE", ""), ("NOTIFY", "no")],
            "STATE_TABLE is not set: write the DynamoDB table's name; NOTIFY: \"no\" is not known",
        );
    }
}
