//! The naive model of notification: who must have been notified of what, and when.
//!
//! The rules are Alertmanager's (`needsUpdate` in `notify/dedup_stage.go`, deadlines as in
//! `dispatch/dispatch.go`), with the design's: a rule that is catching up stays as last reported,
//! and what began and ended unseen is notified once.

use std::collections::{BTreeMap, BTreeSet};

use super::document::{Document, EntryDoc, HoldDoc, LabelSet};
use super::model::{self, Episode, ModelRule, Stage, labels, last_tick};
use super::setup::Setup;
use super::world::{MINUTE, Millis, RULES};

/// How long a rule may fail before an alert fires.
const FAILING_FOR: Millis = 5 * MINUTE;
/// How long the alert about a refused notification fires.
const FIRES_FOR: Millis = 15 * MINUTE;

/// Stands for the ruler itself where else is a rule's place in [`RULES`].
const OWN: usize = usize::MAX;

#[derive(Debug, Clone, PartialEq)]
struct Entry {
    starts_at: Millis,
    ended: Option<(Millis, &'static str)>,
    hold: Option<HoldDoc>,
    past: bool,
    fired_by: BTreeSet<usize>,
    /// The rule that reported it last.
    last_told_by: usize,
}

#[derive(Debug, Clone, PartialEq)]
struct Group {
    next_flush: Millis,
    flushed: bool,
}

#[derive(Debug, Clone, PartialEq)]
struct Notified {
    at: Millis,
    firing: BTreeSet<LabelSet>,
    resolved: BTreeSet<LabelSet>,
}

/// A notification that must be pending.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Expected {
    pub(super) group: LabelSet,
    pub(super) reason: &'static str,
    pub(super) firing: BTreeSet<LabelSet>,
    pub(super) resolved: BTreeSet<LabelSet>,
}

/// What notification knows.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct NotifyModel {
    entries: BTreeMap<LabelSet, Entry>,
    groups: BTreeMap<LabelSet, Group>,
    notified: BTreeMap<LabelSet, Notified>,
}

impl NotifyModel {
    /// What a run that began at `now` must make of the rules' states.
    pub(super) fn plan(
        &mut self,
        setup: &Setup,
        rules: &mut [ModelRule],
        own: &BTreeMap<LabelSet, Millis>,
        now: Millis,
    ) -> Vec<Expected> {
        let fired: BTreeSet<LabelSet> = self
            .entries
            .iter()
            .filter(|(_, entry)| entry.ended.is_none())
            .map(|(labels, _)| labels.clone())
            .collect();
        let mut ends = BTreeMap::new();
        for (number, rule) in rules.iter_mut().enumerate() {
            if rule.exists && rule.cursor >= last_tick(&RULES[number], now) {
                self.hear(number, rule, &fired, &mut ends);
            }
        }
        for (labels, since) in own {
            self.fire(labels.clone(), OWN, *since, None);
        }
        for (labels, entry) in &mut self.entries {
            if !own.contains_key(labels) && entry.fired_by.remove(&OWN) {
                // Telemetry that never came back is not back because its alerts were given up.
                let of = |label: &str| labels.get(label).map(String::as_str);
                let given_up = of("alertname") == Some("DnswatchTelemetryStopped")
                    && rules.iter().zip(RULES).any(|(rule, known)| {
                        of("rule") == Some(known.alert)
                            && of("rule_group") == Some(known.group)
                            && rule.alerts.values().any(|alert| {
                                alert.end == Some("no_longer_reported")
                                    && alert.ended_at.is_some_and(|at| at >= entry.starts_at)
                            })
                    });
                let end = if given_up {
                    "no_longer_reported"
                } else {
                    "cleared"
                };
                entry.ended = Some((now, end));
            }
        }
        for entry in self.entries.values_mut() {
            entry
                .fired_by
                .retain(|number| rules.get(*number).is_none_or(|rule| rule.exists));
            if entry.ended.is_none() && entry.fired_by.is_empty() {
                entry.ended = Some((now, "rule_removed"));
                entry.hold = None;
            }
        }
        self.flush(setup, now)
    }

