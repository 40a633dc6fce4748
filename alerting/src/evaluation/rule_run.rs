//! One rule on its way through its due ticks: which questions each tick needs, and what the answers
//! make of the rule's state.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::matrix::Matrix;
use super::{Answers, EvaluationOptions, Event, Happened, event};
use crate::alert::{Alert, AlertState};
use crate::labels::Labels;
use crate::presence;
use crate::query::{Answer, Ask, At, FailureKind, QueryFailure, ResultType, SampleValue};
use crate::rules::{AlertingRule, RuleGroup};
use crate::state::{Failure, Health, RuleState, Skipped};
use crate::state_machine::{self, Stop, Tick};
use crate::ticks::DueTicks;
use crate::timestamp::Timestamp;

/// How many different questions one rule may ask in [`ASKING_TICKS`] ticks, template queries above
/// all.
const MAX_ASKS: usize = 2_000;
const ASKING_TICKS: usize = 60;

/// One rule on its way through its due ticks.
pub(super) struct RuleRun<'a> {
    pub(super) group: &'a RuleGroup,
    pub(super) rule: &'a AlertingRule,
    pub(super) now: Timestamp,
    ticks: VecDeque<Timestamp>,
    last: Timestamp,
    /// The expression's result at all ticks, where it was asked for at once.
    matrix: Option<Matrix>,
    /// Whether the labels of alerts depend on the labels of series alone.
    steady: bool,
    /// Up to which tick, exclusively, all alerts stay as the last tick left them, if the same
    /// series have samples.
    rests_until: Option<Timestamp>,
    /// The last tick, where it was passed over.
    passed: Option<Timestamp>,
    /// Whether each tick is asked for by itself.
    instants: bool,
    stopped: bool,
    asked: BTreeSet<Ask>,
    pub(super) due: usize,
    pub(super) evaluated: usize,
    pub(super) failed: usize,
    pub(super) skipped: u64,
}

/// How many ticks there are from `first` to `last`, both counted.
fn ticks_between(first: Timestamp, last: Timestamp, interval: Duration) -> u64 {
    let steps = last.since(first).as_millis() / interval.as_millis().max(1);
    u64::try_from(steps).unwrap_or(u64::MAX).saturating_add(1)
}

