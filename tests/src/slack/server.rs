//! A Slack on loopback that is as strict as the real one, and fails on request.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, http};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::judge::{Shown, judge};

/// What Slack does with the next request instead of judging it.
#[derive(Debug, Clone)]
pub(super) enum Instead {
    /// Answers 429, with `Retry-After` in seconds.
    Wait(u64),
    /// Answers so.
    Say(u16, &'static str),
    /// Answers 200, and in the body that it was not done, as the Web API does.
    Refuse(&'static str),
    /// Judges it, but not before it is released.
    Hold(Arc<Notify>),
    /// Takes the message and breaks the connection.
    TakeAndBreak,
    /// Takes the message and never answers.
    TakeAndHang,
}

/// The channel that the bot is in.
pub(super) const CHANNEL: &str = "C0123456789";

/// A message that a bot posted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Posted {
    /// Its name in the channel.
    pub(super) ts: String,
    /// The message that it answers.
    pub(super) thread: Option<String>,
    /// Whether the answer is shown in the channel, too.
    pub(super) for_all: bool,
    /// Its header, and those that it had before, oldest first.
    pub(super) headers: Vec<String>,
}

#[derive(Debug, Default)]
struct State {
    /// The only path that is a webhook; or the only token that is good.
    access: String,
    /// What the bot posted, oldest first.
    channel: Vec<Posted>,
    instead: VecDeque<Instead>,
    requests: usize,
    /// Numbers the bot's messages.
    next: usize,
    posted: Vec<Shown>,
    refused: Vec<String>,
}

/// The server; it ends when this is dropped.
pub(crate) struct Slack {
    pub(crate) origin: String,
    /// Notified of each request that is held.
    pub(super) holding: Arc<Notify>,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

impl Slack {
    /// Starts with one webhook, by its path, or one bot, by its token.
    pub(crate) async fn start(access: &str) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let origin = format!("http://{}", listener.local_addr()?);
        let state = Arc::new(Mutex::new(State {
            access: access.to_owned(),
            ..State::default()
        }));
        let holding = Arc::new(Notify::new());
        let notified = Arc::clone(&holding);
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = Arc::clone(&shared);
                let notified = Arc::clone(&notified);
                tokio::spawn(async move {
                    let service = service_fn(|request| {
                        let shared = Arc::clone(&shared);
                        let notified = Arc::clone(&notified);
                        async move { answer(request, &shared, &notified).await }
                    });
                    let connection = hyper::server::conn::http1::Builder::new();
                    let _ = connection
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Ok(Self {
            origin,
            holding,
            state,
            task,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Another webhook or token: the old one is gone.
    pub(super) fn move_to(&self, access: &str) {
        access.clone_into(&mut self.state().access);
    }

    /// What the bot posted, oldest first. Fails if anything broke a rule of Slack's.
    #[track_caller]
    pub(super) fn channel(&self) -> Vec<Posted> {
        let state = self.state();
        assert!(state.refused.is_empty(), "{:?}", state.refused);
        state.channel.clone()
    }

    /// Somebody deletes all messages.
    pub(super) fn delete_all(&self) {
        self.state().channel.clear();
    }

    /// What to do with the requests to come.
    pub(super) fn then(&self, instead: &[Instead]) {
        self.state().instead.extend(instead.iter().cloned());
    }

    /// How many requests came.
    pub(super) fn requests(&self) -> usize {
        self.state().requests
    }

    /// The headers of what was posted, in order. Fails if anything broke a rule of Slack's.
    #[track_caller]
    pub(crate) fn posted(&self) -> Vec<String> {
        let state = self.state();
        assert!(state.refused.is_empty(), "{:?}", state.refused);
        let header = |shown: &Shown| {
            let first = shown.text.lines().next().unwrap_or_default();
            if shown.header.is_empty() {
                first.to_owned()
            } else {
                shown.header.clone()
            }
        };
        state.posted.iter().map(header).collect()
    }

    /// All that the messages showed.
    pub(crate) fn texts(&self) -> String {
        self.state()
            .posted
            .iter()
            .map(|shown| shown.text.as_str())
            .collect()
    }
}

impl Drop for Slack {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(
    request: Request<Incoming>,
    state: &Mutex<State>,
    holding: &Notify,
) -> Result<Response<Full<Bytes>>, std::io::Error> {
    let (parts, body) = request.into_parts();
    let body = body
        .collect()
        .await
        .map(http_body_util::Collected::to_bytes);
    let lock = || state.lock().unwrap_or_else(PoisonError::into_inner);
    let instead = lock().instead.pop_front();
    if let Some(Instead::Hold(go_on)) = &instead {
        holding.notify_one();
        go_on.notified().await;
    }
    let hangs = matches!(instead, Some(Instead::TakeAndHang));
    let answer = judged(&mut lock(), &parts, body.ok(), instead.as_ref());
    if hangs {
        return std::future::pending().await;
    }
    answer
}

/// What is answered. The message is taken, if it is a good one.
fn judged(
    state: &mut State,
    parts: &http::request::Parts,
    body: Option<Bytes>,
    instead: Option<&Instead>,
) -> Result<Response<Full<Bytes>>, std::io::Error> {
    state.requests += 1;
    if let Some(Instead::Wait(seconds)) = instead {
        let mut response = said(429, "rate_limited");
        response
            .headers_mut()
            .insert(RETRY_AFTER, (*seconds).into());
        return Ok(response);
    }
    if let Some(Instead::Say(status, word)) = instead {
        return Ok(said(*status, word));
    }
    if let Some(Instead::Refuse(word)) = instead {
        return Ok(refused(word));
    }
    if let Some(method) = parts.uri.path().strip_prefix("/api/") {
        let answer = match called(state, parts, method, body) {
            Ok(ts) => api(&json!({"ok": true, "channel": CHANNEL, "ts": ts, "message": {}})),
            Err(word) => refused(word),
        };
        if let Some(Instead::TakeAndBreak) = instead {
            return Err(std::io::Error::other("on request"));
        }
        return Ok(answer);
    }
    if parts.method != Method::POST || parts.uri.path() != state.access {
        return Ok(said(404, "no_service"));
    }
    let is_json = parts.headers.get("content-type").is_some_and(|kind| {
        kind.to_str()
            .is_ok_and(|kind| kind.starts_with("application/json"))
    });
    let message = body.filter(|_| is_json);
    let message = message.and_then(|body| serde_json::from_slice::<Value>(&body).ok());
    let judged = message.as_ref().map(judge);
    match judged {
        None => return Ok(said(400, "invalid_payload")),
        Some(Err(error)) => {
            state.refused.push(format!("{error:#}"));
            return Ok(said(400, "invalid_blocks"));
        }
        Some(Ok(shown)) => state.posted.push(shown),
    }
    if let Some(Instead::TakeAndBreak) = instead {
        return Err(std::io::Error::other("on request"));
    }
    Ok(said(200, "ok"))
}

/// The arguments that the methods' documentation names (docs.slack.dev, `chat.postMessage` and
/// `chat.update`), of those that we have a use for.
const POST: [&str; 9] = [
    "channel",
    "thread_ts",
    "reply_broadcast",
    "text",
    "mrkdwn",
    "unfurl_links",
    "unfurl_media",
    "blocks",
    "attachments",
];
const UPDATE: [&str; 6] = ["channel", "ts", "parse", "text", "blocks", "attachments"];

/// A call of the Web API: the timestamp of the message, or Slack's word for why not.
fn called(
    state: &mut State,
    parts: &http::request::Parts,
    method: &str,
    body: Option<Bytes>,
) -> Result<String, &'static str> {
    let header = |name: &str| {
        parts
            .headers
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    if parts.method != Method::POST {
        return Err("invalid_post_type");
    }
    if header("content-type") != Some("application/json; charset=utf-8") {
        return Err("invalid_post_type");
    }
    let authorization = header("authorization").ok_or("not_authed")?;
    if authorization.strip_prefix("Bearer ") != Some(state.access.as_str()) {
        return Err("invalid_auth");
    }
    let body = body.and_then(|body| serde_json::from_slice::<Value>(&body).ok());
    let Some(Value::Object(mut arguments)) = body else {
        return Err("invalid_form_data");
    };
    let known: &[&str] = match method {
        "chat.postMessage" => &POST,
        "chat.update" => &UPDATE,
        _ => return Err("unknown_method"),
    };
    if let Some(unknown) = arguments.keys().find(|key| !known.contains(&key.as_str())) {
        state.refused.push(format!("{method} has no {unknown}"));
        return Err("invalid_arg_name");
    }
    let mut take = |name: &str| match arguments.remove(name) {
        Some(Value::String(text)) => Some(text),
        _ => None,
    };
    if take("channel").as_deref() != Some(CHANNEL) {
        return Err("channel_not_found");
    }
    let (ts, thread, parse) = (take("ts"), take("thread_ts"), take("parse"));
    let for_all = arguments.remove("reply_broadcast") == Some(Value::Bool(true));
    if method == "chat.update" {
        // What an update cannot turn off, it does not turn on.
        for off in ["mrkdwn", "unfurl_links", "unfurl_media"] {
            arguments.insert(off.to_owned(), Value::Bool(false));
        }
    }
    let shown = judge(&Value::Object(arguments)).map_err(|error| {
        state.refused.push(format!("{error:#}"));
        "invalid_blocks"
    })?;
    if method == "chat.update" {
        if parse.as_deref() != Some("none") {
            state.refused.push("an update that is parsed".to_owned());
        }
        let posted = state
            .channel
            .iter_mut()
            .find(|posted| Some(&posted.ts) == ts.as_ref());
        let posted = posted.ok_or("message_not_found")?;
        posted.headers.push(shown.header);
        return Ok(posted.ts.clone());
    }
    if for_all && thread.is_none() {
        state
            .refused
            .push("a broadcast that answers nothing".to_owned());
    }
    if let Some(thread) = &thread {
        let root = state.channel.iter().find(|posted| posted.ts == *thread);
        if root.is_none_or(|root| root.thread.is_some()) {
            return Err("cannot_reply_to_message");
        }
    }
    state.next += 1;
    let ts = format!("1795434510.{:06}", state.next);
    state.channel.push(Posted {
        ts: ts.clone(),
        thread,
        for_all,
        headers: vec![shown.header],
    });
    Ok(ts)
}

fn refused(word: &str) -> Response<Full<Bytes>> {
    let mut response = api(&json!({"ok": false, "error": word}));
    if word == "ratelimited" {
        response.headers_mut().insert(RETRY_AFTER, 3.into());
    }
    response
}

fn api(answer: &Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(answer.to_string()));
    let json = HeaderValue::from_static("application/json; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}

fn said(status: u16, word: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(word));
    *response.status_mut() = hyper::StatusCode::from_u16(status).expect("a status");
    response
}
