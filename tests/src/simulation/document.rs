//! The stored document, read by what its text says, with none of the types that wrote it.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::world::{Millis, RULES};

/// A label set.
pub(super) type LabelSet = BTreeMap<String, String>;

/// The document.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Document {
    pub(super) config: Option<String>,
    pub(super) server: Option<ServerDoc>,
    pub(super) rules: BTreeMap<String, RuleDoc>,
    pub(super) notify: NotifyDoc,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct RuleDoc {
    pub(super) id: RuleIdDoc,
    pub(super) evaluated_until: Millis,
    #[serde(default)]
    pub(super) health: HealthDoc,
    #[serde(default)]
    pub(super) active: Vec<AlertDoc>,
    #[serde(default)]
    pub(super) ended: Vec<AlertDoc>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct RuleIdDoc {
    pub(super) group: String,
    pub(super) alert: String,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct HealthDoc {
    pub(super) failure: Option<FailureDoc>,
    pub(super) skipped: Option<SkippedDoc>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct FailureDoc {
    pub(super) since: Millis,
    pub(super) refused: bool,
    #[serde(default)]
    pub(super) server: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct ServerDoc {
    pub(super) since: Millis,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct SkippedDoc {
    pub(super) from: Millis,
    pub(super) to: Millis,
    pub(super) at: Millis,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct AlertDoc {
    pub(super) labels: LabelSet,
    pub(super) value: f64,
    pub(super) state: String,
    pub(super) active_at: Millis,
    pub(super) fired_at: Option<Millis>,
    pub(super) resolved_at: Option<Millis>,
    pub(super) keep_firing_since: Option<Millis>,
    pub(super) hold: Option<HoldDoc>,
    pub(super) end: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct HoldDoc {
    pub(super) since: Millis,
    pub(super) gone_since: Option<Millis>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct NotifyDoc {
    pub(super) alerts: Vec<EntryDoc>,
    pub(super) groups: BTreeMap<String, GroupDoc>,
    pub(super) nflog: Vec<NflogDoc>,
    pub(super) outbox: OutboxDoc,
}

/// An alert in notification.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct EntryDoc {
    pub(super) labels: LabelSet,
    pub(super) starts_at: Millis,
    pub(super) ends_at: Option<Millis>,
    pub(super) end: Option<String>,
    pub(super) hold: Option<HoldDoc>,
    #[serde(default)]
    pub(super) past: bool,
    #[serde(default)]
    pub(super) fired_by: BTreeSet<String>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct GroupDoc {
    pub(super) labels: LabelSet,
    pub(super) next_flush: Millis,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct NflogDoc {
    pub(super) group_key: String,
    pub(super) receiver: String,
    pub(super) timestamp: Millis,
    pub(super) sequence: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct OutboxDoc {
    #[serde(rename = "owed")]
    pub(super) pending: Vec<NotificationDoc>,
    pub(super) dead: Vec<DeadDoc>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct NotificationDoc {
    pub(super) id: String,
    pub(super) sequence: u64,
    pub(super) receiver: String,
    pub(super) group_key: String,
    pub(super) group_labels: LabelSet,
    pub(super) reason: String,
    pub(super) alerts: Vec<EntryDoc>,
    pub(super) created_at: Millis,
    pub(super) claim: Option<ClaimDoc>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct ClaimDoc {
    pub(super) run: String,
    pub(super) until: Millis,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct DeadDoc {
    pub(super) id: String,
    pub(super) receiver: String,
    pub(super) at: Millis,
}

impl Document {
    pub(super) fn read(bytes: &[u8]) -> Self {
        serde_json::from_slice(bytes).expect("what was stored is a document")
    }

    pub(super) fn pending(&self, id: &str) -> Option<&NotificationDoc> {
        self.notify
            .outbox
            .pending
            .iter()
            .find(|pending| pending.id == id)
    }
}

impl NotificationDoc {
    /// Who may publish it at `now`.
    pub(super) fn claimed_by(&self, now: Millis) -> Option<&str> {
        let claim = self.claim.as_ref().filter(|claim| claim.until > now)?;
        Some(&claim.run)
    }

    /// Group and receiver: what its order is kept in.
    pub(super) fn channel(&self) -> (&str, &str) {
        (&self.group_key, &self.receiver)
    }
}

impl HoldDoc {
    /// It did not begin after `latest`.
    pub(super) fn set_back(&mut self, latest: Millis) {
        self.since = self.since.min(latest);
        self.gone_since = self.gone_since.map(|gone| gone.min(latest));
    }
}

impl EntryDoc {
    pub(super) fn is_firing(&self) -> bool {
        self.ends_at.is_none()
    }
}

impl Document {
    /// What is stored of a rule, by its place in [`RULES`].
    pub(super) fn rule(&self, number: usize) -> Option<&RuleDoc> {
        let known = &RULES[number];
        self.rules
            .values()
            .find(|rule| rule.id.group == known.group && rule.id.alert == known.alert)
    }
}
