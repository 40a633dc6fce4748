//! The function's environment variables, read once.

use delivery::environment::{Environment, EnvironmentError, Origin, Reader};

use crate::access::ChannelId;

/// Where webhooks lead, if nothing else is said.
pub const WEBHOOK_ORIGIN: &str = "https://hooks.slack.com";
/// Where the Web API is, if nothing else is said.
pub const API_ORIGIN: &str = "https://slack.com";

/// The configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// What all delivery functions share.
    pub environment: Environment,
    /// `SLACK_WEBHOOK_SECRET_ARN`: the secret that holds the incoming webhook's URL, or a bot's
    /// token.
    pub secret: String,
    /// `SLACK_WEBHOOK_ORIGIN`: where webhooks lead, if not to Slack's own host: GovSlack, or a
    /// server that stands in for Slack on a local stack.
    pub webhook_origin: Origin,
    /// `SLACK_API_ORIGIN`: the same of the Web API, which a bot's token is for.
    pub api_origin: Origin,
    /// `SLACK_CHANNEL_ID`: the channel that a bot posts to.
    pub channel: Option<ChannelId>,
}

impl Config {
    /// Reads the configuration from `variable`, which gives the value of a variable of the
    /// environment. An empty one is not set.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, EnvironmentError> {
        let reader = Reader(variable);
        let origin = |variable, own: &str| {
            let origin = reader.optional(variable);
            Origin::parse(origin.as_deref().unwrap_or(own)).ok_or(EnvironmentError::Invalid {
                variable,
                what: "an origin like https://hooks.slack.com (http is for loopback only)",
            })
        };
        let channel = |id: String| {
            ChannelId::parse(&id).ok_or(EnvironmentError::Invalid {
                variable: "SLACK_CHANNEL_ID",
                what: "a channel's id like C0123456789 (not its name: a message is changed by id)",
            })
        };
        Ok(Self {
            environment: reader.environment()?,
            secret: reader.required(
                "SLACK_WEBHOOK_SECRET_ARN",
                "the ARN of the secret with the webhook's URL or the bot's token",
            )?,
            webhook_origin: origin("SLACK_WEBHOOK_ORIGIN", WEBHOOK_ORIGIN)?,
            api_origin: origin("SLACK_API_ORIGIN", API_ORIGIN)?,
            channel: reader
                .optional("SLACK_CHANNEL_ID")
                .map(channel)
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
        check("SLACK_CHANNEL_ID", "C0123456789", None);
        for variable in [
            "AWS_REGION",
            "AWS_SECRET_ACCESS_KEY",
            "SLACK_WEBHOOK_SECRET_ARN",
            "STATE_TABLE",
            "QUEUE_URL",
        ] {
            let config = Config::read(|name| {
                (name != variable && !name.ends_with("ORIGIN")).then(|| "https://x".to_owned())
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
        check(
            "SLACK_CHANNEL_ID",
            "#alerts",
            Some(
                "the environment variable SLACK_CHANNEL_ID is not a channel's id like \
                 C0123456789 (not its name: a message is changed by id)",
            ),
        );
    }
}
