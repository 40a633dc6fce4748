//! How the alerts of a message stand, in a word.

use std::fmt;

use crate::how_it_ended::End;
use crate::message::{Alert, Webhook};
use crate::severity::Severity;

/// How the alerts of a message stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Some fire.
    Firing {
        /// So many.
        count: usize,
        /// Alerts were left out of the message for its size: perhaps more fire.
        or_more: bool,
        /// The worst of their severities.
        worst: Severity,
    },
    /// All ended, and their conditions are known to be over.
    Resolved,
    /// They fired and resolved during an outage of the ruler and are sent once.
    Past,
    /// All ended as no longer reported.
    NoLongerReported,
    /// All ended, in different ways.
    Ended,
}

impl Standing {
    /// How the alerts of a message stand.
    pub fn from_webhook(webhook: &Webhook) -> Self {
        let firing: Vec<&Alert> = webhook.alerts.iter().filter(|a| a.is_firing()).collect();
        if !firing.is_empty() {
            let worst = firing.iter().map(|alert| Severity::from_alert(alert)).max();
            return Self::Firing {
                count: firing.len(),
                or_more: webhook.truncated_alerts > 0,
                worst: worst.unwrap_or(Severity::Error),
            };
        }
        if webhook.reason == "ended unseen" {
            return Self::Past;
        }
        let all = |end: End| {
            webhook
                .alerts
                .iter()
                .all(|alert| End::from_alert(alert) == end)
        };
        if all(End::Cleared) {
            Self::Resolved
        } else if all(End::NoLongerReported) {
            Self::NoLongerReported
        } else {
            Self::Ended
        }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Firing { count, or_more, .. } => {
                write!(f, "FIRING:{count}{}", if *or_more { "+" } else { "" })
            }
            Self::Past => f.write_str("PAST"),
            Self::Resolved => f.write_str("RESOLVED"),
            Self::NoLongerReported => f.write_str("NO LONGER REPORTED"),
            Self::Ended => f.write_str("ENDED"),
        }
    }
}
