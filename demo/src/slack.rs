//! A server that stands in for Slack: it takes what is posted to a webhook.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Context as _;
use dnswatch_demo::listen;
use hyper::{Method, StatusCode};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::mpsc::UnboundedSender;

/// The path of the webhook.
const WEBHOOK: &str = "/services/T000DEMO/B000DEMO/simulated";

/// The stand-in, bound but not yet serving.
#[derive(Debug)]
pub(crate) struct Slack {
    listener: TcpListener,
    address: SocketAddr,
}

impl Slack {
    /// Binds a free port of 127.0.0.1.
    pub(crate) async fn bind() -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .context("no loopback port for Slack's stand-in")?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    /// What its webhooks' URLs begin with.
    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The webhook's URL.
    pub(crate) fn webhook(&self) -> String {
        format!("{}{WEBHOOK}", self.origin())
    }

    /// Takes what is posted to the webhook, and hands the lines of it to `posts`.
    pub(crate) async fn serve(self, posts: UnboundedSender<Vec<String>>) -> std::io::Error {
        listen::serve(self.listener, move |request| {
            let is_post = request.method() == Method::POST && request.uri().path() == WEBHOOK;
            let answer = match serde_json::from_slice::<Value>(request.body()) {
                Ok(payload) if is_post => {
                    // The receiver is gone when the demo is over.
                    let _ = posts.send(lines(&payload));
                    listen::answer(StatusCode::OK, "ok")
                }
                Ok(_) => listen::answer(StatusCode::NOT_FOUND, "no_service"),
                Err(_) => listen::answer(StatusCode::BAD_REQUEST, "invalid_payload"),
            };
            std::future::ready(answer)
        })
        .await
    }
}

/// The text of a message as a channel shows it: that of its blocks, and of its attachments'.
fn lines(payload: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    let attachments = payload.get("attachments").and_then(Value::as_array);
    for part in std::iter::once(payload).chain(attachments.into_iter().flatten()) {
        if let Some(blocks) = part.get("blocks") {
            collect(blocks, &mut lines);
        }
    }
    lines
}

/// Texts stand under `text` at any depth of a block.
fn collect(value: &Value, lines: &mut Vec<String>) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| collect(value, lines)),
        Value::Object(object) => match object.get("text") {
            Some(Value::String(text)) => lines.extend(text.lines().map(str::to_owned)),
            _ => object.values().for_each(|value| collect(value, lines)),
        },
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::lines;

    #[test]
    fn a_message_is_read_from_top_to_bottom() {
        let payload = json!({
            "text": "for old clients",
            "blocks": [{"type": "header", "text": {"type": "plain_text", "text": "[FIRING:1] A"}}],
            "attachments": [{"color": "red", "blocks": [
                {"type": "context", "elements": [{"type": "mrkdwn", "text": "one\ntwo"}]},
                {"type": "section", "fields": [{"type": "mrkdwn", "text": "three"}]},
            ]}],
        });
        assert_eq!(lines(&payload), ["[FIRING:1] A", "one", "two", "three"]);
    }
}
