//! The product from outside, on real parts: one test binary, one module an idea.
//!
//! What the tests stand on; each proves itself:
//! - [`parts`]: where the real programs are, and what happens where one is missing
//! - [`leash`]: a program that cannot outlive the test that started it
//! - [`samples`]: a history, written down for Prometheus to load
//! - [`prometheus`]: the real server on a history, a configuration or rules of the test's choosing
//!
//! What they prove:
//! - [`deployed`]: the stack on a local AWS: schedule, roles, queue; a storm told by Slack and e-mail
//! - [`dynamodb`]: the state in DynamoDB is the old document or the new one, whatever happens
//! - [`promql_narrowing`]: the questions made of an expression are accepted by Prometheus, and a
//!   narrowed expression gives the same samples
//! - [`ruler`]: the function, from Prometheus to a queue behind the topic, on an AWS that is strict
//! - [`rules`]: the rule catalogue is accepted by promtool, and passes its own unit tests
//! - [`stack`]: the template is valid, safe, and allows the functions just what they do
//! - [`sns`]: SNS, as moto has it, accepts every notification and delivers it unchanged; what SNS
//!   refuses is told apart from what may work later
//! - [`sigv4`]: every signature of the client is the one that botocore computes
//! - [`slack`]: messages keep Slack's rules whatever they hold, and each is posted, once
//!
//! A test that needs a real part begins by asking for it, and ends there without it: in CI that
//! is a failure, elsewhere it is told by name.
//! ```ignore
//! let Some(tools) = parts::prometheus() else { return Ok(()) };
//! let prometheus = tools.server().samples(history).start().await?;
//! ```

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "all of this crate is tests, which fail by panicking and tell why"
)]

mod deployed;
mod dynamodb;
mod leash;
mod parts;
mod prometheus;
mod promql_narrowing;
mod ruler;
mod rules;
mod samples;
mod sigv4;
mod slack;
mod sns;
mod stack;
