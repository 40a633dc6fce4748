//! The document that is kept from run to run: all of it, and nothing that can be worked out
//! again.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::alert::Alert;
use crate::clock_step::ClockStep;
use crate::labels::Labels;
use crate::notify::NotifyState;
use crate::rules::{RuleId, RuleKey};
use crate::server::{ServerDown, ServerTrouble};
use crate::timestamp::Timestamp;

/// The version of the document's form that this release writes.
///
/// 2 has silences and more than one group an alert; a release that knows only 1 would pass over
/// them.
pub const FORMAT: u32 = 2;

/// Everything that a run needs to know of the runs before it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// The version of the document's form.
    pub format: u32,
    /// The name under which the last good configuration is stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<String>,
    /// Set while the server that is asked does not answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<ServerDown>,
    /// The last time that state was found which a clock that was ahead had written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_step: Option<ClockStep>,
    /// What is known of each rule.
    pub rules: BTreeMap<RuleKey, RuleState>,
    /// What is known of notifications.
    pub notify: NotifyState,
}

impl Default for State {
    fn default() -> Self {
        Self {
            format: FORMAT,
            config: None,
            server: None,
            clock_step: None,
            rules: BTreeMap::new(),
            notify: NotifyState::default(),
        }
    }
}

/// What is known of one rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RuleState {
    /// The rule.
    pub id: RuleId,
    /// The last tick that was evaluated, or skipped for good.
    pub evaluated_until: Timestamp,
    /// How its evaluations go.
    #[serde(default)]
    pub health: Health,
    /// Its alerts: pending, firing, and for a while those that ended.
    #[serde(
        default,
        with = "by_labels",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub active: BTreeMap<Labels, Alert>,
    /// The alerts that ended since notifications were last planned, as they last ended.
    #[serde(
        default,
        with = "by_labels",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub ended: BTreeMap<Labels, Alert>,
    /// Whether notification has taken all news of it: no tick was evaluated since. Not stored: a
    /// run takes them again.
    #[serde(skip)]
    pub(crate) is_taken: bool,
}

impl RuleState {
    /// A rule that is seen for the first time: its next tick is the first to be evaluated.
    pub fn new(id: RuleId, evaluated_until: Timestamp) -> Self {
        Self {
            id,
            evaluated_until,
            health: Health::default(),
            active: BTreeMap::new(),
            ended: BTreeMap::new(),
            is_taken: false,
        }
    }
}

/// How a rule's evaluations go.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// Why the rule is not up to date, if it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// The last ticks that were skipped for being too old.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skipped: Option<Skipped>,
}

/// A rule that cannot be evaluated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The first tick that failed.
    pub since: Timestamp,
    /// Whether the tick was given up: the expression is refused, or its result is.
    pub refused: bool,
    /// What went wrong last.
    pub error: String,
    /// What kept the server from answering, if it was that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<ServerTrouble>,
}

/// Ticks that were never evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// The first of them.
    pub from: Timestamp,
    /// The last of them.
    pub to: Timestamp,
    /// When they were given up.
    pub at: Timestamp,
}

/// A document that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// It is no state document, or damaged.
    #[error("the state document cannot be read")]
    Malformed(#[source] serde_json::Error),
    /// A later release wrote it.
    #[error(
        "the state document has format {found}, this release knows up to {FORMAT}: \
         run the release that wrote it, or a later one"
    )]
    TooNew {
        /// The document's format.
        found: u32,
    },
}

impl State {
    /// Reads a document.
    pub fn from_json(bytes: &[u8]) -> Result<Self, StateError> {
        #[derive(Deserialize)]
        struct Head {
            format: u32,
        }
        let head: Head = serde_json::from_slice(bytes).map_err(StateError::Malformed)?;
        if head.format > FORMAT {
            return Err(StateError::TooNew { found: head.format });
        }
        let mut state: Self = serde_json::from_slice(bytes).map_err(StateError::Malformed)?;
        state.format = FORMAT;
        Ok(state)
    }

    /// Writes the document. The same state always gives the same bytes.
    pub fn to_json(&self) -> Result<Vec<u8>, StateError> {
        serde_json::to_vec(self).map_err(StateError::Malformed)
    }
}

/// Things that carry their labels, written as a list and kept by them.
pub(crate) mod by_labels {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::alert::Alert;
    use crate::labels::Labels;
    use crate::notify::AlertEntry;

    /// What an entry is kept by.
    pub(crate) trait Labelled {
        fn labels(&self) -> &Labels;
    }

    impl Labelled for Alert {
        fn labels(&self) -> &Labels {
            &self.labels
        }
    }

    impl Labelled for AlertEntry {
        fn labels(&self) -> &Labels {
            &self.labels
        }
    }

    pub(crate) fn serialize<T: Serialize, S: Serializer>(
        entries: &BTreeMap<Labels, T>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(entries.values())
    }

    pub(crate) fn deserialize<'de, T, D>(deserializer: D) -> Result<BTreeMap<Labels, T>, D::Error>
    where
        T: Labelled + Deserialize<'de>,
        D: Deserializer<'de>,
    {
        Ok(Vec::<T>::deserialize(deserializer)?
            .into_iter()
            .map(|entry| (entry.labels().clone(), entry))
            .collect())
    }
}
