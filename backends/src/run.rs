//! One run: what the schedule wakes. It reads the clock once, loads the state, evaluates what
//! is due, commits, publishes.
//!
//! Runs are idempotent: the trigger carries no data, and duplicate, late or concurrent runs lead to
//! the same alerts. The next run is the retry of a failed one.

mod clock_check;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use alerting::config::{Config, ConfigFiles, Settings};
use alerting::evaluation::{Evaluation, Progress};
use alerting::notify::{self, Silence, Trouble, Undelivered, silence, subscribers};
use alerting::query::{Answer, Ask, At, FailureKind, QueryFailure};
use alerting::rules::RuleKey;
use alerting::server::{Queried, ServerDown, ServerFailure, ServerTrouble};
use alerting::state::{State, StateError};
use alerting::timestamp::Timestamp;
use futures_util::{Stream, StreamExt, stream};

use self::clock_check::off_by;
use crate::clock::Clock;
use crate::emptied::{self, Last};
use crate::last_good;
use crate::notify::Notifier;
use crate::publish::Published;
use crate::server_time::ServerTime;
use crate::state::{CommitError, StateStore, StoreError, Version};

/// How long the topics' subscribers are looked up at most, once an hour: notifications wait for it.
const SUBSCRIBERS_WITHIN: Duration = Duration::from_secs(3);

/// Answers the core's questions.
pub trait Querier {
    /// Answers one question, or says why not, before `deadline`.
    fn query(
        &self,
        ask: &Ask,
        deadline: Timestamp,
    ) -> impl Future<Output = Result<Answer, QueryFailure>>;

    /// The host that it asks, as a message names it.
    fn host(&self) -> String {
        "the server".to_owned()
    }

    /// Asks whether the server answers queries at all; why not, if it does not.
    fn probe(
        &self,
        _now: Timestamp,
        _deadline: Timestamp,
    ) -> impl Future<Output = Option<QueryFailure>> {
        async { None }
    }

    /// The silences that are kept where it asks, or why they cannot be read; None where there
    /// are none to be honoured.
    fn silences(
        &self,
        _deadline: Timestamp,
    ) -> impl Future<Output = Option<Result<Vec<Silence>, String>>> {
        async { None }
    }

    /// What the server said the time is in its last answer, since this was last asked; None where
    /// it said nothing.
    fn take_server_time(&self) -> Option<ServerTime> {
        None
    }
}

/// How a run goes about it.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// How long a run takes on new work; what it did until then it commits.
    pub budget: Duration,
    /// How long a claim on a notification holds: longer than a run can live.
    pub claim: Duration,
    /// How many questions are under way at once.
    pub concurrency: usize,
    /// Whether rule files without alerting rules, and the loss of what was there, are intended.
    pub allow_empty: bool,
    /// What the user sets for that, as a message names it.
    pub allow_empty_name: &'static str,
}

impl Default for RunOptions {
    fn default() -> Self {
        Self {
            budget: Duration::from_secs(40),
            claim: Duration::from_secs(120),
            concurrency: 4,
            allow_empty: false,
            allow_empty_name: "--allow-empty",
        }
    }
}

/// The ruler and its connections to the world.
pub struct Ruler<C, Q, S, N> {
    /// The clock.
    pub clock: C,
    /// Answers queries.
    pub querier: Q,
    /// Keeps the state.
    pub store: S,
    /// Publishes.
    pub notifier: N,
    /// What is configured beside the rules.
    pub settings: Settings,
    /// How a run goes about it.
    pub options: RunOptions,
}

