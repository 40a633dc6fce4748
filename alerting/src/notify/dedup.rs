//! Whether a group has anything to say, and why (`notify/dedup_stage.go` in Alertmanager).

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::group::Flushed;
use super::{AlertEntry, Integration, Notification, NotifyState, Receiver, Route};
use crate::config::Config;
use crate::fingerprint::{Fingerprint, hash_128};
use crate::timestamp::Timestamp;

/// How long the log is kept at most (`--data.retention` in Alertmanager).
const RETENTION: Duration = Duration::from_secs(120 * 60 * 60);

/// How many alerts a notification carries; no channel takes more than this in one message.
const MAX_ALERTS: usize = 1_000;

/// Why a group is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NotifyReason {
    /// Nothing of it was told before.
    FirstNotification,
    /// Alerts fire that were not told.
    NewAlertsInGroup,
    /// Some alerts ended.
    NewResolvedAlerts,
    /// All alerts ended.
    AllAlertsResolved,
    /// Nothing changed for `repeat_interval`.
    RepeatIntervalElapsed,
    /// Alerts began and ended while nobody was looking: told once, as past.
    EndedUnseen,
}

impl std::fmt::Display for NotifyReason {
    /// Alertmanager's words, where it has the reason.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::FirstNotification => "first notification",
            Self::NewAlertsInGroup => "new alerts added",
            Self::NewResolvedAlerts => "some alerts resolved",
            Self::AllAlertsResolved => "all alerts resolved",
            Self::RepeatIntervalElapsed => "repeat interval elapsed",
            Self::EndedUnseen => "ended unseen",
        })
    }
}

/// What a receiver was told last of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NflogEntry {
    /// The group.
    pub group_key: String,
    /// The receiver.
    pub receiver: String,
    /// The receiver's channel, `sns[0]` for example.
    #[serde(default)]
    pub integration: String,
    /// When it was told.
    pub timestamp: Timestamp,
    /// The alerts that fired then.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub firing: BTreeSet<Fingerprint>,
    /// The alerts that had ended then.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub resolved: BTreeSet<Fingerprint>,
    /// The last notification's number in its group and receiver.
    pub sequence: u64,
}

/// What each channel of the receiver is to be told of a flushed group.
pub(super) fn decide_all(
    notify: &mut NotifyState,
    config: &Config,
    receiver: &Receiver,
    flushed: &Flushed,
    now: Timestamp,
) -> Vec<Notification> {
    receiver
        .integrations()
        .filter_map(|(name, integration)| {
            let told = (receiver.name.as_str(), name.as_str(), integration);
            decide(notify, config, told, flushed, now)
        })
        .collect()
}

