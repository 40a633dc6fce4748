//! The PagerDuty function: an incident a group, opened and resolved, by events that keep
//! PagerDuty's rules whatever they are made of.

mod events;
mod incidents;
mod server;

use ::delivery::environment::Origin;
use ::pagerduty::{Config, PagerDuty};
use anyhow::{Context as _, Result};

use crate::delivery::aws::{CANARY, SECRET, World};
use crate::parts;

/// A routing key: 32 characters.
fn key() -> String {
    format!("R0{CANARY}0123456789abcdef0123")
}

/// The function on an AWS, with a PagerDuty on loopback. `None` is a skip, which was reported.
#[track_caller]
fn world() -> impl Future<Output = Result<Option<World<server::Server, PagerDuty>>>> {
    let moto = parts::moto();
    async move {
        let Some(moto) = moto else { return Ok(None) };
        let key = key();
        let server = server::Server::start(&key).await?;
        let origin = Origin::parse(&server.origin).context("an origin")?;
        let world = World::start(&moto, server, &key, |environment, log| {
            let config = Config {
                environment,
                secret: SECRET.to_owned(),
                origin,
            };
            Ok(::pagerduty::function(config, log)?)
        });
        Ok(Some(world.await?))
    }
}