/// What a run did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunReport {
    /// Whether there was no state before: only the cursors were set.
    pub first: bool,
    /// What was evaluated.
    pub evaluated: Progress,
    /// What was published.
    pub published: Published,
    /// Why the configuration was refused, if it was.
    pub config_refused: Option<String>,
    /// Why the silences of the workspace's alert manager could not be read, if so: the last known
    /// ones hold.
    pub silences_unread: Option<String>,
    /// Rules with what they fail of, where it is not the server.
    pub failing: Vec<String>,
    /// The server, if it does not answer.
    pub server: Option<ServerDown>,
    /// How many rules are not evaluated because of that.
    pub without_answer: usize,
    /// How many alerting rules there are.
    pub rules: usize,
    /// Publishes without a recipient.
    pub undelivered: Undelivered,
    /// How many notifications stay pending.
    pub pending: usize,
    /// For how long the oldest tick has been due that is not evaluated; zero if none is.
    pub lag: Duration,
    /// How far the stored state is ahead of this host's clock: then nothing may be due, and that is
    /// no health. It is waited out; zero where it is not ahead.
    pub state_ahead: Duration,
    /// Whether the state was found to be from the future, and evaluation went on from now.
    pub clock_stepped: bool,
    /// How far the query server's clock is ahead of this one (behind it, if negative), in
    /// milliseconds, where the store's agrees with this one and the server's does not.
    pub server_clock_off_ms: Option<i64>,
    /// Where the time went.
    pub took: Timings,
}

impl RunReport {
    /// How many due ticks failed: for good, or until the server answers.
    pub fn failed(&self) -> usize {
        let unevaluated = self.evaluated.due.saturating_sub(self.evaluated.evaluated);
        self.evaluated.failed + unevaluated
    }

    /// Whether the run evaluated nothing of what was due, or could not have.
    pub fn evaluated_nothing(&self) -> bool {
        self.evaluated.evaluated == 0 && (self.evaluated.due > 0 || self.server.is_some())
    }

    /// Whether all that was due was done: each rule evaluated, by the configuration that is given,
    /// and each notification delivered.
    pub fn is_success(&self) -> bool {
        self.failed() == 0
            && self.lag.is_zero()
            && self.state_ahead.is_zero()
            && self.failing.is_empty()
            && self.server.is_none()
            && self.config_refused.is_none()
            && self.published.postponed.is_empty()
            && self.published.refused.is_empty()
    }
}

/// Where a run's time went, by its own clock.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timings {
    /// Loading the state and the configuration.
    pub load: Duration,
    /// Waiting for answers to the rules' questions.
    pub query: Duration,
    /// Evaluating, without that waiting.
    pub evaluate: Duration,
    /// Planning notifications and committing the state.
    pub commit: Duration,
    /// Rendering and publishing notifications, and striking them off.
    pub publish: Duration,
}

/// A run that could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The state could not be loaded or stored.
    #[error("the state store failed")]
    Store(#[from] StoreError),
    /// The stored document is not ours to read.
    #[error(transparent)]
    State(#[from] StateError),
    /// Another run was faster. It did the work.
    #[error("another run committed first; this one publishes nothing")]
    LostRace,
    /// The configuration does not load, and there is no earlier one.
    #[error("the configuration is refused, and there is no earlier one: {0}")]
    NoConfig(String),
    /// This host's clock is wrong, by what the servers say the time is. Nothing was committed.
    #[error(
        "this host's clock is {} the servers' (the Date of their answers): nothing was committed; \
         check the host's time synchronisation",
        off_by(*.ahead_ms)
    )]
    ClockWrong {
        /// How far the clock is ahead (behind, if negative), in milliseconds.
        ahead_ms: i64,
    },
    /// The state is from the future, and no server says which clock is wrong. Nothing was committed.
    #[error(
        "the state is {} s ahead of this host's clock, and no server's answer has a Date to show which is wrong: nothing was evaluated or committed, and the next run tries again; check the \
         time synchronisation of every host that runs dnswatch on this state",
        .ahead.as_secs()
    )]
    StateFromFuture {
        /// How far the state is ahead.
        ahead: Duration,
    },
    /// The clock was set while the run was at work, or the run was stopped for a while. Nothing more
    /// was committed.
    #[error(
        "the clock said {began} when the run began and says {now} now: it was set, or the run was \
         suspended; nothing more was committed, the next run does the work"
    )]
    ClockSet {
        /// When the run began.
        began: Timestamp,
        /// What the clock says since.
        now: Timestamp,
    },
}

impl RunError {
    /// Whether the clock or the time of the state is at fault.
    pub fn is_clock(&self) -> bool {
        matches!(
            self,
            Self::ClockWrong { .. } | Self::StateFromFuture { .. } | Self::ClockSet { .. }
        )
    }
}

