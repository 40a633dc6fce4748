//! The scheduled run as a Lambda function: what a minute's event wakes.
//!
//! Everything here is the shell around [`backends::run::Ruler`]: the environment becomes an
//! [`environment::Environment`] once, the clients are built once, and [`function::Function`]
//! answers one event after the other. What a run decides is decided in `alerting`.

mod configuration;
pub mod environment;
mod event;
pub mod function;
pub mod log;
mod metrics;
mod report;
mod shadow;
mod test_notification;
