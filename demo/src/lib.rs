//! A simulated EKS cluster whose DNS can be throttled, for demonstrations and
//! tests.
//!
//! - [`scenario`]: what happens, as data: a topology and a timeline of loads.
//! - [`cluster`]: the pure model. One second at a time, queries become packets,
//!   packets meet the link-local allowance of the network interface that they
//!   leave by ([`eni`]), and each CoreDNS pod lives with what came back
//!   ([`coredns`]).
//! - [`incidents`]: eight of them, with what happens to those who watch.
//! - [`simulation`]: a scenario played on a cluster by `step(dt)`.
//! - [`pages`]: the state as the two kinds of page that a Prometheus scrapes,
//!   written by [`exposition`].
//! - [`server`] and [`scrape_config`]: those pages on a loopback port, and the
//!   Prometheus configuration that finds them; [`listen`] is the server.
//! - [`ministack`]: the AWS on this machine that the stack is deployed to.
//! - [`subject`] and [`acts`]: the notifications that the demo waits for, and for how long.
//!
//! The model has no clock, no randomness and no I/O; all of it is whole
//! numbers, so a run is the same everywhere.

pub mod acts;
pub mod cluster;
pub mod coredns;
pub mod eni;
pub mod exposition;
pub mod histogram;
pub mod incidents;
pub mod listen;
pub mod ministack;
pub mod pages;
pub mod scenario;
pub mod scrape_config;
pub mod server;
pub mod simulation;
pub mod subject;