impl From<CommitError> for RunError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Conflict => Self::LostRace,
            CommitError::Store(error) => Self::Store(error),
        }
    }
}

/// The state as it was last loaded or committed by this run.
struct Committed {
    document: Option<Vec<u8>>,
    version: Option<Version>,
}

impl<C: Clock, Q: Querier, S: StateStore, N: Notifier> Ruler<C, Q, S, N> {
    /// One run, known by `run_id`, which no other run has. `files` are the user's files as they
    /// are now, or why they cannot be read.
    pub async fn run(
        &self,
        run_id: &str,
        files: Result<impl Into<ConfigFiles>, String>,
    ) -> Result<RunReport, RunError> {
        let now = self.clock.now();
        let deadline = now.plus(self.options.budget);
        // However long evaluation takes, some time is left to notify.
        let evaluate_until = now.plus(self.options.budget / 4 * 3);
        let mut committed = Committed {
            document: None,
            version: None,
        };
        let mut state = State::default();
        let mut check = self.begin_clock_check(now);
        let loaded = self.store.load().await;
        self.check_clock_of_load(&mut check, deadline).await?;
        if let Some((document, version)) = loaded? {
            state = State::from_json(&document)?;
            committed.document = Some(document);
            committed.version = Some(version);
        }
        let mut report = RunReport {
            first: committed.version.is_none(),
            ..RunReport::default()
        };
        let config = self
            .config(&mut state, files.map(Into::into), &mut report)
            .await?;
        let ahead = self.put_state_right(&mut check, &mut state, &config, deadline);
        report.state_ahead = ahead.await?;
        report.clock_stepped = state.clock_step.is_some_and(|step| step.at == now);
        report.took.load = self.since(now);
        let troubles: Vec<Trouble> = report
            .config_refused
            .iter()
            .map(|error| Trouble::ConfigRefused {
                error: error.clone(),
            })
            .collect();

        let mut stopped = BTreeSet::new();
        let mut queried = Queried::default();
        loop {
            let began = self.clock.now();
            let more = self
                .evaluate(
                    &config,
                    &mut state,
                    now,
                    evaluate_until,
                    (&mut stopped, &mut queried),
                    &mut report,
                )
                .await;
            let evaluated = self.clock.now();
            report.took.evaluate += evaluated.since(began);
            if !more || evaluated >= evaluate_until {
                break;
            }
            self.check_clock_of_commit(&mut check)?;
            self.commit(&state, &mut committed).await?;
            report.took.commit += self.since(evaluated);
        }
        report.took.evaluate = report.took.evaluate.saturating_sub(report.took.query);
        self.ask_whether_it_answers(&mut state, (queried, report.first), now, deadline)
            .await;
        report.failing = state.failing_rules();
        report.without_answer = state.rules_without_answer(&config);
        report.server = state.server.clone();
        report.rules = config.groups.iter().map(|group| group.rules.len()).sum();
        report.lag = lag(&state, &config, now);

        if let Some(read) = self.querier.silences(deadline).await {
            report.silences_unread = read.as_ref().err().cloned();
            silence::take_workspace(&mut state.notify, read, now);
        }
        let due = subscribers::due(&state.notify, &config, now);
        let found = if due.is_empty() || self.clock.now() >= evaluate_until {
            Vec::new()
        } else {
            self.notifier.subscribers(&due, SUBSCRIBERS_WITHIN).await
        };
        subscribers::take(&mut state.notify, &config, found, now);
        report.undelivered = subscribers::undelivered(&state.notify, now);
        let began = self.clock.now();
        notify::plan(&mut state, &config, &troubles, now);
        let claimed_at = self.clock.now();
        let until = claimed_at.plus(self.options.claim);
        state.notify.outbox.claim(run_id, claimed_at, until);
        self.check_clock_of_commit(&mut check)?;
        report.server_clock_off_ms = check.server_is_off();
        self.commit(&state, &mut committed).await?;
        let done = self.clock.now();
        report.took.commit += done.since(began);

        report.published = self.publish(run_id, &config, &state, deadline).await;
        let settled = report.published.delivered + report.published.refused.len();
        report.pending = state.notify.outbox.pending().len().saturating_sub(settled);
        report.took.publish = self.since(done);
        Ok(report)
    }