/// Whether a channel is told of the flushed group, and if so the notification; it is logged as
/// told, since the outbox that it goes into loses nothing.
///
/// A channel that is not told what ended (`send_resolved: false`) gets no notification once
/// everything did; that is logged all the same, so that the next alert is news to it.
fn decide(
    notify: &mut NotifyState,
    config: &Config,
    (receiver, integration_name, integration): (&str, &str, Integration<'_>),
    flushed: &Flushed,
    now: Timestamp,
) -> Option<Notification> {
    let send_resolved = integration.send_resolved();
    let at = notify.nflog.iter().position(|entry| {
        entry.group_key == flushed.key
            && entry.receiver == receiver
            && entry.integration == integration_name
    });
    let logged = at.and_then(|at| notify.nflog.get(at));
    let fingerprints = |labels: &[crate::labels::Labels]| -> BTreeSet<Fingerprint> {
        labels
            .iter()
            .map(crate::labels::Labels::fingerprint)
            .collect()
    };
    let firing = fingerprints(&flushed.firing);
    let resolved = fingerprints(&flushed.resolved);
    let entries = |labels: &[crate::labels::Labels]| -> Vec<AlertEntry> {
        labels
            .iter()
            .filter_map(|labels| notify.alerts.get(labels).cloned())
            .collect()
    };
    let resolved_entries = if send_resolved {
        entries(&flushed.resolved)
    } else {
        Vec::new()
    };
    let told_resolved = resolved_entries.len();
    let news = News {
        firing: &firing,
        resolved: &resolved,
        send_resolved,
    };
    let reason = reason(logged, &news, &config.route, now).or_else(|| {
        resolved_entries
            .iter()
            .any(|entry| entry.past)
            .then_some(NotifyReason::EndedUnseen)
    })?;

    let is_told = send_resolved || !firing.is_empty();
    let sequence =
        logged.map_or(notify.sequence_floor, |logged| logged.sequence) + u64::from(is_told);
    let logged = NflogEntry {
        group_key: flushed.key.clone(),
        receiver: receiver.to_owned(),
        integration: integration_name.to_owned(),
        timestamp: now,
        firing,
        resolved,
        sequence,
    };
    match at.and_then(|at| notify.nflog.get_mut(at)) {
        Some(known) => *known = logged,
        None => notify.nflog.push(logged),
    }
    if !is_told {
        return None;
    }
    let mut alerts = entries(&flushed.firing);
    alerts.extend(resolved_entries);
    let truncated = alerts.len().saturating_sub(MAX_ALERTS);
    alerts.truncate(MAX_ALERTS);
    Some(Notification {
        id: hash_128(&[
            &config.workspace,
            receiver,
            integration_name,
            &flushed.key,
            &sequence.to_string(),
        ]),
        sequence,
        receiver: receiver.to_owned(),
        integration: integration_name.to_owned(),
        group_key: flushed.key.clone(),
        group_labels: flushed.labels.clone(),
        reason,
        firing: flushed.firing.len(),
        resolved: told_resolved,
        alerts,
        truncated,
        created_at: now,
        attempts: 0,
        claim: None,
    })
}

/// What there is to tell of a group.
struct News<'a> {
    firing: &'a BTreeSet<Fingerprint>,
    resolved: &'a BTreeSet<Fingerprint>,
    send_resolved: bool,
}

/// `needsUpdate`, case by case.
fn reason(
    logged: Option<&NflogEntry>,
    news: &News<'_>,
    route: &Route,
    now: Timestamp,
) -> Option<NotifyReason> {
    let firing = news.firing;
    let Some(logged) = logged else {
        return (!firing.is_empty()).then_some(NotifyReason::FirstNotification);
    };
    if !firing.is_subset(&logged.firing) {
        return Some(if logged.firing.is_empty() {
            NotifyReason::FirstNotification
        } else {
            NotifyReason::NewAlertsInGroup
        });
    }
    if firing.is_empty() {
        return (!logged.firing.is_empty()).then_some(NotifyReason::AllAlertsResolved);
    }
    if news.send_resolved && !news.resolved.is_subset(&logged.resolved) {
        return Some(NotifyReason::NewResolvedAlerts);
    }
    (logged.timestamp < now.minus(route.repeat_interval))
        .then_some(NotifyReason::RepeatIntervalElapsed)
}

/// How long it is remembered what was told: twice the time to the next notification, which comes at
/// a flush. Alertmanager leaves `group_interval` out, and where it is the longer by far may forget
/// to tell what is over.
pub(super) fn time_to_live(route: &Route) -> Duration {
    let next = route.repeat_interval.max(route.group_interval);
    RETENTION.min(next.saturating_mul(2))
}

/// Forgets what was told too long ago to matter; the sequence numbers go on above it.
pub(super) fn expire(notify: &mut NotifyState, route: &Route, now: Timestamp) {
    let ttl = time_to_live(route);
    let floor = &mut notify.sequence_floor;
    notify.nflog.retain(|entry| {
        let keep = now.since(entry.timestamp) < ttl;
        if !keep {
            *floor = (*floor).max(entry.sequence);
        }
        keep
    });
}
