//! The invariants, checked at every commit, every publish and every run's end.

mod clock;
mod outbox;

use std::collections::{BTreeMap, BTreeSet};

pub(in crate::simulation) use self::clock::Said;
use super::document::{Document, EntryDoc, LabelSet, NotificationDoc};
use super::model::{self, ModelRule};
use super::notify_model::{NotifyModel, own_alerts};
use super::setup::Setup;
use super::totals::Totals;
use super::world::{EDITIONS, MINUTE, Millis, RULES, Truth};

/// What is checked, by the design's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::simulation) enum Invariant {
    /// 3: no tick is passed over.
    Ticks,
    /// 4: the state machine, at every cursor.
    State,
    /// 5: no false all-clear.
    NoFalseAllClear,
    /// 6: commit before publish, through an outbox.
    Outbox,
    /// 7: notification uses run time.
    NotifyModel,
    /// A run ends as it must.
    Runs,
    /// 11: time may step both ways.
    Clock,
}

/// Something that must not be.
#[derive(Debug, Clone)]
pub(in crate::simulation) struct Violation {
    pub(in crate::simulation) invariant: Invariant,
    pub(in crate::simulation) what: String,
}

/// What is known of a run from its calls.
#[derive(Debug, Default)]
pub(in crate::simulation) struct RunLog {
    pub(in crate::simulation) name: String,
    /// By its own clock.
    pub(in crate::simulation) began: Millis,
    /// By the true time.
    pub(in crate::simulation) began_truly: Millis,
    /// Whether its host's clock was set while it was at work.
    pub(in crate::simulation) clock_set: bool,
    /// What the store and the query server said last of its clock.
    pub(in crate::simulation) said: [Option<Said>; 2],
    /// The edition of the rules that it was given; none if they could not be read.
    pub(in crate::simulation) edition: Option<usize>,
    /// The notifications that it began to publish.
    pub(in crate::simulation) tried: BTreeSet<String>,
    /// The document as its last call found it, if that was a load.
    pub(in crate::simulation) just_loaded: Option<Vec<u8>>,
    /// The rules and moments that it got an answer, or a refusal, for.
    pub(in crate::simulation) answered: BTreeSet<(usize, Millis)>,
    pub(in crate::simulation) planned: bool,
    /// The notifications whose publish succeeded, and those refused.
    pub(in crate::simulation) published: BTreeSet<String>,
    pub(in crate::simulation) refused: BTreeSet<String>,
}

/// What was published of one group to one receiver.
#[derive(Debug, Default)]
struct Inbox {
    sequence: u64,
    group: LabelSet,
    firing: BTreeSet<LabelSet>,
    refused: bool,
}

/// The models, and what was seen so far.
pub(in crate::simulation) struct Checker {
    truth: Truth,
    setup: Setup,
    rules: Vec<ModelRule>,
    notify_model: NotifyModel,
    stored: Option<Document>,
    /// Which edition each stored configuration is.
    editions: BTreeMap<String, usize>,
    /// Every notification that was ever pending: by channel, the highest sequence number.
    planned: BTreeMap<(String, String), u64>,
    seen: BTreeSet<String>,
    acted: BTreeMap<String, u32>,
    inboxes: BTreeMap<(String, String), Inbox>,
    /// When state from the future was last put right.
    stepped_at: Option<Millis>,
    pub(in crate::simulation) violations: Vec<Violation>,
    pub(in crate::simulation) totals: Totals,
}

impl Checker {
    pub(in crate::simulation) fn new(truth: Truth, setup: Setup) -> Self {
        Self {
            truth,
            setup,
            rules: vec![ModelRule::default(); RULES.len()],
            notify_model: NotifyModel::default(),
            stored: None,
            editions: BTreeMap::new(),
            planned: BTreeMap::new(),
            seen: BTreeSet::new(),
            acted: BTreeMap::new(),
            inboxes: BTreeMap::new(),
            stepped_at: None,
            violations: Vec::new(),
            totals: Totals::default(),
        }
    }

    pub(in crate::simulation) fn truth(&self) -> &Truth {
        &self.truth
    }

    pub(in crate::simulation) fn violate(&mut self, invariant: Invariant, what: String) {
        self.violations.push(Violation { invariant, what });
    }

    /// A document was stored.
    pub(in crate::simulation) fn committed(&mut self, run: &mut RunLog, bytes: &[u8], now: Millis) {
        let new = Document::read(bytes);
        let old = self.stored.take().unwrap_or_default();
        let stepped = !run.planned && self.check_clock(run, &old);
        if stepped {
            self.continue_from(run.began);
        }
        self.check_rules(run, &old, &new, stepped);
        self.check_telling(run, &old, &new, stepped);
        self.check_outbox(run, &old, &new, now, stepped);
        if stepped {
            self.check_put_right(run, &new, now);
        }
        if let (Some(edition), Some(name)) = (run.edition, &new.config)
            && old.config != new.config
        {
            self.editions.insert(name.clone(), edition);
        }
        self.stored = Some(new);
    }

