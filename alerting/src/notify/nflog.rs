//! The notification log: the last notification of each group to each integration of a receiver.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::clock_step::not_after;
use crate::fingerprint::Fingerprint;
use crate::timestamp::Timestamp;

/// The last notification of a group to a receiver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NflogEntry {
    /// The group.
    pub group_key: String,
    /// The receiver.
    pub receiver: String,
    /// The receiver's channel, `sns[0]` for example.
    #[serde(default)]
    pub integration: String,
    /// When it was sent.
    pub timestamp: Timestamp,
    /// The alerts that fired then.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub firing: BTreeSet<Fingerprint>,
    /// The alerts that had ended then.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub resolved: BTreeSet<Fingerprint>,
    /// The last notification's number in its group and receiver.
    pub sequence: u64,
}

/// Group, receiver, channel.
type Key = (String, String, String);

/// The log, one entry for each group and channel. It is stored as a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Nflog(BTreeMap<Key, NflogEntry>);

impl Nflog {
    /// Whether the log is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The entries, by group, receiver and channel.
    pub fn iter(&self) -> impl Iterator<Item = &NflogEntry> {
        self.0.values()
    }

    pub(super) fn get(
        &self,
        group: &str,
        receiver: &str,
        integration: &str,
    ) -> Option<&NflogEntry> {
        let key = (
            group.to_owned(),
            receiver.to_owned(),
            integration.to_owned(),
        );
        self.0.get(&key)
    }

    /// The entries of one group.
    pub(super) fn of_group(&mut self, group: &str) -> impl Iterator<Item = &mut NflogEntry> {
        let first = (group.to_owned(), String::new(), String::new());
        let entries = self.0.range_mut(first..).map(|(_, entry)| entry);
        entries.take_while(move |entry| entry.group_key == group)
    }

    pub(super) fn put(&mut self, entry: NflogEntry) {
        let key = (
            entry.group_key.clone(),
            entry.receiver.clone(),
            entry.integration.clone(),
        );
        self.0.insert(key, entry);
    }

    /// What was notified after `latest` counts as notified then.
    pub(crate) fn not_after(&mut self, latest: Timestamp) {
        for entry in self.0.values_mut() {
            not_after(&mut entry.timestamp, latest);
        }
    }

    pub(super) fn retain(&mut self, mut keep: impl FnMut(&NflogEntry) -> bool) {
        self.0.retain(|_, entry| keep(entry));
    }
}

impl Serialize for Nflog {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.values())
    }
}

impl<'de> Deserialize<'de> for Nflog {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut log = Self::default();
        for entry in Vec::<NflogEntry>::deserialize(deserializer)? {
            log.put(entry);
        }
        Ok(log)
    }
}
