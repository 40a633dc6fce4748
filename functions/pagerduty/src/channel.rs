//! What is done with a notification: the group's incident is opened, added to or resolved.

use backends::http::HttpError;
use delivery::environment::Origin;
use delivery::outcome::Log;
use delivery::secret::Secret;
use delivery::{Budget, Channel, Function, Note, Received, SendError, Sent, lambda};
use jiff::Timestamp;
use reqwest::Client;

use crate::config::Config;
use crate::key::RoutingKey;
use crate::{enqueue, event};

const ENQUEUE: &str = "/v2/enqueue";

/// PagerDuty.
pub struct PagerDuty {
    http: Client,
    key: Secret<RoutingKey>,
    origin: Origin,
}

/// The function of a configuration.
pub fn function(config: Config, log: Log) -> Result<Function<PagerDuty>, HttpError> {
    let Config {
        environment,
        secret,
        origin,
    } = config;
    lambda::function(environment, log, |aws, http| PagerDuty {
        http,
        key: Secret::new(
            aws_sdk_secretsmanager::Client::new(aws),
            secret,
            RoutingKey::read,
        ),
        origin,
    })
}

impl Channel for PagerDuty {
    const NAME: &'static str = "pagerduty";

    async fn ready(&self, now: Timestamp) -> Result<(), SendError> {
        self.key.get(now).await.map(|_| ())
    }

    async fn send(&self, received: &Received<'_>, budget: Budget) -> Result<Sent, SendError> {
        if received.is_late {
            return Ok(Sent {
                how: "left out: a newer one of its group was sent",
                note: Note::Keep,
            });
        }
        let event = event::from_received(received);
        let key = self.key.get(received.now).await?;
        let url = self.origin.at(ENQUEUE);
        let mut tried = enqueue::enqueue(&self.http, url.clone(), &key, &event, budget).await;
        if let Err(SendError::Refused(_)) = &tried
            && let Some(another) = self.key.another(&key, received.now).await
        {
            tried = enqueue::enqueue(&self.http, url, &another, &event, budget).await;
        }
        tried?;
        Ok(Sent {
            how: match event.event_action {
                "resolve" => "resolved",
                _ => "triggered",
            },
            note: Note::Keep,
        })
    }
}
