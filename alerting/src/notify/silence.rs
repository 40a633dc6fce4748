//! Silences (`silence/silence.go` in Alertmanager). They are kept in the state; those of a
//! workspace's own alert manager beside them, as they were last read.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::NotifyState;
use crate::labels::Labels;
use crate::matchers::{Matcher, Matchers};
use crate::timestamp::Timestamp;

/// How long a silence is kept once it has ended (`--data.retention` in Alertmanager).
const RETENTION: Duration = Duration::from_secs(120 * 60 * 60);
/// How long the silences of a workspace hold that are no longer to be read: the last known ones
/// are the best that there is, but not for ever.
const LAST_KNOWN_FOR: Duration = Duration::from_secs(24 * 60 * 60);
/// How many silences of a workspace are kept; AMP allows a thousand.
const MAX_WORKSPACE: usize = 2000;
/// How many silences of our own there may be.
const MAX_OWN: usize = 2000;
/// How long text of people is kept, in bytes.
const MAX_TEXT: usize = 1000;
/// How many annotations a silence has.
const MAX_ANNOTATIONS: usize = 32;
/// How many sets of matchers a silence has.
const MAX_SETS: usize = 32;

/// A silence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silence {
    /// What it is called.
    pub id: String,
    /// The alerts that it is about: those that meet all of these.
    pub matchers: Matchers,
    /// Further sets of matchers: an alert that meets all of one is silenced, too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub or_matchers: Vec<Matchers>,
    /// From when.
    pub starts_at: Timestamp,
    /// Until when.
    pub ends_at: Timestamp,
    /// Who asked for it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub created_by: String,
    /// Reason.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub comment: String,
    /// What else is noted of it, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// Where a silence stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SilenceState {
    /// It has not begun.
    Pending,
    /// It holds.
    Active,
    /// It is over.
    Expired,
}

impl std::fmt::Display for SilenceState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Expired => "expired",
        })
    }
}

/// Why a silence is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SilenceError {
    /// It would silence whatever comes.
    #[error("at least one matcher must ask for something that an alert without the label has not")]
    MatchesEverything,
    /// It would silence nothing.
    #[error("it can never match: {0}")]
    NeverMatches(String),
    /// More is noted of it than is kept.
    #[error("it has more than {MAX_ANNOTATIONS} annotations")]
    TooManyAnnotations,
    /// It has more sets of matchers than are kept.
    #[error("it has more than {MAX_SETS} sets of matchers")]
    TooManySets,
    /// It ends before it begins.
    #[error("it ends before it begins")]
    EndsBeforeItBegins,
    /// It is over already.
    #[error("its end is past")]
    EndIsPast,
    /// There are too many.
    #[error(
        "there are {MAX_OWN} silences already: expire some, they are forgotten five days later"
    )]
    TooMany,
    /// No silence has that id.
    #[error("there is no silence {0}")]
    Unknown(String),
    /// It has ended.
    #[error("the silence {0} has expired already")]
    Expired(String),
}

impl Silence {
    /// Where it stands.
    pub fn state(&self, now: Timestamp) -> SilenceState {
        if now < self.starts_at {
            SilenceState::Pending
        } else if now < self.ends_at {
            SilenceState::Active
        } else {
            SilenceState::Expired
        }
    }

    /// Its sets of matchers, each of which is enough.
    pub fn matcher_sets(&self) -> impl Iterator<Item = &Matchers> {
        std::iter::once(&self.matchers).chain(&self.or_matchers)
    }

    /// A set without matchers silences nothing, as in Alertmanager.
    fn mutes(&self, alert: &Labels, now: Timestamp) -> bool {
        let mut sets = self.matcher_sets();
        self.state(now) == SilenceState::Active
            && sets.any(|set| !set.is_empty() && set.matches(alert))
    }

    /// Cuts what people wrote to what is kept.
    fn shorten(&mut self) {
        let cut = |text: &mut String| text.truncate(text.floor_char_boundary(MAX_TEXT));
        cut(&mut self.created_by);
        cut(&mut self.comment);
        while self.annotations.len() > MAX_ANNOTATIONS {
            self.annotations.pop_last();
        }
        let annotations = std::mem::take(&mut self.annotations);
        self.annotations = annotations
            .into_iter()
            .map(|(mut name, mut text)| {
                cut(&mut name);
                cut(&mut text);
                (name, text)
            })
            .collect();
    }
}

/// What is known of the silences of a workspace's own alert manager.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkspaceSilences {
    /// When they were last read.
    pub read_at: Timestamp,
    /// Those that had not ended then.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub silences: Vec<Silence>,
    /// Since when they cannot be read, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing: Option<(Timestamp, String)>,
}

