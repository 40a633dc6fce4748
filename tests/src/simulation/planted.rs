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
use backends::server_time::ServerTime;
use backends::state::{CommitError, StateStore, StoreError, Version};
use serde_json::{Value, json};

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
    /// The claim is ignored again before publishing.
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
    /// What servers say the time is is ignored.
    WitnessIgnored,
    /// This host's own clock is taken for what the server said.
    WitnessMadeUp,
    /// A server's time is taken for older than it is: as a cache keeps it.
    WitnessFrozen,
    /// The clock is read once a run.
    ClockReadOnce,
    /// A state from the future, and so nothing due, is taken for health.
    FutureIsHealth,
    /// State from the future is put right, but for cursors.
    CursorStaysAhead,
    /// But for groups' deadlines.
    DeadlineStaysAhead,
    /// Except the times of notifications.
    LogStaysAhead,
    /// But for claims.
    ClaimStaysAhead,
    /// But for alerts that ended in the future.
    EndInTheFutureStays,
    /// The notification log is forgotten with the future.
    LogForgottenAtStep,
    /// A wrong clock is not reported.
    StepUnsaid,
    /// Half of a document is taken for an empty one.
    TornIsEmpty,
    /// What is there of a rule file that is being written is taken for all of it.
    CutOffIsWhole,
}

impl Bug {
    /// All of them, each with an invariant that alone must find it.
    pub(super) const ALL: [(Self, Invariant); 28] = [
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
        (Self::FlushedEarly, Invariant::NotifyModel),
        (Self::FlushedLate, Invariant::NotifyModel),
        (Self::PastForgotten, Invariant::NotifyModel),
        (Self::TickSkippedSilently, Invariant::Ticks),
        (Self::WitnessIgnored, Invariant::Clock),
        (Self::WitnessMadeUp, Invariant::Clock),
        (Self::WitnessFrozen, Invariant::Clock),
        (Self::ClockReadOnce, Invariant::Outbox),
        (Self::FutureIsHealth, Invariant::Clock),
        (Self::CursorStaysAhead, Invariant::Ticks),
        (Self::DeadlineStaysAhead, Invariant::NotifyModel),
        (Self::LogStaysAhead, Invariant::Clock),
        (Self::ClaimStaysAhead, Invariant::Outbox),
        (Self::EndInTheFutureStays, Invariant::State),
        (Self::LogForgottenAtStep, Invariant::NotifyModel),
        (Self::StepUnsaid, Invariant::NotifyModel),
        (Self::TornIsEmpty, Invariant::Ticks),
        (Self::CutOffIsWhole, Invariant::Ticks),
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
    /// The document as the run's first load found it.
    as_loaded: RefCell<Value>,
    first_time: RefCell<Option<ServerTime>>,
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
            as_loaded: RefCell::new(Value::Null),
            first_time: RefCell::new(None),
            just_published: Cell::new(false),
            loaded: Cell::new(false),
        }
    }

    /// What a run makes of the time that a server says.
    fn witness(&self, time: Option<ServerTime>) -> Option<ServerTime> {
        let now = self.line.now();
        match self.bug {
            // Whatever the clock says is taken for what the server said.
            Some(Bug::WitnessMadeUp) => Some(ServerTime {
                date: now,
                asked_at: now,
                answered_at: now,
            }),
            // As if the answer had been made when it was read.
            Some(Bug::WitnessFrozen) => {
                let mut first = self.first_time.borrow_mut();
                let first = *first.get_or_insert(time?);
                Some(ServerTime {
                    date: Timestamp::from_millis(first.date.as_millis() - 15 * 60_000),
                    ..first
                })
            }
            _ => time,
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
        if self.0.has(Bug::ClockReadOnce) {
            return Timestamp::from_millis(self.0.began);
        }
        self.0.line.now()
    }

    fn is_of_host(&self) -> bool {
        self.0.line.is_of_host() && !self.0.has(Bug::WitnessIgnored)
    }
}

