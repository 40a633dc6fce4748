//! The wire between a run and the world: each call of a connection is a future that waits until
//! the simulation has let the call act, and has let the answer through.
//!
//! Nothing is decided here. A call is put where the simulation sees it, and stays there.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

use alerting::notify::Outgoing;
use alerting::query::{Answer, Ask, FailureKind, QueryFailure};
use alerting::timestamp::Timestamp;
use backends::clock::Clock;
use backends::notify::{Notifier, PublishError};
use backends::run::Querier;
use backends::server_time::{LastAnswer, ServerTime};
use backends::state::{CommitError, StateStore, StoreError, Version};

use super::world::{Millis, SECOND};

/// Numbers the calls, in the order in which they were made.
pub(super) type CallId = u64;
/// Numbers the runs.
pub(super) type RunNumber = usize;

/// What a run asks of the world.
#[derive(Debug, Clone)]
pub(super) enum Request {
    Load,
    Commit {
        document: Vec<u8>,
        parent: Option<u64>,
    },
    PutConfig {
        name: String,
        config: Vec<u8>,
    },
    GetConfig {
        name: String,
    },
    Query(Ask),
    Publish {
        notification: serde_json::Value,
        subject: String,
    },
}

/// What comes back.
#[derive(Debug, Clone)]
pub(super) enum Response {
    Loaded(Option<(Vec<u8>, u64)>),
    Committed(u64),
    Conflict,
    Stored,
    Config(Option<Vec<u8>>),
    Answered(Answer),
    /// Refused for good.
    Refused(String),
    Published,
    /// It did not work, or the answer was lost.
    Failed,
}

/// A call under way.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) run: RunNumber,
    pub(super) request: Request,
    /// When it was made, by its run's own clock.
    pub(super) asked_at: Millis,
    /// What it came to, once it acted.
    pub(super) outcome: Option<Response>,
    /// The `Date` of the answer, if it has one.
    pub(super) date: Option<Millis>,
    /// The answer to the run.
    answer: Option<Response>,
    waker: Waker,
}

/// All calls under way, and the time.
#[derive(Debug, Default)]
pub(super) struct Wire {
    pub(super) now: Millis,
    pub(super) calls: BTreeMap<CallId, Call>,
    next: CallId,
}

impl Wire {
    pub(super) fn at(now: Millis) -> Self {
        Self {
            now,
            ..Self::default()
        }
    }

    /// Lets a call's answer through to its run.
    pub(super) fn answer(&mut self, id: CallId, answer: Response) {
        if let Some(call) = self.calls.get_mut(&id) {
            call.answer = Some(answer);
            call.waker.wake_by_ref();
        }
    }

    /// Whether the run has been answered, and only has to be woken.
    pub(super) fn is_answered(&self, id: CallId) -> bool {
        self.calls
            .get(&id)
            .is_some_and(|call| call.answer.is_some())
    }
}

/// One run's end of the wire.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) wire: Rc<RefCell<Wire>>,
    pub(super) run: RunNumber,
    /// How far its host's clock is ahead of the true time; it may be set at any moment.
    pub(super) host: Rc<Cell<Millis>>,
    /// What the store and the query server said the time is, last.
    pub(super) store_time: LastAnswer,
    pub(super) server_time: LastAnswer,
}

impl Line {
    async fn call(&self, request: Request) -> Response {
        let asked_at = self.now();
        let of_server = matches!(request, Request::Query(_));
        let of_store = !of_server && !matches!(request, Request::Publish { .. });
        let (response, date) = self.exchange(request).await;
        let date = date.filter(|_| !matches!(response, Response::Failed));
        let time = date.map(|date| ServerTime {
            date: Timestamp::from_millis(date - date.rem_euclid(SECOND)),
            asked_at,
            answered_at: self.now(),
        });
        if of_server {
            self.server_time.note(time);
        } else if of_store {
            self.store_time.note(time);
        }
        response
    }