/// Takes a new silence.
///
/// # Errors
/// What Alertmanager refuses, what can never match, and more than 2000 of them.
pub fn add(
    notify: &mut NotifyState,
    mut silence: Silence,
    now: Timestamp,
) -> Result<(), SilenceError> {
    for set in silence.matcher_sets() {
        if set.iter().all(Matcher::matches_empty) {
            return Err(SilenceError::MatchesEverything);
        }
        if let Some(why) = set.contradiction() {
            return Err(SilenceError::NeverMatches(why));
        }
    }
    if silence.or_matchers.len() >= MAX_SETS {
        return Err(SilenceError::TooManySets);
    }
    if silence.annotations.len() > MAX_ANNOTATIONS {
        return Err(SilenceError::TooManyAnnotations);
    }
    if silence.ends_at <= silence.starts_at {
        return Err(SilenceError::EndsBeforeItBegins);
    }
    if silence.ends_at <= now {
        return Err(SilenceError::EndIsPast);
    }
    if notify.silences.len() >= MAX_OWN {
        return Err(SilenceError::TooMany);
    }
    silence.shorten();
    notify.silences.push(silence);
    Ok(())
}

/// Ends a silence now.
///
/// # Errors
/// If no silence of that id is pending or active.
pub fn expire(notify: &mut NotifyState, id: &str, now: Timestamp) -> Result<(), SilenceError> {
    let known = notify.silences.iter_mut().find(|known| known.id == id);
    let silence = known.ok_or_else(|| SilenceError::Unknown(id.to_owned()))?;
    match silence.state(now) {
        SilenceState::Expired => return Err(SilenceError::Expired(id.to_owned())),
        SilenceState::Pending => silence.starts_at = now,
        SilenceState::Active => {}
    }
    silence.ends_at = now;
    Ok(())
}

/// Takes what was read of the workspace's silences, or why they cannot be read. A failure never
/// ends one: the last known stay.
pub fn take_workspace(
    notify: &mut NotifyState,
    read: Result<Vec<Silence>, String>,
    now: Timestamp,
) {
    match read {
        Ok(mut silences) => {
            silences.retain(|silence| silence.ends_at > now);
            silences.truncate(MAX_WORKSPACE);
            silences.iter_mut().for_each(Silence::shorten);
            notify.workspace_silences = Some(WorkspaceSilences {
                read_at: now,
                silences,
                failing: None,
            });
        }
        Err(error) => {
            let known = notify.workspace_silences.get_or_insert_default();
            let since = known.failing.as_ref().map_or(now, |(since, _)| *since);
            known.failing = Some((since, error));
        }
    }
}

/// Reads silences as Alertmanager's API writes them (`GET /api/v2/silences`). One that cannot be
/// understood fails all: it is unknown what it would silence.
///
/// Alertmanager 0.35 keeps several sets of matchers a silence and has no words for them here: its
/// API fails as a whole while there is such a silence, and so the last known ones stay in force.
/// `matcherSets`, as its storage calls them, is read should a later one write it.
///
/// # Errors
/// What is wrong with the text.
pub fn of_api(json: &[u8]) -> Result<Vec<Silence>, String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Written {
        id: String,
        #[serde(default)]
        matchers: Matchers,
        #[serde(default)]
        matcher_sets: Vec<WrittenSet>,
        starts_at: String,
        ends_at: String,
        #[serde(default)]
        created_by: String,
        #[serde(default)]
        comment: String,
        #[serde(default)]
        annotations: Option<BTreeMap<String, String>>,
    }
    #[derive(Deserialize)]
    struct WrittenSet {
        matchers: Matchers,
    }
    let written: Vec<Written> = serde_json::from_slice(json)
        .map_err(|error| format!("the silences cannot be read: {error}"))?;
    let moment = |text: &str| {
        text.parse::<Timestamp>()
            .map_err(|error| format!("the silences cannot be read: {error}"))
    };
    let silences = written.into_iter().map(|silence| {
        let mut sets: Vec<Matchers> = silence
            .matcher_sets
            .into_iter()
            .map(|it| it.matchers)
            .collect();
        // The first set stands under both names.
        sets.retain(|set| *set != silence.matchers);
        Ok(Silence {
            id: silence.id,
            matchers: silence.matchers,
            or_matchers: sets,
            starts_at: moment(&silence.starts_at)?,
            ends_at: moment(&silence.ends_at)?,
            created_by: silence.created_by,
            comment: silence.comment,
            annotations: silence.annotations.unwrap_or_default(),
        })
    });
    silences.collect()
}

/// Forgets what ended long ago, and what of the workspace is no longer to be relied on.
pub(super) fn forget_old(notify: &mut NotifyState, now: Timestamp) {
    let kept = |silence: &Silence| now.since(silence.ends_at) < RETENTION;
    notify.silences.retain(kept);
    if let Some(workspace) = &mut notify.workspace_silences {
        let is_known = now.since(workspace.read_at) < LAST_KNOWN_FOR;
        workspace
            .silences
            .retain(|silence| is_known && silence.ends_at > now);
    }
}

/// Whether some silence is about the alert now.
pub(super) fn mutes(notify: &NotifyState, alert: &Labels, now: Timestamp) -> bool {
    let of_workspace = notify.workspace_silences.iter();
    let of_workspace = of_workspace.flat_map(|workspace| &workspace.silences);
    let mut all = notify.silences.iter().chain(of_workspace);
    all.any(|silence| silence.mutes(alert, now))
}
