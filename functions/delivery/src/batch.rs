//! A batch of records: each is sent, or fails alone and is received again.
//!
//! What may pass is tried again ever later; what the service refuses too, since a secret or a
//! channel can be fixed; a malformed record is retried at once. Each ends in the queue's
//! dead-letter queue when it has been received as often as the queue allows.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use alerting::clock_step::{Verdict, WAIT_OUT};
use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use backends::aws_time::WatchTime;
use jiff::Timestamp;

use crate::channel::{Budget, Channel, Note, Received, SendError, Sent};
use crate::envelope::Delivery;
use crate::message::{Malformed, Message};
use crate::outcome::{self, About, Log, Outcome};
use crate::posted::{self, CLAIM_MARGIN, Claim, Posted};
use crate::queue::{self, Queue};
use crate::turn::{self, Times, Turn, Turns};

/// What a run keeps of its time to say what became of its records.
const RESERVE: Duration = Duration::from_secs(3);
/// What is left of a run's time has to be this much for a record to be tried.
const WORTH_IT: Duration = Duration::from_secs(4);
/// How soon a record is retried while another run holds its group: that run takes seconds unless it
/// died, and receives are counted.
const SOON: Duration = Duration::from_secs(5);
/// How soon at the earliest, where what claims it does not end before.
const CLAIMED: Duration = Duration::from_secs(30 + CLAIM_MARGIN.as_secs());
/// The longest group key in the log, in characters.
const LOGGED: usize = 200;

/// A function: its channel and its connections, made once.
pub struct Function<C> {
    /// Where notifications go.
    pub channel: C,
    /// What was sent.
    pub posted: Posted,
    /// Whose turn it is.
    pub turns: Turns,
    /// The queue.
    pub queue: Queue,
    /// The log.
    pub log: Log,
    /// What the table's server says the time is.
    pub time: WatchTime,
    /// This host's clock.
    pub now: Now,
}

/// A host's clock.
pub type Now = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// One run.
#[derive(Debug, Clone, Copy)]
pub struct Run<'a> {
    /// Its id, unlike that of any other.
    pub id: &'a str,
    /// When Lambda ends it.
    pub deadline: Timestamp,
}

/// A record without an id, which Lambda never sends: what fails could not be named.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("a record of the event has no messageId")]
pub struct NoMessageId;

/// A record, read.
struct Item {
    about: About,
    receipt_handle: String,
    queue: String,
    read: Result<(Delivery, Message), Malformed>,
}

impl<C: Channel> Function<C> {
    /// Sends the records of an event, and answers which failed.
    pub async fn handle(
        &self,
        event: SqsEvent,
        run: Run<'_>,
    ) -> Result<SqsBatchResponse, NoMessageId> {
        let items = event.records.into_iter().map(Item::read);
        let items = in_order(items.collect::<Result<_, _>>()?);
        let began = (self.now)();
        let clock = self.check_clock(items.first(), run, began).await;
        let mut response = SqsBatchResponse::default();
        let mut rate_limited = None;
        for item in &items {
            let outcome = match (&rate_limited, &clock) {
                (_, Err(wrong)) => Outcome::Failed {
                    why: wrong.to_string(),
                    may_pass: false,
                    wait: queue::back_off(item.about.receive_count),
                },
                (Some((why, wait)), _) => Outcome::NotTried {
                    why: format!("not before {why}"),
                    wait: *wait,
                },
                (None, Ok(longest)) => self.one(item, run, *longest, &mut rate_limited).await,
            };
            let mut put_off = Ok(());
            if let Some(wait) = outcome.wait() {
                put_off = self.queue.put_off(&item.receipt_handle, wait).await;
                response.add_failure(&item.about.sqs_message_id);
            }
            let put_off_error = put_off.as_ref().err().map(String::as_str);
            (self.log)(&outcome::line(&item.about, &outcome, put_off_error));
        }
        Ok(response)
    }

    async fn one(
        &self,
        item: &Item,
        run: Run<'_>,
        longest: Timestamp,
        rate_limited: &mut Option<(String, Duration)>,
    ) -> Outcome {
        let (delivery, message) = match &item.read {
            Ok(read) => read,
            Err(malformed) => {
                return Outcome::Failed {
                    why: malformed.to_string(),
                    may_pass: false,
                    wait: Duration::ZERO,
                };
            }
        };
        let Some(budget) = budget(run, (self.now)()) else {
            return Outcome::NotTried {
                why: "the run's time is used".to_owned(),
                wait: Duration::from_secs(1),
            };
        };
        let held = Held { run, longest };
        match self.claimed(item, delivery, message, held, budget).await {
            Ok(outcome) => outcome,
            Err(failure) => {
                if let Failure::Send(SendError::RateLimited { why, wait }) = &failure {
                    *rate_limited = Some((why.clone(), *wait));
                }
                failure.outcome(item.about.receive_count, (self.now)())
            }
        }
    }

