//! The lives of runs: they start, wait, freeze, thaw, are killed, or come to their end.

use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use alerting::rules::SourceFile;
use backends::run::{Ruler, RunError, RunReport};
use backends::server_time::LastAnswer;

use super::calls::notification_of;
use super::{Frozen, Run, Simulation};
use crate::simulation::checker::{Invariant, RunLog, Said};
use crate::simulation::planted::{Bug, Connection, Planted};
use crate::simulation::wire::{CallId, Line, Request, RunNumber};
use crate::simulation::world::{EDITIONS, MINUTE, SECOND, rule_file};

impl Simulation {
    pub(super) fn start(&mut self) {
        let number: RunNumber = self.runs.len();
        let name = format!("run-{number}");
        let faults = self.setup.faults.clone();
        let slow = self.chance(faults.slow);
        let unreadable = self.chance(faults.unreadable);
        if self.chance(faults.redeployed) {
            self.edition = (self.edition + 1) % EDITIONS.len();
            self.totals.count("runs with other rules");
        }
        if unreadable {
            self.totals.count("runs without readable rules");
        }
        let cut_off = !unreadable && self.chance(faults.cut_off);
        if cut_off {
            self.totals
                .count("runs with a rule file that is being written");
        }
        let edition = (!unreadable && !cut_off).then_some(self.edition);
        let files = self.files(unreadable, cut_off);
        if self.chance(faults.clock_set) {
            self.set_a_clock();
        }
        let host = if self.alternates {
            number % self.hosts.len()
        } else {
            self.rng.usize(..self.hosts.len())
        };
        let line = Line {
            wire: Rc::clone(&self.wire),
            run: number,
            host: Rc::clone(&self.hosts[host]),
            store_time: LastAnswer::default(),
            server_time: LastAnswer::default(),
        };
        let planted = Rc::new(Planted::new(line, self.bug));
        let ruler = Ruler {
            clock: Connection::from(Rc::clone(&planted)),
            querier: Connection::from(Rc::clone(&planted)),
            store: Connection::from(Rc::clone(&planted)),
            notifier: Connection::from(planted),
            settings: self.setup.settings(),
            options: self.setup.options(),
        };
        let run_id = name.clone();
        let now = self.now();
        let ahead = self.hosts[host].get() / SECOND;
        self.log_step(|| {
            format!("{name} starts on host {host}, {ahead} s ahead, slow: {slow}, with edition {edition:?}")
        });
        self.totals.count("runs");
        self.runs.push(Run {
            future: Some(Box::pin(async move { ruler.run(&run_id, files).await })),
            log: RunLog {
                name,
                began: now + self.hosts[host].get(),
                began_truly: now,
                edition,
                ..RunLog::default()
            },
            disturbed: false,
            host,
            slow,
            at_work_since: now,
            frozen: None,
        });
        self.poll(number);
    }

    /// The rule files as a run finds them.
    fn files(&mut self, unreadable: bool, cut_off: bool) -> Result<Vec<SourceFile>, String> {
        let mut text = rule_file(self.edition);
        if unreadable {
            return Err("the folder cannot be read".to_owned());
        }
        if cut_off && self.bug == Some(Bug::CutOffIsWhole) {
            // Up to the end of some rule.
            let ends: Vec<usize> = text.match_indices("  - alert").map(|(at, _)| at).collect();
            text.truncate(ends[self.rng.usize(1..ends.len())]);
        } else if cut_off {
            // Within a word of which no rest is YAML that a rule file may have.
            let inside: Vec<usize> = text
                .match_indices("annotations: {")
                .map(|(at, _)| at)
                .collect();
            text.truncate(inside[self.rng.usize(..inside.len())] + self.rng.usize(14..25));
        }
        Ok(vec![SourceFile {
            name: "sim.yml".to_owned(),
            text,
        }])
    }

    pub(super) fn thaw_due(&mut self) {
        let now = self.now();
        for number in 0..self.runs.len() {
            let run = &mut self.runs[number];
            let due = run
                .frozen
                .as_ref()
                .is_some_and(|frozen| frozen.until <= now);
            if run.future.is_some() && due {
                run.frozen = None;
                run.at_work_since = now;
                self.log_step(|| format!("run-{number} thaws"));
                self.poll(number);
            }
        }
    }

