//! A batch of records: each is posted, or fails by itself and comes again.
//!
//! What may pass is tried again ever later; what Slack refuses too, since a webhook can be
//! mended; what is malformed comes again at once. Each ends in the queue's dead-letter queue when
//! it has been received as often as the queue allows.

use std::collections::HashMap;
use std::time::Duration;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use jiff::Timestamp;

use crate::block_kit::Payload;
use crate::envelope::Delivery;
use crate::message::{Malformed, Message, Webhook};
use crate::outcome::{self, About, Log, Outcome};
use crate::post::{self, PostError};
use crate::posted::{self, CLAIM_MARGIN, Claim, Posted};
use crate::queue::{self, Queue};
use crate::render::{self, Circumstances};
use crate::webhook::{Source, WebhookError};

/// How long Slack may take to answer.
const POST_TIMEOUT: Duration = Duration::from_secs(10);
/// What a run keeps of its time to say what became of its records.
const RESERVE: Duration = Duration::from_secs(3);
/// What is left of a run's time has to be this much for a record to be tried.
const WORTH_IT: Duration = Duration::from_secs(2);
/// The longest group key in the log, in characters.
const LOGGED: usize = 200;

/// The function: its connections, made once.
pub struct Slack {
    /// The HTTP client.
    pub http: reqwest::Client,
    /// The webhook.
    pub webhook: Source,
    /// What was posted.
    pub posted: Posted,
    /// The queue.
    pub queue: Queue,
    /// The log.
    pub log: Log,
}

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

