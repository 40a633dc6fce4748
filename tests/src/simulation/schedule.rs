//! What happens next: one seed decides which run goes on, what fails, who is killed or frozen,
//! and how time goes by.
//!
//! A step is one thing that happens. Between two steps the invariants hold.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use alerting::rules::SourceFile;
use backends::run::{Ruler, RunError, RunReport};
use fastrand::Rng;

use super::checker::{Checker, Invariant, RunLog, Violation};
use super::document::NotificationDoc;
use super::planted::{Bug, Connection, Planted};
use super::server;
use super::setup::{Faults, Setup};
use super::store::Store;
use super::totals::Totals;
use super::wire::{CallId, Line, Request, Response, RunNumber, Wire};
use super::world::{EDITIONS, MINUTE, Millis, SECOND, START, Truth, rule_file};

/// How many trace lines are kept.
const TRACE: usize = 60;
/// No simulation takes more steps.
const MAX_STEPS: u64 = 200_000;
/// A run that is at work for longer is killed, as a function is by its timeout.
const TIMEOUT: Millis = 100 * SECOND;

type RunFuture = Pin<Box<dyn Future<Output = Result<RunReport, RunError>>>>;

/// What came of one seed.
#[derive(Debug, Default, Clone)]
pub(super) struct Outcome {
    pub(super) violation: Option<Violation>,
    pub(super) totals: Totals,
    pub(super) trace: Vec<String>,
}

struct Run {
    future: Option<RunFuture>,
    log: RunLog,
    /// Whether another run committed since it began.
    disturbed: bool,
    /// How far its clock is ahead.
    skew: Millis,
    slow: bool,
    /// Since when it works without being frozen.
    at_work_since: Millis,
    frozen: Option<Frozen>,
}

/// What a run asked for, was told to have failed, and will happen all the same.
struct Straggler {
    at: Millis,
    run: RunNumber,
    request: Request,
}

struct Frozen {
    until: Millis,
    /// Whether what it asked for goes on without it.
    acts: bool,
}

pub(super) struct Simulation {
    rng: Rng,
    setup: Setup,
    wire: Rc<RefCell<Wire>>,
    runs: Vec<Run>,
    stragglers: Vec<Straggler>,
    store: Store,
    checker: Checker,
    bug: Option<Bug>,
    only: Option<Invariant>,
    quiet: bool,
    /// What is deployed.
    edition: usize,
    next_start: Millis,
    gaps: Vec<(Millis, Millis)>,
    outages: Vec<(Millis, Millis)>,
    totals: Totals,
    trace: VecDeque<String>,
    aloud: bool,
}

/// How a seed is simulated.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Plan {
    /// What is broken on purpose.
    pub(super) bug: Option<Bug>,
    /// The only invariant that is looked at.
    pub(super) only: Option<Invariant>,
    /// Whether to print each step.
    pub(super) aloud: bool,
}

/// Simulates one seed.
pub(super) fn simulate(seed: u64, plan: Plan) -> Outcome {
    let mut simulation = Simulation::new(seed, plan);
    let violation = simulation.run();
    let mut totals = simulation.totals;
    totals.add(&simulation.checker.totals);
    Outcome {
        violation,
        totals,
        trace: simulation.trace.into_iter().collect(),
    }
}

fn some_windows(rng: &mut Rng, every: i64, length: Millis, of: &[Millis]) -> Vec<(Millis, Millis)> {
    let mut windows = Vec::new();
    let mut at = START;
    while every > 0 {
        at += rng.i64(MINUTE..2 * every * MINUTE);
        if at >= START + length {
            break;
        }
        let until = (at + of[rng.usize(..of.len())]).min(START + length);
        windows.push((at, until));
        at = until;
    }
    windows
}