    fn since(&self, earlier: Timestamp) -> Duration {
        self.clock.now().since(earlier)
    }

    /// The configuration in force: the one given, or the last good one.
    async fn config(
        &self,
        state: &mut State,
        files: Result<ConfigFiles, String>,
        report: &mut RunReport,
    ) -> Result<Config, RunError> {
        let loaded = files.and_then(|files| {
            let config = self.settings.load(&files).map_err(|errors| {
                let first = errors.first().map(ToString::to_string).unwrap_or_default();
                match errors.len() {
                    0 | 1 => first,
                    more => format!("{first} (and {} more)", more - 1),
                }
            })?;
            Ok((files, config))
        });
        let accepted = match loaded {
            Ok((files, config)) => {
                let (name, packed) = last_good::pack(&files)?;
                let is_new = state.config.as_deref() != Some(&name);
                match self.emptied(state, &files, &config, is_new).await? {
                    Some(error) => Err(error),
                    None => {
                        if is_new {
                            self.store.put_config(&name, &packed).await?;
                            state.config = Some(name);
                        }
                        Ok(config)
                    }
                }
            }
            Err(error) => Err(error),
        };
        match accepted {
            Ok(config) => Ok(config),
            Err(error) => {
                let refused = || RunError::NoConfig(error.clone());
                let name = state.config.as_deref().ok_or_else(refused)?;
                let packed = self.store.get_config(name).await?.ok_or_else(refused)?;
                let files = last_good::unpack(&packed)?;
                let config = self.settings.load(&files).map_err(|_| refused())?;
                report.config_refused = Some(error);
                Ok(config)
            }
        }
    }

    /// Why the configuration is refused for what it lost, if so.
    async fn emptied(
        &self,
        state: &State,
        files: &ConfigFiles,
        config: &Config,
        is_new: bool,
    ) -> Result<Option<String>, RunError> {
        if self.options.allow_empty {
            return Ok(None);
        }
        let last = match &state.config {
            Some(name) if is_new => self.store.get_config(name).await?,
            _ => None,
        };
        // One that is damaged has nothing that could be held on to.
        let last = last.and_then(|packed| {
            let files = last_good::unpack(&packed).ok()?;
            let config = self.settings.load(&files).ok();
            Some(Last { files, config })
        });
        let allow = self.options.allow_empty_name;
        Ok(emptied::refusal(files, config, last.as_ref(), allow))
    }

    /// Evaluates one chunk of what is due. Whether there is more that can be evaluated now.
    async fn evaluate(
        &self,
        config: &Config,
        state: &mut State,
        now: Timestamp,
        deadline: Timestamp,
        (stopped, queried): (&mut BTreeSet<RuleKey>, &mut Queried),
        report: &mut RunReport,
    ) -> bool {
        let mut chunk = Evaluation::plan(
            &config.groups,
            &mut state.rules,
            now,
            &config.evaluation,
            stopped,
        );
        loop {
            let asks = chunk.asks(&mut state.rules);
            if asks.is_empty() {
                break;
            }
            let began = self.clock.now();
            for (ask, answer) in self.fetch(asks, deadline).await {
                queried.note(&answer);
                chunk.answer(ask, answer);
            }
            report.took.query += self.since(began);
        }
        let progress = chunk.finish(&state.rules, stopped);
        let more = progress.more;
        report.evaluated.add(&progress);
        more
    }

    /// Takes down whether the server answers. It is asked where nothing else was, and it is not
    /// known to answer: on the first run, and while it does not.
    async fn ask_whether_it_answers(
        &self,
        state: &mut State,
        (mut queried, is_first): (Queried, bool),
        now: Timestamp,
        deadline: Timestamp,
    ) {
        let is_unknown = is_first || state.server.is_some();
        if queried.is_empty() && is_unknown {
            let failure = self.querier.probe(now, deadline).await;
            queried.note(&failure.map_or(Ok(()), Err));
        }
        state.server = queried.judge(state.server.take(), &self.querier.host(), now);
    }