impl Slack {
    /// Posts the records of an event, and answers which failed.
    pub async fn handle(
        &self,
        event: SqsEvent,
        run: Run<'_>,
    ) -> Result<SqsBatchResponse, NoMessageId> {
        let items = event.records.into_iter().map(Item::read);
        let items = in_order(items.collect::<Result<_, _>>()?);
        let mut response = SqsBatchResponse::default();
        let mut rate_limited = None;
        for item in &items {
            let outcome = match &rate_limited {
                Some(wait) => Outcome::NotTried {
                    why: "Slack asked to wait".to_owned(),
                    wait: *wait,
                },
                None => self.one(item, run, &mut rate_limited).await,
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

    async fn one(&self, item: &Item, run: Run<'_>, rate_limited: &mut Option<Duration>) -> Outcome {
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
        let Some(timeout) = time_to_post(Timestamp::now(), run.deadline) else {
            return Outcome::NotTried {
                why: "the run's time is used".to_owned(),
                wait: Duration::from_secs(1),
            };
        };
        match self.post(item, delivery, message, run, timeout).await {
            Ok(outcome) => outcome,
            Err(failure) => {
                if let Failure::Post(PostError::RateLimited(wait)) = failure {
                    *rate_limited = Some(wait);
                }
                failure.outcome(item.about.receive_count)
            }
        }
    }

    /// Claims, posts, marks as posted; gives the claim back where nothing was posted.
    async fn post(
        &self,
        item: &Item,
        delivery: &Delivery,
        message: &Message,
        run: Run<'_>,
        timeout: Duration,
    ) -> Result<Outcome, Failure> {
        // First, because without it nothing can be posted.
        self.webhook
            .get(Timestamp::now())
            .await
            .map_err(Failure::Webhook)?;
        let key = posted::notification_key(&item.queue, &item.about.notification_id);
        let by = format!("{}/{}", run.id, item.about.sqs_message_id);
        let now = Timestamp::now();
        let until = run
            .deadline
            .saturating_add(CLAIM_MARGIN)
            .unwrap_or(run.deadline);
        match self.posted.claim(&key, &by, now, until).await {
            Ok(Claim::Taken) => {}
            Ok(Claim::Posted) => return Ok(Outcome::PostedBefore),
            Ok(Claim::Held(until)) => return Err(Failure::Held(until)),
            Err(error) => return Err(Failure::Table(error.to_string())),
        }
        let sent = self.send(item, delivery, message, now, timeout).await;
        match sent {
            Ok(is_late) => {
                let marked = self.posted.mark(&key, Timestamp::now()).await;
                Ok(Outcome::Posted {
                    is_late,
                    unmarked: marked.err().map(|error| error.to_string()),
                })
            }
            Err(failure) => {
                // If it fails, the claim stands until it runs out.
                let _ = self.posted.release(&key, &by).await;
                Err(failure)
            }
        }
    }

    /// Posts a message that is claimed. Whether it is late.
    async fn send(
        &self,
        item: &Item,
        delivery: &Delivery,
        message: &Message,
        now: Timestamp,
        timeout: Duration,
    ) -> Result<bool, Failure> {
        let mut is_late = false;
        if let Message::Alerts(webhook) = message
            && let Some(sequence) = webhook.sequence
        {
            let Webhook {
                receiver,
                group_key,
                ..
            } = &**webhook;
            let group = posted::sequence_key(&item.queue, &delivery.topic, receiver, group_key);
            let late = self.posted.is_late(&group, sequence, now).await;
            is_late = late.map_err(|error| Failure::Table(error.to_string()))?;
        }
        let circumstances = Circumstances {
            is_late,
            published: delivery.published,
            now,
        };
        let body = body(&match message {
            Message::Alerts(webhook) => render::alerts(webhook, circumstances),
            Message::Text(text) => render::text(delivery.subject.as_deref(), text, circumstances),
        })?;
        let webhook = self.webhook.get(now).await.map_err(Failure::Webhook)?;
        let mut tried = post::post(&self.http, &webhook, &body, timeout).await;
        if let Err(error) = &tried
            && error.is_about_the_webhook()
            && let Some(another) = self.webhook.another(&webhook, now).await
        {
            tried = post::post(&self.http, &another, &body, timeout).await;
        }
        tried.map_err(Failure::Post)?;
        Ok(is_late)
    }
}

/// Why a record was not posted.
enum Failure {
    Webhook(WebhookError),
    Table(String),
    Held(Timestamp),
    Post(PostError),
    Unwritable(String),
}

impl Failure {
    fn outcome(self, receive_count: u32) -> Outcome {
        let back_off = queue::back_off(receive_count);
        let failed = |why, may_pass, wait| Outcome::Failed {
            why,
            may_pass,
            wait,
        };
        match self {
            Self::Webhook(error @ WebhookError::Secret(_)) => {
                failed(error.to_string(), true, back_off)
            }
            Self::Webhook(error) => failed(error.to_string(), false, back_off),
            Self::Table(why) => failed(why, true, back_off),
            Self::Held(until) => {
                let wait = until
                    .as_second()
                    .saturating_sub(Timestamp::now().as_second());
                let wait = Duration::from_secs(u64::try_from(wait).unwrap_or_default().max(1));
                Outcome::NotTried {
                    why: "another run has claimed it".to_owned(),
                    wait,
                }
            }
            Self::Post(PostError::RateLimited(wait)) => {
                failed(PostError::RateLimited(wait).to_string(), true, wait)
            }
            Self::Post(error @ PostError::Transient(_)) => {
                failed(error.to_string(), true, back_off)
            }
            Self::Post(error @ PostError::Refused { .. }) => {
                failed(error.to_string(), false, back_off)
            }
            Self::Unwritable(why) => failed(why, false, Duration::ZERO),
        }
    }
}

fn body(payload: &Payload) -> Result<Vec<u8>, Failure> {
    serde_json::to_vec(payload).map_err(|error| Failure::Unwritable(error.to_string()))
}

/// How long Slack may take, with what is left of the run; None if that is not worth a try.
/// A webhook that was changed makes two requests: each may take half.
fn time_to_post(now: Timestamp, deadline: Timestamp) -> Option<Duration> {
    let left = Duration::try_from(deadline.duration_since(now)).ok()?;
    let left = left.checked_sub(RESERVE)? / 2;
    (left >= WORTH_IT).then_some(left.min(POST_TIMEOUT))
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
        let read = Delivery::of(&record, &id).and_then(|delivery| {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(left: f64, expected: Option<f64>) {
        let now = Timestamp::UNIX_EPOCH;
        let deadline = now + jiff::SignedDuration::from_secs_f64(left);
        let time = time_to_post(now, deadline).map(|time| time.as_secs_f64());
        assert_eq!(time, expected, "{left}");
    }

    #[test]
    fn slack_has_ten_seconds_at_most_and_two_at_least() {
        check(900.0, Some(10.0));
        check(30.0, Some(10.0));
        check(23.0, Some(10.0));
        check(22.0, Some(9.5));
        check(7.0, Some(2.0));
        check(6.9, None);
        check(2.0, None);
        check(-1.0, None);
    }
}
