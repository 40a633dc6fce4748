//! The calls of runs: they fail, act, act and are not answered, or are answered.

use super::{Simulation, Straggler};
use crate::simulation::document::NotificationDoc;
use crate::simulation::server;
use crate::simulation::wire::{CallId, Request, Response, RunNumber};
use crate::simulation::world::{Millis, SECOND};

impl Simulation {
    /// One call continues by one step: it acts, or its answer arrives.
    pub(super) fn advance(&mut self, id: CallId) {
        let number = self.wire.borrow().calls[&id].run;
        let frozen = self.runs[number].frozen.is_some();
        let faults = self.setup.faults.clone();
        if !frozen && self.chance(faults.killed) {
            return self.kill(number);
        }
        if !frozen && self.chance(faults.frozen) {
            return self.freeze(number);
        }
        let (outcome, publishes) = {
            let wire = self.wire.borrow();
            let call = &wire.calls[&id];
            let publishes = matches!(call.request, Request::Publish { .. });
            (call.outcome.clone(), publishes)
        };
        // The moments around a publish are the ones that matter.
        if !frozen && publishes && self.chance(faults.frozen * 4) {
            return self.freeze(number);
        }
        let Some(outcome) = outcome else {
            return self.act_or_fail(id);
        };
        let lost = self.chance(faults.answer_lost);
        let answer = if lost {
            self.totals.count("answers lost");
            Response::Failed
        } else {
            outcome
        };
        self.learn(id, &answer);
        self.log_step(|| {
            let what = if lost {
                "loses the answer"
            } else {
                "is answered"
            };
            format!("run-{number} {what} to call {id}: {}", brief(&answer))
        });
        self.wire.borrow_mut().answer(id, answer);
        if self.chance(faults.frozen) {
            return self.freeze(number);
        }
        self.poll(number);
    }

    fn act_or_fail(&mut self, id: CallId) {
        let (number, request, asked_at) = {
            let wire = self.wire.borrow();
            let call = &wire.calls[&id];
            (call.run, call.request.clone(), call.asked_at)
        };
        let faults = self.setup.faults.clone();
        let now = self.now();
        let queries = matches!(request, Request::Query(_));
        let publishes = matches!(request, Request::Publish { .. });
        let outage = queries
            && self
                .outages
                .iter()
                .any(|(from, to)| *from <= now && now < *to);
        let outcome = if outage || self.chance(faults.fails) {
            self.totals.count("calls failed");
            if matches!(request, Request::Commit { .. }) && self.rng.u8(..3) == 0 {
                self.stragglers.push(Straggler {
                    at: now + self.rng.i64(0..90 * SECOND),
                    run: number,
                    request,
                    asked_at,
                });
            }
            Some(Response::Failed)
        } else if publishes && self.chance(faults.refused) {
            Some(Response::Refused("no such topic".to_owned()))
        } else {
            None
        };
        match outcome {
            Some(outcome) => {
                self.log_step(|| format!("run-{number}'s call {id} fails: {}", brief(&outcome)));
                if let Some(call) = self.wire.borrow_mut().calls.get_mut(&id) {
                    call.outcome = Some(outcome);
                }
            }
            None => self.act(id),
        }
    }

    /// The call does what it is for.
    pub(super) fn act(&mut self, id: CallId) {
        let (number, request, asked_at) = {
            let wire = self.wire.borrow();
            let call = &wire.calls[&id];
            (call.run, call.request.clone(), call.asked_at)
        };
        let date = self.date(&request);
        let mut outcome = self.perform(number, request, asked_at);
        let torn = self.setup.faults.torn;
        if let Response::Loaded(Some((document, _))) = &mut outcome
            && self.chance(torn)
        {
            self.totals.count("documents torn");
            let half = self.rng.usize(..document.len());
            document.truncate(half);
        }
        if let Some(call) = self.wire.borrow_mut().calls.get_mut(&id) {
            call.outcome = Some(outcome);
            call.date = date;
        }
    }

    /// What the `Date` of an answer says that is made now.
    fn date(&mut self, request: &Request) -> Option<Millis> {
        let now = self.now();
        let ahead = match request {
            Request::Publish { .. } => return None,
            Request::Query(_) => self.setup.server_ahead,
            _ if self.setup.store_has_date => 0,
            _ => return None,
        };
        let taken_off = self
            .dateless
            .iter()
            .any(|(from, to)| *from <= now && now < *to);
        if taken_off || self.chance(self.setup.faults.dateless) {
            self.totals.count("answers without a Date");
            return None;
        }
        Some(now + ahead)
    }