    /// Asks all of `asks`, some at a time.
    pub(crate) async fn fetch(
        &self,
        asks: Vec<Ask>,
        deadline: Timestamp,
    ) -> Vec<(Ask, Result<Answer, QueryFailure>)> {
        let concurrency = self.options.concurrency;
        fetch(&self.querier, &self.clock, concurrency, asks, deadline).await
    }

    /// Commits the state, unless it is what is stored already.
    async fn commit(&self, state: &State, committed: &mut Committed) -> Result<(), RunError> {
        let document = state.to_json()?;
        if committed.document.as_ref() == Some(&document) {
            return Ok(());
        }
        let version = self.store.commit(&document, committed.version).await?;
        committed.document = Some(document);
        committed.version = Some(version);
        Ok(())
    }
}

/// Asks all of `asks`, `concurrency` at a time, none after `deadline`. The oldest comes first: a rule
/// that found no time in one run has it in the next.
pub(crate) async fn fetch(
    querier: &impl Querier,
    clock: &impl Clock,
    concurrency: usize,
    asks: Vec<Ask>,
    deadline: Timestamp,
) -> Vec<(Ask, Result<Answer, QueryFailure>)> {
    answers(querier, clock, concurrency, asks, deadline)
        .collect()
        .await
}

/// The same, answer by answer as they come.
pub(crate) fn answers(
    querier: &impl Querier,
    clock: &impl Clock,
    concurrency: usize,
    mut asks: Vec<Ask>,
    deadline: Timestamp,
) -> impl Stream<Item = (Ask, Result<Answer, QueryFailure>)> {
    asks.sort_by_key(|ask| match ask.at {
        At::Instant(at) => at,
        At::Range { start, .. } => start,
    });
    let server = Arc::new(Server::default());
    stream::iter(asks)
        .map(move |ask| {
            let server = Arc::clone(&server);
            async move {
                let answer = if let Some(failure) = server.known_failure() {
                    Err(failure)
                } else if clock.now() < deadline {
                    querier.query(&ask, deadline).await
                } else {
                    Err(time_is_used_up())
                };
                server.note(&answer);
                (ask, answer)
            }
        })
        .buffer_unordered(concurrency.max(1))
}

fn time_is_used_up() -> QueryFailure {
    let message = "run deadline exceeded".to_owned();
    QueryFailure {
        kind: FailureKind::Transient,
        server: Some(Box::new(ServerFailure {
            trouble: ServerTrouble::Slow,
            is_certain: true,
            cause: message.clone(),
        })),
        message,
    }
}

/// What is known of the server while it is asked: where it has answered nothing, and there is no
/// connection to it, the other questions are not sent. Each would take its attempts, and all of
/// them the time in which people are notified. Any other failure may be one query's alone: a proxy may
/// refuse some of them, and the rules behind those come first because they are the oldest.
#[derive(Default)]
struct Server {
    has_answered: AtomicBool,
    failure: Mutex<Option<QueryFailure>>,
}

impl Server {
    fn known_failure(&self) -> Option<QueryFailure> {
        match self.has_answered.load(Ordering::Relaxed) {
            true => None,
            false => self.failure().clone(),
        }
    }

    fn failure(&self) -> MutexGuard<'_, Option<QueryFailure>> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, answer: &Result<Answer, QueryFailure>) {
        match answer {
            Err(failure) if failure.kind == FailureKind::Transient => {
                let is_gone = failure.server.as_ref().is_some_and(|server| {
                    server.is_certain && server.trouble == ServerTrouble::Unreachable
                });
                if is_gone {
                    *self.failure() = Some(failure.clone());
                }
            }
            _ => self.has_answered.store(true, Ordering::Relaxed),
        }
    }
}

fn lag(state: &State, config: &Config, now: Timestamp) -> Duration {
    let lags = config.groups.iter().flat_map(|group| {
        let last = now.align_down(group.interval);
        group.rules.iter().filter_map(move |rule| {
            let until = state.rules.get(&rule.key)?.evaluated_until;
            let first = until.align_down(group.interval).plus(group.interval);
            (first <= last).then(|| now.since(first))
        })
    });
    lags.max().unwrap_or_default()
}
