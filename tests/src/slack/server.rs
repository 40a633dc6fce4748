//! A Slack on loopback that is as strict as the real one, and fails when it is told to.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::RETRY_AFTER;
use hyper::http::request::Parts;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::judge::{Shown, judge};

/// What Slack does with the next request instead of judging it.
#[derive(Debug, Clone)]
pub(super) enum Instead {
    /// Answers 429, with `Retry-After` in seconds.
    Wait(u64),
    /// Answers so.
    Say(u16, &'static str),
    /// Takes the message and breaks the connection.
    TakeAndBreak,
    /// Takes the message and never answers.
    TakeAndHang,
}

#[derive(Debug, Default)]
struct State {
    /// The only path that is a webhook.
    path: String,
    instead: VecDeque<Instead>,
    requests: usize,
    posted: Vec<Shown>,
    refused: Vec<String>,
}

/// The server; it ends when this is dropped.
pub(crate) struct Slack {
    pub(crate) origin: String,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

impl Slack {
    /// Starts with one webhook.
    pub(crate) async fn start(path: &str) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let origin = format!("http://{}", listener.local_addr()?);
        let state = Arc::new(Mutex::new(State {
            path: path.to_owned(),
            ..State::default()
        }));
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = Arc::clone(&shared);
                tokio::spawn(async move {
                    let service = service_fn(|request| {
                        let shared = Arc::clone(&shared);
                        async move { answer(request, &shared).await }
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
            state,
            task,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves the webhook: the old one is gone.
    pub(super) fn move_to(&self, path: &str) {
        path.clone_into(&mut self.state().path);
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
    pub(super) fn texts(&self) -> String {
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
) -> Result<Response<Full<Bytes>>, std::io::Error> {
    let (parts, body) = request.into_parts();
    let body = body
        .collect()
        .await
        .map(http_body_util::Collected::to_bytes);
    let instead = {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        state.requests += 1;
        state.instead.pop_front()
    };
    let answer = judged(&parts, body.ok(), instead.as_ref(), state);
    match instead {
        Some(Instead::TakeAndBreak) => Err(std::io::Error::other("as told")),
        Some(Instead::TakeAndHang) => std::future::pending().await,
        _ => Ok(answer),
    }
}

/// What is answered. The message is taken, if it is a good one.
fn judged(
    parts: &Parts,
    body: Option<Bytes>,
    instead: Option<&Instead>,
    state: &Mutex<State>,
) -> Response<Full<Bytes>> {
    let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(Instead::Wait(seconds)) = instead {
        let mut response = said(429, "rate_limited");
        response
            .headers_mut()
            .insert(RETRY_AFTER, (*seconds).into());
        return response;
    }
    if let Some(Instead::Say(status, word)) = instead {
        return said(*status, word);
    }
    if parts.method != Method::POST || parts.uri.path() != state.path {
        return said(404, "no_service");
    }
    let is_json = parts.headers.get("content-type").is_some_and(|kind| {
        kind.to_str()
            .is_ok_and(|kind| kind.starts_with("application/json"))
    });
    let message = body.filter(|_| is_json);
    let message = message.and_then(|body| serde_json::from_slice::<Value>(&body).ok());
    match message.as_ref().map(judge) {
        None => said(400, "invalid_payload"),
        Some(Err(error)) => {
            state.refused.push(format!("{error:#}"));
            said(400, "invalid_blocks")
        }
        Some(Ok(shown)) => {
            state.posted.push(shown);
            said(200, "ok")
        }
    }
}

fn said(status: u16, word: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(word));
    *response.status_mut() = hyper::StatusCode::from_u16(status).expect("a status");
    response
}
