//! The addresses that are asked, from the URL a user wrote.

use alerting::query::At;
use reqwest::Url;

use super::options::ClientError;

/// What users copy along from consoles and documentation, longest first where one ends another.
const API_PATHS: [&str; 4] = [
    "/api/v1/query_range",
    "/api/v1/query",
    "/api/v1/remote_write",
    "/api/v1",
];

/// One Prometheus API.
#[derive(Debug, Clone)]
pub(super) struct Endpoint {
    query: Url,
    query_range: Url,
    /// The silences API of AMP's own alert manager.
    silences: Url,
    /// Where Prometheus shows the configuration that it runs with.
    status_config: Url,
}

impl Endpoint {
    /// Reads the URL of [`ClientOptions`](super::ClientOptions).
    pub(super) fn parse(text: &str) -> Result<Self, ClientError> {
        let refused = |reason: &str| Err(ClientError::Url(reason.to_owned()));
        let base = Url::parse(text.trim()).map_err(|error| ClientError::Url(error.to_string()))?;
        if !matches!(base.scheme(), "http" | "https") {
            return refused("it must begin with http:// or https://");
        }
        if base.host_str().is_none_or(str::is_empty) {
            return refused("it names no host");
        }
        if !base.username().is_empty() || base.password().is_some() {
            return refused("take name and password out of it, and configure them by themselves");
        }
        if base.query().is_some() || base.fragment().is_some() {
            return refused("it must end with its path, without `?` or `#`");
        }
        let path = base.path().trim_end_matches('/');
        let path = API_PATHS
            .iter()
            .find_map(|suffix| path.strip_suffix(suffix))
            .unwrap_or(path)
            .trim_end_matches('/');
        let at = |api: &str| {
            let mut url = base.clone();
            url.set_path(&format!("{path}/{api}"));
            url
        };
        Ok(Self {
            query: at("api/v1/query"),
            query_range: at("api/v1/query_range"),
            silences: at("alertmanager/api/v2/silences"),
            status_config: at("api/v1/status/config"),
        })
    }

    /// Where to ask for silences.
    pub(super) fn silences(&self) -> &Url {
        &self.silences
    }

    /// The host, its port if it is not the usual one, and the path before the API's own.
    pub(super) fn shown(&self) -> String {
        let url = self.query.as_str();
        let url = url.split_once("://").map_or(url, |(_, rest)| rest);
        url.trim_end_matches("/api/v1/query").to_owned()
    }

    /// Where to ask for the server's configuration.
    pub(super) fn status_config(&self) -> &Url {
        &self.status_config
    }

    /// Where to ask about `at`.
    pub(super) fn url_for(&self, at: &At) -> &Url {
        match at {
            At::Instant(_) => &self.query,
            At::Range { .. } => &self.query_range,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alerting::timestamp::Timestamp;

    #[track_caller]
    fn check(given: &str, expected: Option<&str>) {
        let at = At::Instant(Timestamp::from_secs(0));
        let found = Endpoint::parse(given).map(|endpoint| endpoint.url_for(&at).to_string());
        assert_eq!(found.ok().as_deref(), expected, "{given}");
    }

    #[test]
    fn finds_the_api_whatever_is_copied_along() {
        let amp = "https://aps-workspaces.eu-west-1.amazonaws.com/workspaces/ws-1/api/v1/query";
        for rest in [
            "",
            "/",
            "/api/v1",
            "/api/v1/",
            "/api/v1/query",
            "/api/v1/query_range",
        ] {
            let given =
                format!("https://aps-workspaces.eu-west-1.amazonaws.com/workspaces/ws-1{rest}");
            check(&given, Some(amp));
        }
        check(
            "http://localhost:9090",
            Some("http://localhost:9090/api/v1/query"),
        );
        check(
            " http://[::1]:9090// ",
            Some("http://[::1]:9090/api/v1/query"),
        );
        check("http://h/prom/", Some("http://h/prom/api/v1/query"));
    }

    #[test]
    fn refuses_what_would_leak_or_change_the_question() {
        for given in [
            "",
            "localhost:9090",
            "ftp://h",
            "http://",
            "http://user:hunter2@h",
            "http://user@h",
            "http://h/?tenant=a",
            "http://h/#x",
        ] {
            check(given, None);
        }
        let notified = Endpoint::parse("http://user:hunter2@h")
            .unwrap_err()
            .to_string();
        assert!(!notified.contains("hunter2"), "{notified}");
    }
}