    async fn exchange(&self, request: Request) -> (Response, Option<Millis>) {
        let mut request = Some(request);
        let mut id = 0;
        poll_fn(|context| {
            let mut wire = self.wire.borrow_mut();
            let asked_at = wire.now + self.host.get();
            if let Some(request) = request.take() {
                wire.next += 1;
                id = wire.next;
                wire.calls.insert(
                    id,
                    Call {
                        run: self.run,
                        request,
                        asked_at,
                        outcome: None,
                        date: None,
                        answer: None,
                        waker: context.waker().clone(),
                    },
                );
                return Poll::Pending;
            }
            let call = wire.calls.get_mut(&id).expect("only its run ends a call");
            match call.answer.take() {
                Some(answer) => {
                    let date = call.date;
                    wire.calls.remove(&id);
                    Poll::Ready((answer, date))
                }
                None => {
                    call.waker = context.waker().clone();
                    Poll::Pending
                }
            }
        })
        .await
    }
}

fn store_failed() -> StoreError {
    StoreError {
        doing: "talking to the store".to_owned(),
        source: "no answer".into(),
    }
}

impl Clock for Line {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.wire.borrow().now + self.host.get())
    }

    fn is_of_host(&self) -> bool {
        true
    }
}

impl StateStore for Line {
    fn take_server_time(&self) -> Option<ServerTime> {
        self.store_time.take()
    }

    async fn load(&self) -> Result<Option<(Vec<u8>, Version)>, StoreError> {
        match self.call(Request::Load).await {
            Response::Loaded(found) => {
                Ok(found.map(|(document, version)| (document, Version(version))))
            }
            _ => Err(store_failed()),
        }
    }

    async fn commit(
        &self,
        document: &[u8],
        parent: Option<Version>,
    ) -> Result<Version, CommitError> {
        let request = Request::Commit {
            document: document.to_vec(),
            parent: parent.map(|Version(version)| version),
        };
        match self.call(request).await {
            Response::Committed(version) => Ok(Version(version)),
            Response::Conflict => Err(CommitError::Conflict),
            _ => Err(CommitError::Store(store_failed())),
        }
    }

    async fn put_config(&self, name: &str, config: &[u8]) -> Result<(), StoreError> {
        let request = Request::PutConfig {
            name: name.to_owned(),
            config: config.to_vec(),
        };
        match self.call(request).await {
            Response::Stored => Ok(()),
            _ => Err(store_failed()),
        }
    }

    async fn get_config(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let request = Request::GetConfig {
            name: name.to_owned(),
        };
        match self.call(request).await {
            Response::Config(config) => Ok(config),
            _ => Err(store_failed()),
        }
    }
}

impl Querier for Line {
    fn take_server_time(&self) -> Option<ServerTime> {
        self.server_time.take()
    }

    async fn query(&self, ask: &Ask, _deadline: Timestamp) -> Result<Answer, QueryFailure> {
        match self.call(Request::Query(ask.clone())).await {
            Response::Answered(answer) => Ok(answer),
            Response::Refused(message) => Err(QueryFailure {
                kind: FailureKind::Refused,
                message,
                server: None,
            }),
            _ => Err(QueryFailure {
                kind: FailureKind::Transient,
                message: "the answer stopped short".to_owned(),
                server: None,
            }),
        }
    }
}

impl Notifier for Line {
    async fn publish(&self, outgoing: &Outgoing<'_>) -> Result<(), PublishError> {
        let request = Request::Publish {
            notification: serde_json::to_value(outgoing.notification)
                .expect("it is stored as JSON"),
            subject: outgoing.text().subject,
        };
        match self.call(request).await {
            Response::Published => Ok(()),
            Response::Refused(message) => Err(PublishError::Refused(message)),
            _ => Err(PublishError::Transient("no answer".to_owned())),
        }
    }
}
