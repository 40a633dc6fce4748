//! The outbox, and what leaves it.

use std::collections::BTreeMap;

use super::{Checker, Inbox, Invariant, RunLog, notified};
use crate::simulation::document::{Document, EntryDoc, NotificationDoc};
use crate::simulation::world::{Millis, NODES, RULES};

impl Checker {
    pub(super) fn check_outbox(
        &mut self,
        run: &RunLog,
        old: &Document,
        new: &Document,
        now: Millis,
        stepped: bool,
    ) {
        // Where the host's clock was set back during the run, the run judges claims by the time at
        // which it began.
        let now = now.max(run.began);
        // A claim that was made under a clock that was ahead holds no longer than one of now.
        let longest = stepped.then_some(run.began + self.setup.claim);
        let mut wrong = Vec::new();
        for before in &old.notify.outbox.pending {
            let id = &before.id;
            match new.pending(id) {
                Some(after) => wrong.extend(claim_change(run, before, after, now, longest)),
                None => wrong.extend(self.struck_off(run, before, new, now)),
            }
        }
        for pending in &new.notify.outbox.pending {
            if old.pending(&pending.id).is_some() {
                continue;
            }
            if !self.seen.insert(pending.id.clone()) {
                wrong.push(format!("{} is pending again", pending.id));
            }
            let channel = (pending.group_key.clone(), pending.receiver.clone());
            let highest = self.planned.entry(channel).or_insert(0);
            if pending.sequence <= *highest {
                wrong.push(format!(
                    "{} has {} after {highest}",
                    pending.id, pending.sequence
                ));
            }
            *highest = pending.sequence;
        }
        let mut channels = BTreeMap::new();
        for pending in &new.notify.outbox.pending {
            let first = *channels
                .entry(pending.channel())
                .or_insert(pending.sequence);
            if pending.claimed_by(now).is_some() && pending.sequence != first {
                wrong.push(format!("{} is claimed behind {first}", pending.id));
            }
        }
        for what in wrong {
            self.violate(Invariant::Outbox, what);
        }
    }

    /// Why a notification may not be off the outbox.
    fn struck_off(
        &mut self,
        run: &RunLog,
        before: &NotificationDoc,
        new: &Document,
        now: Millis,
    ) -> Option<String> {
        let id = &before.id;
        let own = before
            .claim
            .as_ref()
            .is_some_and(|claim| claim.run == run.name);
        if own && run.published.contains(id) {
            return None;
        }
        if own && run.refused.contains(id) {
            let dead = new.notify.outbox.dead.iter().any(|dead| dead.id == *id);
            let channel = (before.group_key.clone(), before.receiver.clone());
            let inbox = self.inboxes.entry(channel).or_default();
            inbox.sequence = inbox.sequence.max(before.sequence);
            inbox.refused = true;
            self.totals.count("notifications refused for good");
            return (!dead).then(|| format!("{id} was refused, and is no dead letter"));
        }
        let newer =
            new.notify.outbox.pending.iter().find(|newer| {
                newer.channel() == before.channel() && newer.sequence > before.sequence
            });
        let Some(newer) = newer else {
            return Some(format!("{id} is lost"));
        };
        self.totals.count("notifications superseded");
        if before.claimed_by(now).is_some() {
            return Some(format!("{id} was superseded under a claim"));
        }
        let kept = |ended: &EntryDoc| newer.alerts.iter().any(|kept| kept.labels == ended.labels);
        let lost = before
            .alerts
            .iter()
            .find(|alert| !alert.is_firing() && !kept(alert));
        lost.map(|lost| format!("{id} was superseded without the end of {:?}", lost.labels))
    }

    /// A run is about to publish.
    pub(in crate::simulation) fn publishing(
        &mut self,
        run: &mut RunLog,
        notification: &NotificationDoc,
        now: Millis,
    ) {
        let id = &notification.id;
        if !run.tried.insert(id.clone()) {
            let what = format!("{id} is published twice by {}", run.name);
            self.violate(Invariant::Outbox, what);
        }
        let checked = run.just_loaded.as_ref().map(|bytes| Document::read(bytes));
        let committed = checked.as_ref().and_then(|document| document.pending(id));
        let wrong = match committed {
            None => Some(format!("{id} is published, but not from what is stored")),
            Some(pending) if pending.claimed_by(now) != Some(&run.name) => {
                Some(format!("{id} is published by {} without a claim", run.name))
            }
            Some(pending) if pending.alerts != notification.alerts => {
                Some(format!("{id} says something else than what is stored"))
            }
            Some(_) => None,
        };
        if let Some(what) = wrong {
            self.violate(Invariant::Outbox, what);
        }
    }

