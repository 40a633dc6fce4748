//! The outcome of one record, as logged.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

/// Takes the lines of the log, one JSON object each.
pub type Log = Arc<dyn Fn(&str) + Send + Sync>;

/// What became of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was sent.
    Posted {
        /// What was done.
        how: &'static str,
        /// Why that could not be remembered: should it be delivered again, it is sent again.
        unmarked: Option<String>,
    },
    /// It had been sent before.
    PostedBefore,
    /// It is received again after this long. None: at once, because waiting does not help.
    Failed {
        /// Reason.
        why: String,
        /// Whether it may work without anybody doing anything.
        may_pass: bool,
        /// When it is received again.
        wait: Duration,
    },
    /// It was not tried and is received again after this long.
    NotTried {
        /// Reason.
        why: String,
        /// When it is received again.
        wait: Duration,
    },
}

impl Outcome {
    /// How long a record that was not sent has to wait; None if it is done with.
    pub fn wait(&self) -> Option<Duration> {
        match self {
            Self::Posted { .. } | Self::PostedBefore => None,
            Self::Failed { wait, .. } | Self::NotTried { wait, .. } => Some(*wait),
        }
    }
}

/// What the log says of a record beside its outcome.
#[derive(Debug, Clone, Default, Serialize)]
pub struct About {
    /// The queue's id of the record.
    pub sqs_message_id: String,
    /// The notification's id; SNS's MessageId where it has none of its own.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub notification_id: String,
    /// The group's key.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub group_key: String,
    /// The notification's number in its group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u64>,
    /// How many alerts it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alerts: Option<usize>,
    /// How many times the queue delivered it, this time included.
    pub receive_count: u32,
}

#[derive(Serialize)]
struct Line<'a> {
    level: &'static str,
    message: &'static str,
    #[serde(flatten)]
    about: &'a About,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_in_s: Option<u64>,
    /// Why changing the record's visibility timeout failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    put_off_error: Option<&'a str>,
}

/// One line of the log.
pub fn line(about: &About, outcome: &Outcome, put_off_error: Option<&str>) -> String {
    let (level, message, error) = match outcome {
        Outcome::Posted { how, unmarked } => {
            let level = if unmarked.is_some() { "WARN" } else { "INFO" };
            (level, *how, unmarked.as_deref())
        }
        Outcome::PostedBefore => ("INFO", "posted before", None),
        Outcome::Failed { why, may_pass, .. } => {
            let level = if *may_pass { "WARN" } else { "ERROR" };
            (level, "not posted", Some(why.as_str()))
        }
        Outcome::NotTried { why, .. } => ("WARN", "not tried", Some(why.as_str())),
    };
    let line = Line {
        level,
        message,
        about,
        error,
        retry_in_s: outcome.wait().map(|wait| wait.as_secs()),
        put_off_error,
    };
    // Strings and numbers are always JSON.
    serde_json::to_string(&line).unwrap_or_default()
}
