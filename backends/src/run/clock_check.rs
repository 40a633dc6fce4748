//! Before a run commits: is this host's clock right, and was the state written under one that was?
//!
//! The witness is the `Date` of the answers that the run gets anyway: the store's, and the query
//! server's. A query is made for it only where the state is from the future, or where the store
//! contradicts this clock. `alerting::clock_step` decides; here is only how it gets to know.

use std::time::Duration;

use alerting::clock_step::{self, Verdict, WAIT_OUT};
use alerting::config::Config;
use alerting::query::{Ask, At};
use alerting::state::State;
use alerting::timestamp::Timestamp;

use super::{Querier, Ruler, RunError};
use crate::clock::Clock;
use crate::notify::Notifier;
use crate::state::StateStore;

/// What is asked of the query server where only its `Date` is wanted.
const PROBE: &str = "vector(1)";

/// What is known of the clock in a run.
pub(super) struct ClockCheck {
    /// The run's time.
    now: Timestamp,
    /// How far each witness was last ahead of this clock, in milliseconds.
    store_ms: Option<i64>,
    server_ms: Option<i64>,
}

impl ClockCheck {
    fn verdict(&self) -> Verdict {
        Verdict::from_offsets(self.store_ms.into_iter().chain(self.server_ms))
    }

    /// How far the query server's clock is off where the store agrees with this one.
    pub(super) fn server_is_off(&self) -> Option<i64> {
        let off = self.server_ms?;
        let disagrees = matches!(Verdict::from_offsets([off]), Verdict::Wrong { .. });
        (disagrees && self.verdict() == Verdict::Right).then_some(off)
    }
}

impl<C: Clock, Q: Querier, S: StateStore, N: Notifier> Ruler<C, Q, S, N> {
    /// Begins: what was said before this run is of no use.
    pub(super) fn begin_clock_check(&self, now: Timestamp) -> ClockCheck {
        let _ = self.store.take_server_time();
        let _ = self.querier.take_server_time();
        ClockCheck {
            now,
            store_ms: None,
            server_ms: None,
        }
    }

    /// Takes what the servers have said since.
    fn hear_witnesses(&self, check: &mut ClockCheck) {
        if !self.clock.is_of_host() {
            return;
        }
        if let Some(time) = self.store.take_server_time() {
            check.store_ms = Some(time.offset_ms(check.now));
        }
        if let Some(time) = self.querier.take_server_time() {
            check.server_ms = Some(time.offset_ms(check.now));
        }
    }

    /// The store has answered, or failed to: a clock that it contradicts and that the query server
    /// does not confirm is wrong.
    pub(super) async fn check_clock_of_load(
        &self,
        check: &mut ClockCheck,
        deadline: Timestamp,
    ) -> Result<(), RunError> {
        self.hear_witnesses(check);
        if let Verdict::Wrong { .. } = check.verdict() {
            self.probe(check, deadline).await;
        }
        refuse_wrong(check)
    }

    async fn probe(&self, check: &mut ClockCheck, deadline: Timestamp) {
        let ask = Ask {
            expr: PROBE.to_owned(),
            at: At::Instant(check.now),
        };
        // The answer does not matter, nor that there is one: only its Date.
        let _ = self.querier.query(&ask, deadline).await;
        self.hear_witnesses(check);
    }

    /// The state from the future: small steps are waited out, and larger ones put right where a
    /// witness says that this clock is. How far the state is still ahead.
    pub(super) async fn put_state_right(
        &self,
        check: &mut ClockCheck,
        state: &mut State,
        config: &Config,
        deadline: Timestamp,
    ) -> Result<Duration, RunError> {
        let claim = self.options.claim;
        let ahead = clock_step::ahead(state, config, claim, check.now);
        if ahead <= WAIT_OUT {
            return Ok(ahead);
        }
        if check.verdict() == Verdict::Unknown {
            self.probe(check, deadline).await;
        }
        match check.verdict() {
            Verdict::Right => {
                clock_step::continue_from(state, config, claim, check.now);
                Ok(Duration::ZERO)
            }
            Verdict::Wrong { ahead_ms } => Err(RunError::ClockWrong { ahead_ms }),
            Verdict::Unknown => Err(RunError::StateFromFuture { ahead }),
        }
    }

    /// Right before a commit: nothing is written under a wrong clock, nor under one that was set
    /// since the run began.
    pub(super) fn check_clock_of_commit(&self, check: &mut ClockCheck) -> Result<(), RunError> {
        self.hear_witnesses(check);
        refuse_wrong(check)?;
        let now = self.clock.now();
        let longest = self.options.budget + WAIT_OUT;
        if check.now.since(now) > clock_step::MAX_SKEW || now.since(check.now) > longest {
            return Err(RunError::ClockSet {
                began: check.now,
                now,
            });
        }
        Ok(())
    }
}

fn refuse_wrong(check: &ClockCheck) -> Result<(), RunError> {
    match check.verdict() {
        Verdict::Wrong { ahead_ms } => Err(RunError::ClockWrong { ahead_ms }),
        Verdict::Right | Verdict::Unknown => Ok(()),
    }
}

/// `90.5 s ahead of` or `90.5 s behind`.
pub(super) fn off_by(ahead_ms: i64) -> String {
    let seconds = Duration::from_millis(ahead_ms.unsigned_abs()).as_secs_f64();
    let way = if ahead_ms < 0 { "behind" } else { "ahead of" };
    format!("{seconds} s {way}")
}