    /// Compares this host's clock with the table's server's. Up to when at the longest a claim lasts
    /// that a living run holds; what lasts longer was made under a clock that was ahead.
    ///
    /// The question releases a claim that no run holds: it changes nothing and needs no extra
    /// permission.
    async fn check_clock(
        &self,
        first: Option<&Item>,
        run: Run<'_>,
        began: Timestamp,
    ) -> Result<Timestamp, ClockWrong> {
        let Some(first) = first else {
            return Ok(Timestamp::MAX);
        };
        let key = posted::notification_key(C::NAME, &first.queue, &first.about.notification_id);
        let _ = self.time.take();
        // Where the table does not answer each record says so.
        let _ = self
            .posted
            .release(&key, &format!("{}/clock", run.id))
            .await;
        let began_ms = alerting::timestamp::Timestamp::from_millis(began.as_millisecond());
        let offset = self.time.take().map(|time| time.offset_ms(began_ms));
        match Verdict::from_offsets(offset) {
            Verdict::Wrong { ahead_ms } => Err(ClockWrong { ahead_ms }),
            Verdict::Unknown => Ok(Timestamp::MAX),
            Verdict::Right => {
                let life = run.deadline.duration_since(began);
                let longest = run
                    .expires()
                    .saturating_add(life)
                    .and_then(|longest| longest.saturating_add(WAIT_OUT));
                Ok(longest.unwrap_or(Timestamp::MAX))
            }
        }
    }

    /// Claims, sends, marks as sent; gives the claim back where nothing was sent.
    async fn claimed(
        &self,
        item: &Item,
        delivery: &Delivery,
        message: &Message,
        held: Held<'_>,
        budget: Budget,
    ) -> Result<Outcome, Failure> {
        // First, because without it nothing can be sent.
        self.channel.ready((self.now)()).await?;
        let id = &item.about.notification_id;
        let key = posted::notification_key(C::NAME, &item.queue, id);
        let Held { run, longest } = held;
        let by = format!("{}/{}", run.id, item.about.sqs_message_id);
        let now = (self.now)();
        let claim = self.posted.claim(&key, &by, now, run.expires(), longest);
        match claim.await {
            Ok(Claim::Taken) => {
                // The first answer may have been lost, or the clock set since.
                let began = alerting::timestamp::Timestamp::from_millis(now.as_millisecond());
                let offset = self.time.take().map(|time| time.offset_ms(began));
                if let Verdict::Wrong { ahead_ms } = Verdict::from_offsets(offset) {
                    let _ = self.posted.release(&key, &by).await;
                    return Err(Failure::Table(ClockWrong { ahead_ms }.to_string()));
                }
            }
            Ok(Claim::Posted) => return Ok(Outcome::PostedBefore),
            Ok(Claim::Held(until)) => return Err(Failure::Claimed(until)),
            Err(error) => return Err(Failure::Table(error.to_string())),
        }
        let received = Received {
            delivery,
            message,
            id,
            is_late: false,
            note: None,
            now,
        };
        match self.in_turn(item, received, held, budget).await {
            Ok((sent, unnoted)) => {
                let marked = self.posted.mark(&key, (self.now)()).await;
                Ok(Outcome::Posted {
                    how: sent.how,
                    unmarked: marked.err().map(|error| error.to_string()).or(unnoted),
                })
            }
            Err(failure) => {
                // If it fails, the claim stands until it runs out.
                let _ = self.posted.release(&key, &by).await;
                Err(failure)
            }
        }
    }

    /// Sends a notification that is claimed, when its group has no other on its way. What was
    /// sent, and why that could not be noted.
    async fn in_turn(
        &self,
        item: &Item,
        received: Received<'_>,
        Held { run, longest }: Held<'_>,
        budget: Budget,
    ) -> Result<(Sent, Option<String>), Failure> {
        let (Some([topic, receiver, group]), Some(sequence)) = (item.group(), item.about.sequence)
        else {
            let sent = self.channel.send(&received, budget).await?;
            return Ok((sent, None));
        };
        let group = turn::group_key(C::NAME, &item.queue, topic, receiver, group);
        let times = Times {
            now: received.now,
            until: run.expires(),
            longest,
        };
        let turn = self.turns.take(&group, sequence, run.id, times).await;
        let (is_late, note) = match turn {
            Ok(Turn::Taken { is_late, note }) => (is_late, note),
            Ok(Turn::Held(until)) => return Err(Failure::Held(until)),
            Err(error) => return Err(Failure::Table(error.to_string())),
        };
        let received = Received {
            is_late,
            note: note.as_deref(),
            ..received
        };
        let sent = self.channel.send(&received, budget).await;
        let note = sent.as_ref().map_or(&Note::Keep, |sent| &sent.note);
        let given = self
            .turns
            .give_back(&group, run.id, note, received.now)
            .await;
        Ok((sent?, given.err().map(|error| error.to_string())))
    }
}

impl Run<'_> {
    /// Until when others leave alone what the run has taken: it cannot live longer.
    fn expires(self) -> Timestamp {
        self.deadline
            .saturating_add(CLAIM_MARGIN)
            .unwrap_or(self.deadline)
    }
}

