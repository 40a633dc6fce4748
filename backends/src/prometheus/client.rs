//! Asking: one question, as many attempts as time allows.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use alerting::query::{Answer, Ask, QueryFailure};
use alerting::server::{ServerFailure, ServerTrouble};
use alerting::timestamp::Timestamp;
use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION,
};
use reqwest::{Method, Request, Response, StatusCode, Url};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout_at};

use super::answer;
use super::backoff::{Backoff, retry_after};
use super::endpoint::Endpoint;
use super::failure::{Failure, Repeat};
use super::form;
use super::options::{Auth, ClientError, ClientOptions, Clock};
use super::refusal;
use super::sign::Signer;
use super::usage::{Counters, Usage};
use crate::line::{chain, one_line};
use crate::server_time::{LastAnswer, ServerTime};

/// The most bytes that are read of an answer that is not a 200.
const MAX_ERROR_BYTES: usize = 64 << 10;
/// How long to wait for them: the status alone says most.
const ERROR_BODY_TIME: Duration = Duration::from_secs(2);
/// The most characters of what the connection says.
const MAX_WORDS: usize = 300;

/// Headers that a configuration may not set: they are this client's, or change what is signed or
/// how an answer is read.
const OWN_HEADERS: [&str; 8] = [
    "accept-encoding",
    "authorization",
    "connection",
    "content-length",
    "content-type",
    "host",
    "te",
    "transfer-encoding",
];

/// A client of one Prometheus API. Cheap to clone; the clones share connections, the bound on
/// requests at once, and [`Usage`].
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    http: reqwest::Client,
    endpoint: Endpoint,
    headers: HeaderMap,
    signer: Option<Signer>,
    /// What is never shown, beside the values of sensitive headers.
    secrets: Vec<String>,
    permits: Semaphore,
    request_timeout: Duration,
    max_answer_bytes: usize,
    backoff: Backoff,
    jitter: Mutex<fastrand::Rng>,
    clock: Clock,
    counters: Counters,
    last_answer: LastAnswer,
}

impl Client {
    /// A client over `http` (see [`crate::http::client`]); nothing is sent yet.
    pub fn new(http: reqwest::Client, options: ClientOptions) -> Result<Self, ClientError> {
        let endpoint = Endpoint::parse(&options.url)?;
        let mut headers = headers(&options.headers)?;
        let mut secrets = Vec::new();
        let mut signer = None;
        match options.auth {
            Auth::None => {}
            Auth::Basic { user, password } => {
                // reqwest writes the header, which is taken off a request that is not sent.
                let written = http
                    .request(Method::POST, "http://localhost/")
                    .basic_auth(user, Some(password.expose()))
                    .build()?;
                if let Some(value) = written.headers().get(AUTHORIZATION) {
                    headers.insert(AUTHORIZATION, value.clone());
                }
                secrets.push(password.expose().to_owned());
            }
            Auth::Bearer(token) => {
                let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose()))
                    .map_err(|_| ClientError::Credentials)?;
                value.set_sensitive(true);
                headers.insert(AUTHORIZATION, value);
            }
            Auth::SigV4(sigv4) => signer = Some(Signer::new(sigv4)),
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(form::CONTENT_TYPE));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        Ok(Self(Arc::new(Inner {
            http,
            endpoint,
            headers,
            signer,
            secrets,
            permits: Semaphore::new(options.concurrency.clamp(1, Semaphore::MAX_PERMITS)),
            request_timeout: options.request_timeout,
            max_answer_bytes: options.max_answer_bytes,
            backoff: options.backoff,
            jitter: Mutex::new(fastrand::Rng::with_seed(options.jitter_seed)),
            clock: options.clock,
            counters: Counters::default(),
            last_answer: LastAnswer::default(),
        })))
    }

    /// Asks, and asks again where that may help, until `deadline` at the latest.
    pub async fn query(&self, ask: &Ask, deadline: Instant) -> Result<Answer, QueryFailure> {
        let (answer, _) = self.asked(ask, false, deadline).await?;
        Ok(answer)
    }

    /// The same, and how many samples the server had to read for it, where it says so.
    pub async fn query_with_cost(
        &self,
        ask: &Ask,
        deadline: Instant,
    ) -> Result<(Answer, Option<u64>), QueryFailure> {
        self.asked(ask, true, deadline).await
    }

    async fn asked(
        &self,
        ask: &Ask,
        stats: bool,
        deadline: Instant,
    ) -> Result<(Answer, Option<u64>), QueryFailure> {
        let mut failed: u32 = 0;
        loop {
            let failure = match self.0.attempt(ask, stats, deadline).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            failed = failed.saturating_add(1);
            let wait = match failure.repeat {
                Repeat::No => None,
                Repeat::Yes(at_least) => self.0.wait(failed, at_least, deadline),
            };
            let Some(wait) = wait else {
                return Err(self.0.final_failure(ask, &failure, failed));
            };
            sleep(wait).await;
            self.0.counters.retry();
        }
    }

    /// The silences of a workspace's own alert manager, as its API writes them; None if there is
    /// no alert manager. Asked once: the next run is the retry.
    pub async fn silences(&self, deadline: Instant) -> Result<Option<Vec<u8>>, String> {
        self.get(self.0.endpoint.silences(), deadline).await
    }

    /// The configuration that a Prometheus runs with, as its API writes it (`{"data": {"yaml": …}}`);
    /// None if the server has no such page, as AMP has none. Asked once.
    ///
    /// # Errors
    /// Where it cannot be read, as one line.
    pub async fn status_config(&self, deadline: Instant) -> Result<Option<Vec<u8>>, String> {
        self.get(self.0.endpoint.status_config(), deadline).await
    }

    async fn get(&self, url: &Url, deadline: Instant) -> Result<Option<Vec<u8>>, String> {
        let until = Instant::now() + self.0.request_timeout;
        let read = timeout_at(until.min(deadline), self.0.get(url)).await;
        read.unwrap_or_else(|_| Err("no whole answer in time".to_owned()))
            .map_err(|error| format!("GET {url}: {error}"))
    }

    /// The server's host and path, as a message names it.
    pub fn host(&self) -> String {
        self.0.endpoint.shown()
    }

    /// What the server said the time is in its last answer, since this was last asked.
    pub fn take_server_time(&self) -> Option<ServerTime> {
        self.0.last_answer.take()
    }

    /// What this client and its clones have done so far.
    pub fn usage(&self) -> Usage {
        self.0.counters.usage()
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("endpoint", &self.0.endpoint)
            .field("usage", &self.usage())
            .finish_non_exhaustive()
    }
}

