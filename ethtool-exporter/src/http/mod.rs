//! The pages over HTTP, for good scrapers and bad clients.
//!
//! - [`listen`]: an address, or all of them, IPv4 and IPv6
//! - [`connections`]: so many at a time; the oldest makes way
//! - [`negotiate`]: which format, packed or not
//! - [`routes`]: what is at which path

pub mod connections;
pub mod listen;
pub mod negotiate;
pub mod routes;
