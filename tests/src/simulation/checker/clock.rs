//! Time is not monotonic: what a run may do whose clock is wrong, or who finds state from the
//! future.
//!
//! The rules are worked out from the true time and from what was said to the run, with none of the
//! code that decides in the run.

use super::{Checker, Invariant, RunLog};
use crate::simulation::document::Document;
use crate::simulation::setup::Setup;
use crate::simulation::world::{MINUTE, Millis, RULES, SECOND};

/// What a witness said of a run's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::simulation) enum Said {
    /// It agrees for certain.
    Right,
    /// It contradicts for certain.
    Wrong,
    /// It is so near the bound that either may be taken from it.
    Near,
}

/// A clock may be so far from its witness.
const MAX_SKEW: Millis = 30 * SECOND;
/// A `Date` is up to a second old, and the answer some time on its way.
const SLACK: Millis = 2 * SECOND;

impl RunLog {
    /// An answer with that `Date` arrives when the run's own clock says `own`.
    ///
    /// A clock that was set ahead after the run began is no harm: the run takes the moment at which
    /// it began for the time.
    pub(in crate::simulation) fn hear(&mut self, witness: usize, date: Millis, own: Millis) {
        let behind = date - own;
        let began_ahead = self.began - date;
        let bound = MAX_SKEW + SLACK;
        let said = if behind > bound || began_ahead > bound {
            Said::Wrong
        } else if behind.abs() < MAX_SKEW - SLACK && began_ahead < MAX_SKEW - SLACK {
            Said::Right
        } else {
            Said::Near
        };
        self.said[witness] = Some(said);
    }

    fn is_contradicted(&self) -> bool {
        let mut said = self.said.iter().flatten().peekable();
        said.peek().is_some() && said.all(|said| *said == Said::Wrong)
    }

    fn has_witness(&self) -> bool {
        self.said.iter().flatten().any(|said| *said != Said::Wrong)
    }
}

impl Checker {
    /// A run commits, before it has planned: may it? Whether it puts state from the future right.
    pub(super) fn check_clock(&mut self, run: &RunLog, old: &Document) -> bool {
        if run.is_contradicted() {
            let off = (run.began - run.began_truly) / SECOND;
            let what = format!(
                "{} commits, though it is {off} s off and a server showed it",
                run.name
            );
            self.violate(Invariant::Clock, what);
        }
        let newest = newest(&self.setup, old);
        if newest.is_none_or(|newest| newest - run.began <= MINUTE) {
            return false;
        }
        if !run.has_witness() {
            let what = format!(
                "{} commits over state from the future, without a witness",
                run.name
            );
            self.violate(Invariant::Clock, what);
        }
        true
    }

    /// After state from the future was put right, nothing of it is left.
    ///
    /// `now` is the host's time at the commit: a slow run's claims hold from then on.
    pub(super) fn check_put_right(&mut self, run: &RunLog, new: &Document, now: Millis) {
        let latest = now.max(run.began) + MINUTE;
        if newest(&self.setup, new).is_some_and(|newest| newest > latest) {
            let what = format!("{} leaves state from the future: {new:?}", run.name);
            self.violate(Invariant::Clock, what);
        }
    }

    /// A run ended well. Where cursors are in the future that is no health.
    pub(in crate::simulation) fn ended_as_healthy(
        &mut self,
        run: &RunLog,
        healthy: bool,
        undisturbed: bool,
    ) {
        let Some(stored) = &self.stored else {
            return;
        };
        let ahead = RULES.iter().enumerate().any(|(number, _)| {
            let rule = stored.rule(number);
            rule.is_some_and(|rule| rule.evaluated_until > run.began)
        });
        if ahead && undisturbed && healthy {
            let what = format!("{} is well, and cursors are in the future", run.name);
            self.violate(Invariant::Clock, what);
        }
    }

    /// A run said that its clock is wrong.
    pub(in crate::simulation) fn refused_clock(&mut self, run: &RunLog) {
        if run.said.contains(&Some(Said::Right)) && !run.clock_set {
            let what = format!("{} gave up, though a witness agreed with it", run.name);
            self.violate(Invariant::Clock, what);
        }
    }

    /// A run said that it has no witness.
    pub(in crate::simulation) fn waited(&mut self, run: &RunLog) {
        if run.said.iter().flatten().next().is_some() {
            let what = format!("{} waited, though there was a witness", run.name);
            self.violate(Invariant::Clock, what);
        }
    }

    /// The models continue from a run's time.
    pub(super) fn continue_from(&mut self, now: Millis) {
        self.totals.count("commits that put the future right");
        for (number, rule) in self.rules.iter_mut().enumerate() {
            rule.continue_from(number, now);
        }
        self.notify_model
            .continue_from(&self.setup, &self.rules, now);
        self.stepped_at = Some(now);
    }
}

/// The latest moment of a document that was past when it was written.
fn newest(setup: &Setup, document: &Document) -> Option<Millis> {
    let notify = &document.notify;
    let longest = setup.group_wait.max(setup.group_interval);
    let mut newest: Vec<Millis> = Vec::new();
    newest.extend(document.rules.values().map(|rule| rule.evaluated_until));
    newest.extend(notify.nflog.iter().map(|entry| entry.timestamp));
    newest.extend(
        notify
            .groups
            .values()
            .map(|group| group.next_flush - longest),
    );
    newest.extend(notify.outbox.dead.iter().map(|dead| dead.at));
    for pending in &notify.outbox.pending {
        newest.push(pending.created_at);
        newest.extend(pending.claim.iter().map(|claim| claim.until - setup.claim));
    }
    newest.into_iter().max()
}
