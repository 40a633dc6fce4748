//! How bad an alert is, by its label `severity`.

use crate::message::Alert;

/// The words that services know, the worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Good to know.
    Info,
    /// Needs attention, but is not urgent.
    Warning,
    /// Bad. Also used for a missing or unknown label, so that the alert is not overlooked.
    Error,
    /// Needs action now.
    Critical,
}

impl Severity {
    /// The severity of an alert, by the usual words.
    pub fn from_alert(alert: &Alert) -> Self {
        let severity = alert.labels.get("severity").map(|s| s.to_ascii_lowercase());
        match severity.as_deref() {
            Some("info" | "informational" | "notice" | "none" | "debug" | "low") => Self::Info,
            Some("warning" | "warn" | "minor" | "medium" | "ticket") => Self::Warning,
            Some("critical" | "crit" | "fatal" | "emergency" | "page" | "disaster" | "high") => {
                Self::Critical
            }
            _ => Self::Error,
        }
    }
}
