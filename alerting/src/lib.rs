//! The pure core of dnswatch: Prometheus's alerting rules and Alertmanager's notifications as
//! functions from state, configuration, time and answers to the next state.
//!
//! It does no I/O. It reads no clock, no environment and no random numbers; it does not query.
//! What it lacks it returns as a [`query::Ask`]; the caller answers and calls again.
//!
//! In the order in which data flows:
//!
//! - [`rules`]: rule files become validated groups of rules, or errors with line and column;
//!   [`promql`] says what an expression reads, [`template`] expands labels and annotations;
//! - [`evaluation`]: the due ticks of all rules, a chunk at a time; each tick is one step of the
//!   [`state_machine`];
//! - [`notify`]: from alerts to pending notifications, and their text;
//! - [`server`]: whether what is asked answers at all;
//! - [`state`]: the document that is kept from run to run.
//!
//! [`config`] is what a run is configured with; [`alertmanager`] reads the part of it that says
//! receivers and routes, and [`source`] is a file that a user wrote. [`labels`], [`matchers`],
//! [`timestamp`], [`duration`], [`fingerprint`], [`histogram`] and [`query`] are the words that the
//! rest is written in.

pub mod alert;
pub mod alertmanager;
pub mod clock_step;
pub mod config;
pub mod duration;
pub mod evaluation;
pub mod fingerprint;
mod float;
pub mod histogram;
pub mod labels;
pub mod matchers;
pub mod notify;
mod presence;
pub mod promql;
pub mod query;
pub mod rules;
pub mod server;
mod side_by_side;
pub mod source;
pub mod state;
pub mod state_machine;
pub mod template;
mod ticks;
pub mod timestamp;