    /// Something was published.
    pub(in crate::simulation) fn published(
        &mut self,
        run: &RunLog,
        notification: &NotificationDoc,
        subject: &str,
        now: Millis,
    ) {
        self.check_ends(notification, subject);
        self.totals
            .count(&format!("notified: {}", notification.reason));
        for end in notification
            .alerts
            .iter()
            .filter_map(|alert| alert.end.as_ref())
        {
            self.totals.count(&format!("ended as {end}"));
        }
        let id = &notification.id;
        let stored = self.stored.as_ref().and_then(|stored| stored.pending(id));
        let clean = stored.is_some_and(|pending| pending.claimed_by(now) == Some(&run.name));
        if !clean {
            self.totals.count("publishes after the claim ran out");
        }
        let times = self.acted.entry(id.clone()).or_insert(0);
        *times += 1;
        if *times > 1 {
            self.totals.count("publishes of what was published before");
        }
        let channel = (
            notification.group_key.clone(),
            notification.receiver.clone(),
        );
        let inbox = self.inboxes.entry(channel).or_default();
        let back = notification.sequence < inbox.sequence;
        let before = inbox.sequence;
        if !back {
            *inbox = Inbox {
                sequence: notification.sequence,
                group: notification.group_labels.clone(),
                firing: notified(notification).0,
                refused: false,
            };
        }
        if back && clean {
            let what = format!("{} is notified after {before}", notification.sequence);
            self.violate(Invariant::Outbox, what);
        }
    }

    /// Nothing may be notified as over that is not.
    fn check_ends(&mut self, notification: &NotificationDoc, subject: &str) {
        for alert in &notification.alerts {
            let name = &alert.labels["alertname"];
            let (Some(at), false) = (alert.ends_at, name.starts_with("Dnswatch")) else {
                continue;
            };
            if alert.end.as_deref() != Some("cleared") {
                let removed = alert.end.as_deref() == Some("rule_removed");
                if !removed && subject.starts_with("[RESOLVED]") {
                    let what = format!("{subject} is notified, of {alert:?}");
                    self.violate(Invariant::NoFalseAllClear, what);
                }
                continue;
            }
            let node = NODES.iter().position(|node| *node == alert.labels["node"]);
            let cleared = RULES.iter().filter(|rule| rule.alert == *name).any(|rule| {
                node.is_some_and(|node| {
                    let asked = at - rule.offset;
                    at % rule.interval == 0
                        && self.truth.reported(rule, node, asked)
                        && self.truth.holds(rule, node, asked).is_none()
                })
            });
            if !cleared {
                let what = format!("{alert:?} is notified to be over, and is not");
                self.violate(Invariant::NoFalseAllClear, what);
            }
        }
    }
}

/// Why a claim may not change this way.
fn claim_change(
    run: &RunLog,
    before: &NotificationDoc,
    after: &NotificationDoc,
    now: Millis,
    longest: Option<Millis>,
) -> Option<String> {
    let id = &before.id;
    let mut before = before.clone();
    if let (Some(claim), Some(longest)) = (&mut before.claim, longest) {
        claim.until = claim.until.min(longest);
    }
    if before.claim == after.claim {
        return None;
    }
    let holder = before.claimed_by(now);
    if let Some(holder) = holder
        && holder != run.name
    {
        return Some(format!(
            "{}'s claim on {id} was taken by {}",
            holder, run.name
        ));
    }
    match &after.claim {
        Some(claim) if claim.run != run.name => Some(format!("{id} was claimed for {}", claim.run)),
        Some(_) if holder.is_some() => Some(format!("the claim on {id} was changed")),
        Some(_) => None,
        None if run.published.contains(id) => {
            Some(format!("{id} was notified, and is pending again"))
        }
        None => None,
    }
}
