//! The Slack function: what it posts is within Slack's rules whatever it is given, and what it is
//! given is posted, by way of the real queue, table and secret of a local AWS.

mod aws;
mod delivery;
mod judge;
mod messages;
pub(crate) mod server;
