//! What rules would have done over a span of history: run after run as the schedule would have
//! woken them, with the time of each as a parameter, and nothing stored or published.
//!
//! It is the core of a run ([`crate::run`]): the same evaluation, the same notification. History
//! comes in chunks of time; while one is evaluated the next is fetched, and there is never more in
//! memory.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::pin::pin;
use std::time::Duration;

use alerting::alert::AlertState;
use alerting::config::Config;
use alerting::evaluation::{self, Evaluation, EvaluationOptions, Happened, Progress};
use alerting::labels::Labels;
use alerting::notify::{self, Notification, quiet};
use alerting::query::{Answer, Ask, FailureKind, QueryFailure};
use alerting::rules::{RuleGroup, RuleKey};
use alerting::state::{RuleState, State};
use alerting::timestamp::Timestamp;
use futures_util::StreamExt;
use tokio::task::{JoinError, JoinHandle};

use crate::clock::{Clock, SystemClock};
use crate::prometheus::PrometheusQuerier;
use crate::run;

/// How many samples a chunk is meant to have: its length follows from what the chunk before had.
const SAMPLES: usize = 250_000;
/// How many ticks of a group a chunk begins with, and how many it has at most: Prometheus answers
/// with up to 11,000 moments.
const FIRST_TICKS: u32 = 120;
const MOST_TICKS: u32 = 10_000;
/// The name by which the outbox knows who delivers.
const RUN: &str = "backtest";

/// A backtest that is ready to go.
pub struct Backtest {
    /// Answers queries.
    pub querier: PrometheusQuerier<SystemClock>,
    /// Rules and routing. Runs are at the multiples of its `evaluation.schedule`.
    pub config: Config,
    /// The first moment.
    pub start: Timestamp,
    /// The last moment.
    pub end: Timestamp,
    /// How many questions are under way at once.
    pub concurrency: usize,
    /// How long a chunk's answers are waited for, tries again included.
    pub patience: Duration,
}

/// How far it is.
struct Replay {
    state: State,
    /// The last run in which the alerts of a notification group had news, by the group's key.
    changed: BTreeMap<String, Timestamp>,
    /// The last run in which anything may have had news.
    all_changed: Timestamp,
    /// Whether a rule fails or an alert is held, or rules have one name: then each run counts.
    must_plan_every_run: bool,
    /// The run that planned notifications last, unless one has been passed over since.
    planned: Option<Timestamp>,
    /// The notification groups that alerts of a rule were ever in.
    groups: BTreeMap<RuleKey, BTreeSet<String>>,
}

impl Replay {
    fn changed_at(&self, group_key: &str) -> Timestamp {
        let changed = self.changed.get(group_key).copied();
        changed.unwrap_or_default().max(self.all_changed)
    }
}

/// The events of a backtest, in the order of time.
#[derive(Debug, Clone, Copy)]
pub enum News<'a> {
    /// Something happened to a rule at a tick.
    Tick(&'a evaluation::Event<'a>),
    /// A notification would have been sent.
    Notification(&'a Notification),
    /// All events up to this time were reported.
    Until(Timestamp),
}

/// What a backtest covered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Covered {
    /// Ticks of rules, with those that failed.
    pub ticks: usize,
    /// Ticks of rules that failed.
    pub failed: usize,
}

