//! The incoming webhook: a URL that is a secret, kept in Secrets Manager and nowhere else.

use std::fmt;

use aws_sdk_secretsmanager::Client;
use jiff::{SignedDuration, Timestamp};
use reqwest::Url;
use serde_json::Value;
use tokio::sync::Mutex;

use crate::aws_error::why;

/// How long a webhook is used before its secret is read again.
const TTL: SignedDuration = SignedDuration::from_mins(5);

/// A webhook's URL. It cannot be printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Webhook(Url);

impl Webhook {
    /// Where to post to. For the request only.
    pub(crate) fn url(&self) -> Url {
        self.0.clone()
    }
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Webhook")
    }
}

/// Where webhooks may lead: to Slack's host, or to one that stands in for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(Url);

impl Origin {
    /// Slack's own.
    pub const SLACK: &str = "https://hooks.slack.com";

    /// An origin: `https` (`http` for loopback only), a host, perhaps a port, and nothing more.
    pub fn parse(text: &str) -> Option<Self> {
        let url = Url::parse(text).ok()?;
        let host = url.host_str()?;
        let is_safe = match url.scheme() {
            "https" => true,
            "http" => matches!(host, "127.0.0.1" | "localhost" | "[::1]"),
            _ => false,
        };
        let is_bare = url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
            && !has_user(&url);
        (is_safe && is_bare).then_some(Self(url))
    }

    /// Reads what the secret holds: the URL, or JSON that has it as `url`.
    fn webhook(&self, secret: &str) -> Result<Webhook, WebhookError> {
        let secret = secret.trim();
        let json = serde_json::from_str::<Value>(secret).ok();
        let text = match &json {
            Some(Value::Object(object)) => object
                .get("url")
                .and_then(Value::as_str)
                .ok_or(WebhookError::NoUrl)?,
            Some(Value::String(text)) => text,
            _ => secret,
        };
        let url = Url::parse(text.trim()).map_err(|_| WebhookError::NoUrl)?;
        if url.origin() != self.0.origin() || has_user(&url) {
            return Err(WebhookError::OtherHost(
                self.0.origin().ascii_serialization(),
            ));
        }
        if url.path().trim_matches('/').is_empty() {
            return Err(WebhookError::NoPath);
        }
        Ok(Webhook(url))
    }
}

fn has_user(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

/// There is no webhook. The texts hold nothing of the secret.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// The secret could not be read.
    #[error("cannot read the webhook's secret: {0}")]
    Secret(String),
    /// It holds no URL.
    #[error(
        "the webhook's secret holds no URL: it must be the URL itself or JSON like {{\"url\": \"https://…\"}}"
    )]
    NoUrl,
    /// The URL leads elsewhere.
    #[error("the URL in the webhook's secret does not begin with {0}/")]
    OtherHost(String),
    /// The URL is the host only.
    #[error("the URL in the webhook's secret has no path")]
    NoPath,
}

/// The webhook's secret, read when it is needed and then kept for five minutes.
pub struct Source {
    secrets: Client,
    secret_id: String,
    origin: Origin,
    kept: Mutex<Option<(Webhook, Timestamp)>>,
}

impl Source {
    /// The secret of an ARN or a name, whose URL must be of `origin`.
    pub fn new(secrets: Client, secret_id: String, origin: Origin) -> Self {
        Self {
            secrets,
            secret_id,
            origin,
            kept: Mutex::new(None),
        }
    }

    /// The webhook. Where the secret cannot be read again, the one that is known goes on.
    pub async fn get(&self, now: Timestamp) -> Result<Webhook, WebhookError> {
        let mut kept = self.kept.lock().await;
        if let Some((webhook, read)) = &*kept
            && (SignedDuration::ZERO..TTL).contains(&now.duration_since(*read))
        {
            return Ok(webhook.clone());
        }
        match (self.read().await, &*kept) {
            (Ok(webhook), _) => {
                *kept = Some((webhook.clone(), now));
                Ok(webhook)
            }
            (Err(WebhookError::Secret(_)), Some((webhook, _))) => Ok(webhook.clone()),
            (Err(error), _) => Err(error),
        }
    }

    /// After Slack refused `refused`: the webhook that the secret holds by now, if it is another.
    pub async fn another(&self, refused: &Webhook, now: Timestamp) -> Option<Webhook> {
        let mut kept = self.kept.lock().await;
        *kept = None;
        let webhook = self.read().await.ok()?;
        *kept = Some((webhook.clone(), now));
        (webhook != *refused).then_some(webhook)
    }

    async fn read(&self) -> Result<Webhook, WebhookError> {
        let request = self.secrets.get_secret_value().secret_id(&self.secret_id);
        let answer = request.send().await;
        let answer = answer.map_err(|error| WebhookError::Secret(why(&error)))?;
        let secret = answer.secret_string().ok_or(WebhookError::NoUrl)?;
        self.origin.webhook(secret)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(secret: &str, expected: Result<&str, &str>) {
        let origin = Origin::parse(Origin::SLACK).unwrap();
        let read = origin.webhook(secret);
        assert!(!format!("{read:?}").contains("CANARY"));
        let read = read.map(|webhook| webhook.url().to_string());
        let read = read.map_err(|error| error.to_string());
        assert!(
            !read
                .as_ref()
                .err()
                .is_some_and(|error| error.contains("CANARY"))
        );
        match expected {
            Ok(url) => assert_eq!(read.as_deref(), Ok(url)),
            Err(part) => assert!(read.as_ref().is_err_and(|e| e.contains(part)), "{read:?}"),
        }
    }

    #[test]
    fn only_slack_is_posted_to() {
        let url = "https://hooks.slack.com/services/T/B/CANARY";
        check(url, Ok(url));
        check(&format!(" {url}\n"), Ok(url));
        check(&format!(r#"{{"url": "{url}"}}"#), Ok(url));
        check(&format!("{url:?}"), Ok(url));
        check("", Err("holds no URL"));
        check("CANARY", Err("holds no URL"));
        check(r#"{"uri": "CANARY"}"#, Err("holds no URL"));
        let elsewhere = Err("does not begin with https://hooks.slack.com/");
        check("http://hooks.slack.com/services/CANARY", elsewhere);
        check("https://hooks.slack.com.example/services/CANARY", elsewhere);
        check("https://hooks.slack.com:8443/services/CANARY", elsewhere);
        check("https://CANARY@hooks.slack.com/services/x", elsewhere);
        check("https://example/CANARY", elsewhere);
        check("https://hooks.slack.com/", Err("no path"));
    }

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
