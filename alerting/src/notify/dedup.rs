//! Whether a group has anything to say, and why (`notify/dedup_stage.go` in Alertmanager).

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::group::Flushed;
use super::{AlertEntry, Integration, NflogEntry, Notification, NotifyState, Receiver, Route};
use crate::config::Config;
use crate::fingerprint::{Fingerprint, hash_128};
use crate::labels::Labels;
use crate::timestamp::Timestamp;

/// How long the log is kept at most (`--data.retention` in Alertmanager).
const RETENTION: Duration = Duration::from_secs(120 * 60 * 60);

/// How many alerts a notification carries; no channel takes more than this in one message.
const MAX_ALERTS: usize = 1_000;

/// Why a group is notified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NotifyReason {
    /// The group was not notified before.
    FirstNotification,
    /// Alerts fire that were not notified yet.
    NewAlertsInGroup,
    /// Some alerts ended.
    NewResolvedAlerts,
    /// All alerts ended.
    AllAlertsResolved,
    /// Nothing changed for `repeat_interval`.
    RepeatIntervalElapsed,
    /// Alerts fired and resolved between two late evaluations: sent once, for information.
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

/// The notifications of a flushed group for each integration of the receiver.
pub(super) fn decide_all(
    notify: &mut NotifyState,
    config: &Config,
    receiver: &Receiver,
    flushed: &Flushed<'_>,
    now: Timestamp,
) -> Vec<Notification> {
    receiver
        .integrations()
        .filter_map(|(name, integration)| {
            let notified = (receiver.name.as_str(), name.as_str(), integration);
            decide(notify, config, notified, flushed, now)
        })
        .collect()
}

/// The notification of the flushed group for one integration, if one is due. It is logged as
/// notified at once, because the outbox loses nothing.
///
/// An integration with `send_resolved: false` gets no notification when all alerts resolved. That
/// is logged all the same, so that the next alert notifies again.
fn decide(
    notify: &mut NotifyState,
    config: &Config,
    (receiver, integration_name, integration): (&str, &str, Integration<'_>),
    flushed: &Flushed<'_>,
    now: Timestamp,
) -> Option<Notification> {
    let send_resolved = integration.send_resolved();
    let logged = notify.nflog.get(&flushed.key, receiver, integration_name);
    let fingerprints = |labels: &[Labels]| -> BTreeSet<Fingerprint> {
        labels.iter().map(Labels::fingerprint).collect()
    };
    let firing = fingerprints(&flushed.firing);
    let resolved = fingerprints(&flushed.resolved);
    let entries = |labels: &[Labels]| -> Vec<AlertEntry> {
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
    let notified_resolved = resolved_entries.len();
    let news = News {
        firing: &firing,
        resolved: &resolved,
        send_resolved,
    };
    let reason = reason(logged, &news, flushed.route, now).or_else(|| {
        resolved_entries
            .iter()
            .any(|entry| entry.past)
            .then_some(NotifyReason::EndedUnseen)
    })?;

    let is_reported = send_resolved || !firing.is_empty();
    let sequence =
        logged.map_or(notify.sequence_floor, |logged| logged.sequence) + u64::from(is_reported);
    notify.nflog.put(NflogEntry {
        group_key: flushed.key.clone(),
        receiver: receiver.to_owned(),
        integration: integration_name.to_owned(),
        timestamp: now,
        firing,
        resolved,
        sequence,
    });
    if !is_reported {
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
        resolved: notified_resolved,
        alerts,
        truncated,
        groups: 0,
        created_at: now,
        attempts: 0,
        claim: None,
    })
}

/// What is new in a group.
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

/// An alert that resolved while it was muted is not notified. It is no longer logged as firing, so
/// it notifies when it fires again; Alertmanager would wait for `repeat_interval`.
pub(super) fn forget_muted(
    notify: &mut NotifyState,
    flushed: &Flushed<'_>,
    notified: &Flushed<'_>,
) {
    if flushed.resolved.len() == notified.resolved.len() {
        return;
    }
    let notified: BTreeSet<&Labels> = notified.resolved.iter().collect();
    let muted = flushed
        .resolved
        .iter()
        .filter(|labels| !notified.contains(labels));
    let muted: BTreeSet<Fingerprint> = muted.map(Labels::fingerprint).collect();
    for entry in notify.nflog.of_group(&flushed.key) {
        entry
            .firing
            .retain(|fingerprint| !muted.contains(fingerprint));
    }
}

/// How long a log entry is kept: twice the time to the next notification, which comes at a flush.
/// Alertmanager ignores `group_interval` here and can drop a resolved notification if it is much
/// longer than `repeat_interval`.
pub(super) fn time_to_live(root: &Route) -> Duration {
    let nodes = root.nodes().into_iter();
    let next = nodes.map(|route| route.repeat_interval.max(route.group_interval));
    RETENTION.min(next.max().unwrap_or(RETENTION).saturating_mul(2))
}

/// Removes expired log entries; sequence numbers continue above them.
pub(super) fn expire(notify: &mut NotifyState, root: &Route, now: Timestamp) {
    let ttl = time_to_live(root);
    let floor = &mut notify.sequence_floor;
    notify.nflog.retain(|entry| {
        let keep = now.since(entry.timestamp) < ttl;
        if !keep {
            *floor = (*floor).max(entry.sequence);
        }
        keep
    });
}