impl Simulation {
    fn new(seed: u64, plan: Plan) -> Self {
        let mut rng = Rng::with_seed(seed);
        let setup = Setup::draw(&mut rng);
        let truth = Truth::draw(&mut rng, setup.length);
        let Faults {
            gap_every,
            outage_every,
            ..
        } = setup.faults;
        let gaps = [4 * MINUTE, 8 * MINUTE, 20 * MINUTE, 40 * MINUTE];
        let gaps = some_windows(&mut rng, gap_every, setup.length, &gaps);
        let outages = [30 * SECOND, 3 * MINUTE, 7 * MINUTE, 15 * MINUTE];
        let outages = some_windows(&mut rng, outage_every, setup.length, &outages);
        let wire = Rc::new(RefCell::new(Wire::at(START + rng.i64(0..MINUTE))));
        let next_start = wire.borrow().now;
        Self {
            rng,
            checker: Checker::new(truth, setup.clone()),
            setup,
            wire,
            runs: Vec::new(),
            stragglers: Vec::new(),
            store: Store::default(),
            bug: plan.bug,
            only: plan.only,
            quiet: false,
            edition: 0,
            next_start,
            gaps,
            outages,
            totals: Totals::default(),
            trace: VecDeque::new(),
            aloud: plan.aloud,
        }
    }

    fn now(&self) -> Millis {
        self.wire.borrow().now
    }

    fn chance(&mut self, per_mille: u32) -> bool {
        !self.quiet && self.rng.u32(..1000) < per_mille
    }

    fn tell(&mut self, line: impl FnOnce() -> String) {
        let now = self.now() - START;
        let line = format!(
            "{:3}:{:02}.{:03} {}",
            now / MINUTE,
            now % MINUTE / SECOND,
            now % SECOND,
            line()
        );
        if self.aloud {
            eprintln!("{line}");
        }
        if self.trace.len() == TRACE {
            self.trace.pop_front();
        }
        self.trace.push_back(line);
    }

    /// Steps until something is wrong or all is over.
    fn run(&mut self) -> Option<Violation> {
        let end = START + self.setup.length;
        while self.now() < end {
            self.step();
            if let Some(violation) = self.violation() {
                return Some(violation);
            }
        }
        self.quieten();
        let calm = self.now() + Checker::calm(&self.setup);
        let since = self.now();
        while self.now() < calm || self.is_busy() {
            self.step();
            if !self.is_busy() {
                self.checker.quiet(self.now(), since);
            }
            if let Some(violation) = self.violation() {
                return Some(violation);
            }
        }
        self.checker.settled();
        self.violation()
    }

    fn violation(&mut self) -> Option<Violation> {
        if self.totals.get("steps") > MAX_STEPS {
            self.checker
                .violate(Invariant::Runs, "it goes on for ever".to_owned());
        }
        let only = self.only;
        let found = std::mem::take(&mut self.checker.violations);
        if self.aloud {
            for violation in &found {
                eprintln!("{violation:?}");
            }
        }
        found
            .into_iter()
            .find(|one| only.is_none_or(|only| only == one.invariant))
    }

    fn is_busy(&self) -> bool {
        self.runs.iter().any(|run| run.future.is_some())
    }

    /// From here on nothing goes wrong any more.
    fn quieten(&mut self) {
        self.tell(|| "from here on nothing goes wrong".to_owned());
        for number in 0..self.runs.len() {
            if self.runs[number].future.is_some() {
                self.kill(number);
            }
        }
        self.quiet = true;
        self.stragglers.clear();
        self.outages.clear();
        self.gaps.clear();
        let now = self.now();
        self.next_start = now + SECOND;
    }

