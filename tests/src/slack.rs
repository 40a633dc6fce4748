//! The Slack function: what it posts is within Slack's rules whatever it is given, and what it is
//! given is posted, by way of the real queue, table and secret of a local AWS.

mod bot;
mod delivery;
mod judge;
mod messages;
pub(crate) mod server;

use ::delivery::environment::Origin;
use ::slack::access::ChannelId;
use ::slack::{Config, Slack};
use anyhow::{Context as _, Result};

pub(crate) use messages::{alert, hostile, hostile_message, webhook};

use crate::delivery::aws::{CANARY, SECRET, World};
use crate::parts;

/// The function on an AWS, with a Slack on loopback.
type WebhookWorld = World<server::Slack, Slack>;

/// With the URL of an incoming webhook in the secret. `None` is a skip, which was reported.
#[track_caller]
fn webhook_world() -> impl Future<Output = Result<Option<WebhookWorld>>> {
    let path = format!("/services/T0/B0/{CANARY}");
    world(parts::moto(), path, |origin, path| {
        format!("{origin}{path}")
    })
}

/// With a bot's token in it.
#[track_caller]
fn bot_world() -> impl Future<Output = Result<Option<WebhookWorld>>> {
    let token = format!("xoxb-1-{CANARY}");
    world(parts::moto(), token, |_, token| token.to_owned())
}

async fn world(
    moto: Option<std::path::PathBuf>,
    access: String,
    secret: impl FnOnce(&str, &str) -> String,
) -> Result<Option<WebhookWorld>> {
    let Some(moto) = moto else { return Ok(None) };
    let slack = server::Slack::start(&access).await?;
    let origin = Origin::parse(&slack.origin).context("an origin")?;
    let secret = secret(&slack.origin, &access);
    let world = World::start(&moto, slack, &secret, |environment, log| {
        let config = Config {
            environment,
            secret: SECRET.to_owned(),
            webhook_origin: origin.clone(),
            api_origin: origin,
            channel: ChannelId::parse(server::CHANNEL),
        };
        Ok(::slack::function(config, log)?)
    });
    Ok(Some(world.await?))
}