    fn check_rules(&mut self, run: &RunLog, old: &Document, new: &Document, stepped: bool) {
        for (number, known) in RULES.iter().enumerate() {
            let name = format!("{}/{}", known.group, known.alert);
            let wanted = self.wants(run, old, number);
            let (before, stored) = match (old.rule(number), new.rule(number)) {
                (Some(before), Some(stored)) => (before, stored),
                (None, None) => continue,
                (Some(_), None) => {
                    self.rules[number] = ModelRule::default();
                    if wanted {
                        self.violate(Invariant::Ticks, format!("{name} is forgotten"));
                    }
                    continue;
                }
                (None, Some(stored)) => {
                    let newest = model::last_tick(known, run.began);
                    self.rules[number] = ModelRule {
                        exists: true,
                        cursor: newest,
                        ..ModelRule::default()
                    };
                    let to = stored.evaluated_until;
                    if !wanted || to != newest {
                        let what = format!("{name}, new, must begin after {newest}, not {to}");
                        self.violate(Invariant::Ticks, what);
                    }
                    continue;
                }
            };
            let to = stored.evaluated_until;
            let newest = model::last_tick(known, run.began);
            // The model's cursor is the one before, or where that one was put right.
            let from = self.rules[number].cursor;
            if to < from || (!stepped && to < before.evaluated_until) {
                let what = format!("{name} went back from {} to {to}", before.evaluated_until);
                self.violate(Invariant::Ticks, what);
                continue;
            }
            if stepped && to > run.began {
                let what = format!("{name} stays in the future, at {to}");
                self.violate(Invariant::Ticks, what);
            }
            if to != from && (to % known.interval != 0 || to > newest) {
                let what = format!("{name}: no tick of the run at {} is {to}", run.began);
                self.violate(Invariant::Ticks, what);
            }
            let advance =
                self.rules[number].advance(&self.truth, &self.setup, number, to, run.began);
            for tick in &advance.evaluated {
                if !run.answered.contains(&(number, tick - known.offset)) {
                    let what = format!("{name}: passed {tick}, which it had no answer for");
                    self.violate(Invariant::Ticks, what);
                }
            }
            if let Some((first, last)) = advance.skipped {
                self.totals.count("ticks skipped for age");
                let reported = stored.health.skipped.as_ref().is_some_and(|skipped| {
                    skipped.from <= first && skipped.to == last && skipped.at == run.began
                });
                if !reported || last > to {
                    let what = format!(
                        "{name}: skipped {first} to {last}, said {:?}",
                        stored.health.skipped
                    );
                    self.violate(Invariant::Ticks, what);
                }
            } else if !stepped && stored.health.skipped != before.health.skipped {
                let what = format!("{name}: nothing skipped, said {:?}", stored.health.skipped);
                self.violate(Invariant::Ticks, what);
            }
            if let Some(last) = advance.evaluated.last() {
                let refused = self.truth.refuses(number, last - known.offset);
                let failure = &stored.health.failure;
                let right = match failure {
                    Some(failure) if failure.refused => refused,
                    Some(_) => true,
                    None => !refused,
                };
                if !right {
                    let what = format!("{name}: refused at {last}: {refused}, said {failure:?}");
                    self.violate(Invariant::State, what);
                }
            }
            if let Err(what) = self.rules[number].compare(number, stored) {
                self.violate(Invariant::State, format!("{name} at {to}: {what}"));
            }
        }
    }

    /// Whether a rule is in the configuration that is in force for a run.
    fn wants(&self, run: &RunLog, old: &Document, number: usize) -> bool {
        let last_good = old.config.as_ref().and_then(|name| self.editions.get(name));
        let edition = run.edition.as_ref().or(last_good);
        edition.is_some_and(|edition| EDITIONS[*edition][number])
    }

    fn check_telling(&mut self, run: &mut RunLog, old: &Document, new: &Document, stepped: bool) {
        let claims = |document: &Document| {
            let pending = document.notify.outbox.pending.iter();
            pending
                .filter(|pending| {
                    pending
                        .claim
                        .as_ref()
                        .is_some_and(|claim| claim.run == run.name)
                })
                .count()
        };
        let heard = self.rules.iter().enumerate().any(|(number, rule)| {
            let stored = new.rule(number);
            !rule.ended.is_empty() && stored.is_some_and(|stored| stored.ended.is_empty())
        });
        // Where state from the future is put right that alone is no plan.
        let changed = if stepped {
            let mut nflog = old.notify.nflog.clone();
            for entry in &mut nflog {
                entry.timestamp = entry.timestamp.min(run.began);
            }
            self.notify_model.compare(new).is_err() || nflog != new.notify.nflog
        } else {
            old.notify.alerts != new.notify.alerts
                || old.notify.groups != new.notify.groups
                || old.notify.nflog != new.notify.nflog
        };
        let visible = changed || claims(new) > claims(old) || heard;
        if !visible {
            return;
        }
        if run.planned {
            let what = format!("{} planned twice", run.name);
            return self.violate(Invariant::NotifyModel, what);
        }
        run.planned = true;
        for (number, known) in RULES.iter().enumerate() {
            let wanted = self.wants(run, old, number);
            if wanted != new.rule(number).is_some() {
                let name = format!("{}/{}", known.group, known.alert);
                self.violate(Invariant::Ticks, format!("{name} is in force: {wanted}"));
            }
        }
        let own = own_alerts(
            &self.rules,
            new,
            run.edition.is_none(),
            self.stepped_at,
            run.began,
        );
        let mut expected = self
            .notify_model
            .plan(&self.setup, &mut self.rules, &own, run.began);
        if let Err(what) = self.notify_model.compare(new) {
            self.violate(Invariant::NotifyModel, what);
        }
        for pending in &new.notify.outbox.pending {
            if old.pending(&pending.id).is_some() {
                continue;
            }
            let at = expected
                .iter()
                .position(|expected| expected.group == pending.group_labels);
            let Some(at) = at else {
                self.violate(
                    Invariant::NotifyModel,
                    format!("not to be notified: {pending:?}"),
                );
                continue;
            };
            let expected = expected.swap_remove(at);
            let (firing, ended) = notified(pending);
            let right = pending.reason == expected.reason
                && firing == expected.firing
                && ended.is_superset(&expected.resolved);
            if !right {
                let what = format!("{pending:?} must be {expected:?}");
                self.violate(Invariant::NotifyModel, what);
            }
        }
        for missing in expected {
            self.violate(Invariant::NotifyModel, format!("not pending: {missing:?}"));
        }
    }