    fn step(&mut self) {
        self.totals.count("steps");
        self.start_due();
        self.thaw_due();
        self.let_stragglers_act();
        let now = self.now();
        for number in 0..self.runs.len() {
            let run = &self.runs[number];
            let overdue = now - run.at_work_since > TIMEOUT;
            if run.future.is_some() && run.frozen.is_none() && overdue {
                self.totals.count("runs out of time");
                self.tell(|| format!("run-{number} is out of time"));
                self.kill(number);
            }
        }
        let movable: Vec<CallId> = {
            let wire = self.wire.borrow();
            let movable = wire.calls.iter().filter(|(id, call)| {
                let frozen = &self.runs[call.run].frozen;
                let moves = frozen
                    .as_ref()
                    .is_none_or(|frozen| frozen.acts && call.outcome.is_none());
                moves && !wire.is_answered(**id)
            });
            movable.map(|(id, _)| *id).collect()
        };
        if movable.is_empty() {
            return self.wait();
        }
        let id = movable[self.rng.usize(..movable.len())];
        let slow = {
            let wire = self.wire.borrow();
            self.runs[wire.calls[&id].run].slow
        };
        if slow && self.rng.u8(..3) == 0 {
            self.pass(SECOND / 2, 6 * SECOND);
        } else if self.rng.u8(..4) == 0 {
            self.pass(1, SECOND);
        } else {
            self.advance(id);
        }
    }

    /// Time goes by.
    fn pass(&mut self, at_least: Millis, at_most: Millis) {
        let by = self.rng.i64(at_least..=at_most);
        self.wire.borrow_mut().now += by;
    }

    /// Nothing can happen before the next run starts or a frozen one thaws.
    fn wait(&mut self) {
        let thaws = self.runs.iter().filter_map(|run| {
            run.future.as_ref()?;
            Some(run.frozen.as_ref()?.until)
        });
        let next = thaws.chain([self.next_start]).min();
        let next = next.unwrap_or(self.next_start).max(self.now());
        self.wire.borrow_mut().now = next;
    }

    fn start_due(&mut self) {
        let now = self.now();
        if now < self.next_start {
            return;
        }
        // Any second of the next minute.
        let minute = now - now.rem_euclid(MINUTE) + MINUTE;
        self.next_start = minute + self.rng.i64(0..MINUTE);
        if self.chance(250) {
            // Exactly on a tick.
            self.next_start = minute;
        }
        let faults = self.setup.faults.clone();
        let in_gap = self.gaps.iter().any(|(from, to)| *from <= now && now < *to);
        if in_gap || self.chance(faults.missed) {
            self.totals.count("runs missed");
            return self.tell(|| "no run is started".to_owned());
        }
        self.start();
        if self.chance(faults.doubled) {
            self.start();
        }
        if self.chance(faults.doubled) {
            let soon = now + self.rng.i64(0..30 * SECOND);
            self.next_start = self.next_start.min(soon);
        }
    }