/// What a run takes, it holds until it cannot live any more; what others hold for longer than
/// `longest` stops nothing.
#[derive(Clone, Copy)]
struct Held<'a> {
    run: Run<'a>,
    longest: Timestamp,
}

/// This host's clock is wrong, so claims and group leases cannot be judged.
#[derive(Debug, thiserror::Error)]
#[error(
    "this host's clock is {} s {} the table's (the Date of its answers): nothing is sent until it is \
     right",
    .ahead_ms.unsigned_abs() / 1000,
    if *.ahead_ms < 0 { "behind" } else { "ahead of" }
)]
struct ClockWrong {
    ahead_ms: i64,
}

/// Why a record was not sent.
enum Failure {
    Table(String),
    /// Another run has the notification.
    Claimed(Timestamp),
    /// Another run is at another notification of the group.
    Held(Timestamp),
    Send(SendError),
}

impl From<SendError> for Failure {
    fn from(error: SendError) -> Self {
        Self::Send(error)
    }
}

impl Failure {
    fn outcome(self, receive_count: u32, now: Timestamp) -> Outcome {
        let back_off = queue::back_off(receive_count);
        let failed = |why, may_pass, wait| Outcome::Failed {
            why,
            may_pass,
            wait,
        };
        match self {
            Self::Table(why) => failed(why, true, back_off),
            Self::Claimed(until) => Outcome::NotTried {
                why: "another run has claimed it".to_owned(),
                // A claim of a clock that was ahead may end in hours: until then the record is
                // retried repeatedly.
                wait: from_now(until, now).min(back_off.max(CLAIMED)),
            },
            Self::Held(until) => Outcome::NotTried {
                why: "another run is at its group".to_owned(),
                wait: from_now(until, now).min(SOON),
            },
            Self::Send(SendError::RateLimited { why, wait }) => failed(why, true, wait),
            Self::Send(error @ SendError::Transient(_)) => {
                failed(error.to_string(), true, back_off)
            }
            Self::Send(error @ SendError::Refused(_)) => failed(error.to_string(), false, back_off),
        }
    }
}

/// In whole seconds, one at least.
fn from_now(until: Timestamp, now: Timestamp) -> Duration {
    let wait = until.as_second().saturating_sub(now.as_second());
    Duration::from_secs(u64::try_from(wait).unwrap_or_default().max(1))
}

/// What is left of the run for one record; None if that is not worth a try.
fn budget(run: Run<'_>, now: Timestamp) -> Option<Budget> {
    let left = Duration::try_from(run.deadline.duration_since(now)).ok()?;
    let left = left.checked_sub(RESERVE)?;
    (left >= WORTH_IT).then(|| Budget::new(left))
}

impl Item {
    fn read(record: SqsMessage) -> Result<Self, NoMessageId> {
        let id = record.message_id.clone().filter(|id| !id.is_empty());
        let id = id.ok_or(NoMessageId)?;
        let received = record.attributes.get("ApproximateReceiveCount");
        let mut about = About {
            receive_count: received.and_then(|count| count.parse().ok()).unwrap_or(1),
            sqs_message_id: id.clone(),
            ..About::default()
        };
        let read = Delivery::parse(&record, &id).and_then(|delivery| {
            about.notification_id.clone_from(&delivery.id);
            let message = Message::read(&delivery.message)?;
            if let Message::Alerts(webhook) = &message {
                about.notification_id = webhook
                    .notification_id
                    .clone()
                    .unwrap_or(delivery.id.clone());
                about.group_key = webhook.group_key.chars().take(LOGGED).collect();
                about.sequence = webhook.sequence;
                about.alerts = Some(webhook.alerts.len());
            }
            Ok((delivery, message))
        });
        Ok(Self {
            about,
            receipt_handle: record.receipt_handle.unwrap_or_default(),
            queue: record.event_source_arn.unwrap_or_default(),
            read,
        })
    }

    fn group(&self) -> Option<[&str; 3]> {
        match &self.read {
            Ok((delivery, Message::Alerts(webhook))) => {
                Some([&delivery.topic, &webhook.receiver, &webhook.group_key])
            }
            _ => None,
        }
    }
}

/// The records as they came, but those of a group in the order of their sequence numbers: a
/// queue does not keep it, and within a batch it costs nothing to restore.
fn in_order(mut items: Vec<Item>) -> Vec<Item> {
    let mut first_of_group = HashMap::new();
    let places: HashMap<String, (usize, u64)> = items
        .iter()
        .enumerate()
        .map(|(place, item)| {
            let first = match item.group() {
                Some(group) => *first_of_group.entry(group).or_insert(place),
                None => place,
            };
            let sequence = item.about.sequence.unwrap_or_default();
            (item.about.sqs_message_id.clone(), (first, sequence))
        })
        .collect();
    items.sort_by_key(|item| places.get(&item.about.sqs_message_id).copied());
    items
}