    fn hear(
        &mut self,
        number: usize,
        rule: &mut ModelRule,
        fired: &BTreeSet<LabelSet>,
        ends: &mut BTreeMap<LabelSet, Vec<(Millis, &'static str)>>,
    ) {
        let mut firing = BTreeSet::new();
        for (node, alert) in &rule.alerts {
            if alert.stage == Stage::Firing {
                let labels = labels(&RULES[number], *node);
                let starts_at = alert.fired_at.expect("what fires began to fire");
                firing.insert(labels.clone());
                self.fire(labels, number, starts_at, alert.hold.clone());
            }
        }
        // Of several ends the last is notified; that one of them was unseen is kept.
        let mut last: BTreeMap<usize, Episode> = BTreeMap::new();
        for mut episode in std::mem::take(&mut rule.ended) {
            let before = last.get(&episode.node);
            episode.unseen |= before.is_some_and(|before| before.unseen);
            last.insert(episode.node, episode);
        }
        for episode in last.into_values() {
            let labels = labels(&RULES[number], episode.node);
            let unseen = episode.unseen && !fired.contains(&labels);
            let entry = self.entries.entry(labels.clone()).or_insert(Entry {
                starts_at: episode.fired_at,
                ended: None,
                hold: None,
                past: false,
                fired_by: BTreeSet::new(),
                last_told_by: number,
            });
            entry.past |= unseen;
            if firing.contains(&labels) {
                continue;
            }
            entry.fired_by.remove(&number);
            let ended = ends.entry(labels).or_default();
            if entry.fired_by.is_empty() && ended.is_empty() {
                entry.starts_at = episode.fired_at;
            }
            ended.push((episode.ended_at, episode.end));
            if entry.fired_by.is_empty() {
                // A late "not reported" must not look like an earlier all-clear.
                let at = ended.iter().map(|(at, _)| *at).max();
                let at = at.expect("one was just put in");
                let mut how = ended.iter().filter(|(when, _)| *when == at);
                let end = how.clone().find(|(_, how)| *how != "cleared");
                let (_, end) = end.or_else(|| how.next()).expect("one ended last");
                entry.ended = Some((at, end));
                entry.hold = None;
            }
        }
        // The rule was gone and came back between two plans: it started again.
        for (labels, entry) in &mut self.entries {
            let forgotten = entry.ended.is_none() && !firing.contains(labels);
            if forgotten && entry.fired_by.remove(&number) && entry.fired_by.is_empty() {
                entry.ended = Some((rule.cursor, "rule_changed"));
                entry.hold = None;
            }
        }
    }

    fn fire(&mut self, labels: LabelSet, by: usize, starts_at: Millis, hold: Option<HoldDoc>) {
        let entry = self.entries.entry(labels).or_insert(Entry {
            starts_at,
            ended: None,
            hold: None,
            past: false,
            fired_by: BTreeSet::new(),
            last_told_by: by,
        });
        entry.fired_by.insert(by);
        entry.last_told_by = by;
        let alone = entry.fired_by.len() == 1 && by != OWN;
        entry.starts_at = if alone || entry.ended.is_some() {
            starts_at
        } else {
            entry.starts_at.min(starts_at)
        };
        entry.ended = None;
        entry.hold = hold;
    }

    fn flush(&mut self, setup: &Setup, now: Millis) -> Vec<Expected> {
        let mut members: BTreeMap<LabelSet, Vec<LabelSet>> = BTreeMap::new();
        for labels in self.entries.keys() {
            let group = group_of(setup, labels);
            members.entry(group).or_default().push(labels.clone());
        }
        self.groups.retain(|group, _| members.contains_key(group));
        let mut expected = Vec::new();
        for (labels, members) in members {
            let group = self.groups.entry(labels.clone()).or_insert(Group {
                next_flush: now + setup.group_wait,
                flushed: false,
            });
            let waited = |member: &LabelSet| self.entries[member].starts_at + setup.group_wait;
            if !group.flushed && members.iter().any(|member| waited(member) < now) {
                group.next_flush = group.next_flush.min(now);
            }
            if group.next_flush > now {
                continue;
            }
            group.flushed = true;
            group.next_flush = now + setup.group_interval;
            let (resolved, firing): (BTreeSet<LabelSet>, BTreeSet<LabelSet>) = members
                .into_iter()
                .partition(|member| self.entries[member].ended.is_some());
            let past = resolved.iter().any(|member| self.entries[member].past);
            for member in &firing {
                if let Some(entry) = self.entries.get_mut(member) {
                    entry.past = false;
                }
            }
            let reason = self.reason(setup, &labels, &firing, &resolved, now);
            if let Some(reason) = reason.or(past.then_some("ended_unseen")) {
                let notified = Notified {
                    at: now,
                    firing: firing.clone(),
                    resolved: resolved.clone(),
                };
                self.notified.insert(labels.clone(), notified);
                expected.push(Expected {
                    group: labels,
                    reason,
                    firing,
                    resolved: resolved.clone(),
                });
            }
            for member in resolved {
                self.entries.remove(&member);
            }
        }
        let kept = setup.repeat_interval.max(setup.group_interval);
        let kept = (120 * 60 * MINUTE).min(2 * kept);
        self.notified.retain(|_, notified| now - notified.at < kept);
        expected
    }

    fn reason(
        &self,
        setup: &Setup,
        group: &LabelSet,
        firing: &BTreeSet<LabelSet>,
        resolved: &BTreeSet<LabelSet>,
        now: Millis,
    ) -> Option<&'static str> {
        let Some(notified) = self.notified.get(group) else {
            return (!firing.is_empty()).then_some("first_notification");
        };
        if !firing.is_subset(&notified.firing) {
            let first = notified.firing.is_empty();
            return Some(if first {
                "first_notification"
            } else {
                "new_alerts_in_group"
            });
        }
        if firing.is_empty() {
            return (!notified.firing.is_empty()).then_some("all_alerts_resolved");
        }
        if !resolved.is_subset(&notified.resolved) {
            return Some("new_resolved_alerts");
        }
        (notified.at < now - setup.repeat_interval).then_some("repeat_interval_elapsed")
    }

