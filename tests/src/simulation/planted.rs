//! Bugs on purpose. Each is what the shell around it would do if an invariant had been
//! forgotten, made by connections that do not keep their word.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use alerting::labels::Labels;
use alerting::notify::Outgoing;
use alerting::query::{Answer, Ask, At, QueryFailure, ResultType, Sample, Series};
use alerting::timestamp::Timestamp;
use backends::clock::Clock;
use backends::notify::{Notifier, PublishError};
use backends::run::Querier;
use backends::state::{CommitError, StateStore, StoreError, Version};
use serde_json::Value;

use super::checker::Invariant;
use super::server;
use super::wire::Line;
use super::world::{Millis, NODES};

/// What is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bug {
    /// What a commit would store is published before it is stored.
    PublishBeforeCommit,
    /// A commit does not ask whether another came first.
    NoFence,
    /// A query that fails counts as an empty answer.
    ResolveOnError,
    /// The cursor of a rule that could not be evaluated moves on all the same.
    CursorPastFailure,
    /// The question whether the inputs have samples is always answered yes.
    AlwaysPresent,
    /// A claim has no end.
    ClaimForEver,
    /// Another run's claim is not respected.
    ClaimIgnored,
    /// The claim is not looked at again before publishing.
    ClaimNotRechecked,
    /// A publish that failed counts as delivered.
    DroppedWhenFailed,
    /// A notification is numbered as the one before it.
    SequenceReused,
    /// Groups are flushed without waiting.
    FlushedEarly,
    /// Groups are flushed later than they should be.
    FlushedLate,
    /// What ended unseen is forgotten.
    PastForgotten,
    /// Ticks that are too old are skipped without a word.
    TickSkippedSilently,
}

impl Bug {
    /// All of them, each with an invariant that alone must find it.
    pub(super) const ALL: [(Self, Invariant); 14] = [
        (Self::PublishBeforeCommit, Invariant::Outbox),
        (Self::NoFence, Invariant::Outbox),
        (Self::ResolveOnError, Invariant::NoFalseAllClear),
        (Self::CursorPastFailure, Invariant::Ticks),
        (Self::AlwaysPresent, Invariant::NoFalseAllClear),
        (Self::ClaimForEver, Invariant::Outbox),
        (Self::ClaimIgnored, Invariant::Outbox),
        (Self::ClaimNotRechecked, Invariant::Outbox),
        (Self::DroppedWhenFailed, Invariant::Outbox),
        (Self::SequenceReused, Invariant::Outbox),
        (Self::FlushedEarly, Invariant::Telling),
        (Self::FlushedLate, Invariant::Telling),
        (Self::PastForgotten, Invariant::Telling),
        (Self::TickSkippedSilently, Invariant::Ticks),
    ];
}

/// A run's connections, with or without a bug.
pub(super) struct Planted {
    line: Line,
    bug: Option<Bug>,
    /// When the run began.
    began: Millis,
    /// What was said to be stored, and is not yet.
    withheld: RefCell<Option<(Vec<u8>, Option<Version>)>>,
    /// What this run stored last.
    stored: RefCell<Option<(Vec<u8>, Version)>>,
    just_published: Cell<bool>,
    loaded: Cell<bool>,
}

impl Planted {
    pub(super) fn new(line: Line, bug: Option<Bug>) -> Self {
        Self {
            began: line.now().as_millis(),
            line,
            bug,
            withheld: RefCell::new(None),
            stored: RefCell::new(None),
            just_published: Cell::new(false),
            loaded: Cell::new(false),
        }
    }

    fn has(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    async fn catch_up(&self, parent: Option<Version>) -> Result<Option<Version>, CommitError> {
        let withheld = self.withheld.borrow_mut().take();
        match withheld {
            Some((document, before)) => Ok(Some(self.line.commit(&document, before).await?)),
            None => Ok(parent),
        }
    }
}

/// One connection of a run; all of a run's lead to the same place.
pub(super) struct Connection(Rc<Planted>);

impl From<Rc<Planted>> for Connection {
    fn from(planted: Rc<Planted>) -> Self {
        Self(planted)
    }
}

impl Clock for Connection {
    fn now(&self) -> Timestamp {
        self.0.line.now()
    }
}

impl StateStore for Connection {
    async fn load(&self) -> Result<Option<(Vec<u8>, Version)>, StoreError> {
        let planted = &self.0;
        if let Some((document, _)) = planted.withheld.borrow().as_ref() {
            return Ok(Some((document.clone(), Version(0))));
        }
        let after_publishing = planted.just_published.replace(false);
        if planted.has(Bug::ClaimNotRechecked)
            && !after_publishing
            && let Some(stored) = planted.stored.borrow().clone()
        {
            return Ok(Some(stored));
        }
        let mut found = planted.line.load().await?;
        let first = !planted.loaded.replace(true);
        if let (Some(bug), Some((document, _)), true) = (planted.bug, &mut found, first) {
            change(document, |state| on_load(bug, state));
        }
        Ok(found)
    }

    async fn commit(
        &self,
        document: &[u8],
        parent: Option<Version>,
    ) -> Result<Version, CommitError> {
        let planted = &self.0;
        let mut document = document.to_vec();
        if let Some(bug) = planted.bug {
            let began = planted.began;
            change(&mut document, |state| on_commit(bug, state, began));
        }
        let first = planted.stored.borrow().is_none();
        let version = match planted.bug {
            Some(Bug::PublishBeforeCommit) if first && parent.is_some() => {
                *planted.withheld.borrow_mut() = Some((document.clone(), parent));
                Version(0)
            }
            Some(Bug::PublishBeforeCommit) => {
                let parent = planted.catch_up(parent).await?;
                planted.line.commit(&document, parent).await?
            }
            Some(Bug::NoFence) => {
                let current = planted.line.load().await?;
                let parent = current.map(|(_, version)| version);
                planted.line.commit(&document, parent).await?
            }
            _ => planted.line.commit(&document, parent).await?,
        };
        *planted.stored.borrow_mut() = Some((document, version));
        Ok(version)
    }

