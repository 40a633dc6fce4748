//! The function's environment variables, read once.

use delivery::environment::{Environment, EnvironmentError, Origin, Reader};

/// Where events go, if nothing else is said.
pub const ORIGIN: &str = "https://events.pagerduty.com";

/// The configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// What all delivery functions share.
    pub environment: Environment,
    /// `PAGERDUTY_SECRET_ARN`: the secret that holds the routing key.
    pub secret: String,
    /// `PAGERDUTY_ORIGIN`: where events go, if not to PagerDuty's host in the United States: the
    /// one in Europe, or a server that stands in for it on a local stack.
    pub origin: Origin,
}

impl Config {
    /// Reads the configuration from `variable`, which gives the value of a variable of the
    /// environment. An empty one is not set.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, EnvironmentError> {
        let reader = Reader(variable);
        let origin = reader.optional("PAGERDUTY_ORIGIN");
        let origin = Origin::parse(origin.as_deref().unwrap_or(ORIGIN));
        Ok(Self {
            environment: reader.environment()?,
            secret: reader.required(
                "PAGERDUTY_SECRET_ARN",
                "the ARN of the secret with the routing key",
            )?,
            origin: origin.ok_or(EnvironmentError::Invalid {
                variable: "PAGERDUTY_ORIGIN",
                what: "an origin like https://events.eu.pagerduty.com (http is for loopback only)",
            })?,
        })
    }
}