impl<'a> RuleRun<'a> {
    pub(super) fn new(
        group: &'a RuleGroup,
        rule: &'a AlertingRule,
        state: &mut RuleState,
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
            state.evaluated_until = to;
            // Where nothing is made up for it is Prometheus's way: an evaluation that was missed
            // is none, and `for` is the time between those that were not.
            let is_reported = !options.max_catch_up.is_zero();
            if is_reported {
                state.health.skipped = Some(Skipped { from, to, at: now });
            }
            // It is unknown whether the expression held in between: `for` starts again.
            for alert in state.active.values_mut() {
                if is_reported && alert.state == AlertState::Pending {
                    alert.active_at = due.first;
                }
            }
        }
        let ticks: VecDeque<Timestamp> = due.iter().flat_map(DueTicks::iter).collect();
        Self {
            group,
            rule,
            now,
            last: ticks.back().copied().unwrap_or_default(),
            due: ticks.len(),
            instants: ticks.len() == 1 || !rule.expr.range_equals_instants(),
            ticks,
            matrix: None,
            steady: rule.labels.iter().all(|(_, template)| {
                let reads = template.reads();
                !reads.changing && !reads.whole
            }),
            rests_until: None,
            passed: None,
            stopped: false,
            asked: BTreeSet::new(),
            evaluated: 0,
            failed: 0,
            skipped,
        }
    }

    /// Takes no tick of it into this chunk.
    pub(super) fn leave_alone(&mut self) {
        self.ticks.clear();
        self.due = 0;
    }

    /// Evaluates tick after tick, up to `until`, until an answer is missing.
    ///
    /// A tick that would change nothing but values is passed over. It is evaluated after all where
    /// its values count: before a tick that is not passed over, and where the last one's are looked
    /// at (`settle`).
    pub(super) fn advance(
        &mut self,
        (until, settle): (Timestamp, bool),
        state: &mut RuleState,
        answers: &Answers,
        options: &EvaluationOptions,
        mut events: Option<&mut Vec<Event<'a>>>,
    ) -> BTreeSet<Ask> {
        while !self.stopped {
            let due = self.ticks.front().copied().filter(|tick| *tick <= until);
            if let Some(tick) = due
                && self.is_quiet(tick)
            {
                self.passed = Some(tick);
                self.evaluated(tick, state, None);
                continue;
            }
            let (tick, was_passed) = match (self.passed, due) {
                (Some(passed), Some(_)) => (passed, true),
                (Some(passed), None) if settle => (passed, true),
                (None, Some(tick)) => (tick, false),
                _ => break,
            };
            state.is_taken = false;
            let evaluated_at = self.now.min(until);
            let error = match self.tick(tick, evaluated_at, state, answers, options) {
                Ok(outcome) => {
                    let before = std::mem::replace(&mut state.active, outcome.active);
                    if let Some(events) = &mut events {
                        let changed = event::changes(&before, &state.active);
                        events.extend(changed.map(|what| self.event(tick, what)));
                    }
                    for mut ended in outcome.ended {
                        // An earlier end that was not notified stays pending.
                        let before = state.ended.get(&ended.labels);
                        ended.late |= before.is_some_and(|before| before.late);
                        state.ended.insert(ended.labels.clone(), ended);
                    }
                    outcome.error
                }
                Err(Stop::Failed(message)) => Some(message),
                Err(Stop::Unanswered(unanswered)) => {
                    self.stopped = true;
                    let QueryFailure {
                        message, server, ..
                    } = unanswered;
                    state.health.failure = Some(Failure {
                        server: server.map(|server| server.trouble),
                        ..failure(&state.health, tick, false, message)
                    });
                    continue;
                }
                Err(Stop::Needs(asks)) => {
                    self.asked.extend(asks.iter().cloned());
                    let most = MAX_ASKS * self.due.div_ceil(ASKING_TICKS).max(1);
                    if self.asked.len() <= most {
                        return asks;
                    }
                    Some(format!("the rule asks more than {most} queries"))
                }
            };
            if was_passed {
                self.passed = None;
                continue;
            }
            if let (Some(events), Some(error)) = (&mut events, &error) {
                events.push(self.event(tick, Happened::Failed(error.clone())));
            }
            self.rests_until = match error {
                None => rests_until(self.rule, &state.active),
                Some(_) => None,
            };
            self.evaluated(tick, state, error);
        }
        BTreeSet::new()
    }

    fn event(&self, at: Timestamp, what: Happened) -> Event<'a> {
        Event {
            group: self.group,
            rule: self.rule,
            at,
            what,
        }
    }

    fn evaluated(&mut self, tick: Timestamp, state: &mut RuleState, error: Option<String>) {
        self.ticks.pop_front();
        state.evaluated_until = tick;
        self.evaluated += 1;
        self.failed += usize::from(error.is_some());
        state.health.failure = error.map(|error| failure(&state.health, tick, true, error));
    }

    /// Whether a tick leaves every alert where the last one left it.
    fn is_quiet(&self, tick: Timestamp) -> bool {
        self.next_change().is_none_or(|change| tick < change)
    }

    /// The first tick from the next one on that may change where an alert stands.
    pub(super) fn next_change(&self) -> Option<Timestamp> {
        let next = self.ticks.front().copied()?;
        let (Some(matrix), Some(rests_until), true) = (&self.matrix, self.rests_until, self.steady)
        else {
            return Some(next);
        };
        let offset = self.group.query_offset;
        let change = matrix.next_change(next.minus(offset));
        let change = change.map_or(rests_until, |at| at.plus(offset).min(rests_until));
        (change <= self.last).then(|| change.max(next))
    }

    fn tick(
        &mut self,
        tick: Timestamp,
        evaluated_at: Timestamp,
        state: &RuleState,
        answers: &Answers,
        options: &EvaluationOptions,
    ) -> Result<state_machine::Outcome, Stop> {
        let asked_at = tick.minus(self.group.query_offset);
        let vector = self.vector(asked_at, answers)?;
        let asked_until = if self.rule.expr.range_equals_instants() {
            self.last.minus(self.group.query_offset)
        } else {
            asked_at
        };
        // A template's query sees the tick itself, as in Prometheus.
        let template_ask = |expr: String| Ask {
            expr,
            at: At::Instant(tick),
        };
        let unanswered = std::cell::RefCell::new(None);
        let template_query = |expr: &str| match answers.get(&template_ask(expr.to_owned()))? {
            Ok(answer) => Some(Ok(template_vector(answer))),
            Err(failure) => {
                if failure.kind == FailureKind::Transient {
                    unanswered.replace(Some(failure.clone()));
                }
                Some(Err(engine_words(&failure.message).to_owned()))
            }
        };
        let answer = self.answer(asked_at, answers);
        let histogram = |labels: &Labels| answer.as_ref()?.histogram(labels, asked_at).cloned();
        let outcome = state_machine::evaluate(
            self.group,
            self.rule,
            &state.active,
            &Tick {
                at: tick,
                late: evaluated_at.since(tick) > options.schedule.saturating_mul(2),
                vector: &vector,
                histogram: &histogram,
                template_query: &template_query,
                template_ask: &template_ask,
                presence: &|vanished| {
                    presence::judge(
                        self.rule,
                        vanished,
                        presence::Span {
                            first: asked_at,
                            last: asked_until,
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
            Some(failure) => Err(Stop::Unanswered(failure)),
            None => Ok(outcome),
        }
    }

    /// The expression's result at one moment.
    fn vector(&mut self, at: Timestamp, answers: &Answers) -> Result<Vec<(Labels, f64)>, Stop> {
        if !self.instants {
            if let Some(matrix) = &mut self.matrix {
                return Ok(matrix.at(at));
            }
            let ask = self.ask(At::Range {
                start: at,
                end: self.last.minus(self.group.query_offset),
                step: self.group.interval,
            });
            match answers.get(&ask) {
                None => return Err(Stop::Needs(BTreeSet::from([ask]))),
                Some(Ok(answer)) => {
                    return Ok({
                        let matrix = Matrix::new(answer.clone(), self.group.interval);
                        self.matrix.insert(matrix).at(at)
                    });
                }
                Some(Err(failure)) if failure.kind == FailureKind::Transient => {
                    return Err(Stop::Unanswered(failure.clone()));
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
                FailureKind::Transient => Stop::Unanswered(failure.clone()),
                FailureKind::Refused => Stop::Failed(failure.message.clone()),
            }),
        }
    }

    /// What the expression's result at one moment was taken from.
    fn answer(&self, at: Timestamp, answers: &Answers) -> Option<Arc<Answer>> {
        if let (false, Some(matrix)) = (self.instants, &self.matrix) {
            return Some(matrix.answer());
        }
        let answer = answers.get(&self.ask(At::Instant(at)))?;
        answer.as_ref().ok().cloned()
    }

    fn ask(&self, at: At) -> Ask {
        Ask {
            expr: self.rule.expr.text().to_owned(),
            at,
        }
    }
}

/// What the query engine said, without what the HTTP API and the client put before it: templates
/// show it as Prometheus's own do.
fn engine_words(message: &str) -> &str {
    ["bad_data: invalid parameter \"query\": ", ": execution: "]
        .into_iter()
        .find_map(|before| message.split_once(before))
        .map_or(message, |(_, said)| said)
}

/// Each series with its last sample, of whatever kind.
fn template_vector(answer: &Answer) -> Vec<(Labels, SampleValue)> {
    let last = answer.series.iter().filter_map(|series| {
        let sample = series.samples.last()?;
        let histogram = answer.histogram(&series.labels, sample.at);
        let value = histogram.map_or(SampleValue::Float(sample.value), |histogram| {
            SampleValue::Histogram(histogram.clone())
        });
        Some((series.labels.clone(), value))
    });
    last.collect()
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

/// Until when alerts stay where they stand while the same series have samples. None where one is
/// kept firing or held without its series: that is evaluated at each tick.
fn rests_until(rule: &AlertingRule, active: &BTreeMap<Labels, Alert>) -> Option<Timestamp> {
    let mut until = Timestamp::from_millis(i64::MAX);
    for alert in active.values() {
        let alone = alert.keep_firing_since.is_some() || alert.hold.is_some();
        if alert.state == AlertState::Firing && alone {
            return None;
        }
        if alert.state == AlertState::Pending {
            until = until.min(alert.active_at.plus(rule.hold_for));
        }
    }
    Some(until)
}

/// The rule's failure, which began with `tick` if it did not fail before.
fn failure(health: &Health, tick: Timestamp, refused: bool, error: String) -> Failure {
    let since = health.failure.as_ref().map(|before| before.since);
    Failure {
        since: since.unwrap_or(tick),
        refused,
        error,
        server: None,
    }
}