    /// A run came to its end, with time left or without.
    pub(in crate::simulation) fn ended(&mut self, run: &RunLog, in_time: bool, undisturbed: bool) {
        let Some(stored) = self.stored.clone() else {
            return;
        };
        if undisturbed && !run.planned {
            let own = own_alerts(
                &self.rules,
                &stored,
                run.edition.is_none(),
                self.stepped_at,
                run.began,
            );
            let mut notify_model = self.notify_model.clone();
            let mut rules = self.rules.clone();
            let expected = notify_model.plan(&self.setup, &mut rules, &own, run.began);
            if let Some(missing) = expected.first() {
                let what = format!("{} must have planned {missing:?}", run.name);
                self.violate(Invariant::NotifyModel, what);
            } else if let Err(what) = notify_model.compare(&stored) {
                self.violate(
                    Invariant::NotifyModel,
                    format!("{} planned nothing: {what}", run.name),
                );
            }
        }
        if undisturbed && in_time {
            for (number, known) in RULES.iter().enumerate() {
                let Some(rule) = stored.rule(number) else {
                    continue;
                };
                let behind = rule.evaluated_until < model::last_tick(known, run.began);
                if behind && rule.health.failure.is_none() {
                    let name = format!("{}/{}", known.group, known.alert);
                    self.violate(
                        Invariant::Ticks,
                        format!("{name} is behind, and nothing reported it"),
                    );
                }
            }
        }
    }

    /// Faults stopped a while ago: nothing may stay pending for long.
    pub(in crate::simulation) fn quiet(&mut self, now: Millis, since: Millis) {
        let Some(stored) = &self.stored else {
            return;
        };
        let patience = self.setup.claim + 3 * self.setup.schedule;
        let pending = &stored.notify.outbox.pending;
        let late = pending
            .iter()
            .find(|pending| now - pending.created_at.max(since) > patience);
        if let Some(late) = late {
            let what = format!("{} is pending since {}", late.id, late.created_at);
            self.violate(Invariant::Outbox, what);
        }
    }

    /// The end: the last notification of each group is true.
    pub(in crate::simulation) fn settled(&mut self) {
        let firing = self.notify_model.firing(&self.setup);
        let mut wrong = Vec::new();
        let mut notified: BTreeSet<&LabelSet> = BTreeSet::new();
        for inbox in self.inboxes.values() {
            notified.insert(&inbox.group);
            let truth = firing.get(&inbox.group).cloned().unwrap_or_default();
            if !inbox.refused && inbox.firing != truth {
                let (group, last) = (&inbox.group, &inbox.firing);
                wrong.push(format!(
                    "of {group:?} was notified {last:?}, but {truth:?} fires"
                ));
            }
        }
        for group in firing.keys() {
            if !notified.contains(group) && self.inboxes.values().all(|inbox| !inbox.refused) {
                wrong.push(format!("nothing was notified of {group:?}"));
            }
        }
        for what in wrong {
            self.violate(Invariant::NotifyModel, what);
        }
    }

    /// For how long at most something may still change after everything stands still.
    pub(in crate::simulation) fn calm(setup: &Setup) -> Millis {
        setup.stale_hold + 2 * setup.group_interval + setup.group_wait + 20 * MINUTE
    }
}

/// The alerts that fire in a notification, and those that ended.
fn notified(notification: &NotificationDoc) -> (BTreeSet<LabelSet>, BTreeSet<LabelSet>) {
    let (firing, ended): (Vec<&EntryDoc>, Vec<&EntryDoc>) = notification
        .alerts
        .iter()
        .partition(|alert| alert.is_firing());
    let labels = |alerts: Vec<&EntryDoc>| -> BTreeSet<LabelSet> {
        alerts
            .into_iter()
            .map(|alert| alert.labels.clone())
            .collect()
    };
    (labels(firing), labels(ended))
}