    async fn put_config(&self, name: &str, config: &[u8]) -> Result<(), StoreError> {
        self.0.line.put_config(name, config).await
    }

    async fn get_config(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.0.line.get_config(name).await
    }
}

impl Querier for Connection {
    async fn query(&self, ask: &Ask, deadline: Timestamp) -> Result<Answer, QueryFailure> {
        let planted = &self.0;
        let counts = server::narrowed_count(&ask.expr);
        if planted.has(Bug::AlwaysPresent)
            && let Some((_, nodes)) = counts
        {
            return Ok(answer(ask, |node| server::matches(nodes, node)));
        }
        let answered = planted.line.query(ask, deadline).await;
        match answered {
            Err(_) if planted.has(Bug::ResolveOnError) => {
                // Of the inputs it is not known to be wrong: only the alerts seem to be over.
                Ok(answer(ask, |node| {
                    counts.is_some_and(|(_, nodes)| server::matches(nodes, node))
                }))
            }
            answered => answered,
        }
    }
}

impl Notifier for Connection {
    async fn publish(&self, outgoing: &Outgoing<'_>) -> Result<(), PublishError> {
        let planted = &self.0;
        planted.just_published.set(true);
        match planted.line.publish(outgoing).await {
            Err(PublishError::Transient(_)) if planted.has(Bug::DroppedWhenFailed) => Ok(()),
            result => result,
        }
    }
}

/// An answer that has the nodes for which `has` holds, at every moment.
fn answer(ask: &Ask, has: impl Fn(&str) -> bool) -> Answer {
    let samples: Vec<Sample> = server::moments(ask.at)
        .into_iter()
        .map(|at| Sample {
            at: Timestamp::from_millis(at),
            value: 1.0,
        })
        .collect();
    let result_type = match ask.at {
        At::Instant(_) => ResultType::Vector,
        At::Range { .. } => ResultType::Matrix,
    };
    let series = NODES.iter().filter(|node| has(node)).map(|node| Series {
        labels: Labels::from_iter([("node", *node)]),
        samples: samples.clone(),
    });
    Answer::new(result_type, series.collect())
}

fn change(document: &mut Vec<u8>, by: impl FnOnce(&mut Value)) {
    let mut state: Value = serde_json::from_slice(document).expect("it is JSON");
    let before = state.clone();
    by(&mut state);
    if state != before {
        *document = serde_json::to_vec(&state).expect("it was JSON");
    }
}

fn items<'a>(state: &'a mut Value, path: &str) -> Vec<&'a mut Value> {
    match state.pointer_mut(path) {
        Some(Value::Array(items)) => items.iter_mut().collect(),
        Some(Value::Object(items)) => items.iter_mut().map(|(_, item)| item).collect(),
        _ => Vec::new(),
    }
}

fn on_load(bug: Bug, state: &mut Value) {
    match bug {
        Bug::ClaimIgnored => {
            for owed in items(state, "/notify/outbox/owed") {
                if let Some(owed) = owed.as_object_mut() {
                    owed.remove("claim");
                }
            }
        }
        Bug::SequenceReused => {
            for entry in items(state, "/notify/nflog") {
                let before = entry["sequence"].as_u64().unwrap_or(1);
                entry["sequence"] = Value::from(before.saturating_sub(1));
            }
        }
        Bug::FlushedEarly | Bug::FlushedLate => {
            for group in items(state, "/notify/groups") {
                let at = group["next_flush"].as_i64().unwrap_or(0);
                let by = if bug == Bug::FlushedEarly {
                    -120_000
                } else {
                    120_000
                };
                group["next_flush"] = Value::from(at + by);
            }
        }
        _ => {}
    }
}

fn on_commit(bug: Bug, state: &mut Value, began: Millis) {
    match bug {
        Bug::ClaimForEver => {
            for owed in items(state, "/notify/outbox/owed") {
                if let Some(claim) = owed.get_mut("claim") {
                    claim["until"] = Value::from(i64::MAX);
                }
            }
        }
        Bug::CursorPastFailure => {
            for rule in items(state, "/rules") {
                let stopped = rule["health"]["failure"]["refused"] == Value::Bool(false);
                let interval = match rule["id"]["group"].as_str() {
                    Some("quick") => 15_000,
                    _ => 60_000,
                };
                if stopped {
                    rule["evaluated_until"] = Value::from(began - began % interval);
                }
            }
        }
        Bug::TickSkippedSilently => {
            for rule in items(state, "/rules") {
                if let Some(health) = rule.get_mut("health").and_then(Value::as_object_mut) {
                    health.remove("skipped");
                }
            }
        }
        Bug::PastForgotten => {
            for rule in items(state, "/rules") {
                for alert in items(rule, "/active") {
                    if let Some(alert) = alert.as_object_mut() {
                        alert.remove("late");
                    }
                }
            }
            for entry in items(state, "/notify/alerts") {
                if let Some(entry) = entry.as_object_mut() {
                    entry.remove("past");
                }
            }
        }
        _ => {}
    }
}
