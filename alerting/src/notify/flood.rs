//! Many notifications at once, told as one.
//!
//! SNS delivers at most ten e-mails a second to a subscription, and switches off one that is sent
//! more; and nobody reads them. So of what one run has for one topic, the first few are told each
//! by itself, and the rest together. What is owed stays owed group by group until that message
//! is out, so nothing is lost, and the next news of each group come in their own order again.

use super::{Notification, NotifyReason};
use crate::fingerprint::hash_128;
use crate::labels::Labels;
use crate::timestamp::Timestamp;

/// How many messages one run has at most for one topic, the one that tells of the rest among
/// them.
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
    let mut told: Vec<_> = firing.chain(ended).cloned().collect();
    let left_out = told.len().saturating_sub(MAX_ALERTS);
    told.truncate(MAX_ALERTS);
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
        alerts: told,
        truncated: left_out + of.iter().map(|one| one.truncated).sum::<usize>(),
        groups: of.len(),
        created_at: now,
        attempts: 0,
        claim: None,
    })
}