    /// State from the future was found at `now`: nothing that it says of the future has happened.
    /// `rules` have been put right already.
    pub(super) fn continue_from(&mut self, setup: &Setup, rules: &[ModelRule], now: Millis) {
        for (labels, entry) in &mut self.entries {
            entry.starts_at = entry.starts_at.min(now);
            if let Some(hold) = &mut entry.hold {
                hold.set_back(now);
            }
            let Some((at, end)) = entry.ended else {
                continue;
            };
            if at <= now {
                continue;
            }
            let fires = entry.last_told_by != OWN
                && rules[entry.last_told_by]
                    .alerts
                    .iter()
                    .any(|(node, alert)| {
                        alert.stage == Stage::Firing
                            && model::labels(&RULES[entry.last_told_by], *node) == *labels
                    });
            if fires {
                entry.ended = None;
                entry.fired_by = BTreeSet::from([entry.last_told_by]);
            } else if entry.last_told_by == OWN {
                entry.ended = Some((now, end));
            } else {
                entry.ended = Some((now, "no_longer_reported"));
            }
        }
        for group in self.groups.values_mut() {
            let wait = if group.flushed {
                setup.group_interval
            } else {
                setup.group_wait
            };
            group.next_flush = group.next_flush.min(now + wait);
        }
        for notified in self.notified.values_mut() {
            notified.at = notified.at.min(now);
        }
    }

    /// Where the document says something else of alerts and deadlines.
    pub(super) fn compare(&self, stored: &Document) -> Result<(), String> {
        let notify = &stored.notify;
        let deadlines: BTreeMap<&LabelSet, Millis> = notify
            .groups
            .values()
            .map(|group| (&group.labels, group.next_flush))
            .collect();
        let expected: BTreeMap<&LabelSet, Millis> = self
            .groups
            .iter()
            .map(|(labels, group)| (labels, group.next_flush))
            .collect();
        if deadlines != expected {
            return Err(format!("the deadlines {deadlines:?} must be {expected:?}"));
        }
        for entry in &notify.alerts {
            match self.entries.get(&entry.labels) {
                Some(model) if model.is(entry) => {}
                model => return Err(format!("{entry:?} must be {model:?}")),
            }
        }
        let stored_labels: BTreeSet<&LabelSet> =
            notify.alerts.iter().map(|entry| &entry.labels).collect();
        if let Some(missing) = self.entries.keys().find(|key| !stored_labels.contains(key)) {
            return Err(format!("{missing:?} must be known"));
        }
        Ok(())
    }