    pub(super) fn freeze(&mut self, number: RunNumber) {
        let lengths = [5 * SECOND, 50 * SECOND, 125 * SECOND, 10 * MINUTE];
        let length = lengths[self.rng.usize(..lengths.len())];
        let acts = self.rng.u8(..3) == 0;
        self.log_step(|| format!("run-{number} is frozen for {} s", length / SECOND));
        self.totals.count("runs frozen");
        // An answer may lie there until the run thaws: by then it shows less.
        for said in self.runs[number].log.said.iter_mut().flatten() {
            *said = Said::Near;
        }
        self.runs[number].frozen = Some(Frozen {
            until: self.now() + length,
            acts,
        });
    }

    /// Ends a run between two of its steps. What it asked for may still happen.
    pub(super) fn kill(&mut self, number: RunNumber) {
        self.log_step(|| format!("run-{number} is killed"));
        self.totals.count("runs killed");
        let calls: Vec<CallId> = {
            let wire = self.wire.borrow();
            let own = wire.calls.iter().filter(|(_, call)| call.run == number);
            own.map(|(id, _)| *id).collect()
        };
        for id in &calls {
            let open = self.wire.borrow().calls[id].outcome.is_none();
            if open && self.rng.bool() {
                self.act(*id);
            }
        }
        self.runs[number].future = None;
        let mut wire = self.wire.borrow_mut();
        for id in calls {
            wire.calls.remove(&id);
        }
    }

    /// Lets a run work until it waits again.
    pub(super) fn poll(&mut self, number: RunNumber) {
        let Some(mut future) = self.runs[number].future.take() else {
            return;
        };
        let before = self.wire.borrow().calls.keys().last().copied();
        let polled = future
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()));
        self.check_new_calls(number, before);
        match polled {
            Poll::Pending => self.runs[number].future = Some(future),
            Poll::Ready(result) => self.finished(number, &result),
        }
    }

    fn check_new_calls(&mut self, number: RunNumber, before: Option<CallId>) {
        let new: Vec<(CallId, Request)> = {
            let wire = self.wire.borrow();
            let new = wire
                .calls
                .iter()
                .filter(|(id, call)| call.run == number && before.is_none_or(|last| **id > last));
            new.map(|(id, call)| (*id, call.request.clone())).collect()
        };
        let now = self.host_now(number);
        for (id, request) in new {
            self.log_step(|| format!("run-{number} asks ({id}): {}", request.brief()));
            let log = &mut self.runs[number].log;
            if let Request::Publish { notification, .. } = &request {
                let notification = notification_of(notification);
                self.checker.publishing(log, &notification, now);
            }
            log.just_loaded = None;
        }
    }

    fn finished(&mut self, number: RunNumber, result: &Result<RunReport, RunError>) {
        self.totals.count("runs finished");
        let now = self.host_now(number);
        self.log_step(|| format!("run-{number} ends: {}", ending(result)));
        let run = &self.runs[number];
        match result {
            Ok(report) => {
                // A clock that was set does not show how long the run took.
                let in_time = !run.log.clock_set && now - run.log.began < self.setup.budget / 2;
                let healthy = report.state_ahead.is_zero() || self.bug == Some(Bug::FutureIsHealth);
                self.checker.ended(&run.log, in_time, !run.disturbed);
                self.checker
                    .ended_as_healthy(&run.log, healthy, !run.disturbed);
                if report.clock_stepped {
                    self.totals.count("states from the future put right");
                } else if !report.state_ahead.is_zero() {
                    self.totals.count("states from the future waited out");
                }
            }
            Err(RunError::LostRace) => self.totals.count("runs that lost a race"),
            Err(error) if self.quiet => {
                let what = format!("nothing goes wrong, and run-{number} ends with {error}");
                self.checker.violate(Invariant::Runs, what);
            }
            Err(RunError::ClockWrong { .. }) => {
                self.totals.count("runs refused for a wrong clock");
                self.checker.refused_clock(&run.log);
            }
            Err(RunError::StateFromFuture { .. }) => {
                self.totals.count("runs that waited for a witness");
                self.checker.waited(&run.log);
            }
            Err(RunError::ClockSet { .. }) => {
                self.totals.count("runs whose clock was set");
            }
            Err(_) => {}
        }
    }
}

fn ending(result: &Result<RunReport, RunError>) -> String {
    match result {
        Ok(report) => {
            let (evaluated, published) = (&report.evaluated, &report.published);
            format!(
                "due {}, evaluated {}, delivered {}, postponed {:?}, refused {:?}",
                evaluated.due,
                evaluated.evaluated,
                published.delivered,
                published.postponed,
                published.refused
            )
        }
        Err(error) => error.to_string(),
    }
}
