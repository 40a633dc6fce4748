//! What the function is told by its environment, read once.

use aws_credential_types::Credentials;

use crate::webhook::Origin;

/// The configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// `AWS_REGION`.
    pub region: String,
    /// `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`: Lambda sets them. Their
    /// debug form shows no secret.
    pub credentials: Credentials,
    /// `SLACK_WEBHOOK_SECRET_ARN`: the secret that holds the incoming webhook's URL.
    pub webhook_secret: String,
    /// `SLACK_WEBHOOK_ORIGIN`: where webhooks lead, if not to Slack's own host: GovSlack, or a
    /// server that stands in for Slack on a local stack.
    pub webhook_origin: Origin,
    /// `STATE_TABLE`: the DynamoDB table that remembers what was posted.
    pub table: String,
    /// `QUEUE_URL`: the queue that the function reads from.
    pub queue_url: String,
    /// `AWS_ENDPOINT_URL`: takes the place of AWS's own endpoints, for local stacks.
    pub endpoint_url: Option<String>,
}

/// A variable of the environment is not what it must be. The text never holds its value.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// It is not set.
    #[error("the environment variable {variable} is not set: it must hold {what}")]
    Missing {
        /// Its name.
        variable: &'static str,
        /// What it is for.
        what: &'static str,
    },
    /// It is set to something else.
    #[error("the environment variable {variable} is not {what}")]
    Invalid {
        /// Its name.
        variable: &'static str,
        /// What it must be.
        what: &'static str,
    },
}

impl Config {
    /// Reads the configuration from `variable`, which gives the value of a variable of the
    /// environment. An empty one is not set.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let optional = |name: &str| variable(name).filter(|value| !value.is_empty());
        let required =
            |variable, what| optional(variable).ok_or(ConfigError::Missing { variable, what });
        let url = |variable, value: String| {
            let what = "an http or https URL";
            match reqwest::Url::parse(&value) {
                Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(value),
                _ => Err(ConfigError::Invalid { variable, what }),
            }
        };
        let origin = optional("SLACK_WEBHOOK_ORIGIN");
        let origin = Origin::parse(origin.as_deref().unwrap_or(Origin::SLACK));
        Ok(Self {
            region: required("AWS_REGION", "the region")?,
            credentials: Credentials::new(
                required("AWS_ACCESS_KEY_ID", "the access key of the function's role")?,
                required(
                    "AWS_SECRET_ACCESS_KEY",
                    "the secret key of the function's role",
                )?,
                optional("AWS_SESSION_TOKEN"),
                None,
                "environment",
            ),
            webhook_secret: required(
                "SLACK_WEBHOOK_SECRET_ARN",
                "the ARN of the secret with the webhook's URL",
            )?,
            webhook_origin: origin.ok_or(ConfigError::Invalid {
                variable: "SLACK_WEBHOOK_ORIGIN",
                what: "an origin like https://hooks.slack.com (http is for loopback only)",
            })?,
            table: required("STATE_TABLE", "the name of the state's DynamoDB table")?,
            queue_url: url("QUEUE_URL", required("QUEUE_URL", "the URL of the queue")?)?,
            endpoint_url: optional("AWS_ENDPOINT_URL")
                .map(|value| url("AWS_ENDPOINT_URL", value))
                .transpose()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[track_caller]
    fn check(variable: &'static str, value: &str, expected: Option<&str>) {
        let mut environment = BTreeMap::from([
            ("AWS_REGION", "eu-central-1"),
            ("AWS_ACCESS_KEY_ID", "AKID"),
            ("AWS_SECRET_ACCESS_KEY", "CANARY"),
            ("SLACK_WEBHOOK_SECRET_ARN", "arn"),
            ("STATE_TABLE", "state"),
            ("QUEUE_URL", "https://sqs.example/1/q"),
        ]);
        environment.insert(variable, value);
        let config = Config::read(|name| environment.get(name).map(|v| (*v).to_owned()));
        let shown = format!("{config:?}");
        assert!(!shown.contains("CANARY"), "{shown}");
        assert_eq!(
            config.err().map(|error| error.to_string()).as_deref(),
            expected
        );
    }

    #[test]
    fn names_the_variable_that_is_wrong() {
        check("AWS_SESSION_TOKEN", "CANARY", None);
        check("SLACK_WEBHOOK_ORIGIN", "http://127.0.0.1:9", None);
        for variable in [
            "AWS_REGION",
            "AWS_SECRET_ACCESS_KEY",
            "SLACK_WEBHOOK_SECRET_ARN",
            "STATE_TABLE",
            "QUEUE_URL",
        ] {
            let config = Config::read(|name| {
                (name != variable && name != "SLACK_WEBHOOK_ORIGIN").then(|| "https://x".to_owned())
            });
            let error = config.unwrap_err().to_string();
            let expected = format!("the environment variable {variable} is not set: it must hold ");
            assert!(error.starts_with(&expected), "{error}");
        }
        check(
            "QUEUE_URL",
            "arn:aws:sqs",
            Some("the environment variable QUEUE_URL is not an http or https URL"),
        );
        check(
            "SLACK_WEBHOOK_ORIGIN",
            "http://elsewhere/CANARY",
            Some(
                "the environment variable SLACK_WEBHOOK_ORIGIN is not an origin like \
                 https://hooks.slack.com (http is for loopback only)",
            ),
        );
    }
}
