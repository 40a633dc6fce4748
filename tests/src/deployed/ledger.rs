//! The notifications of a subscriber of the topic, in order of arrival, and what must be true
//! of it whatever fails.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

/// An alert, by its labels.
pub(super) type Alert = BTreeMap<String, String>;

/// One delivery of one notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Notified {
    pub(super) id: String,
    sequence: u64,
    group: String,
    /// Its alerts, and whether they fire.
    alerts: BTreeMap<Alert, bool>,
}

impl Notified {
    /// What the queue delivered: the webhook JSON in SNS's envelope.
    pub(super) fn read(body: &str) -> Result<Self> {
        let envelope: Value = serde_json::from_str(body)?;
        let message = envelope["Message"].as_str().context("a message")?;
        let webhook: Value = serde_json::from_str(message).context("the webhook JSON")?;
        let text = |name: &str| Some(webhook[name].as_str()?.to_owned());
        let alerts = webhook["alerts"].as_array().context("alerts")?;
        let alerts = alerts.iter().map(|alert| {
            let status = alert["status"].as_str().context("a status")?;
            ensure!(["firing", "resolved"].contains(&status), "{status}");
            let labels = serde_json::from_value(alert["labels"].clone())?;
            Ok((labels, status == "firing"))
        });
        Ok(Self {
            id: text("notificationId").context("an id")?,
            sequence: webhook["sequence"].as_u64().context("a number")?,
            group: text("groupKey").context("a group")?,
            alerts: alerts.collect::<Result<_>>()?,
        })
    }

    /// Whether it says that the alert fires, or that it does no more. None: neither.
    pub(super) fn of(&self, alert: &Alert) -> Option<bool> {
        self.alerts.get(alert).copied()
    }
}

/// All notifications.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Summary {
    pub(super) notifications: usize,
    /// Deliveries beyond the first of their notification.
    pub(super) repeated: usize,
    /// Alerts of which only the end was notified: their start was not delivered yet, and the newer
    /// notification took its place.
    pub(super) ends_alone: usize,
}

/// Checks the notifications of the alerts in `fired`, when nothing is pending any more.
///
/// Each alert's end was notified, after its start, and nothing after that but the same once
/// more; its beginning, too, if it is one of `patient`: it did not end before. A notification that
/// came again came with the same id, and before any newer one of its group.
pub(super) fn judge(
    notified: &[Notified],
    fired: &BTreeSet<Alert>,
    patient: &BTreeSet<Alert>,
) -> Result<Summary> {
    let mut summary = Summary::default();
    let mut ids: BTreeMap<&str, &Notified> = BTreeMap::new();
    let mut groups: BTreeMap<&str, &Notified> = BTreeMap::new();
    let mut begun = BTreeSet::new();
    let mut ended = BTreeSet::new();
    for notified in notified {
        let last = groups.insert(&notified.group, notified);
        match ids.insert(&notified.id, notified) {
            Some(first) => {
                ensure!(
                    first == notified,
                    "one id, two texts: {first:?} {notified:?}"
                );
                ensure!(last == Some(first), "after {last:?} again {notified:?}");
                summary.repeated += 1;
            }
            None => {
                let is_next = last.is_none_or(|last| last.sequence < notified.sequence);
                ensure!(is_next, "after {last:?} {notified:?}");
                summary.notifications += 1;
            }
        }
        for (alert, fires) in &notified.alerts {
            ensure!(fired.contains(alert), "it never fired: {alert:?}");
            if *fires {
                begun.insert(alert);
                let is_over = ended.contains(alert);
                ensure!(!is_over, "its end was notified before: {notified:?}");
            } else {
                ended.insert(alert);
            }
        }
    }
    for alert in fired {
        ensure!(ended.contains(alert), "its end was not notified: {alert:?}");
        if !begun.contains(alert) {
            let is_patient = patient.contains(alert);
            ensure!(!is_patient, "its beginning was not notified: {alert:?}");
            summary.ends_alone += 1;
        }
    }
    Ok(summary)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn alert(name: &str) -> Alert {
        Alert::from([("alertname".to_owned(), name.to_owned())])
    }

    /// `id sequence group alert+ alert-`
    fn notified(text: &str) -> Notified {
        let words: Vec<&str> = text.split(' ').collect();
        let alerts = words[3..].iter().map(|word| {
            let (name, fires) = word.split_at(word.len() - 1);
            let status = if fires == "+" { "firing" } else { "resolved" };
            json!({"status": status, "labels": {"alertname": name}})
        });
        let webhook = json!({
            "notificationId": words[0],
            "sequence": words[1].parse::<u64>().unwrap(),
            "groupKey": words[2],
            "alerts": alerts.collect::<Vec<_>>(),
        });
        Notified::read(&json!({"Message": webhook.to_string()}).to_string()).unwrap()
    }

    #[track_caller]
    fn check(story: &[&str], expected: Result<(usize, usize, usize), &str>) {
        let notified: Vec<Notified> = story.iter().map(|text| notified(text)).collect();
        let fired = BTreeSet::from([alert("patient"), alert("hasty")]);
        let patient = BTreeSet::from([alert("patient")]);
        let found = judge(&notified, &fired, &patient);
        let found = found.map(|notified| {
            (
                notified.notifications,
                notified.repeated,
                notified.ends_alone,
            )
        });
        match expected {
            Ok(expected) => assert_eq!(found.unwrap(), expected),
            Err(expected) => {
                let error = found.unwrap_err().to_string();
                assert!(error.starts_with(expected), "{error}");
            }
        }
    }

    #[test]
    fn what_went_wrong_is_found() {
        let (begins, ends) = ("i1 1 p patient+", "i2 3 p patient-");
        let (hasty, ends_alone) = ("j1 1 h hasty+", "j2 2 h hasty-");
        check(&[begins, hasty, ends, ends_alone], Ok((4, 0, 0)));
        check(&[begins, begins, ends_alone, ends, ends], Ok((3, 2, 1)));
        check(&[begins, ends], Err("its end was not notified: "));
        check(&[begins, ends_alone], Err("its end was not notified: "));
        check(&[ends, ends_alone], Err("its beginning was not notified: "));
        check(
            &["i0 1 p patient-", "i1 2 p patient+", ends, ends_alone],
            Err("its end was notified before: "),
        );
        check(&[begins, ends, begins, ends_alone], Err("after "));
        check(&[begins, "i2 1 p patient-"], Err("after "));
        check(&[begins, "i1 1 p patient-"], Err("one id, two texts: "));
        check(&[begins, "i1 2 p patient+"], Err("one id, two texts: "));
        check(&["i1 1 p other+"], Err("it never fired: "));
    }
}
