//! Where to post, and by what right: an incoming webhook, whose URL is a secret, or a bot, whose
//! token is one. The secret says which.

use std::fmt;

use delivery::environment::Origin;
use reqwest::Url;
use reqwest::header::HeaderValue;
use serde_json::Value;

/// What the secret gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// An incoming webhook: it can post, and change nothing.
    Webhook(Webhook),
    /// A bot in a channel.
    Bot(Bot),
}

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

/// A bot's token, and the channel that it posts to. The token cannot be printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Bot {
    authorization: HeaderValue,
    /// The channel.
    pub channel: ChannelId,
}

impl Bot {
    /// The header that lets it in. For the request only.
    pub(crate) fn authorization(&self) -> HeaderValue {
        self.authorization.clone()
    }
}

impl fmt::Debug for Bot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bot in {}", self.channel.as_str())
    }
}

/// A channel's id: `C0123456789`. A message can be changed by it, not by the channel's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelId(String);

impl ChannelId {
    /// Reads an id.
    pub fn parse(text: &str) -> Option<Self> {
        let is_id = (9..=64).contains(&text.len())
            && text.starts_with(['C', 'G', 'D'])
            && text
                .bytes()
                .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
        is_id.then(|| Self(text.to_owned()))
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// There is nothing to post by. The texts hold nothing of the secret.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccessError {
    /// It is neither.
    #[error(
        "the secret holds neither a webhook's URL nor a bot's token: it must be one of them itself, \
         or JSON like {{\"url\": \"https://…\"}} or {{\"token\": \"xoxb-…\"}}"
    )]
    Neither,
    /// The URL leads elsewhere.
    #[error("the URL in the webhook's secret does not begin with {0}/")]
    OtherHost(String),
    /// A workflow's trigger, which takes variables of its own instead of a message, and answers 200
    /// to anything.
    #[error(
        "the URL in the secret is a workflow's trigger, which does not take messages: create an \
         incoming webhook (https://hooks.slack.com/services/…), or use a bot's token"
    )]
    WorkflowTrigger,
    /// The URL is the host only.
    #[error("the URL in the webhook's secret has no path")]
    NoPath,
    /// A bot needs a channel.
    #[error(
        "the secret holds a bot's token, and no channel is given: set the stack's SlackChannelId \
         to the id of a channel that the bot is a member of"
    )]
    NoChannel,
}

/// Reads what the secret holds: a URL or a token, or JSON that has it as `url` or `token`.
pub fn read(
    secret: &str,
    webhooks: &Origin,
    channel: Option<&ChannelId>,
) -> Result<Access, AccessError> {
    let secret = secret.trim();
    let json = serde_json::from_str::<Value>(secret).ok();
    let text = match &json {
        Some(Value::Object(object)) => {
            let mut named = ["token", "url"].iter().filter_map(|name| object.get(*name));
            named
                .next()
                .and_then(Value::as_str)
                .ok_or(AccessError::Neither)?
        }
        Some(Value::String(text)) => text,
        _ => secret,
    };
    let text = text.trim();
    if text.starts_with("xox") {
        return bot(text, channel);
    }
    let url = Url::parse(text).map_err(|_| AccessError::Neither)?;
    if !webhooks.has(&url) {
        return Err(AccessError::OtherHost(webhooks.text()));
    }
    if url.path().trim_matches('/').is_empty() {
        return Err(AccessError::NoPath);
    }
    let first = url.path_segments().and_then(|mut path| path.next());
    if matches!(first, Some("triggers" | "workflows")) {
        return Err(AccessError::WorkflowTrigger);
    }
    Ok(Access::Webhook(Webhook(url)))
}

fn bot(token: &str, channel: Option<&ChannelId>) -> Result<Access, AccessError> {
    let header = HeaderValue::from_str(&format!("Bearer {token}"));
    let mut authorization = header.map_err(|_| AccessError::Neither)?;
    authorization.set_sensitive(true);
    Ok(Access::Bot(Bot {
        authorization,
        channel: channel.cloned().ok_or(AccessError::NoChannel)?,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::WEBHOOK_ORIGIN;

    #[track_caller]
    fn check(secret: &str, channel: Option<&str>, expected: Result<&str, &str>) {
        let origin = Origin::parse(WEBHOOK_ORIGIN).unwrap();
        let channel = channel.and_then(ChannelId::parse);
        let read = read(secret, &origin, channel.as_ref());
        assert!(!format!("{read:?}").contains("CANARY"), "{read:?}");
        let read = read.map(|access| match access {
            Access::Webhook(webhook) => webhook.url().to_string(),
            Access::Bot(bot) => bot.authorization().to_str().unwrap().to_owned(),
        });
        let read = read.map_err(|error| error.to_string());
        match expected {
            Ok(text) => assert_eq!(read.as_deref(), Ok(text)),
            Err(part) => assert!(
                read.as_ref()
                    .is_err_and(|e| e.contains(part) && !e.contains("CANARY")),
                "{read:?}"
            ),
        }
    }

    #[test]
    fn only_slack_is_posted_to() {
        let url = "https://hooks.slack.com/services/T/B/CANARY";
        check(url, None, Ok(url));
        check(&format!(" {url}\n"), None, Ok(url));
        check(&format!(r#"{{"url": "{url}"}}"#), None, Ok(url));
        check(&format!("{url:?}"), None, Ok(url));
        let neither = Err("neither a webhook's URL nor a bot's token");
        check("", None, neither);
        check("CANARY", None, neither);
        check(r#"{"uri": "CANARY"}"#, None, neither);
        check(r#"{"url": 1}"#, None, neither);
        let elsewhere = Err("does not begin with https://hooks.slack.com/");
        for url in [
            "http://hooks.slack.com/services/CANARY",
            "https://hooks.slack.com.example/services/CANARY",
            "https://hooks.slack.com:8443/services/CANARY",
            "https://CANARY@hooks.slack.com/services/x",
            "https://example/CANARY",
        ] {
            check(url, None, elsewhere);
        }
        check("https://hooks.slack.com/", None, Err("no path"));
        for kind in ["triggers", "workflows"] {
            check(
                &format!("https://hooks.slack.com/{kind}/T1/2/CANARY"),
                None,
                Err("a workflow's trigger"),
            );
        }
    }

    #[test]
    fn a_bot_needs_a_channels_id() {
        let id = Some("C0123456789");
        check("xoxb-1-CANARY", id, Ok("Bearer xoxb-1-CANARY"));
        check(
            r#"{"token": "xoxb-1-CANARY"}"#,
            id,
            Ok("Bearer xoxb-1-CANARY"),
        );
        check("xoxb-1-CANARY", None, Err("SlackChannelId"));
        check("xoxb-1-\u{7f}CANARY", id, Err("neither"));
        for bad in ["#alerts", "alerts", "C012345\n89", "C01", ""] {
            assert_eq!(ChannelId::parse(bad), None, "{bad}");
        }
    }
}
