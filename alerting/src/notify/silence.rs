//! Silences: what people have asked not to be told for a while (`silence/silence.go` in
//! Alertmanager). They are kept in the state; those of a workspace's own alert manager beside
//! them, as they were last read.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::NotifyState;
use crate::labels::Labels;
use crate::matchers::Matchers;
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

/// A silence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silence {
    /// What it is called.
    pub id: String,
    /// The alerts that it is about.
    pub matchers: Matchers,
    /// From when.
    pub starts_at: Timestamp,
    /// Until when.
    pub ends_at: Timestamp,
    /// Who asked for it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub created_by: String,
    /// Why.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub comment: String,
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
    #[error("at least one matcher must not match a label that is missing")]
    MatchesEverything,
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
    /// There is none of that id.
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

    fn mutes(&self, alert: &Labels, now: Timestamp) -> bool {
        self.state(now) == SilenceState::Active && self.matchers.matches(alert)
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
/// What Alertmanager refuses, and more than 2000 of them.
pub fn add(
    notify: &mut NotifyState,
    mut silence: Silence,
    now: Timestamp,
) -> Result<(), SilenceError> {
    if silence.matchers.iter().all(|matcher| matcher.matches("")) {
        return Err(SilenceError::MatchesEverything);
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
    for text in [&mut silence.created_by, &mut silence.comment] {
        text.truncate(text.floor_char_boundary(MAX_TEXT));
    }
    notify.silences.push(silence);
    Ok(())
}

/// Ends a silence now.
///
/// # Errors
/// Where there is none of that id that has not ended.
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
            for silence in &mut silences {
                for text in [&mut silence.created_by, &mut silence.comment] {
                    text.truncate(text.floor_char_boundary(MAX_TEXT));
                }
            }
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
/// understood fails all: nobody can tell what it would silence.
///
/// # Errors
/// What is wrong with the text.
pub fn of_api(json: &[u8]) -> Result<Vec<Silence>, String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Written {
        id: String,
        matchers: Matchers,
        starts_at: String,
        ends_at: String,
        #[serde(default)]
        created_by: String,
        #[serde(default)]
        comment: String,
    }
    let written: Vec<Written> = serde_json::from_slice(json)
        .map_err(|error| format!("the silences cannot be read: {error}"))?;
    let moment = |text: &str| {
        text.parse::<Timestamp>()
            .map_err(|error| format!("the silences cannot be read: {error}"))
    };
    let silences = written.into_iter().map(|silence| {
        Ok(Silence {
            id: silence.id,
            matchers: silence.matchers,
            starts_at: moment(&silence.starts_at)?,
            ends_at: moment(&silence.ends_at)?,
            created_by: silence.created_by,
            comment: silence.comment,
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
