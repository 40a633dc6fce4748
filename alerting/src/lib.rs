//! The pure core.
pub mod alert;
pub mod config;
pub mod duration;
pub mod evaluation;
pub mod fingerprint;
mod float;
pub mod labels;
pub mod notify;
mod presence;
pub mod promql;
pub mod query;
pub mod rules;
pub mod state;
pub mod state_machine;
pub mod template;
mod ticks;
pub mod timestamp;