    pub(super) fn let_stragglers_act(&mut self) {
        let now = self.now();
        while let Some(due) = self.stragglers.iter().position(|one| one.at <= now) {
            let Straggler {
                run,
                request,
                asked_at,
                ..
            } = self.stragglers.swap_remove(due);
            self.totals.count("calls that acted long after they failed");
            self.log_step(|| format!("run-{run}'s request arrives at last: {}", request.brief()));
            self.perform(run, request, asked_at);
        }
    }

    fn perform(&mut self, number: RunNumber, request: Request, asked_at: Millis) -> Response {
        // Claims are compared with the clock of the run that makes or uses them.
        let now = self.host_now(number);
        match request {
            Request::Load => Response::Loaded(self.store.load()),
            Request::Commit { document, parent } => match self.store.commit(&document, parent) {
                Some(version) => {
                    self.totals.count("commits");
                    self.log_step(|| format!("run-{number} commits version {version}"));
                    for (other, run) in self.runs.iter_mut().enumerate() {
                        run.disturbed |= other != number;
                    }
                    self.checker
                        .committed(&mut self.runs[number].log, &document, asked_at);
                    Response::Committed(version)
                }
                None => {
                    self.totals.count("commits refused by the fence");
                    Response::Conflict
                }
            },
            Request::PutConfig { name, config } => {
                self.store.put_config(name, config);
                Response::Stored
            }
            Request::GetConfig { name } => Response::Config(self.store.get_config(&name)),
            Request::Query(ask) => server::answer(self.checker.truth(), &ask),
            Request::Publish {
                notification,
                subject,
            } => {
                self.totals.count("publishes");
                let notification = notification_of(&notification);
                self.log_step(|| {
                    let (id, sequence) = (&notification.id, notification.sequence);
                    format!("run-{number} publishes {id} {sequence}: {subject}")
                });
                let log = &self.runs[number].log;
                self.checker.published(log, &notification, &subject, now);
                Response::Published
            }
        }
    }

    /// Records the answer that a run gets.
    fn learn(&mut self, id: CallId, answer: &Response) {
        let wire = self.wire.borrow();
        let call = &wire.calls[&id];
        let run = &mut self.runs[call.run];
        if let Some(date) = call.date.filter(|_| !matches!(answer, Response::Failed)) {
            let own = wire.now + self.hosts[run.host].get();
            let witness = usize::from(matches!(call.request, Request::Query(_)));
            run.log.hear(witness, date, own);
        }
        let log = &mut run.log;
        match (&call.request, answer) {
            (Request::Load, Response::Loaded(found)) => {
                let whole = found.as_ref().map(|(bytes, _)| bytes.clone());
                log.just_loaded = whole.filter(|bytes| bytes.last() == Some(&b'}'));
            }
            (Request::Query(ask), Response::Answered(_) | Response::Refused(_)) => {
                let moments = server::moments(ask.at);
                // A range that is refused says nothing of its moments.
                let refused = matches!(answer, Response::Refused(_));
                if let Some(rule) = server::rule_of(&ask.expr)
                    && (!refused || moments.len() == 1)
                {
                    log.answered
                        .extend(moments.into_iter().map(|at| (rule, at)));
                }
            }
            (Request::Publish { notification, .. }, Response::Published) => {
                log.published.insert(notification_of(notification).id);
            }
            (Request::Publish { notification, .. }, Response::Refused(_)) => {
                log.refused.insert(notification_of(notification).id);
            }
            _ => {}
        }
    }
}

pub(super) fn notification_of(value: &serde_json::Value) -> NotificationDoc {
    serde_json::from_value(value.clone()).expect("it is as in the document")
}

fn brief(response: &Response) -> String {
    match response {
        Response::Loaded(Some((_, version))) => format!("version {version}"),
        Response::Loaded(None) => "nothing is stored".to_owned(),
        Response::Committed(version) => format!("stored as {version}"),
        Response::Answered(answer) => format!("{} series", answer.series.len()),
        Response::Config(found) => format!("found: {}", found.is_some()),
        other => format!("{other:?}"),
    }
}

impl Request {
    pub(super) fn brief(&self) -> String {
        match self {
            Self::Load => "load".to_owned(),
            Self::Commit { parent, .. } => format!("commit after {parent:?}"),
            Self::PutConfig { name, .. } => format!("put configuration {name}"),
            Self::GetConfig { name } => format!("get configuration {name}"),
            Self::Query(ask) => format!("{} at {:?}", ask.expr, ask.at),
            Self::Publish { subject, .. } => format!("publish {subject}"),
        }
    }
}
