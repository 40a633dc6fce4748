//! The due ticks of all rules, a chunk at a time: which questions they need, and what the
//! answers make of the rules' states.
//!
//! [`Evaluation::plan`] works out what is due, [`Evaluation::asks`] takes every rule as far as
//! the answers at hand reach and says what is missing, [`Evaluation::answer`] takes an answer,
//! [`Evaluation::finish`] says what it came to. Whatever is left unanswered stays due.
//!
//! Who replays history has the same done up to one moment after another
//! ([`Evaluation::asks_until`]), and is given every tick at which something happened
//! ([`Evaluation::record`]).

mod event;
mod matrix;
mod rule_run;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

pub use event::{Event, Happened};
use rule_run::RuleRun;

use crate::query::{Answer, Ask, QueryFailure};
use crate::rules::{RuleGroup, RuleKey};
use crate::state::RuleState;
use crate::state_machine::{External, Semantics};
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

/// Answers so far. A question may serve several rules.
pub(crate) type Answers = BTreeMap<Ask, Result<Arc<Answer>, QueryFailure>>;

/// One chunk of due ticks of all rules.
pub struct Evaluation<'a> {
    options: &'a EvaluationOptions,
    runs: Vec<RuleRun<'a>>,
    answers: Answers,
    events: Option<Vec<Event<'a>>>,
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
                let mut state = old.remove(&rule.key).unwrap_or_else(|| {
                    RuleState::new(rule.id.clone(), now.align_down(group.interval))
                });
                let mut run = RuleRun::new(group, rule, &mut state, now, options);
                if left_alone.contains(&rule.key) {
                    run.leave_alone();
                }
                states.insert(rule.key.clone(), state);
                runs.push(run);
            }
        }
        Self {
            options,
            runs,
            answers: Answers::new(),
            events: None,
        }
    }

    /// From now on, keeps what happens at each tick for [`Evaluation::take_events`].
    pub fn record(&mut self) {
        self.events.get_or_insert_default();
    }

    /// What happened since it was last asked, in the order of ticks, and at one tick in the order
    /// of rules.
    pub fn take_events(&mut self) -> Vec<Event<'a>> {
        let mut events = self.events.as_mut().map(std::mem::take).unwrap_or_default();
        events.sort_by_key(|event| event.at);
        events
    }

    /// Takes every rule as far as it goes; what must be answered before any goes further.
    /// Empty: the chunk is done.
    pub fn asks(&mut self, states: &mut BTreeMap<RuleKey, RuleState>) -> Vec<Ask> {
        self.asks_until(Timestamp::from_millis(i64::MAX), |_| true, states)
    }

    /// The same, but no rule goes further than its last tick that is not after `until`. Where alerts
    /// stand is right then; their values and annotations only of the rules whose are to be looked
    /// at (`settle`).
    pub fn asks_until(
        &mut self,
        until: Timestamp,
        settle: impl Fn(&RuleKey) -> bool,
        states: &mut BTreeMap<RuleKey, RuleState>,
    ) -> Vec<Ask> {
        let mut asks = BTreeSet::new();
        for run in &mut self.runs {
            if let Some(state) = states.get_mut(&run.rule.key) {
                let events = self.events.as_mut();
                let goal = (until, settle(&run.rule.key));
                asks.extend(run.advance(goal, state, &self.answers, self.options, events));
            }
        }
        asks.into_iter().collect()
    }

    /// The first tick that is not evaluated and at which an alert may come to stand elsewhere, or
    /// a rule fail; `None` if the chunk has none.
    pub fn next_change(&self) -> Option<Timestamp> {
        self.runs.iter().filter_map(RuleRun::next_change).min()
    }

    /// Takes the answer to a question.
    pub fn answer(&mut self, ask: Ask, answer: Result<Answer, QueryFailure>) {
        self.answers.insert(ask, answer.map(Arc::new));
    }

    /// What was evaluated. Rules that were stopped by a failure that may pass are added to
    /// `stopped`.
    pub fn finish(
        self,
        states: &BTreeMap<RuleKey, RuleState>,
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
            } else if run.due > 0
                && let Some(state) = states.get(&run.rule.key)
            {
                progress.more |= state.evaluated_until < run.now.align_down(run.group.interval);
            }
        }
        progress
    }
}
