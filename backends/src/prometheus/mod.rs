//! The Prometheus HTTP API, as the ruler asks it: AMP, Prometheus itself, or anything that speaks
//! its `query` and `query_range`.
//!
//! One question goes out as a signed or authenticated POST form and comes back as an
//! [`alerting::query::Answer`] or a [`alerting::query::QueryFailure`]. What is doubtful is a
//! failure: an answer that is cut short, unreadable, too large, partial, or about other moments
//! than those asked for is never taken for "no series", because a rule's alerts end on that.
//!
//! From the question to the answer: `form` → `client` (attempts, time; `sign`) → `answer`,
//! `series` (`json`, `floats`) for what can be read, `refusal` for what the server says instead.

mod answer;
mod backoff;
mod client;
mod endpoint;
mod failure;
mod floats;
mod form;
mod json;
mod options;
mod querier;
mod refusal;
mod series;
mod sign;
mod usage;

#[cfg(test)]
mod tests;

pub use answer::read_answer;
pub use backoff::Backoff;
pub use client::Client;
pub use options::{Auth, ClientError, ClientOptions, Clock, Secret, SigV4};
pub use querier::PrometheusQuerier;
pub use usage::Usage;
