//! The due ticks of all rules, a chunk at a time: which questions they need, and what the
//! answers make of the rules' states.
//!
//! [`Evaluation::plan`] works out what is due, [`Evaluation::asks`] takes every rule as far as
//! the answers at hand reach and says what is missing, [`Evaluation::answer`] takes an answer,
//! [`Evaluation::finish`] gives the new states. Whatever is left unanswered stays due.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::labels::Labels;
use crate::presence;
use crate::query::{Answer, Ask, At, FailureKind, QueryFailure, ResultType};
use crate::rules::{AlertingRule, RuleGroup, RuleKey};
use crate::state::{Failure, RuleState, Skipped};
use crate::state_machine::{self, External, Semantics, Stop, Tick};
use crate::ticks::DueTicks;
use crate::timestamp::Timestamp;

/// How a run evaluates.
#[derive(Debug, Clone, PartialEq)]
pub struct EvaluationOptions {
    /// What is different from Prometheus.
    pub semantics: Semantics,
    /// What templates may see besides the alert.
    pub external: External,
    /// Ticks older than this are skipped.
    pub max_catch_up: Duration,
    /// How often runs are started; what is evaluated more than two such periods after its tick
    /// is late.
    pub schedule: Duration,
    /// How many ticks of a rule are evaluated before a commit.
    pub chunk: u32,
}

impl Default for EvaluationOptions {
    fn default() -> Self {
        Self {
            semantics: Semantics::default(),
            external: External::default(),
            max_catch_up: Duration::from_secs(60 * 60),
            schedule: Duration::from_secs(60),
            chunk: 60,
        }
    }
}

/// How many different questions one rule may ask in one chunk, template queries above all.
const MAX_ASKS: usize = 2_000;

/// Answers so far. A question may serve several rules.
pub(crate) type Answers = BTreeMap<Ask, Result<Arc<Answer>, QueryFailure>>;

/// One chunk of due ticks of all rules.
pub struct Evaluation<'a> {
    options: &'a EvaluationOptions,
    runs: Vec<RuleRun<'a>>,
    answers: Answers,
}

/// What a chunk came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Ticks that were due in the chunk.
    pub due: usize,
    /// Ticks that were evaluated.
    pub evaluated: usize,
    /// Ticks that failed and count as evaluated.
    pub failed: usize,
    /// Ticks that were too old to be evaluated and never will be.
    pub skipped: u64,
    /// Rules that stopped before their last due tick.
    pub stopped: usize,
    /// Whether rules that were not stopped have more ticks due.
    pub more: bool,
}

impl Progress {
    /// Adds the next chunk's.
    pub fn add(&mut self, next: &Self) {
        self.due += next.due;
        self.evaluated += next.evaluated;
        self.failed += next.failed;
        self.skipped += next.skipped;
        self.stopped += next.stopped;
        self.more = next.more;
    }
}

impl<'a> Evaluation<'a> {
    /// Works out the next chunk. Rules that are new get a state, whose first tick is the next
    /// one; states of rules that are no more are dropped. Rules `left_alone` stay as they are.
    pub fn plan(
        groups: &'a [RuleGroup],
        states: &mut BTreeMap<RuleKey, RuleState>,
        now: Timestamp,
        options: &'a EvaluationOptions,
        left_alone: &BTreeSet<RuleKey>,
    ) -> Self {
        let mut old = std::mem::take(states);
        let mut runs = Vec::new();
        for group in groups {
            for rule in &group.rules {
                let state = old.remove(&rule.key).unwrap_or_else(|| {
                    RuleState::new(rule.id.clone(), now.align_down(group.interval))
                });
                let mut run = RuleRun::new(group, rule, state, now, options);
                if left_alone.contains(&rule.key) {
                    run.leave_alone();
                }
                runs.push(run);
            }
        }
        Self {
            options,
            runs,
            answers: Answers::new(),
        }
    }

    /// Takes every rule as far as it goes; what must be answered before any goes further.
    /// Empty: the chunk is done.
    pub fn asks(&mut self) -> Vec<Ask> {
        let mut asks = BTreeSet::new();
        for run in &mut self.runs {
            asks.extend(run.advance(&self.answers, self.options));
        }
        asks.into_iter().collect()
    }

    /// Takes the answer to a question.
    pub fn answer(&mut self, ask: Ask, answer: Result<Answer, QueryFailure>) {
        self.answers.insert(ask, answer.map(Arc::new));
    }

