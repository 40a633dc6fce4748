//! The product from outside, on real parts: one test binary, one module an idea.
//!
//! What they prove:
//! - [`simulation`]: the run keeps its invariants under every fault that a seed can think of

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "all of this crate is tests, which fail by panicking and tell why"
)]

mod simulation;
