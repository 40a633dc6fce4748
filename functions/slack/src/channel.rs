//! What is done with a notification: a new message, or a changed one and an answer in its thread.

use backends::http::HttpError;
use delivery::environment::Origin;
use delivery::message::Message;
use delivery::outcome::Log;
use delivery::secret::Secret;
use delivery::{Budget, Channel, Function, Note, Received, SendError, Sent, lambda};
use jiff::Timestamp;
use reqwest::Client;

use crate::access::{self, Access, Bot};
use crate::block_kit::{Payload, Post, Update};
use crate::config::Config;
use crate::post::{self, PostError};
use crate::refusal::Refusal;
use crate::render::{self, Circumstances};
use crate::thread::{self, Thread};

const POST: &str = "/api/chat.postMessage";
const UPDATE: &str = "/api/chat.update";

/// Slack.
pub struct Slack {
    http: Client,
    access: Secret<Access>,
    api: Origin,
}

/// The function of a configuration.
pub fn function(config: Config, log: Log) -> Result<Function<Slack>, HttpError> {
    let Config {
        environment,
        secret,
        webhook_origin,
        api_origin,
        channel,
    } = config;
    lambda::function(environment, log, |aws, http| Slack {
        http,
        access: Secret::new(
            aws_sdk_secretsmanager::Client::new(aws),
            secret,
            move |secret| {
                access::read(secret, &webhook_origin, channel.as_ref())
                    .map_err(|error| error.to_string())
            },
        ),
        api: api_origin,
    })
}

impl Channel for Slack {
    const NAME: &'static str = "slack";

    async fn ready(&self, now: Timestamp) -> Result<(), SendError> {
        self.access.get(now).await.map(|_| ())
    }

    async fn send(&self, received: &Received<'_>, budget: Budget) -> Result<Sent, SendError> {
        let access = self.access.get(received.now).await?;
        let mut tried = self.by(&access, received, budget).await;
        if let Err(error) = &tried
            && error.is(Refusal::Access)
            && let Some(another) = self.access.another(&access, received.now).await
        {
            tried = self.by(&another, received, budget).await;
        }
        Ok(tried?)
    }
}

impl Slack {
    async fn by(
        &self,
        access: &Access,
        received: &Received<'_>,
        budget: Budget,
    ) -> Result<Sent, PostError> {
        let circumstances = Circumstances {
            is_late: received.is_late,
            published: received.delivery.published,
            now: received.now,
        };
        let subject = received.delivery.subject.as_deref();
        let payload = render::message(received.message, subject, circumstances);
        match access {
            Access::Webhook(webhook) => {
                post::by_webhook(&self.http, webhook, &payload, budget).await?;
                let how = if received.is_late {
                    "posted as late"
                } else {
                    "posted"
                };
                Ok(Sent {
                    how,
                    note: Note::Keep,
                })
            }
            Access::Bot(bot) => self.by_bot(bot, received, &payload, budget).await,
        }
    }

    /// The first message of a group is posted. Later ones change it, so that it always shows how
    /// the current status, and every notification is posted in its thread as the history. A late
    /// one changes nothing and is posted in the thread only.
    async fn by_bot(
        &self,
        bot: &Bot,
        received: &Received<'_>,
        payload: &Payload,
        budget: Budget,
    ) -> Result<Sent, PostError> {
        let Message::Alerts(webhook) = received.message else {
            self.post(bot, payload, None, false, budget).await?;
            return Ok(Sent {
                how: "posted",
                note: Note::Keep,
            });
        };
        // The groups of a storm report their own ends.
        let fires = !webhook.is_flood() && webhook.alerts.iter().any(|alert| alert.is_firing());
        let known =
            Thread::read(received.note).filter(|thread| thread.channel == bot.channel.as_str());
        match known {
            Some(thread) if received.is_late => {
                let answer = self.post(bot, payload, Some(&thread), false, budget);
                match answer.await {
                    Err(error) if error.is(Refusal::Gone) => {
                        self.post(bot, payload, None, false, budget).await?;
                    }
                    answered => {
                        answered?;
                    }
                }
                Ok(Sent {
                    how: "posted as late",
                    note: Note::Keep,
                })
            }
            Some(thread) if thread.is_open => {
                match self.update(bot, payload, &thread, budget).await {
                    Err(error) if error.is(Refusal::Gone) => {
                        self.first(bot, received, payload, fires, budget).await
                    }
                    Err(error) => Err(error),
                    Ok(()) => {
                        let for_all = thread::is_for_all(webhook);
                        let answer = self.post(bot, payload, Some(&thread), for_all, budget);
                        match answer.await {
                            // The message itself says how things stand.
                            Err(error) if error.is(Refusal::Gone) => {}
                            answered => {
                                answered?;
                            }
                        }
                        let thread = Thread {
                            is_open: fires,
                            ..thread
                        };
                        Ok(Sent {
                            how: "updated, and answered in the thread",
                            note: Note::Set(thread.note()),
                        })
                    }
                }
            }
            Some(_) | None => self.first(bot, received, payload, fires, budget).await,
        }
    }

    /// A message of its own, which later ones change, unless it is late itself.
    async fn first(
        &self,
        bot: &Bot,
        received: &Received<'_>,
        payload: &Payload,
        is_open: bool,
        budget: Budget,
    ) -> Result<Sent, PostError> {
        let ts = self.post(bot, payload, None, false, budget).await?;
        if received.is_late {
            return Ok(Sent {
                how: "posted as late",
                note: Note::Keep,
            });
        }
        let thread = Thread {
            channel: bot.channel.as_str().to_owned(),
            ts,
            is_open,
        };
        Ok(Sent {
            how: "posted",
            note: Note::Set(thread.note()),
        })
    }

    async fn post(
        &self,
        bot: &Bot,
        payload: &Payload,
        thread: Option<&Thread>,
        for_all: bool,
        budget: Budget,
    ) -> Result<String, PostError> {
        let arguments = Post {
            channel: bot.channel.as_str(),
            thread_ts: thread.map(|thread| thread.ts.as_str()),
            reply_broadcast: for_all,
            payload,
        };
        post::by_bot(&self.http, bot, self.api.at(POST), &arguments, budget).await
    }

    async fn update(
        &self,
        bot: &Bot,
        payload: &Payload,
        thread: &Thread,
        budget: Budget,
    ) -> Result<(), PostError> {
        let arguments = Update {
            channel: &thread.channel,
            ts: &thread.ts,
            parse: "none",
            text: &payload.text,
            blocks: &payload.blocks,
            attachments: &payload.attachments,
        };
        let url = self.api.at(UPDATE);
        post::by_bot(&self.http, bot, url, &arguments, budget).await?;
        Ok(())
    }
}