    /// The rules' states after what could be evaluated. Rules that were stopped by a failure
    /// that may pass are added to `stopped`.
    pub fn finish(
        self,
        states: &mut BTreeMap<RuleKey, RuleState>,
        stopped: &mut BTreeSet<RuleKey>,
    ) -> Progress {
        let mut progress = Progress::default();
        for run in self.runs {
            progress.due += run.due;
            progress.evaluated += run.evaluated;
            progress.failed += run.failed;
            progress.skipped += run.skipped;
            if run.evaluated < run.due {
                progress.stopped += 1;
                stopped.insert(run.rule.key.clone());
            } else if run.due > 0 {
                progress.more |= run.state.evaluated_until < run.now.align_down(run.group.interval);
            }
            states.insert(run.rule.key.clone(), run.state);
        }
        progress
    }
}

/// The samples of a rule's expression by the moment that they were asked for.
type Vectors = BTreeMap<Timestamp, Vec<(Labels, f64)>>;

/// One rule on its way through its due ticks.
struct RuleRun<'a> {
    group: &'a RuleGroup,
    rule: &'a AlertingRule,
    state: RuleState,
    now: Timestamp,
    ticks: std::collections::VecDeque<Timestamp>,
    last: Timestamp,
    vectors: Option<Vectors>,
    /// Whether each tick is asked for by itself.
    instants: bool,
    stopped: bool,
    asked: BTreeSet<Ask>,
    due: usize,
    evaluated: usize,
    failed: usize,
    skipped: u64,
}

/// How many ticks there are from `first` to `last`, both counted.
fn ticks_between(first: Timestamp, last: Timestamp, interval: Duration) -> u64 {
    let steps = last.since(first).as_millis() / interval.as_millis().max(1);
    u64::try_from(steps).unwrap_or(u64::MAX).saturating_add(1)
}

impl<'a> RuleRun<'a> {
    fn new(
        group: &'a RuleGroup,
        rule: &'a AlertingRule,
        mut state: RuleState,
        now: Timestamp,
        options: &EvaluationOptions,
    ) -> Self {
        let mut skipped = 0;
        let due = DueTicks::between(
            state.evaluated_until,
            now,
            group.interval,
            options.max_catch_up,
        )
        .map(|due| due.at_most(options.chunk));
        if let Some(due) = due
            && let Some((from, to)) = due.skipped
        {
            skipped = ticks_between(from, to, group.interval);
            let from = state.health.skipped.map_or(from, |before| {
                if before.to == state.evaluated_until {
                    before.from
                } else {
                    from
                }
            });
            state.health.skipped = Some(Skipped { from, to, at: now });
            state.evaluated_until = to;
            // Nobody knows whether the expression held in between: `for` starts anew.
            for alert in state.active.values_mut() {
                if alert.state == crate::alert::AlertState::Pending {
                    alert.active_at = due.first;
                }
            }
        }
        let ticks: std::collections::VecDeque<Timestamp> =
            due.iter().flat_map(DueTicks::iter).collect();
        Self {
            group,
            rule,
            state,
            now,
            last: ticks.back().copied().unwrap_or_default(),
            due: ticks.len(),
            instants: ticks.len() == 1 || !rule.expr.range_equals_instants(),
            ticks,
            vectors: None,
            stopped: false,
            asked: BTreeSet::new(),
            evaluated: 0,
            failed: 0,
            skipped,
        }
    }

    /// Takes no tick of it into this chunk.
    fn leave_alone(&mut self) {
        self.ticks.clear();
        self.due = 0;
    }

    /// Evaluates tick after tick until an answer is missing.
    fn advance(&mut self, answers: &Answers, options: &EvaluationOptions) -> BTreeSet<Ask> {
        while !self.stopped
            && let Some(tick) = self.ticks.front().copied()
        {
            match self.tick(tick, answers, options) {
                Ok(outcome) => {
                    self.state.active = outcome.active;
                    for mut ended in outcome.ended {
                        // An earlier end that nobody saw stays to be told.
                        let before = self.state.ended.get(&ended.labels);
                        ended.late |= before.is_some_and(|before| before.late);
                        self.state.ended.insert(ended.labels.clone(), ended);
                    }
                    self.evaluated(tick, outcome.error);
                }
                Err(Stop::Failed(message)) => self.evaluated(tick, Some(message)),
                Err(Stop::Unanswered(message)) => self.stop(tick, message),
                Err(Stop::Needs(asks)) => {
                    self.asked.extend(asks.iter().cloned());
                    if self.asked.len() <= MAX_ASKS {
                        return asks;
                    }
                    self.evaluated(
                        tick,
                        Some(format!("the rule asks more than {MAX_ASKS} queries")),
                    );
                }
            }
        }
        BTreeSet::new()
    }