/// Why a backtest did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum BacktestError {
    /// The server does not answer, and was asked as often as patience allows.
    #[error("the backtest stopped at {until}, and nothing is known of what follows: {failure}")]
    Unanswered {
        /// The time up to which the report is complete.
        until: Timestamp,
        /// The question.
        ask: Ask,
        /// What the server or the connection said.
        failure: QueryFailure,
    },
    /// The report could not be written.
    #[error("writing the result")]
    Output(#[from] io::Error),
    /// Fetching broke off.
    #[error("fetching the next chunk")]
    Fetch(#[source] JoinError),
}

type Answers = Vec<(Ask, Result<Answer, QueryFailure>)>;

impl Backtest {
    /// Replays history and reports its events. Needs a runtime with more than one thread: the next
    /// chunk is fetched while this thread reports.
    pub async fn run(
        mut self,
        report: &mut dyn FnMut(News<'_>) -> io::Result<()>,
    ) -> Result<Covered, BacktestError> {
        // All of the past is caught up with.
        self.config.evaluation = EvaluationOptions {
            max_catch_up: Duration::MAX,
            chunk: u32::MAX,
            ..self.config.evaluation
        };
        let before = self.start.minus(Duration::from_millis(1));
        let mut replay = Replay {
            state: State {
                rules: fresh(&self.config.groups, before),
                ..State::default()
            },
            changed: BTreeMap::new(),
            all_changed: before,
            must_plan_every_run: self.needs_every_run(),
            planned: None,
            groups: BTreeMap::new(),
        };
        let mut length = self.shortest_interval().saturating_mul(FIRST_TICKS);
        let mut chunk_end = self.chunk_end(before, length);
        let mut ahead = self.fetch_ahead(before, chunk_end);
        let mut reported = before;
        let mut covered = Covered::default();
        while reported < self.end {
            let answers = (&mut ahead.0).await.map_err(BacktestError::Fetch)?;
            length = self.next_length(length, &answers);
            let end = chunk_end;
            chunk_end = self.chunk_end(end, length);
            ahead = self.fetch_ahead(end, chunk_end);
            let progress = self
                .chunk(&mut replay, answers, reported, end, report)
                .await?;
            covered.ticks += progress.evaluated;
            covered.failed += progress.failed;
            reported = end;
        }
        Ok(covered)
    }

    /// The runs after `after` and up to `end`, with the answers that were fetched for them.
    async fn chunk(
        &self,
        replay: &mut Replay,
        answers: Answers,
        after: Timestamp,
        end: Timestamp,
        report: &mut dyn FnMut(News<'_>) -> io::Result<()>,
    ) -> Result<Progress, BacktestError> {
        let none = BTreeSet::new();
        let Config {
            groups, evaluation, ..
        } = &self.config;
        let mut chunk = Evaluation::plan(groups, &mut replay.state.rules, end, evaluation, &none);
        chunk.record();
        self.answered(&mut chunk, answers, after)?;
        let mut reported = after;
        while reported < end {
            let run = self.next_run(&chunk, replay, reported, end);
            let now = run.min(end);
            let settle = |_: &RuleKey| now == end;
            self.advance(&mut chunk, replay, now, &settle, reported)
                .await?;
            let events = chunk.take_events();
            let news = self.note(&events, replay, now);
            for event in &events {
                report(News::Tick(event))?;
            }
            // Ticks after the last run are evaluated, but no run notifies about them.
            if now == run && self.plans(&news, replay, now) {
                let rules_notified = self.rules_notified(news, replay, now);
                // Where each run counts, so do all values at it.
                let all = replay.must_plan_every_run;
                let settle = |rule: &RuleKey| all || rules_notified.contains(rule);
                self.advance(&mut chunk, replay, now, &settle, reported)
                    .await?;
                self.notify(&mut replay.state, now, report)?;
                replay.planned = Some(now);
            }
            report(News::Until(now))?;
            reported = now;
        }
        Ok(chunk.finish(&replay.state.rules, &mut BTreeSet::new()))
    }

    /// Evaluates up to `now`.
    async fn advance(
        &self,
        chunk: &mut Evaluation<'_>,
        replay: &mut Replay,
        now: Timestamp,
        settle: &dyn Fn(&RuleKey) -> bool,
        reported: Timestamp,
    ) -> Result<(), BacktestError> {
        loop {
            let asks = chunk.asks_until(now, settle, &mut replay.state.rules);
            if asks.is_empty() {
                return Ok(());
            }
            let deadline = SystemClock.now().plus(self.patience);
            let answers = fetch(&self.querier, self.concurrency, asks, deadline).await;
            self.answered(chunk, answers, reported)?;
        }
    }

    /// Notes which notification groups have news, and says which: those of alerts that fire from
    /// now on, or no longer. Others never notify.
    fn note(
        &self,
        events: &[evaluation::Event<'_>],
        replay: &mut Replay,
        now: Timestamp,
    ) -> BTreeSet<String> {
        let mut news = BTreeSet::new();
        for event in events {
            if let Happened::Changed { from, to, alert } = &event.what
                && [from, to].contains(&&AlertState::Firing)
            {
                let key = self.group_key(&alert.labels);
                let of_rule = replay.groups.entry(event.rule.key.clone()).or_default();
                of_rule.insert(key.clone());
                news.insert(key);
            }
        }
        for key in &news {
            replay.changed.insert(key.clone(), now);
        }
        // The ruler's own alerts report failing rules and held alerts.
        let must_plan_every_run = |rule: &RuleState| {
            rule.health.failure.is_some() || rule.active.values().any(|alert| alert.hold.is_some())
        };
        if replay.must_plan_every_run || replay.state.rules.values().any(must_plan_every_run) {
            let rules = &replay.state.rules;
            replay.must_plan_every_run =
                self.needs_every_run() || rules.values().any(must_plan_every_run);
            replay.all_changed = now;
        }
        news
    }

    /// Whether the run at `now` plans notifications.
    fn plans(&self, news: &BTreeSet<String>, replay: &Replay, now: Timestamp) -> bool {
        !news.is_empty()
            || replay.all_changed == now
            || self.next_plan(replay).is_some_and(|plan| plan <= now)
    }

    /// The rules whose alerts the run at `now` may notify about, so that their values count.
    fn rules_notified(
        &self,
        news: BTreeSet<String>,
        replay: &Replay,
        now: Timestamp,
    ) -> BTreeSet<RuleKey> {
        let notify = &replay.state.notify;
        let changed_at = |key: &str| replay.changed_at(key);
        let mut groups: BTreeSet<String> =
            quiet::next_plans(notify, &self.config.route, changed_at)
                .filter(|(_, plan)| *plan <= now)
                .map(|(key, _)| key.to_owned())
                .collect();
        // A new group may be notified at once.
        let are_new = news
            .into_iter()
            .filter(|key| !notify.groups.contains_key(key));
        groups.extend(are_new);
        let rules = replay.groups.iter();
        rules
            .filter(|(_, of_rule)| !of_rule.is_disjoint(&groups))
            .map(|(rule, _)| rule.clone())
            .collect()
    }

    /// The key of the notification group that an alert belongs to.
    fn group_key(&self, labels: &Labels) -> String {
        let sent = notify::sent_labels(labels, &self.config);
        let route = &self.config.route;
        route.group_key(&route.group_labels(&sent))
    }

    /// Hands answers to the chunk. What is not known is not guessed: the backtest ends there.
    fn answered(
        &self,
        chunk: &mut Evaluation<'_>,
        answers: Answers,
        until: Timestamp,
    ) -> Result<(), BacktestError> {
        for (ask, answer) in answers {
            match answer {
                Err(failure) if failure.kind == FailureKind::Transient => {
                    return Err(BacktestError::Unanswered {
                        until,
                        ask,
                        failure,
                    });
                }
                answer => chunk.answer(ask, answer),
            }
        }
        Ok(())
    }

    /// The second half of a run at `now`: every pending notification is reported and removed.
    fn notify(
        &self,
        state: &mut State,
        now: Timestamp,
        report: &mut dyn FnMut(News<'_>) -> io::Result<()>,
    ) -> Result<(), BacktestError> {
        notify::plan(state, &self.config, &[], now);
        let outbox = &mut state.notify.outbox;
        outbox.claim(RUN, now, now.plus(self.config.evaluation.schedule));
        let pending: Vec<Notification> = outbox.claimed_by(RUN, now).cloned().collect();
        for notification in &pending {
            report(News::Notification(notification))?;
            outbox.delivered(&notification.id, RUN);
        }
        Ok(())
    }

    /// The next run after `reported` that has work to do; one after `end` if none has. The runs
    /// before it would change no alert's state and notify about nothing.
    fn next_run(
        &self,
        chunk: &Evaluation<'_>,
        replay: &mut Replay,
        reported: Timestamp,
        end: Timestamp,
    ) -> Timestamp {
        let schedule = self.config.evaluation.schedule;
        let next = self.run_after(reported);
        // Failures and held alerts are reported after a fixed time, whatever the rules say.
        if replay.must_plan_every_run {
            return next;
        }
        let never = Timestamp::from_millis(i64::MAX);
        let run_at = |moment: Timestamp| {
            let aligned = moment.align_down(schedule);
            if aligned < moment {
                aligned.plus(schedule)
            } else {
                aligned
            }
        };
        let change = chunk.next_change().map_or(never, run_at);
        let plan = self.next_plan(replay).map_or(never, run_at);
        let run = change.min(plan).max(next);
        let passed = run.min(end.plus(Duration::from_millis(1)));
        let notify = &mut replay.state.notify;
        let passed_over = |planned: &mut Timestamp| self.run_after(*planned) < passed;
        if let Some(planned) = replay.planned.take_if(passed_over) {
            quiet::forget_empty(notify, &self.config.route, self.run_after(planned));
        }
        quiet::move_deadlines(notify, &self.config.route, schedule, passed);
        run
    }

    /// The first time at which a notification may be due if no rule has news.
    fn next_plan(&self, replay: &Replay) -> Option<Timestamp> {
        let changed_at = |key: &str| replay.changed_at(key);
        let plans = quiet::next_plans(&replay.state.notify, &self.config.route, changed_at);
        plans.map(|(_, plan)| plan).min()
    }

    /// Whether notifications may depend on more than a rule's news and its group's deadlines, so
    /// that no run may be skipped: rules of one name may fire one alert, and its reported start
    /// then depends on what was planned at each run; and routes, inhibition and mute times make it
    /// depend on other alerts and on the time.
    fn needs_every_run(&self) -> bool {
        let config = &self.config;
        if !config.route.routes.is_empty()
            || !config.inhibit_rules.is_empty()
            || !config.time_intervals.is_empty()
        {
            return true;
        }
        let rules = self.config.groups.iter().flat_map(|group| &group.rules);
        let mut names = BTreeSet::new();
        rules
            .map(|rule| rule.id.alert.as_str())
            .any(|name| !names.insert(name))
    }

    /// The first run after `moment`.
    fn run_after(&self, moment: Timestamp) -> Timestamp {
        let schedule = self.config.evaluation.schedule;
        moment.align_down(schedule).plus(schedule)
    }

    fn shortest_interval(&self) -> Duration {
        let intervals = self.config.groups.iter().map(|group| group.interval);
        intervals
            .min()
            .unwrap_or(self.config.evaluation.schedule)
            .max(Duration::from_millis(1))
    }

    /// Where a chunk of about `length` after `after` ends: at a run, or with history.
    fn chunk_end(&self, after: Timestamp, length: Duration) -> Timestamp {
        let aligned = after
            .plus(length)
            .align_down(self.config.evaluation.schedule);
        aligned.max(self.run_after(after)).min(self.end)
    }

    /// How long the next chunk is to be so that it has about [`SAMPLES`]; never more than four
    /// times as long or short as the last one.
    fn next_length(&self, length: Duration, answers: &Answers) -> Duration {
        let samples: usize = answers
            .iter()
            .filter_map(|(_, answer)| answer.as_ref().ok())
            .flat_map(|answer| &answer.series)
            .map(|series| series.samples.len())
            .sum();
        let times = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let next = match samples {
            0 => length.saturating_mul(4),
            fewer if fewer <= SAMPLES => length.saturating_mul(times(SAMPLES / fewer).min(4)),
            more => length / times(more / SAMPLES + 1).min(4),
        };
        next.min(self.shortest_interval().saturating_mul(MOST_TICKS))
    }

    /// Begins to fetch what the rules need first between `after` and `end`.
    fn fetch_ahead(&self, after: Timestamp, end: Timestamp) -> Ahead {
        let Config {
            groups, evaluation, ..
        } = &self.config;
        let mut states = fresh(groups, after);
        let none = BTreeSet::new();
        let mut chunk = Evaluation::plan(groups, &mut states, end, evaluation, &none);
        let asks = chunk.asks(&mut states);
        let (querier, concurrency) = (self.querier.clone(), self.concurrency);
        let deadline = SystemClock.now().plus(self.patience);
        Ahead(tokio::spawn(async move {
            fetch(&querier, concurrency, asks, deadline).await
        }))
    }
}

/// Sends the queries up to the first that fails: the backtest ends with it, and should not wait for
/// an unreachable server once a rule.
async fn fetch(
    querier: &PrometheusQuerier<SystemClock>,
    concurrency: usize,
    asks: Vec<Ask>,
    deadline: Timestamp,
) -> Answers {
    let mut coming = pin!(run::answers(
        querier,
        &SystemClock,
        concurrency,
        asks,
        deadline
    ));
    let mut answers = Answers::new();
    while let Some((ask, answer)) = coming.next().await {
        let ends = matches!(&answer, Err(failure) if failure.kind == FailureKind::Transient);
        answers.push((ask, answer));
        if ends {
            break;
        }
    }
    answers
}

/// Rules of which nothing is known yet, whose first tick is the first after `after`.
fn fresh(groups: &[RuleGroup], after: Timestamp) -> BTreeMap<RuleKey, RuleState> {
    let rules = groups.iter().flat_map(|group| &group.rules);
    rules
        .map(|rule| (rule.key.clone(), RuleState::new(rule.id.clone(), after)))
        .collect()
}

/// Answers on their way; dropping this cancels them.
struct Ahead(JoinHandle<Answers>);

impl Drop for Ahead {
    fn drop(&mut self) {
        self.0.abort();
    }
}
