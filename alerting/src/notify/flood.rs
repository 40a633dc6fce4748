//! Notification storms: many notifications combined into one.
//!
//! SNS delivers at most ten e-mails a second to a subscription, and switches off one that is sent
//! more; and people stop reading. So of one run's notifications for one topic the first few are
//! sent one by one, and the rest as one digest. Each group's notification stays pending until the
//! digest is delivered, so none is lost, and later notifications of each group are ordered as
//! usual.

use super::{Notification, NotifyReason};
use crate::fingerprint::hash_128;
use crate::labels::Labels;
use crate::timestamp::Timestamp;

/// The most messages that one run sends to one topic, including the digest of the rest.
pub const MAX_MESSAGES: usize = 10;

/// How many alerts the message carries.
const MAX_ALERTS: usize = 1_000;

/// One notification for several of one channel. It is about no group in particular: its group
/// has no labels, and is the same for each flood of the channel; its number is the time.
pub fn digest(of: &[&Notification], now: Timestamp) -> Option<Notification> {
    let first = of.first()?;
    let ids: Vec<&str> = of.iter().map(|one| one.id.as_str()).collect();
    let alerts = || of.iter().flat_map(|one| &one.alerts);
    let firing = alerts().filter(|alert| alert.is_firing());
    let ended = alerts().filter(|alert| !alert.is_firing());
    let mut notified: Vec<_> = firing.chain(ended).cloned().collect();
    let left_out = notified.len().saturating_sub(MAX_ALERTS);
    notified.truncate(MAX_ALERTS);
    let firing: usize = of.iter().map(|one| one.firing).sum();
    Some(Notification {
        id: hash_128(&ids),
        sequence: u64::try_from(now.as_millis()).unwrap_or_default(),
        receiver: first.receiver.clone(),
        integration: first.integration.clone(),
        group_key: "flood:{}".to_owned(),
        group_labels: Labels::default(),
        reason: if firing > 0 {
            NotifyReason::NewAlertsInGroup
        } else {
            NotifyReason::AllAlertsResolved
        },
        firing,
        resolved: of.iter().map(|one| one.resolved).sum(),
        alerts: notified,
        truncated: left_out + of.iter().map(|one| one.truncated).sum::<usize>(),
        groups: of.len(),
        created_at: now,
        attempts: 0,
        claim: None,
    })
}