impl StateStore for Connection {
    fn take_server_time(&self) -> Option<ServerTime> {
        let time = StateStore::take_server_time(&self.0.line);
        self.0.witness(time)
    }

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
        if let Some((document, _)) = &mut found
            && planted.has(Bug::TornIsEmpty)
            && serde_json::from_slice::<Value>(document).is_err()
        {
            *document = serde_json::to_vec(&json!({"format": 2, "rules": {}, "notify": {}}))
                .expect("it is JSON");
        }
        if let (Some(bug), Some((document, _)), true) = (planted.bug, &mut found, first)
            && let Ok(state) = serde_json::from_slice(document)
        {
            *planted.as_loaded.borrow_mut() = state;
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
            let as_loaded = planted.as_loaded.borrow();
            change(&mut document, |state| {
                on_commit(bug, state, began);
                stay_ahead(bug, state, &as_loaded, began);
            });
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
    fn take_server_time(&self) -> Option<ServerTime> {
        let time = Querier::take_server_time(&self.0.line);
        self.0.witness(time)
    }

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
            for pending in items(state, "/notify/outbox/owed") {
                if let Some(pending) = pending.as_object_mut() {
                    pending.remove("claim");
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
            for pending in items(state, "/notify/outbox/owed") {
                if let Some(claim) = pending.get_mut("claim") {
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

/// What lay in the future when the run began is written as it was.
fn stay_ahead(bug: Bug, state: &mut Value, before: &Value, began: Millis) {
    let is_future = |at: &Value| at.as_i64().is_some_and(|at| at > began);
    let keyed = |path: &str, field: &str, state: &mut Value| {
        let Some(Value::Object(old)) = before.pointer(path) else {
            return;
        };
        for (key, old) in old {
            if is_future(&old[field])
                && let Some(new) = state.pointer_mut(path).and_then(|all| all.get_mut(key))
            {
                new[field] = old[field].clone();
            }
        }
    };
    // There was a step only where the future reached further than is waited out.
    let stepped = state["clock_step"]["at"] == began;
    if !stepped {
        return;
    }
    match bug {
        Bug::CursorStaysAhead => keyed("/rules", "evaluated_until", state),
        Bug::DeadlineStaysAhead => keyed("/notify/groups", "next_flush", state),
        Bug::StepUnsaid => {
            if let Some(state) = state.as_object_mut() {
                state.remove("clock_step");
            }
        }
        Bug::LogForgottenAtStep => {
            if let Some(notify) = state["notify"].as_object_mut() {
                notify.remove("nflog");
            }
        }
        Bug::LogStaysAhead => {
            let old = before.pointer("/notify/nflog").and_then(Value::as_array);
            for (entry, old) in items(state, "/notify/nflog")
                .into_iter()
                .zip(old.into_iter().flatten())
            {
                if entry["group_key"] == old["group_key"] && is_future(&old["timestamp"]) {
                    entry["timestamp"] = old["timestamp"].clone();
                }
            }
        }
        Bug::ClaimStaysAhead => {
            let old = before
                .pointer("/notify/outbox/owed")
                .and_then(Value::as_array);
            for pending in items(state, "/notify/outbox/owed") {
                let mut same = old.into_iter().flatten();
                if let Some(old) = same.find(|old| old["id"] == pending["id"])
                    && let Some(claim) = old.get("claim")
                {
                    pending["claim"] = claim.clone();
                }
            }
        }
        Bug::EndInTheFutureStays => {
            let old = before.pointer("/rules").and_then(Value::as_object);
            for (key, old) in old.into_iter().flatten() {
                let Some(rule) = state["rules"].get_mut(key) else {
                    continue;
                };
                for old in old["active"].as_array().into_iter().flatten() {
                    let labels = &old["labels"];
                    for alert in items(rule, "/active") {
                        if alert["labels"] == *labels && is_future(&old["resolved_at"]) {
                            *alert = old.clone();
                        }
                    }
                }
            }
        }
        _ => {}
    }
}