    /// The alerts of each group that fire now.
    pub(super) fn firing(&self, setup: &Setup) -> BTreeMap<LabelSet, BTreeSet<LabelSet>> {
        let mut firing: BTreeMap<LabelSet, BTreeSet<LabelSet>> = BTreeMap::new();
        for (labels, entry) in &self.entries {
            if entry.ended.is_none() {
                let group = group_of(setup, labels);
                firing.entry(group).or_default().insert(labels.clone());
            }
        }
        firing
    }
}

impl Entry {
    fn is(&self, stored: &EntryDoc) -> bool {
        let ended = self.ended;
        stored.ends_at == ended.map(|(at, _)| at)
            && stored.end.as_deref() == ended.map(|(_, end)| end)
            && stored.hold == self.hold
            && stored.fired_by.len() == self.fired_by.len()
            && (ended.is_none() || stored.past == self.past)
            && (self.fired_by.len() != 1 || stored.starts_at == self.starts_at)
    }
}

fn group_of(setup: &Setup, labels: &LabelSet) -> LabelSet {
    labels
        .iter()
        .filter(|(name, _)| setup.group_by.contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// What the ruler must say of itself, and since when.
pub(super) fn own_alerts(
    rules: &[ModelRule],
    stored: &Document,
    config_refused: bool,
    stepped_at: Option<Millis>,
    now: Millis,
) -> BTreeMap<LabelSet, Millis> {
    let mut own = BTreeMap::new();
    let named = |name: &str, more: &[(&str, &str)]| -> LabelSet {
        let mut labels = LabelSet::from([
            ("alertname".to_owned(), name.to_owned()),
            ("severity".to_owned(), "warning".to_owned()),
        ]);
        for (name, value) in more {
            labels.insert((*name).to_owned(), (*value).to_owned());
        }
        labels
    };
    if config_refused {
        own.insert(named("DnswatchConfigRefused", &[]), now);
    }
    if let Some(server) = &stored.server
        && now - server.since >= FAILING_FOR
    {
        own.insert(named("DnswatchQueriesFailing", &[]), server.since);
    }
    if let Some(at) = stepped_at
        && now - at < FIRES_FOR
    {
        own.insert(named("DnswatchClockStepped", &[]), at);
    }
    for (number, known) in RULES.iter().enumerate() {
        let of_rule = [
            ("rule_namespace", "sim"),
            ("rule_group", known.group),
            ("rule", known.alert),
        ];
        let Some(rule) = stored.rule(number) else {
            continue;
        };
        if let Some(failure) = &rule.health.failure
            && (stored.server.is_none() || failure.server.is_none())
            && (failure.refused || now - failure.since >= FAILING_FOR)
        {
            own.insert(named("DnswatchRuleFailing", &of_rule), failure.since);
        }
        if let Some(skipped) = &rule.health.skipped
            && now - skipped.at < FIRES_FOR
        {
            own.insert(named("DnswatchTicksSkipped", &of_rule), skipped.at);
        }
        let stopped = rules[number]
            .alerts
            .values()
            .filter_map(|alert| alert.hold.as_ref())
            .filter(|hold| hold.gone_since.is_none())
            .map(|hold| hold.since)
            .min();
        if let Some(since) = stopped {
            own.insert(named("DnswatchTelemetryStopped", &of_rule), since);
        }
    }
    let mut refused = stored.notify.outbox.dead.iter();
    if let Some(first) = refused.find(|dead| now - dead.at < FIRES_FOR) {
        let labels = named(
            "DnswatchNotificationRefused",
            &[("receiver", &first.receiver)],
        );
        own.insert(labels, first.at);
    }
    own
}
