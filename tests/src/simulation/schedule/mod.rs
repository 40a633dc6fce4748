//! What happens next: one seed decides which run continues, what fails, who is killed or frozen,
//! and how time goes by.
//!
//! A step is one thing that happens. Between two steps the invariants hold.

mod calls;
mod lives;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::Rc;

use backends::run::{RunError, RunReport};
use fastrand::Rng;

use super::checker::{Checker, Invariant, RunLog, Violation};
use super::planted::Bug;
use super::setup::{Faults, Setup};
use super::store::Store;
use super::totals::Totals;
use super::wire::{CallId, Request, RunNumber, Wire};
use super::world::{MINUTE, Millis, SECOND, START, Truth};

/// How many trace lines are kept.
const DAY: Millis = 24 * 60 * MINUTE;
const TRACE: usize = 60;
/// No simulation takes more steps.
const MAX_STEPS: u64 = 200_000;
/// A run that is at work for longer is killed, as a function is by its timeout.
const TIMEOUT: Millis = 100 * SECOND;

type RunFuture = Pin<Box<dyn Future<Output = Result<RunReport, RunError>>>>;

/// What came of one seed.
#[derive(Debug, Default, Clone)]
pub(in crate::simulation) struct Outcome {
    pub(in crate::simulation) violation: Option<Violation>,
    pub(in crate::simulation) totals: Totals,
    pub(in crate::simulation) trace: Vec<String>,
}

struct Run {
    future: Option<RunFuture>,
    log: RunLog,
    /// Whether another run committed since it began.
    disturbed: bool,
    /// The host that it is on.
    host: usize,
    slow: bool,
    /// Since when it works without being frozen.
    at_work_since: Millis,
    frozen: Option<Frozen>,
}

/// A request that was reported as failed and takes effect later.
struct Straggler {
    at: Millis,
    run: RunNumber,
    request: Request,
    asked_at: Millis,
}

struct Frozen {
    until: Millis,
    /// Whether what it asked for continues without it.
    acts: bool,
}

pub(in crate::simulation) struct Simulation {
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
    /// How far each host's clock is ahead of the true time.
    hosts: [Rc<Cell<Millis>>; 2],
    /// Whether runs alternate between the hosts.
    alternates: bool,
    /// When no answer has a `Date`.
    dateless: Vec<(Millis, Millis)>,
    gaps: Vec<(Millis, Millis)>,
    outages: Vec<(Millis, Millis)>,
    totals: Totals,
    trace: VecDeque<String>,
    aloud: bool,
}

/// How a seed is simulated.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::simulation) struct Plan {
    /// What is broken on purpose.
    pub(in crate::simulation) bug: Option<Bug>,
    /// The only invariant that is checked.
    pub(in crate::simulation) only: Option<Invariant>,
    /// Whether to print each step.
    pub(in crate::simulation) aloud: bool,
    /// Two hosts alternate for a day, the second one's clock so far ahead; nothing else goes wrong.
    pub(in crate::simulation) apart: Option<Millis>,
}

/// Simulates one seed.
pub(in crate::simulation) fn simulate(seed: u64, plan: Plan) -> Outcome {
    let mut simulation = Simulation::new(seed, plan);
    let violation = simulation.run();
    let minutes = (simulation.now() - START) / MINUTE;
    let mut totals = simulation.totals;
    totals.count_many("simulated minutes", u64::try_from(minutes).unwrap_or(0));
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
    if every == 0 {
        return windows;
    }
    loop {
        at += rng.i64(MINUTE..2 * every * MINUTE);
        if at >= START + length {
            return windows;
        }
        let until = (at + of[rng.usize(..of.len())]).min(START + length);
        windows.push((at, until));
        at = until;
    }
}

impl Simulation {
    fn new(seed: u64, plan: Plan) -> Self {
        let mut rng = Rng::with_seed(seed);
        let mut setup = Setup::draw(&mut rng);
        if plan.apart.is_some() {
            setup.length = DAY;
            setup.faults = Faults::default();
            setup.server_ahead = 0;
        }
        let truth = Truth::draw(&mut rng, setup.length);
        let Faults {
            gap_every,
            outage_every,
            dateless_every,
            ..
        } = setup.faults;
        let dateless = [5 * MINUTE, 10 * MINUTE, 25 * MINUTE];
        let dateless = some_windows(&mut rng, dateless_every, setup.length, &dateless);
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
            hosts: [
                Rc::default(),
                Rc::new(Cell::new(plan.apart.unwrap_or_default())),
            ],
            alternates: plan.apart.is_some(),
            dateless,
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

    fn log_step(&mut self, line: impl FnOnce() -> String) {
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

    /// Steps until an invariant is violated or the story is over.
    fn run(&mut self) -> Option<Violation> {
        let violation = self.run_story();
        let minutes = (self.now() - START) / MINUTE;
        let minutes = u64::try_from(minutes).expect("time runs forward");
        self.totals.count_many("simulated minutes", minutes);
        violation
    }

    fn run_story(&mut self) -> Option<Violation> {
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
                .violate(Invariant::Runs, "it continues for ever".to_owned());
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
        self.log_step(|| "from here on nothing goes wrong".to_owned());
        for number in 0..self.runs.len() {
            if self.runs[number].future.is_some() {
                self.kill(number);
            }
        }
        self.quiet = true;
        for host in &self.hosts {
            host.set(0);
        }
        self.dateless.clear();
        self.setup.store_has_date = true;
        self.stragglers.clear();
        self.outages.clear();
        self.gaps.clear();
        let now = self.now();
        self.next_start = now + SECOND;
    }

    fn step(&mut self) {
        self.totals.count("steps");
        if self.chance(self.setup.faults.clock_set_midway) {
            self.set_a_clock();
        }
        self.start_due();
        self.thaw_due();
        self.let_stragglers_act();
        let now = self.now();
        for number in 0..self.runs.len() {
            let run = &self.runs[number];
            let overdue = now - run.at_work_since > TIMEOUT;
            if run.future.is_some() && run.frozen.is_none() && overdue {
                self.totals.count("runs out of time");
                self.log_step(|| format!("run-{number} is out of time"));
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

    /// What the clock of a run's host says.
    fn host_now(&self, number: RunNumber) -> Millis {
        self.now() + self.hosts[self.runs[number].host].get()
    }

    /// Somebody or something sets the clock of a host.
    fn set_a_clock(&mut self) {
        let host = self.rng.usize(..self.hosts.len());
        let steps = [
            0,
            0,
            0,
            -3 * SECOND,
            2 * SECOND,
            25 * SECOND,
            -25 * SECOND,
            50 * SECOND,
            -50 * SECOND,
            5 * MINUTE,
            -5 * MINUTE,
            10 * MINUTE,
            40 * MINUTE,
            -40 * MINUTE,
            180 * MINUTE,
        ];
        let ahead = steps[self.rng.usize(..steps.len())];
        let before = self.hosts[host].replace(ahead);
        if before == ahead {
            return;
        }
        for run in &mut self.runs {
            run.log.clock_set |= run.host == host && run.future.is_some();
        }
        self.totals.count(if ahead < before {
            "clocks set back"
        } else {
            "clocks set ahead"
        });
        self.log_step(|| format!("the clock of host {host} is now {} s ahead", ahead / SECOND));
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
            return self.log_step(|| "no run is started".to_owned());
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
}
