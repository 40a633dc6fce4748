//! The naive model of evaluation: what each rule's alerts must be after a tick, worked out from
//! the truth alone, one node at a time.
//!
//! The steps are those of `Eval` in Prometheus's `rules/alerting.go`; the holds are the
//! design's "no false all-clear".

use std::collections::BTreeMap;

use super::document::{AlertDoc, HoldDoc, LabelSet, RuleDoc};
use super::setup::Setup;
use super::world::{MINUTE, Millis, NODES, RULES, Rule, Truth};

/// How long Prometheus remembers an alert that ended.
const RETENTION: Millis = 15 * MINUTE;

/// Where an alert stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Pending,
    Firing,
    Ended,
}

/// One node's alert of one rule.
#[derive(Debug, Clone)]
pub(super) struct ModelAlert {
    pub(super) stage: Stage,
    pub(super) value: f64,
    pub(super) active_at: Millis,
    pub(super) fired_at: Option<Millis>,
    pub(super) ended_at: Option<Millis>,
    pub(super) kept_since: Option<Millis>,
    pub(super) hold: Option<HoldDoc>,
    pub(super) end: Option<&'static str>,
    fired_late: bool,
}

/// A firing that is over.
#[derive(Debug, Clone)]
pub(super) struct Episode {
    pub(super) node: usize,
    pub(super) fired_at: Millis,
    pub(super) ended_at: Millis,
    pub(super) end: &'static str,
    /// Both ends of it were evaluated late: no one can have been notified.
    pub(super) unseen: bool,
}

/// One rule.
#[derive(Debug, Clone, Default)]
pub(super) struct ModelRule {
    /// Whether it is in force.
    pub(super) exists: bool,
    pub(super) cursor: Millis,
    pub(super) alerts: BTreeMap<usize, ModelAlert>,
    /// What ended since notification last heard of the rule.
    pub(super) ended: Vec<Episode>,
}

/// What a run did to a rule's cursor.
#[derive(Debug, Clone, Default)]
pub(super) struct Advance {
    /// The ticks that had to be evaluated, and were.
    pub(super) evaluated: Vec<Millis>,
    /// The first and the last tick that were too old.
    pub(super) skipped: Option<(Millis, Millis)>,
}

/// The latest tick of a rule that is not after `now`.
pub(super) fn last_tick(rule: &Rule, now: Millis) -> Millis {
    now - now.rem_euclid(rule.interval)
}

/// The labels of a node's alert.
pub(super) fn labels(rule: &Rule, node: usize) -> LabelSet {
    let mut labels = LabelSet::from([
        ("alertname".to_owned(), rule.alert.to_owned()),
        ("node".to_owned(), NODES[node].to_owned()),
    ]);
    for (name, value) in rule.labels {
        labels.insert((*name).to_owned(), (*value).to_owned());
    }
    labels
}

impl ModelRule {
    /// Moves the cursor to where a run that began at `now` left it.
    pub(super) fn advance(
        &mut self,
        truth: &Truth,
        setup: &Setup,
        rule: usize,
        to: Millis,
        now: Millis,
    ) -> Advance {
        let known = &RULES[rule];
        let mut advance = Advance::default();
        let mut tick = self.cursor - self.cursor.rem_euclid(known.interval) + known.interval;
        if to <= self.cursor {
            return advance;
        }
        let newest = last_tick(known, now);
        while now - tick > setup.max_catch_up && tick < newest {
            let first = advance.skipped.map_or(tick, |(first, _)| first);
            advance.skipped = Some((first, tick));
            tick += known.interval;
        }
        if advance.skipped.is_some() {
            for alert in self.alerts.values_mut() {
                if alert.stage == Stage::Pending {
                    alert.active_at = tick;
                }
            }
        }
        while tick <= to {
            advance.evaluated.push(tick);
            if !truth.refuses(rule, tick - known.offset) {
                for node in 0..NODES.len() {
                    let late = now - tick > 2 * setup.schedule;
                    self.evaluate(truth, setup, known, node, tick, late);
                }
            }
            tick += known.interval;
        }
        self.cursor = to;
        advance
    }