impl Inner {
    /// Asks once.
    async fn attempt(
        &self,
        ask: &Ask,
        stats: bool,
        deadline: Instant,
    ) -> Result<(Answer, Option<u64>), Failure> {
        let no_time =
            |_| Failure::lasting("no time was left to ask").of_server(ServerTrouble::Slow);
        let _permit = timeout_at(deadline, self.permits.acquire())
            .await
            .map_err(no_time)?
            .map_err(|_| Failure::lasting("the client is closed"))?;
        let now = Instant::now();
        if now >= deadline {
            return Err(Failure::lasting("no time was left to ask").of_server(ServerTrouble::Slow));
        }
        let until = now
            .checked_add(self.request_timeout)
            .map_or(deadline, |until| until.min(deadline));
        let time = until.duration_since(now);
        match timeout_at(until, self.exchange(ask, stats, time)).await {
            Ok(result) => result,
            Err(_) => Err(Failure::passing(format!(
                "no whole answer within {:.1} s",
                time.as_secs_f64()
            ))
            .perhaps(ServerTrouble::TimedOut)),
        }
    }

    /// Sends one request and reads its answer; the server's own timeout is a little less than
    /// `time`.
    async fn exchange(
        &self,
        ask: &Ask,
        stats: bool,
        time: Duration,
    ) -> Result<(Answer, Option<u64>), Failure> {
        // So that what the server has to say when it runs out of time still arrives.
        let margin = (time / 10).min(Duration::from_secs(1));
        let body = form::encode(ask, time.saturating_sub(margin), stats);
        let mut request = Request::new(Method::POST, self.endpoint.url_for(&ask.at).clone());
        request.headers_mut().clone_from(&self.headers);
        if let Some(signer) = &self.signer {
            signer
                .sign(&mut request, &body, (self.clock)())
                .await
                .map_err(|error| {
                    let error = one_line(&error, &self.secrets, MAX_WORDS);
                    Failure::lasting(format!("no AWS credentials to sign with: {error}"))
                        .of_server(ServerTrouble::Denied)
                })?;
        }
        let secrets = self.secrets_of(&request);
        *request.body_mut() = Some(body.into());
        self.counters.request();
        let broken = |error: reqwest::Error| {
            let is_connect = error.is_connect();
            let error = one_line(&chain(&error.without_url()), &secrets, MAX_WORDS);
            let failure = Failure::passing(error);
            match is_connect {
                true => failure.of_server(ServerTrouble::Unreachable),
                false => failure.perhaps(ServerTrouble::Unreachable),
            }
        };
        let asked_at = self.now();
        let response = self.http.execute(request).await.map_err(broken)?;
        self.note_time(&response, asked_at);
        let status = response.status();
        if status == StatusCode::OK {
            let body = self
                .whole_body(response)
                .await
                .map_err(|error| match error {
                    BodyError::Broken(error) => broken(error),
                    BodyError::TooLarge => Failure::refused(format!(
                        "the answer is larger than {} bytes",
                        self.max_answer_bytes
                    )),
                })?;
            let answer = answer::read(&body, ask, &secrets)?;
            let cost = stats.then(|| answer::cost(&body)).flatten();
            return Ok((answer, cost));
        }
        if status.is_redirection() {
            let location = response.headers().get(LOCATION);
            return Err(refusal::redirect(
                status,
                location.and_then(|location| location.to_str().ok()),
            ));
        }
        let at_least = retry_after(response.headers(), (self.clock)());
        let body = self.start_of_body(response).await;
        if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
            && let Some(signer) = &self.signer
        {
            signer.forget().await;
        }
        let mut failure = refusal::failure(status, &body, &secrets);
        if let Repeat::Yes(wait) = &mut failure.repeat {
            *wait = at_least;
        }
        Err(failure)
    }

