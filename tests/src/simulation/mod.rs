//! Fault simulation: the real run, on a world that one seed makes up.
//!
//! [`schedule`] starts runs and decides between any two of their calls what goes wrong;
//! [`wire`] is where it holds them; [`world`] is what is true, [`server`] answers from it.
//! [`checker`] compares every stored document and every publish with two naive models,
//! [`model`] (evaluation) and [`notify_model`] (notification), which share nothing with the code
//! under test but the document's text. [`planted`] proves that it would find something.
//!
//! `DNSWATCH_SEED=7` simulates one seed and prints every step; `DNSWATCH_SIM_SEEDS=100000` does
//! more than the usual, from seed `DNSWATCH_SIM_FIRST` on. `docs/simulation.md` says what is
//! simulated, what is not, and what was found.
//!
//! Not here yet: subscriptions that go. A [`wire::Request`] of its own is where they belong, once a
//! run asks a topic who confirmed it.

mod checker;
mod delivery;
mod document;
mod model;
mod notify_model;
mod planted;
mod schedule;
mod server;
mod setup;
mod store;
mod totals;
mod wire;
mod world;

use planted::Bug;
use schedule::{Outcome, Plan, simulate};
use totals::Totals;

/// How many seeds a plain test simulates.
const SEEDS: u64 = 120;
/// A planted bug must be found within so many.
const SEEDS_FOR_A_BUG: u64 = 60;

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    let number = text.parse();
    Some(number.unwrap_or_else(|_| panic!("{variable} must be a number, not {text}")))
}

fn assert_right(seed: u64, outcome: &Outcome) {
    if let Some(violation) = &outcome.violation {
        panic!(
            "seed {seed}, step {}: {:?}: {}\nThe last steps:\n  {}\nDNSWATCH_SEED={seed} shows all",
            outcome.totals.get("steps"),
            violation.invariant,
            violation.what,
            outcome.trace.join("\n  ")
        );
    }
}

#[test]
fn every_fault_leaves_the_invariants_standing() {
    if let Some(seed) = number("DNSWATCH_SEED") {
        let plan = Plan {
            aloud: true,
            ..Plan::default()
        };
        let outcome = simulate(seed, plan);
        assert_right(seed, &outcome);
        eprintln!("{}", outcome.totals);
        return;
    }
    let first = number("DNSWATCH_SIM_FIRST").unwrap_or(0);
    let seeds = number("DNSWATCH_SIM_SEEDS").unwrap_or(SEEDS);
    let end = first + seeds;
    let threads = std::thread::available_parallelism().map_or(1, |count| count.get());
    let totals = std::thread::scope(|scope| {
        let workers: Vec<_> = (first..end)
            .take(threads)
            .map(|first| scope.spawn(move || simulate_some((first..end).step_by(threads))))
            .collect();
        let mut totals = Totals::default();
        for worker in workers {
            match worker.join() {
                Ok(some) => totals.add(&some),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        totals
    });
    eprintln!("{seeds} seeds from {first} on:\n{totals}");
    let missing = totals.missing();
    assert!(
        seeds < SEEDS || missing.is_empty(),
        "never happened: {missing:?}"
    );
}

fn simulate_some(seeds: impl Iterator<Item = u64>) -> Totals {
    let mut totals = Totals::default();
    for seed in seeds {
        let outcome = simulate(seed, Plan::default());
        assert_right(seed, &outcome);
        totals.add(&outcome.totals);
    }
    totals
}

/// The checker holds that no cursor moves back; here nothing else may come of the wrong clock, either.
#[test]
fn two_hosts_ten_minutes_apart_alternate_for_a_day() {
    for (seed, minutes) in [(0, 10), (1, -10), (2, 10), (3, -10)] {
        let plan = Plan {
            apart: Some(minutes * world::MINUTE),
            ..Plan::default()
        };
        let outcome = simulate(seed, plan);
        assert_right(seed, &outcome);
        let totals = &outcome.totals;
        for never in [
            "publishes of what was published before",
            "states from the future put right",
            "ticks skipped for age",
        ] {
            assert_eq!(totals.get(never), 0, "seed {seed}: {never}");
        }
        let (runs, refused) = (
            totals.get("runs"),
            totals.get("runs refused for a wrong clock"),
        );
        assert!(
            runs > 1400 && totals.get("publishes") > 20,
            "seed {seed}:\n{totals}"
        );
        assert!(
            refused * 100 > runs * 45 && refused * 2 <= runs,
            "seed {seed}: {refused} of {runs} runs refused"
        );
    }
}

#[test]
fn the_same_seed_is_the_same_story() {
    let (one, other) = (simulate(1, Plan::default()), simulate(1, Plan::default()));
    assert_eq!(one.trace, other.trace);
}

#[test]
fn planted_bugs_are_found() {
    for (bug, invariant) in Bug::ALL {
        let plan = Plan {
            bug: Some(bug),
            only: Some(invariant),
            ..Plan::default()
        };
        let mut steps = 0;
        let found = (0..SEEDS_FOR_A_BUG).find_map(|seed| {
            let outcome = simulate(seed, plan);
            steps += outcome.totals.get("steps");
            outcome.violation.map(|violation| (seed, violation))
        });
        let Some((seed, violation)) = found else {
            panic!("{bug:?} is not found by {invariant:?} in {steps} steps");
        };
        eprintln!(
            "{bug:?}: found by {invariant:?} after {steps} steps, in seed {seed}: {}",
            violation.what
        );
    }
}