    /// One tick of one node.
    fn evaluate(
        &mut self,
        truth: &Truth,
        setup: &Setup,
        rule: &Rule,
        node: usize,
        tick: Millis,
        late: bool,
    ) {
        let asked = tick - rule.offset;
        let holds = truth.holds(rule, node, asked);
        let mut alert = self.alerts.remove(&node);

        if let Some(value) = holds {
            alert = match alert {
                Some(mut known) if known.stage != Stage::Ended => {
                    known.value = value;
                    known.hold = None;
                    known.kept_since = None;
                    Some(known)
                }
                _ => Some(ModelAlert {
                    stage: Stage::Pending,
                    value,
                    active_at: tick,
                    fired_at: None,
                    ended_at: None,
                    kept_since: None,
                    hold: None,
                    end: None,
                    fired_late: false,
                }),
            };
        } else if let Some(known) = &mut alert {
            match known.stage {
                Stage::Pending => alert = None,
                Stage::Ended => {
                    if known.ended_at.is_some_and(|at| tick - at > RETENTION) {
                        alert = None;
                    }
                }
                Stage::Firing => {
                    let kept = rule.keep_firing_for > 0
                        && tick - *known.kept_since.get_or_insert(tick) < rule.keep_firing_for;
                    if !kept && let Some(end) = ends(truth, setup, rule, node, asked, tick, known) {
                        known.stage = Stage::Ended;
                        known.ended_at = Some(tick);
                        known.end = Some(end);
                        known.hold = None;
                        known.fired_late &= late;
                        self.ended.push(Episode {
                            node,
                            fired_at: known.fired_at.unwrap_or(tick),
                            ended_at: tick,
                            end,
                            unseen: known.fired_late,
                        });
                    }
                }
            }
        }
        if let Some(mut alert) = alert {
            if alert.stage == Stage::Pending && tick - alert.active_at >= rule.hold_for {
                alert.stage = Stage::Firing;
                alert.fired_at = Some(tick);
                alert.fired_late = late;
            }
            self.alerts.insert(node, alert);
        }
    }

    /// State from the future was found at `now`: nothing that it says of the future has happened.
    /// The newest tick is evaluated next.
    pub(super) fn continue_from(&mut self, rule: usize, now: Millis) {
        let known = &RULES[rule];
        let next = last_tick(known, now);
        if self.cursor > now {
            self.cursor = next - known.interval;
        }
        for alert in self.alerts.values_mut() {
            if alert.ended_at.is_some_and(|at| at > next) {
                alert.stage = Stage::Firing;
                alert.ended_at = None;
                alert.end = None;
            }
            // What fires fires on: it has waited for `for` already.
            let waited = match alert.stage {
                Stage::Firing => known.hold_for,
                Stage::Pending | Stage::Ended => 0,
            };
            alert.active_at = alert.active_at.min(next - waited);
            alert.fired_at = alert.fired_at.map(|at| at.min(next));
            alert.kept_since = alert.kept_since.map(|at| at.min(next));
            if let Some(hold) = &mut alert.hold {
                hold.set_back(next);
            }
        }
        // Of several firings of a node the last one counts.
        let last: BTreeMap<usize, Millis> = self
            .ended
            .iter()
            .map(|episode| (episode.node, episode.ended_at))
            .collect();
        let is_future = |node: &usize| last.get(node).is_some_and(|at| *at > next);
        let known_nodes: Vec<usize> = self.alerts.keys().copied().collect();
        self.ended
            .retain(|episode| !(is_future(&episode.node) && known_nodes.contains(&episode.node)));
        for episode in &mut self.ended {
            if episode.ended_at > next {
                episode.ended_at = next;
                episode.end = "no_longer_reported";
            }
            episode.fired_at = episode.fired_at.min(next);
        }
    }

    /// Where the stored rule says something else.
    pub(super) fn compare(&self, rule: usize, stored: &RuleDoc) -> Result<(), String> {
        let known = &RULES[rule];
        let mut expected: BTreeMap<LabelSet, &ModelAlert> = BTreeMap::new();
        for (node, alert) in &self.alerts {
            expected.insert(labels(known, *node), alert);
        }
        for alert in &stored.active {
            let Some(model) = expected.remove(&alert.labels) else {
                return Err(format!("there must be no alert {alert:?}"));
            };
            if !model.is(alert) {
                return Err(format!("{alert:?} must be {model:?}"));
            }
        }
        match expected.into_iter().next() {
            Some((labels, alert)) => Err(format!("there must be {labels:?}: {alert:?}")),
            None => Ok(()),
        }
    }
}

impl ModelAlert {
    fn is(&self, stored: &AlertDoc) -> bool {
        let stage = match self.stage {
            Stage::Pending => "pending",
            Stage::Firing => "firing",
            Stage::Ended => "inactive",
        };
        stored.state == stage
            && stored.value.to_bits() == self.value.to_bits()
            && stored.active_at == self.active_at
            && stored.fired_at == self.fired_at
            && stored.resolved_at == self.ended_at
            && stored.keep_firing_since == self.kept_since
            && stored.hold == self.hold
            && stored.end.as_deref() == self.end
    }
}

/// How a firing alert whose condition is not seen to hold ends, if it does; else it is held.
fn ends(
    truth: &Truth,
    setup: &Setup,
    rule: &Rule,
    node: usize,
    asked: Millis,
    tick: Millis,
    alert: &mut ModelAlert,
) -> Option<&'static str> {
    if truth.reported(rule, node, asked) {
        return Some("cleared");
    }
    let before = alert.hold.take();
    let since = before.as_ref().map_or(tick, |hold| hold.since);
    let gone_since = truth
        .any_reported(rule, asked)
        .then(|| before.and_then(|hold| hold.gone_since).unwrap_or(tick));
    let gone_too_long = gone_since.is_some_and(|gone| tick - gone >= setup.gone_hold);
    if gone_too_long || tick - since >= setup.stale_hold {
        return Some("no_longer_reported");
    }
    alert.hold = Some(HoldDoc { since, gone_since });
    None
}
