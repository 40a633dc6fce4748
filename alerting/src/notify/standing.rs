//! How things stand and how they ended, in words that claim no more than is known.

use super::{AlertEntry, Notification, NotifyReason, text};
use crate::alert::End;

/// `FIRING:2`, `RESOLVED`, `NO LONGER REPORTED`, `ENDED` or `PAST`: what is not known to be over
/// is not called resolved.
pub(super) fn of_notification(notification: &Notification) -> String {
    let all = |end| {
        let mut alerts = notification.alerts.iter();
        alerts.all(|alert| alert.end == Some(end))
    };
    if notification.firing > 0 {
        format!("FIRING:{}", notification.firing)
    } else if notification.reason == NotifyReason::EndedUnseen {
        "PAST".to_owned()
    } else if all(End::Cleared) {
        "RESOLVED".to_owned()
    } else if all(End::NoLongerReported) {
        "NO LONGER REPORTED".to_owned()
    } else {
        "ENDED".to_owned()
    }
}

/// How one alert stands.
pub(super) fn of_alert(alert: &AlertEntry) -> &'static str {
    match (alert.ends_at, alert.end) {
        (None, _) if alert.hold.is_some() => "FIRING (held)",
        (None, _) => "FIRING",
        (Some(_), Some(End::NoLongerReported)) => "NO LONGER REPORTED",
        (Some(_), Some(End::RuleRemoved)) => "RULE REMOVED",
        (Some(_), Some(End::RuleChanged)) => "RULE CHANGED",
        (Some(_), Some(End::Cleared) | None) => "RESOLVED",
    }
}

/// What there is to know beyond the word, of an alert that ended or that is held. None of one
/// that fires and is reported.
pub(super) fn remark(alert: &AlertEntry) -> Option<String> {
    Some(match (alert.ends_at, alert.hold) {
        (None, None) => return None,
        (None, Some(hold)) => {
            let what = match hold.gone_since {
                Some(_) => "its series disappeared while others are still reported",
                None => "no data, current state unknown",
            };
            format!("kept open since {}: {what}", text::clock(hold.since))
        }
        (Some(_), _) => match alert.end {
            Some(End::Cleared) | None => "the condition cleared",
            Some(End::NoLongerReported) => "the series disappeared, current state unknown",
            Some(End::RuleRemoved) => "the rule was removed; this condition is no longer monitored",
            Some(End::RuleChanged) => "the rule was changed and no longer fires",
        }
        .to_owned(),
    })
}

/// Why it was sent, where it is more than a start or an end.
pub(super) fn why(notification: &Notification) -> Option<String> {
    if notification.groups > 0 {
        let groups = notification.groups;
        return Some(format!(
            "Notification storm: {groups} alert groups combined into one message."
        ));
    }
    let why = match notification.reason {
        NotifyReason::FirstNotification | NotifyReason::AllAlertsResolved => return None,
        NotifyReason::NewAlertsInGroup => "New alerts in this group.",
        NotifyReason::NewResolvedAlerts => "Some alerts resolved, others are still firing.",
        NotifyReason::RepeatIntervalElapsed => "Reminder: still firing.",
        NotifyReason::EndedUnseen => {
            "For information: this fired and resolved during an outage of dnswatch."
        }
    };
    Some(why.to_owned())
}