    fn start(&mut self) {
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
        let edition = (!unreadable).then_some(self.edition);
        let files = match edition {
            None => Err("the folder cannot be read".to_owned()),
            Some(edition) => Ok(vec![SourceFile {
                name: "sim.yml".to_owned(),
                text: rule_file(edition),
            }]),
        };
        let skews = [-3 * SECOND, -SECOND, 2 * SECOND];
        let skew = if self.chance(faults.skewed) {
            skews[self.rng.usize(..skews.len())]
        } else {
            0
        };
        let line = Line {
            wire: Rc::clone(&self.wire),
            run: number,
            skew,
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
        self.tell(|| format!("{name} starts, slow: {slow}, with edition {edition:?}"));
        self.totals.count("runs");
        self.runs.push(Run {
            future: Some(Box::pin(async move { ruler.run(&run_id, files).await })),
            log: RunLog {
                name,
                began: now + skew,
                edition,
                ..RunLog::default()
            },
            disturbed: false,
            skew,
            slow,
            at_work_since: now,
            frozen: None,
        });
        self.poll(number);
    }

    fn thaw_due(&mut self) {
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
                self.tell(|| format!("run-{number} thaws"));
                self.poll(number);
            }
        }
    }

    fn freeze(&mut self, number: RunNumber) {
        let lengths = [5 * SECOND, 50 * SECOND, 125 * SECOND, 10 * MINUTE];
        let length = lengths[self.rng.usize(..lengths.len())];
        let acts = self.rng.u8(..3) == 0;
        self.tell(|| format!("run-{number} is frozen for {} s", length / SECOND));
        self.totals.count("runs frozen");
        self.runs[number].frozen = Some(Frozen {
            until: self.now() + length,
            acts,
        });
    }

    /// Ends a run between two of its steps. What it asked for may still happen.
    fn kill(&mut self, number: RunNumber) {
        self.tell(|| format!("run-{number} is killed"));
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

    /// One call goes on by one step: it acts, or its answer arrives.
    fn advance(&mut self, id: CallId) {
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
        self.tell(|| {
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
        let (number, request) = {
            let wire = self.wire.borrow();
            let call = &wire.calls[&id];
            (call.run, call.request.clone())
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
                self.tell(|| format!("run-{number}'s call {id} fails: {}", brief(&outcome)));
                if let Some(call) = self.wire.borrow_mut().calls.get_mut(&id) {
                    call.outcome = Some(outcome);
                }
            }
            None => self.act(id),
        }
    }

    /// The call does what it is for.
    fn act(&mut self, id: CallId) {
        let (number, request) = {
            let wire = self.wire.borrow();
            let call = &wire.calls[&id];
            (call.run, call.request.clone())
        };
        let outcome = self.perform(number, request);
        if let Some(call) = self.wire.borrow_mut().calls.get_mut(&id) {
            call.outcome = Some(outcome);
        }
    }

    fn let_stragglers_act(&mut self) {
        let now = self.now();
        while let Some(due) = self.stragglers.iter().position(|one| one.at <= now) {
            let Straggler { run, request, .. } = self.stragglers.swap_remove(due);
            self.totals.count("calls that acted long after they failed");
            self.tell(|| format!("run-{run}'s request arrives at last: {}", request.brief()));
            self.perform(run, request);
        }
    }

    fn perform(&mut self, number: RunNumber, request: Request) -> Response {
        // Claims are compared with the clock of the run that makes or uses them.
        let now = self.now() + self.runs[number].skew;
        match request {
            Request::Load => Response::Loaded(self.store.load()),
            Request::Commit { document, parent } => match self.store.commit(&document, parent) {
                Some(version) => {
                    self.totals.count("commits");
                    self.tell(|| format!("run-{number} commits version {version}"));
                    for (other, run) in self.runs.iter_mut().enumerate() {
                        run.disturbed |= other != number;
                    }
                    self.checker
                        .committed(&mut self.runs[number].log, &document, now);
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
                self.tell(|| {
                    let (id, sequence) = (&notification.id, notification.sequence);
                    format!("run-{number} publishes {id} {sequence}: {subject}")
                });
                let log = &self.runs[number].log;
                self.checker.published(log, &notification, &subject, now);
                Response::Published
            }
        }
    }

    /// Notes what a run is told.
    fn learn(&mut self, id: CallId, answer: &Response) {
        let wire = self.wire.borrow();
        let call = &wire.calls[&id];
        let run = &mut self.runs[call.run];
        let log = &mut run.log;
        match (&call.request, answer) {
            (Request::Load, Response::Loaded(found)) => {
                log.just_loaded = found.as_ref().map(|(bytes, _)| bytes.clone());
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

    /// Lets a run work until it waits again.
    fn poll(&mut self, number: RunNumber) {
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
        let now = self.now() + self.runs[number].skew;
        for (id, request) in new {
            self.tell(|| format!("run-{number} asks ({id}): {}", request.brief()));
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
        let now = self.now();
        self.tell(|| format!("run-{number} ends: {}", ending(result)));
        let run = &self.runs[number];
        match result {
            Ok(_) => {
                let in_time = now - run.log.began < self.setup.budget;
                self.checker.ended(&run.log, in_time, !run.disturbed);
            }
            Err(RunError::LostRace) => self.totals.count("runs that lost a race"),
            Err(error) if self.quiet => {
                let what = format!("nothing goes wrong, and run-{number} ends with {error}");
                self.checker.violate(Invariant::Runs, what);
            }
            Err(_) => {}
        }
    }
}

fn notification_of(value: &serde_json::Value) -> NotificationDoc {
    serde_json::from_value(value.clone()).expect("it is as in the document")
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
    fn brief(&self) -> String {
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
