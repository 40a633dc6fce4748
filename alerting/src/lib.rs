//! The pure core.
pub mod duration;
pub mod fingerprint;
pub mod labels;
pub mod promql;
pub mod query;
pub mod template;
pub mod timestamp;
