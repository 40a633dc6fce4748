//! The core from outside: plain data in, plain data out.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that cannot continue must say so"
)]

mod alertmanager;
mod lints;
mod messages;
mod muting;
mod notification;
mod rendered;
mod rule_files;
mod state_format;
mod subscribers;
mod trajectories;
mod world;
