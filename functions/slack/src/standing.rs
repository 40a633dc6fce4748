//! How things stand, in a word and a colour.

use std::fmt;

use crate::how_it_ended::End;
use crate::message::{Alert, Webhook};

/// The colour of what is neither good news nor bad: an end of which nobody knows whether it is
/// one, a message that others overtook.
pub const GREY: &str = "#868686";
const RED: &str = "#d72b3f";
const AMBER: &str = "#e8a317";
const BLUE: &str = "#439fe0";
const GREEN: &str = "#2eb67d";

/// How the alerts of a message stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// So many fire; the colour is the worst severity's.
    Firing(usize, &'static str),
    /// All ended, and their conditions are known to be over.
    Resolved,
    /// They began and ended while nobody was looking, and are told once.
    Past,
    /// All ended as no longer reported.
    NoLongerReported,
    /// All ended, in different ways.
    Ended,
}

impl Standing {
    /// How the alerts of a message stand.
    pub fn of(webhook: &Webhook) -> Self {
        let firing: Vec<&Alert> = webhook.alerts.iter().filter(|a| a.is_firing()).collect();
        if !firing.is_empty() {
            let ranks = firing.iter().map(|alert| rank(alert));
            let color = match ranks.max().unwrap_or_default() {
                0 => BLUE,
                1 => AMBER,
                _ => RED,
            };
            return Self::Firing(firing.len(), color);
        }
        if webhook.reason == "ended unseen" {
            return Self::Past;
        }
        let all = |end: End| webhook.alerts.iter().all(|alert| End::of(alert) == end);
        if all(End::Cleared) {
            Self::Resolved
        } else if all(End::NoLongerReported) {
            Self::NoLongerReported
        } else {
            Self::Ended
        }
    }

    /// The colour of the bar.
    pub fn color(self) -> &'static str {
        match self {
            Self::Firing(_, color) => color,
            Self::Resolved => GREEN,
            Self::Past | Self::NoLongerReported | Self::Ended => GREY,
        }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Firing(count, _) => write!(f, "FIRING:{count}"),
            Self::Past => f.write_str("PAST"),
            Self::Resolved => f.write_str("RESOLVED"),
            Self::NoLongerReported => f.write_str("NO LONGER REPORTED"),
            Self::Ended => f.write_str("ENDED"),
        }
    }
}

/// The usual words for severity, worst last. An unknown word, or none, counts as bad: nobody
/// should overlook it.
fn rank(alert: &Alert) -> u8 {
    let severity = alert.labels.get("severity").map(|s| s.to_ascii_lowercase());
    match severity.as_deref() {
        Some("info" | "informational" | "notice" | "none" | "debug" | "low") => 0,
        Some("warning" | "warn" | "minor" | "medium" | "ticket") => 1,
        _ => 2,
    }
}