    fn evaluated(&mut self, tick: Timestamp, error: Option<String>) {
        self.ticks.pop_front();
        self.state.evaluated_until = tick;
        self.evaluated += 1;
        self.failed += usize::from(error.is_some());
        self.state.health.failure = error.map(|error| self.failure(tick, true, error));
    }

    fn stop(&mut self, tick: Timestamp, error: String) {
        self.stopped = true;
        self.state.health.failure = Some(self.failure(tick, false, error));
    }

    fn failure(&self, tick: Timestamp, refused: bool, error: String) -> Failure {
        let since = self
            .state
            .health
            .failure
            .as_ref()
            .map(|before| before.since);
        Failure {
            since: since.unwrap_or(tick),
            refused,
            error,
        }
    }

    fn tick(
        &mut self,
        tick: Timestamp,
        answers: &Answers,
        options: &EvaluationOptions,
    ) -> Result<state_machine::Outcome, Stop> {
        let asked_at = tick.minus(self.group.query_offset);
        let vector = self.vector(asked_at, answers)?;
        // A template's query sees the tick itself, as in Prometheus.
        let template_ask = |expr: String| Ask {
            expr,
            at: At::Instant(tick),
        };
        let unanswered = std::cell::RefCell::new(None);
        let template_query = |expr: &str| match answers.get(&template_ask(expr.to_owned()))? {
            Ok(answer) => Some(Ok(instant_vector(answer))),
            Err(failure) => {
                if failure.kind == FailureKind::Transient {
                    unanswered.replace(Some(failure.message.clone()));
                }
                Some(Err(failure.message.clone()))
            }
        };
        let outcome = state_machine::evaluate(
            self.group,
            self.rule,
            &self.state.active,
            &Tick {
                at: tick,
                late: self.now.since(tick) > options.schedule.saturating_mul(2),
                vector: &vector,
                template_query: &template_query,
                template_ask: &template_ask,
                presence: &|vanished| {
                    presence::of(
                        self.rule,
                        vanished,
                        presence::Span {
                            first: asked_at,
                            last: self.last.minus(self.group.query_offset),
                            step: self.group.interval,
                        },
                        answers,
                    )
                },
            },
            &options.external,
            &options.semantics,
        )?;
        match unanswered.take() {
            Some(message) => Err(Stop::Unanswered(message)),
            None => Ok(outcome),
        }
    }

    /// The expression's result at one moment.
    fn vector(&mut self, at: Timestamp, answers: &Answers) -> Result<Vec<(Labels, f64)>, Stop> {
        if !self.instants {
            if let Some(vectors) = &mut self.vectors {
                return Ok(vectors.get(&at).cloned().unwrap_or_default());
            }
            let ask = self.ask(At::Range {
                start: at,
                end: self.last.minus(self.group.query_offset),
                step: self.group.interval,
            });
            match answers.get(&ask) {
                None => return Err(Stop::Needs(BTreeSet::from([ask]))),
                Some(Ok(answer)) => {
                    let vectors = self.vectors.insert(by_moment(answer));
                    return Ok(vectors.get(&at).cloned().unwrap_or_default());
                }
                Some(Err(failure)) if failure.kind == FailureKind::Transient => {
                    return Err(Stop::Unanswered(failure.message.clone()));
                }
                // Perhaps the expression fails at one of the ticks only.
                Some(Err(_)) => self.instants = true,
            }
        }
        let ask = self.ask(At::Instant(at));
        match answers.get(&ask) {
            None => Err(Stop::Needs(BTreeSet::from([ask]))),
            Some(Ok(answer)) => match answer.result_type {
                ResultType::Vector | ResultType::Scalar => Ok(instant_vector(answer)),
                ResultType::Matrix | ResultType::String => Err(Stop::Failed(
                    "rule result is not a vector or scalar".to_owned(),
                )),
            },
            Some(Err(failure)) => Err(match failure.kind {
                FailureKind::Transient => Stop::Unanswered(failure.message.clone()),
                FailureKind::Refused => Stop::Failed(failure.message.clone()),
            }),
        }
    }

    fn ask(&self, at: At) -> Ask {
        Ask {
            expr: self.rule.expr.text().to_owned(),
            at,
        }
    }
}

/// Each series with its last sample.
fn instant_vector(answer: &Answer) -> Vec<(Labels, f64)> {
    answer
        .series
        .iter()
        .filter_map(|series| {
            let sample = series.samples.last()?;
            Some((series.labels.clone(), sample.value))
        })
        .collect()
}

fn by_moment(answer: &Answer) -> Vectors {
    let mut vectors = Vectors::new();
    for series in &answer.series {
        for sample in &series.samples {
            vectors
                .entry(sample.at)
                .or_default()
                .push((series.labels.clone(), sample.value));
        }
    }
    vectors
}
