//! How things stand and how they ended, in words that claim no more than is known.

use super::{AlertEntry, Notification, NotifyReason, text};
use crate::alert::End;

/// `FIRING:2`, `RESOLVED`, `NO LONGER REPORTED`, `ENDED` or `PAST`: what is not known to be over
/// is not called resolved.
pub(super) fn of(notification: &Notification) -> String {
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
                Some(_) => "it is no longer reported while others are",
                None => "its telemetry stopped, so nobody can tell whether it is over",
            };
            format!("held since {}: {what}", text::clock(hold.since))
        }
        (Some(_), _) => match alert.end {
            Some(End::Cleared) | None => "the condition cleared",
            Some(End::NoLongerReported) => "whether the condition is over is not known",
            Some(End::RuleRemoved) => "the rule was removed: nothing watches this any more",
            Some(End::RuleChanged) => "the rule was changed and no longer fires",
        }
        .to_owned(),
    })
}

/// Why it is told, where that is more than that something began or ended.
pub(super) fn why(notification: &Notification) -> Option<String> {
    if notification.groups > 0 {
        let groups = notification.groups;
        return Some(format!(
            "A flood: the news of {groups} groups at once, told together."
        ));
    }
    let why = match notification.reason {
        NotifyReason::FirstNotification | NotifyReason::AllAlertsResolved => return None,
        NotifyReason::NewAlertsInGroup => "More alerts than before.",
        NotifyReason::NewResolvedAlerts => "Some alerts ended, others go on.",
        NotifyReason::RepeatIntervalElapsed => "Still going on: a reminder.",
        NotifyReason::EndedUnseen => {
            "Past: this began and ended while nobody was looking, and is told once."
        }
    };
    Some(why.to_owned())
}
