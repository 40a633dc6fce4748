//! A PagerDuty on loopback, as strict as its documentation (developer.pagerduty.com, Events API
//! v2), with incidents that events open and resolve.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, Result, ensure};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::RETRY_AFTER;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// What it does with the next event instead of judging it.
#[derive(Debug, Clone)]
pub(super) enum Instead {
    /// Answers 429, perhaps with `Retry-After` in seconds.
    Wait(Option<u64>),
    /// Answers so.
    Say(u16, &'static str),
    /// Takes it and breaks the connection.
    TakeAndBreak,
}

/// An alert of PagerDuty's, of which an incident is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Incident {
    /// What makes events its own.
    pub(super) key: String,
    /// The summary that it was opened with.
    pub(super) title: String,
    /// The summaries of all its events.
    pub(super) log: Vec<String>,
    /// Whether it was resolved.
    pub(super) is_resolved: bool,
}

#[derive(Debug, Default)]
struct State {
    key: String,
    instead: VecDeque<Instead>,
    requests: usize,
    incidents: Vec<Incident>,
    refused: Vec<String>,
}

/// The server; it ends when this is dropped.
pub(super) struct Server {
    pub(super) origin: String,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

impl Server {
    /// Starts with one service, by its routing key.
    pub(super) async fn start(key: &str) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let origin = format!("http://{}", listener.local_addr()?);
        let state = Arc::new(Mutex::new(State {
            key: key.to_owned(),
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

    /// Another key: the old one is gone.
    pub(super) fn move_to(&self, key: &str) {
        key.clone_into(&mut self.state().key);
    }

    /// What to do with the events to come.
    pub(super) fn then(&self, instead: &[Instead]) {
        self.state().instead.extend(instead.iter().cloned());
    }

    /// How many requests came.
    pub(super) fn requests(&self) -> usize {
        self.state().requests
    }

    /// The incidents, oldest first. Fails if an event broke a rule of PagerDuty's.
    #[track_caller]
    pub(super) fn incidents(&self) -> Vec<Incident> {
        let state = self.state();
        assert!(state.refused.is_empty(), "{:?}", state.refused);
        state.incidents.clone()
    }
}

impl Drop for Server {
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
        .map(http_body_util::Collected::to_bytes)
        .unwrap_or_default();
    let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
    state.requests += 1;
    let instead = state.instead.pop_front();
    match &instead {
        Some(Instead::Wait(seconds)) => {
            let mut response = said(429, "");
            if let Some(seconds) = seconds {
                response
                    .headers_mut()
                    .insert(RETRY_AFTER, (*seconds).into());
            }
            return Ok(response);
        }
        Some(Instead::Say(status, text)) => return Ok(said(*status, text)),
        Some(Instead::TakeAndBreak) | None => {}
    }
    if parts.method != Method::POST || parts.uri.path() != "/v2/enqueue" {
        return Ok(said(404, ""));
    }
    let event = serde_json::from_slice::<Value>(&body).unwrap_or_default();
    if event["routing_key"] != state.key.as_str() {
        return Ok(invalid("Invalid routing key"));
    }
    if let Err(error) = judge(&event, body.len()) {
        state.refused.push(format!("{error:#}"));
        return Ok(invalid("see the log"));
    }
    take(&mut state.incidents, &event);
    if let Some(Instead::TakeAndBreak) = instead {
        return Err(std::io::Error::other("on request"));
    }
    let dedup_key = &event["dedup_key"];
    let accepted =
        json!({"status": "success", "message": "Event processed", "dedup_key": dedup_key});
    Ok(said(202, &accepted.to_string()))
}

/// A trigger opens an incident, or adds to the open one with its key; a resolve closes that, and
/// is dropped where there is none.
fn take(incidents: &mut Vec<Incident>, event: &Value) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (key, summary) = (
        text(&event["dedup_key"]),
        text(&event["payload"]["summary"]),
    );
    let open = incidents
        .iter_mut()
        .find(|incident| incident.key == key && !incident.is_resolved);
    let is_trigger = event["event_action"] == "trigger";
    match open {
        Some(incident) => {
            incident.log.push(summary);
            incident.is_resolved |= !is_trigger;
        }
        None if is_trigger => incidents.push(Incident {
            key,
            title: summary.clone(),
            log: vec![summary],
            is_resolved: false,
        }),
        None => {}
    }
}

fn said(status: u16, text: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(text.to_owned()));
    *response.status_mut() = hyper::StatusCode::from_u16(status).expect("a status");
    response
}

fn invalid(why: &str) -> Response<Full<Bytes>> {
    let body =
        json!({"status": "invalid event", "message": "Event object is invalid", "errors": [why]});
    said(400, &body.to_string())
}

/// The rules of PagerDuty's documentation, strictly, and ours: what is shown is what it says.
pub(super) fn judge(event: &Value, bytes: usize) -> Result<()> {
    ensure!(bytes <= 512 * 1024, "{bytes} bytes");
    let event = object(event)?;
    only(
        event,
        &[
            "routing_key",
            "event_action",
            "dedup_key",
            "payload",
            "client",
            "client_url",
            "links",
        ],
    )?;
    ensure!(string(event, "routing_key")?.len() == 32, "the routing key");
    let action = string(event, "event_action")?;
    ensure!(["trigger", "resolve"].contains(&action), "{action}");
    text(string(event, "dedup_key")?, 1, 255)?;
    let payload = object(&event["payload"])?;
    only(
        payload,
        &[
            "summary",
            "source",
            "severity",
            "timestamp",
            "component",
            "group",
            "class",
            "custom_details",
        ],
    )?;
    text(string(payload, "summary")?, 1, 1024)?;
    text(string(payload, "source")?, 1, 1024)?;
    let severity = string(payload, "severity")?;
    let known = ["critical", "error", "warning", "info"];
    ensure!(known.contains(&severity), "{severity}");
    if payload.contains_key("timestamp") {
        string(payload, "timestamp")?.parse::<jiff::Timestamp>()?;
    }
    for name in ["component", "group", "class"] {
        if payload.contains_key(name) {
            text(string(payload, name)?, 1, 1024)?;
        }
    }
    details(&payload["custom_details"])?;
    let links = event.get("links").and_then(Value::as_array);
    for link in links.into_iter().flatten() {
        let link = object(link)?;
        only(link, &["href", "text"])?;
        address(string(link, "href")?)?;
        let known = ["Runbook", "Dashboard", "Query"];
        ensure!(known.contains(&string(link, "text")?), "{link:?}");
    }
    if event.contains_key("client_url") {
        address(string(event, "client_url")?)?;
    }
    Ok(())
}

fn details(value: &Value) -> Result<()> {
    match value {
        Value::Object(object) => object.iter().try_for_each(|(name, value)| {
            text(name, 0, 1024)?;
            details(value)
        }),
        Value::Array(values) => values.iter().try_for_each(details),
        Value::String(line) => text(&line.replace('\n', " "), 0, 4096),
        Value::Number(_) => Ok(()),
        other => anyhow::bail!("{other}"),
    }
}

fn text(text: &str, least: usize, most: usize) -> Result<()> {
    let length = text.chars().count();
    ensure!(
        (least..=most).contains(&length),
        "{length} characters: {text:?}"
    );
    ensure!(least == 0 || !text.trim().is_empty(), "blank: {text:?}");
    ensure!(!text.chars().any(char::is_control), "{text:?}");
    let reorders = |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    ensure!(!text.contains(reorders), "{text:?}");
    Ok(())
}

fn address(text: &str) -> Result<()> {
    let url = reqwest::Url::parse(text).with_context(|| text.to_owned())?;
    ensure!(["http", "https"].contains(&url.scheme()), "{text}");
    ensure!(!text.contains(['<', '>', '"', ' ', '\n']), "{text}");
    Ok(())
}

fn object(value: &Value) -> Result<&Map<String, Value>> {
    value
        .as_object()
        .with_context(|| format!("no object: {value}"))
}

fn string<'a>(object: &'a Map<String, Value>, key: &str) -> Result<&'a str> {
    let text = object.get(key).and_then(Value::as_str);
    text.with_context(|| format!("no {key}"))
}

fn only(object: &Map<String, Value>, known: &[&str]) -> Result<()> {
    for key in object.keys() {
        ensure!(known.contains(&key.as_str()), "unknown key {key}");
    }
    Ok(())
}

/// How often each key was opened.
pub(super) fn opened(incidents: &[Incident]) -> BTreeMap<&str, usize> {
    let mut opened = BTreeMap::new();
    for incident in incidents {
        *opened.entry(incident.key.as_str()).or_default() += 1;
    }
    opened
}
