//! The function that posts notifications to Slack: by an incoming webhook, or by a bot that keeps
//! the first message of a group up to date and answers in its thread.
//!
//! [`delivery`] brings a notification, [`render`] writes it ([`color`], [`alert_blocks`],
//! [`links`], [`escape`], on [`block_kit`]), [`access`] says where to and by what right,
//! [`channel`] decides between a new message, a changed one and an answer ([`thread`]), [`post`]
//! makes the request and [`refusal`] knows Slack's errors.
//!
//! What always holds, beside what holds for every function of [`delivery`]:
//! - One that comes after a newer one is posted all the same, marked as late and in grey: it may
//!   be the only word of something that happened, and it must not pass for the latest.
//! - No text from outside is markup, mention or link.
//! - Webhook and token are in no log, error, debug form or table.

pub mod access;
pub mod alert_blocks;
pub mod block_kit;
pub mod channel;
pub mod color;
pub mod config;
pub mod escape;
pub mod links;
pub mod post;
pub mod refusal;
pub mod render;
pub mod thread;

pub use channel::{Slack, function};
pub use config::Config;
