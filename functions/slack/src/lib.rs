//! The function that posts notifications to Slack: topic → queue → this → an incoming webhook.
//!
//! The way of a record: [`batch`] takes it, [`envelope`] unwraps it, [`message`] reads it,
//! [`posted`] says whether it was posted before and whether a newer one overtook it, [`render`]
//! writes it ([`standing`], [`how_it_ended`], [`alert_blocks`], [`links`], [`escape`], on
//! [`block_kit`]), [`webhook`] says where to, [`post`] posts it, [`queue`] puts it off where that
//! failed, [`outcome`] tells the log.
//!
//! What always holds:
//! - A notification is claimed before it is posted and marked as posted after. A crash or a lost
//!   answer in between can double one message; none is lost: what is not posted ends in the
//!   dead-letter queue.
//! - Notifications of a group can overtake each other on the way. One that comes after a newer
//!   one is posted all the same, marked as late and in grey: it may be the only word of something
//!   that happened, and it must not pass for the latest.
//! - No text from outside is markup, mention or link.
//! - The webhook's URL is in no log, error, debug form or table.

pub mod alert_blocks;
pub mod aws_error;
pub mod batch;
pub mod block_kit;
pub mod config;
mod connections;
pub mod envelope;
pub mod escape;
pub mod how_it_ended;
pub mod links;
pub mod message;
pub mod outcome;
pub mod post;
pub mod posted;
pub mod queue;
pub mod render;
pub mod standing;
pub mod webhook;

pub use batch::{Run, Slack};
pub use config::Config;
