//! No false all-clear: what is known of the inputs of alerts whose series vanished.
//!
//! One question an input serves all of a rule's vanished alerts; one range serves all ticks of
//! the chunk that are still to come.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::alert::Alert;
use crate::evaluation::Answers;
use crate::labels::Labels;
use crate::promql::{self, Inputs, Narrowing};
use crate::query::{Answer, Ask, At, FailureKind, QueryFailure};
use crate::rules::AlertingRule;
use crate::state_machine::{Presence, Stop};
use crate::timestamp::Timestamp;

/// The moments that are asked for: from this tick's to the last one's of the chunk.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    pub(crate) first: Timestamp,
    pub(crate) last: Timestamp,
    pub(crate) step: Duration,
}

/// What is known of each of `vanished`, in their order.
///
/// A rule whose expression cannot be understood, or reads nothing, has it Prometheus's way: its
/// alerts are over.
pub(crate) fn judge(
    rule: &AlertingRule,
    vanished: &[&Alert],
    span: Span,
    answers: &Answers,
) -> Result<Vec<Presence>, Stop> {
    let Some(inputs) = rule.expr.inputs() else {
        return Ok(vec![Presence::Answered; vanished.len()]);
    };
    let narrow: Vec<Labels> = vanished
        .iter()
        .map(|alert| alert.labels.without(|name| rule.sets(name)))
        .collect();
    let narrowing = Narrowing::of(&narrow);
    let mut presence = vec![Presence::Silent; vanished.len()];
    if !narrowing.is_empty() {
        let own = ask(inputs, &narrowing, span, answers)?;
        for (presence, labels) in presence.iter_mut().zip(&narrow) {
            if own.covers(labels) {
                *presence = Presence::Answered;
            }
        }
        if presence
            .iter()
            .all(|presence| *presence == Presence::Answered)
        {
            return Ok(presence);
        }
    }
    let any = ask(inputs, &Narrowing::none(), span, answers)?;
    if any.covers(&Labels::default()) {
        let otherwise = if narrowing.is_empty() {
            Presence::Answered
        } else {
            Presence::Gone
        };
        for presence in &mut presence {
            if *presence == Presence::Silent {
                *presence = otherwise;
            }
        }
    }
    Ok(presence)
}

/// Asks whether the inputs have samples.
///
/// A question that the server refuses for good says nothing: it counts as not answered, which
/// holds the alerts for a while and says that they are held.
fn ask(
    inputs: &Inputs,
    narrowing: &Narrowing,
    span: Span,
    answers: &Answers,
) -> Result<promql::Presence, Stop> {
    let mut series = promql::Answers::new();
    let mut needs = BTreeSet::new();
    for question in inputs.questions(narrowing) {
        match find(&question, span, answers) {
            None => {
                needs.insert(span.ask(question));
            }
            Some(Ok(answer)) => {
                let at_tick = answer
                    .series
                    .iter()
                    .filter(|series| series.samples.iter().any(|s| s.at == span.first))
                    .map(|series| series.labels.clone())
                    .collect();
                series.insert(question, at_tick);
            }
            Some(Err(failure)) if failure.kind == FailureKind::Transient => {
                return Err(Stop::Unanswered(failure.clone()));
            }
            Some(Err(_)) => {}
        }
    }
    if needs.is_empty() {
        Ok(inputs.presence(narrowing, &series))
    } else {
        Err(Stop::Needs(needs))
    }
}

impl Span {
    fn ask(self, expr: String) -> Ask {
        let at = if self.first == self.last {
            At::Instant(self.first)
        } else {
            At::Range {
                start: self.first,
                end: self.last,
                step: self.step,
            }
        };
        Ask { expr, at }
    }
}

/// The answer to the question at this tick: its own, or that of a range which began at an
/// earlier tick of the chunk.
fn find<'a>(
    question: &str,
    span: Span,
    answers: &'a Answers,
) -> Option<&'a Result<Arc<Answer>, QueryFailure>> {
    let own = span.ask(question.to_owned());
    let same_question = Ask {
        expr: question.to_owned(),
        at: At::Instant(Timestamp::from_millis(i64::MIN)),
    };
    answers.get(&own).or_else(|| {
        answers
            .range(same_question..)
            .take_while(|(ask, _)| ask.expr == question)
            .find_map(|(ask, answer)| {
                let covers = match ask.at {
                    At::Range { start, end, step } => {
                        start <= span.first && span.last == end && step == span.step
                    }
                    At::Instant(_) => false,
                };
                covers.then_some(answer)
            })
    })
}
