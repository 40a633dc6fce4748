//! How an alert ended, or why it is still called firing, in words that claim no more than is
//! known.

use serde_json::Value;

use crate::message::Alert;

/// How an alert ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It has not.
    Firing,
    /// The condition cleared. Also where nothing is said, as in Alertmanager's own JSON.
    Cleared,
    /// Nobody knows whether the condition is over.
    NoLongerReported,
    /// The rule was removed.
    RuleRemoved,
    /// The rule was changed and no longer fires.
    RuleChanged,
    /// In a way that this version has no word for.
    Otherwise,
}

impl End {
    /// How `alert` ended.
    pub fn of(alert: &Alert) -> Self {
        if alert.is_firing() {
            return Self::Firing;
        }
        match &alert.end {
            Value::Null => Self::Cleared,
            Value::String(end) => match letters(end).as_str() {
                "" | "cleared" => Self::Cleared,
                "nolongerreported" => Self::NoLongerReported,
                "ruleremoved" => Self::RuleRemoved,
                "rulechanged" => Self::RuleChanged,
                _ => Self::Otherwise,
            },
            _ => Self::Otherwise,
        }
    }

    /// In a word or two.
    pub fn word(self) -> &'static str {
        match self {
            Self::Firing => "FIRING",
            Self::Cleared => "RESOLVED",
            Self::NoLongerReported => "NO LONGER REPORTED",
            Self::RuleRemoved => "RULE REMOVED",
            Self::RuleChanged => "RULE CHANGED",
            Self::Otherwise => "ENDED",
        }
    }

    /// What there is to know beyond the word.
    pub fn remark(self) -> Option<&'static str> {
        match self {
            Self::NoLongerReported => Some("whether the condition is over is not known"),
            Self::RuleRemoved => Some("nothing watches this any more"),
            Self::RuleChanged => Some("the changed rule no longer fires"),
            Self::Firing | Self::Cleared | Self::Otherwise => None,
        }
    }
}

/// Why an alert that nobody can check is still called firing. None if it is not held.
pub fn held(alert: &Alert) -> Option<&'static str> {
    let gone = |hold: &Value| {
        ["goneSince", "gone_since"]
            .iter()
            .any(|key| !hold[*key].is_null())
    };
    match &alert.hold {
        Value::Null | Value::Bool(false) => None,
        Value::String(hold) if hold.is_empty() => None,
        Value::String(hold) if letters(hold).contains("gone") => Some(GONE),
        hold @ Value::Object(_) if gone(hold) => Some(GONE),
        _ => Some("held: its telemetry stopped, so nobody can tell whether it is over"),
    }
}

const GONE: &str = "held: it is no longer reported while others are";

/// `noLongerReported`, `no_longer_reported` and `NO LONGER REPORTED` are the same word.
fn letters(word: &str) -> String {
    let letters = word.chars().filter(char::is_ascii_alphabetic);
    letters.map(|c| c.to_ascii_lowercase()).collect()
}
