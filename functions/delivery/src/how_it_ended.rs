//! How an alert ended, or why it is still called firing, in words that claim no more than is
//! known.

use crate::message::Alert;

/// How an alert ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It has not.
    Firing,
    /// The condition cleared. Also where nothing is said, as in Alertmanager's own JSON.
    Cleared,
    /// The current state is unknown.
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
    pub fn from_alert(alert: &Alert) -> Self {
        if alert.is_firing() {
            return Self::Firing;
        }
        match alert.end.as_deref() {
            None | Some("cleared") => Self::Cleared,
            Some("no_longer_reported") => Self::NoLongerReported,
            Some("rule_removed") => Self::RuleRemoved,
            Some("rule_changed") => Self::RuleChanged,
            Some(_) => Self::Otherwise,
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
            Self::NoLongerReported => Some("the series disappeared, current state unknown"),
            Self::RuleRemoved => Some("nothing watches this any more"),
            Self::RuleChanged => Some("the changed rule no longer fires"),
            Self::Firing | Self::Cleared | Self::Otherwise => None,
        }
    }
}

/// Why an alert without data is still called firing. None if it is not held.
pub fn held(alert: &Alert) -> Option<&'static str> {
    Some(match alert.hold.as_ref()?.reason.as_str() {
        "no_longer_reported" => "held: its series disappeared while others are still reported",
        _ => "kept open: no data, current state unknown",
    })
}
