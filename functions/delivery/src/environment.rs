//! The environment variables that all delivery functions share.

use aws_credential_types::Credentials;

/// The variables that all channels have.
#[derive(Debug, Clone)]
pub struct Environment {
    /// `AWS_REGION`.
    pub region: String,
    /// `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`: Lambda sets them. Their
    /// debug form shows no secret.
    pub credentials: Credentials,
    /// `STATE_TABLE`: the DynamoDB table that remembers what was sent.
    pub table: String,
    /// `QUEUE_URL`: the queue that the function reads from.
    pub queue_url: String,
    /// `AWS_ENDPOINT_URL`: takes the place of AWS's own endpoints, for local stacks.
    pub endpoint_url: Option<String>,
}

/// A variable of the environment is not what it must be. The text never holds its value.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvironmentError {
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

/// Reads variables. An empty one is not set.
pub struct Reader<G>(
    /// Gives the value of a variable.
    pub G,
);

impl<G: Fn(&str) -> Option<String>> Reader<G> {
    /// A variable that may be missing.
    pub fn optional(&self, variable: &str) -> Option<String> {
        (self.0)(variable).filter(|value| !value.is_empty())
    }

    /// A variable that must be there.
    pub fn required(
        &self,
        variable: &'static str,
        what: &'static str,
    ) -> Result<String, EnvironmentError> {
        self.optional(variable)
            .ok_or(EnvironmentError::Missing { variable, what })
    }

    /// The variables that all channels have.
    pub fn environment(&self) -> Result<Environment, EnvironmentError> {
        Ok(Environment {
            region: self.required("AWS_REGION", "the region")?,
            credentials: Credentials::new(
                self.required("AWS_ACCESS_KEY_ID", "the access key of the function's role")?,
                self.required(
                    "AWS_SECRET_ACCESS_KEY",
                    "the secret key of the function's role",
                )?,
                self.optional("AWS_SESSION_TOKEN"),
                None,
                "environment",
            ),
            table: self.required("STATE_TABLE", "the name of the state's DynamoDB table")?,
            queue_url: url(
                "QUEUE_URL",
                self.required("QUEUE_URL", "the URL of the queue")?,
            )?,
            endpoint_url: self
                .optional("AWS_ENDPOINT_URL")
                .map(|value| url("AWS_ENDPOINT_URL", value))
                .transpose()?,
        })
    }
}

fn url(variable: &'static str, value: String) -> Result<String, EnvironmentError> {
    match reqwest::Url::parse(&value) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(value),
        _ => Err(EnvironmentError::Invalid {
            variable,
            what: "an http or https URL",
        }),
    }
}

/// Where requests may lead: `https` (`http` for loopback only), a host, perhaps a port, and
/// nothing more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(reqwest::Url);

impl Origin {
    /// Reads an origin.
    pub fn parse(text: &str) -> Option<Self> {
        let url = reqwest::Url::parse(text).ok()?;
        let host = url.host_str()?;
        let is_safe = match url.scheme() {
            "https" => true,
            "http" => matches!(host, "127.0.0.1" | "localhost" | "[::1]"),
            _ => false,
        };
        let is_bare = url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        (is_safe && is_bare).then_some(Self(url))
    }

    /// A page of it, by its path.
    pub fn at(&self, path: &str) -> reqwest::Url {
        let mut url = self.0.clone();
        url.set_path(path);
        url
    }

    /// Whether a URL leads to this host and carries no user name.
    pub fn has(&self, url: &reqwest::Url) -> bool {
        url.origin() == self.0.origin() && url.username().is_empty() && url.password().is_none()
    }

    /// As it is written.
    pub fn text(&self) -> String {
        self.0.origin().ascii_serialization()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_one() {
        for good in [
            "https://hooks.slack-gov.com",
            "http://127.0.0.1:8080",
            "https://proxy:8443/",
        ] {
            assert!(Origin::parse(good).is_some(), "{good}");
        }
        for bad in [
            "",
            "hooks.slack.com",
            "http://hooks.slack.com",
            "https://u@h",
            "https://h/p",
            "https://h?q",
            "file:///",
        ] {
            assert!(Origin::parse(bad).is_none(), "{bad}");
        }
    }
}
