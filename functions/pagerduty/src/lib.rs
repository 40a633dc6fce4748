//! The function that notifies PagerDuty: a firing alert group is an incident, and its end resolves
//! it.
//!
//! [`delivery`] brings a notification, [`event`] writes it as an event of the Events API v2 with
//! its [`dedup_key`], [`key`] is what lets us in, [`channel`] sends it by [`enqueue`].
//!
//! What always holds, beside what holds for every function of [`delivery`]:
//! - One that comes after a newer one of its group is not sent: an older trigger would open again
//!   what was resolved, and an older resolve would close an open incident.
//! - The routing key is in no log, error, debug form or table.

pub mod channel;
pub mod config;
pub mod dedup_key;
pub mod enqueue;
pub mod event;
pub mod key;

pub use channel::{PagerDuty, function};
pub use config::Config;