    async fn get(&self, url: &Url) -> Result<Option<Vec<u8>>, String> {
        let mut request = Request::new(Method::GET, url.clone());
        request.headers_mut().clone_from(&self.headers);
        if let Some(signer) = &self.signer {
            let signed = signer.sign(&mut request, &[], (self.clock)()).await;
            signed.map_err(|error| one_line(&error, &self.secrets, MAX_WORDS))?;
        }
        let secrets = self.secrets_of(&request);
        self.counters.request();
        let line =
            |error: reqwest::Error| one_line(&chain(&error.without_url()), &secrets, MAX_WORDS);
        let asked_at = self.now();
        let response = self.http.execute(request).await.map_err(line)?;
        self.note_time(&response, asked_at);
        match response.status() {
            StatusCode::OK => match self.whole_body(response).await {
                Ok(body) => Ok(Some(body)),
                Err(BodyError::Broken(error)) => Err(line(error)),
                Err(BodyError::TooLarge) => Err("the answer is too large".to_owned()),
            },
            StatusCode::NOT_FOUND => Ok(None),
            status => {
                let body = self.start_of_body(response).await;
                if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
                    && let Some(signer) = &self.signer
                {
                    signer.forget().await;
                }
                Err(refusal::failure(status, &body, &secrets).message)
            }
        }
    }

    /// This host's clock.
    fn now(&self) -> Timestamp {
        Timestamp::from((self.clock)())
    }

    /// Keeps what the server says the time is. What a proxy says where the server does not answer is
    /// not the server's word.
    fn note_time(&self, response: &Response, asked_at: Timestamp) {
        if response.status() == StatusCode::OK {
            let time = ServerTime::from_headers(response.headers(), asked_at, self.now());
            self.last_answer.note(time);
        }
    }

    /// The body, decompressed, if it is whole and within the bound.
    async fn whole_body(&self, mut response: Response) -> Result<Vec<u8>, BodyError> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(BodyError::Broken)? {
            self.counters.read(chunk.len());
            if body.len().saturating_add(chunk.len()) > self.max_answer_bytes {
                return Err(BodyError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    /// As much of the body as comes and is needed for a message.
    async fn start_of_body(&self, mut response: Response) -> Vec<u8> {
        let mut body = Vec::new();
        let until = Instant::now() + ERROR_BODY_TIME;
        while body.len() < MAX_ERROR_BYTES
            && let Ok(Ok(Some(chunk))) = timeout_at(until, response.chunk()).await
        {
            self.counters.read(chunk.len());
            body.extend_from_slice(&chunk);
        }
        body.truncate(MAX_ERROR_BYTES);
        body
    }

    /// What a server could repeat of `request` that must not be shown.
    fn secrets_of(&self, request: &Request) -> Vec<String> {
        let mut secrets = self.secrets.clone();
        for value in request
            .headers()
            .values()
            .filter(|value| value.is_sensitive())
        {
            let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
            // `Bearer …`: the token by itself as well.
            let alone = text.split_once(' ').map(|(_, token)| token.to_owned());
            secrets.push(text);
            secrets.extend(alone);
        }
        secrets
    }

    /// How long to wait before the next attempt, if there is to be one.
    fn wait(&self, failed: u32, at_least: Option<Duration>, deadline: Instant) -> Option<Duration> {
        let jitter = self
            .jitter
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .f64();
        let left = deadline.saturating_duration_since(Instant::now());
        self.backoff.wait(failed, at_least, jitter, left)
    }

    /// The failure as the core sees it.
    fn final_failure(&self, ask: &Ask, failure: &Failure, failed: u32) -> QueryFailure {
        let attempts = match failed {
            0 | 1 => String::new(),
            _ => format!(" ({failed} attempts)"),
        };
        let cause = || format!("{}{attempts}", failure.message);
        QueryFailure {
            kind: failure.kind,
            server: failure.server.map(|(trouble, is_certain)| {
                Box::new(ServerFailure {
                    trouble,
                    is_certain,
                    cause: cause(),
                })
            }),
            message: format!(
                "POST {}: {}{attempts}",
                self.endpoint.url_for(&ask.at),
                failure.message
            ),
        }
    }
}

/// Why a body was not read to its end.
enum BodyError {
    Broken(reqwest::Error),
    TooLarge,
}

/// The configuration's own headers.
fn headers(configured: &[(String, String)]) -> Result<HeaderMap, ClientError> {
    let mut headers = HeaderMap::new();
    for (name, value) in configured {
        let refused = |reason| ClientError::Header {
            name: name.clone(),
            reason,
        };
        let parsed = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| refused("that is no header's name"))?;
        if OWN_HEADERS.contains(&parsed.as_str()) {
            return Err(refused("it is set by dnswatch itself"));
        }
        let mut value = HeaderValue::from_str(value)
            .map_err(|_| refused("its value holds a character that HTTP cannot carry"))?;
        value.set_sensitive(true);
        headers.append(parsed, value);
    }
    Ok(headers)
}
