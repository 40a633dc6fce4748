//! What one seed chooses before anything happens: the settings, and how much goes wrong.

use std::time::Duration;

use alerting::config::Settings;
use alerting::evaluation::EvaluationOptions;
use alerting::notify::{Receiver, Route};
use alerting::state_machine::Semantics;
use backends::run::RunOptions;
use fastrand::Rng;

use super::world::{MINUTE, Millis, SECOND};

/// How long faults continue.
const LENGTH: Millis = 75 * MINUTE;

/// The settings of one simulation, in the model's words.
#[derive(Debug, Clone)]
pub(super) struct Setup {
    /// For how long faults happen.
    pub(super) length: Millis,
    pub(super) group_by: Vec<&'static str>,
    pub(super) group_wait: Millis,
    pub(super) group_interval: Millis,
    pub(super) repeat_interval: Millis,
    pub(super) stale_hold: Millis,
    pub(super) gone_hold: Millis,
    pub(super) max_catch_up: Millis,
    pub(super) schedule: Millis,
    pub(super) budget: Millis,
    pub(super) claim: Millis,
    pub(super) chunk: u32,
    pub(super) concurrency: usize,
    pub(super) faults: Faults,
    /// Whether the store's answers have a `Date`, as DynamoDB's have and a file's have not.
    pub(super) store_has_date: bool,
    /// How far the query server's own clock is ahead.
    pub(super) server_ahead: Millis,
}

/// How often each thing goes wrong, in thousandths.
#[derive(Debug, Clone, Default)]
pub(super) struct Faults {
    /// A call fails before it acts.
    pub(super) fails: u32,
    /// A call acts, and its answer is lost.
    pub(super) answer_lost: u32,
    /// A run is killed at a step.
    pub(super) killed: u32,
    /// A run is frozen at a step.
    pub(super) frozen: u32,
    /// A host's clock is set, ahead or back or right, before a run.
    pub(super) clock_set: u32,
    /// The same between two steps of runs.
    pub(super) clock_set_midway: u32,
    /// An answer has no `Date`, or a cache's.
    pub(super) dateless: u32,
    /// How often, in minutes, a proxy takes the `Date` off all answers for a while; 0: never.
    pub(super) dateless_every: i64,
    /// A load gives half of the document.
    pub(super) torn: u32,
    /// The rule file is cut off in the middle, as while it is written.
    pub(super) cut_off: u32,
    /// A run is slow.
    pub(super) slow: u32,
    /// A run is started once more.
    pub(super) doubled: u32,
    /// A run does not start.
    pub(super) missed: u32,
    /// A publish is refused for good.
    pub(super) refused: u32,
    /// The rule files cannot be read.
    pub(super) unreadable: u32,
    /// Another edition of the rules is deployed before a run.
    pub(super) redeployed: u32,
    /// How often, in minutes, nothing answers queries for a while; 0: never.
    pub(super) outage_every: i64,
    /// How often, in minutes, nothing is started for a while; 0: never.
    pub(super) gap_every: i64,
}

fn one<T: Copy>(rng: &mut Rng, of: &[T]) -> T {
    of[rng.usize(..of.len())]
}

impl Setup {
    pub(super) fn draw(rng: &mut Rng) -> Self {
        let level = |rng: &mut Rng, often: u32| one(rng, &[0, often / 4, often / 4, often]);
        let faults = Faults {
            fails: level(rng, 60),
            answer_lost: level(rng, 40),
            killed: level(rng, 12),
            frozen: level(rng, 16),
            clock_set: level(rng, 80),
            clock_set_midway: level(rng, 3),
            dateless: level(rng, 300),
            dateless_every: one(rng, &[0, 15, 15, 40]),
            torn: level(rng, 20),
            cut_off: level(rng, 60),
            slow: level(rng, 300),
            doubled: level(rng, 300),
            missed: level(rng, 200),
            refused: level(rng, 80),
            unreadable: level(rng, 80),
            redeployed: level(rng, 60),
            outage_every: one(rng, &[0, 10, 25, 50]),
            gap_every: one(rng, &[0, 20, 40]),
        };
        let store_has_date = one(rng, &[true, true, false]);
        Self {
            length: LENGTH,
            group_by: one::<&[&str]>(
                rng,
                &[&["alertname"], &["node"], &["alertname", "node"], &[]],
            )
            .to_vec(),
            group_wait: one(rng, &[0, 30 * SECOND, 30 * SECOND, 90 * SECOND]),
            group_interval: one(rng, &[MINUTE, 5 * MINUTE, 5 * MINUTE]),
            repeat_interval: one(rng, &[MINUTE, 12 * MINUTE, 30 * MINUTE, 240 * MINUTE]),
            stale_hold: 12 * MINUTE,
            gone_hold: 5 * MINUTE,
            max_catch_up: one(rng, &[10 * MINUTE, 30 * MINUTE, 60 * MINUTE]),
            schedule: MINUTE,
            budget: 40 * SECOND,
            claim: 120 * SECOND,
            chunk: one(rng, &[3, 60, 60]),
            concurrency: one(rng, &[1, 4]),
            faults,
            store_has_date,
            // A server's wrong clock is found out only by a store that has the right one.
            server_ahead: if store_has_date {
                one(rng, &[0, 0, 0, 0, 10 * MINUTE, -10 * MINUTE])
            } else {
                0
            },
        }
    }

    /// As the run takes it.
    pub(super) fn settings(&self) -> Settings {
        Settings {
            workspace: "ws-simulated".to_owned(),
            receivers: vec![Receiver::terminal("ops")],
            route: Route {
                receiver: "ops".to_owned(),
                group_by: self
                    .group_by
                    .iter()
                    .map(|name| (*name).to_owned())
                    .collect(),
                group_wait: duration(self.group_wait),
                group_interval: duration(self.group_interval),
                repeat_interval: duration(self.repeat_interval),
                ..Route::default()
            },
            evaluation: EvaluationOptions {
                semantics: Semantics {
                    stale_hold: duration(self.stale_hold),
                    gone_hold: duration(self.gone_hold),
                    ..Semantics::default()
                },
                max_catch_up: duration(self.max_catch_up),
                schedule: duration(self.schedule),
                chunk: self.chunk,
                ..EvaluationOptions::default()
            },
            ..Settings::default()
        }
    }

    pub(super) fn options(&self) -> RunOptions {
        RunOptions {
            budget: duration(self.budget),
            claim: duration(self.claim),
            concurrency: self.concurrency,
            ..RunOptions::default()
        }
    }
}

fn duration(millis: Millis) -> Duration {
    Duration::from_millis(u64::try_from(millis).expect("a duration is not negative"))
}
