//! The notifications of a group are sent one at a time, and the newest of them is known.
//!
//! The item is in the state's table: `CHANNEL#QUEUE#group#HASH` / `sequence`, with the highest
//! `sequence` number of a group, receiver and topic that was begun to be sent; `turn_of` and
//! `turn_until` while a run is at one of them; and `note`, what the channel wants to find again.
//!
//! One at a time, because what a channel does depends on what it did before: two runs at once
//! would both begin a thread, or open again what the other has just resolved. A run that dies
//! loses its turn when its time has passed, and a request of its own cannot come after that.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure};
use jiff::Timestamp;

use crate::channel::Note;
use crate::table::{EXPIRES_AT, ID, PART, TableError, expiry, failed, moment, seconds, text};

const SORT_KEY: &str = "sequence";
/// A turn that lasts beyond `:longest` was taken under a clock that was ahead, and stops nothing.
const IS_FREE: &str = "(attribute_not_exists(turn_until) OR turn_until <= :now OR \
                       turn_until > :longest OR turn_of = :run)";

/// The times of taking a turn.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// Now.
    pub now: Timestamp,
    /// Until when the turn is taken.
    pub until: Timestamp,
    /// No run's turn that lives now lasts beyond this.
    pub longest: Timestamp,
}

/// What came of asking for a group's turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turn {
    /// It is this run's.
    Taken {
        /// A later notification of the group was begun to be sent.
        is_late: bool,
        /// What the channel noted.
        note: Option<String>,
    },
    /// Another run's, or one's that died, until then.
    Held(Timestamp),
}

/// Why a turn is not taken.
struct NotTaken {
    /// Until when another run has it.
    until: Timestamp,
    /// The newest notification of the group that was begun to be sent.
    newest: Option<u64>,
}

/// The turns of the groups of one queue.
#[derive(Debug, Clone)]
pub struct Turns {
    client: Client,
    table: String,
}

impl Turns {
    /// The turns in a table.
    pub fn new(client: Client, table: String) -> Self {
        Self { client, table }
    }

    /// Takes the turn of `group` for `run` to send notification number `sequence`.
    ///
    /// A newer notification counts from when it was begun, not from when it was sent: it is
    /// tried until it is, so to say of an older one that another overtook it is true in the end,
    /// while the contrary would leave the older one standing as news.
    pub async fn take(
        &self,
        group: &str,
        sequence: u64,
        run: &str,
        times: Times,
    ) -> Result<Turn, TableError> {
        let newest =
            format!("(attribute_not_exists(#sequence) OR #sequence <= :sequence) AND {IS_FREE}");
        let refused = match self
            .try_to_take(group, sequence, run, times, Some(&newest))
            .await?
        {
            Ok(turn) => return Ok(turn),
            Err(refused) => refused,
        };
        // Another run is at the group. It may give the turn back at any moment, and then this one
        // must not be taken for late: it is asked again from the start.
        if refused.newest.is_none_or(|newest| newest <= sequence) {
            return Ok(Turn::Held(refused.until));
        }
        // A newer one was begun.
        let late = self.try_to_take(group, sequence, run, times, None).await?;
        Ok(late.unwrap_or_else(|refused| Turn::Held(refused.until)))
    }

    async fn try_to_take(
        &self,
        group: &str,
        sequence: u64,
        run: &str,
        times: Times,
        newest: Option<&str>,
    ) -> Result<Result<Turn, NotTaken>, TableError> {
        let Times {
            now,
            until,
            longest,
        } = times;
        let set = "SET turn_of = :run, turn_until = :until, #expires = :expires";
        let mut update = self
            .client
            .update_item()
            .table_name(&self.table)
            .key(ID, text(group))
            .key(PART, text(SORT_KEY))
            .expression_attribute_names("#expires", EXPIRES_AT)
            .expression_attribute_values(":run", text(run))
            .expression_attribute_values(":now", seconds(now))
            .expression_attribute_values(":until", seconds(until))
            .expression_attribute_values(":longest", seconds(longest))
            .expression_attribute_values(":expires", expiry(now))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        update = match newest {
            Some(condition) => update
                .update_expression(format!("{set}, #sequence = :sequence"))
                .expression_attribute_names("#sequence", "sequence")
                .expression_attribute_values(":sequence", AttributeValue::N(sequence.to_string()))
                .condition_expression(condition),
            None => update.update_expression(set).condition_expression(IS_FREE),
        };
        let failure = match update.send().await {
            Ok(taken) => {
                let note = taken.attributes().and_then(|item| item.get("note"));
                return Ok(Ok(Turn::Taken {
                    is_late: newest.is_none(),
                    note: note.and_then(|note| note.as_s().ok()).cloned(),
                }));
            }
            Err(failure) => failure,
        };
        let Some(UpdateItemError::ConditionalCheckFailedException(refused)) =
            failure.as_service_error()
        else {
            return Err(failed("taking the group's turn", &failure));
        };
        let item = refused.item();
        let until = item.and_then(|item| moment(item.get("turn_until")));
        let newest = item.and_then(|item| item.get("sequence")?.as_n().ok()?.parse().ok());
        Ok(Err(NotTaken {
            until: until.unwrap_or(now),
            newest,
        }))
    }

    /// Gives the turn back, and notes what the channel wants noted.
    pub async fn give_back(
        &self,
        group: &str,
        run: &str,
        note: &Note,
        now: Timestamp,
    ) -> Result<(), TableError> {
        let mut update = self
            .client
            .update_item()
            .table_name(&self.table)
            .key(ID, text(group))
            .key(PART, text(SORT_KEY))
            .condition_expression("turn_of = :run")
            .expression_attribute_names("#expires", EXPIRES_AT)
            .expression_attribute_values(":run", text(run))
            .expression_attribute_values(":expires", expiry(now));
        update = match note {
            Note::Keep => {
                update.update_expression("SET #expires = :expires REMOVE turn_of, turn_until")
            }
            Note::Set(note) => update
                .update_expression(
                    "SET #expires = :expires, note = :note REMOVE turn_of, turn_until",
                )
                .expression_attribute_values(":note", text(note)),
        };
        update
            .send()
            .await
            .map(|_| ())
            .map_err(|error| failed("giving the group's turn back", &error))
    }
}

/// The key of what is counted by one sequence: a group's notifications to a receiver by one topic.
pub fn group_key(channel: &str, queue: &str, topic: &str, receiver: &str, group: &str) -> String {
    let hash = alerting::fingerprint::hash_128(&[topic, receiver, group]);
    format!("{channel}#{queue}#group#{hash}")
}
