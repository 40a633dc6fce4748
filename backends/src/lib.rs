//! The I/O of dnswatch, and the run that joins it to the core.
//!
//! [`run::Ruler::run`] is the whole of a run: it loads the state, lets `alerting` decide,
//! fetches what `alerting` asks for, commits, and publishes. Clock, connections and names are
//! parameters, so whatever a test drives is what runs. [`backtest::Backtest::run`] does the same
//! with a span of history, and neither commits nor publishes.

pub mod amp;
pub mod aws;
pub mod aws_time;
pub mod backtest;
pub mod clock;
pub mod config_files;
mod emptied;
mod files;
pub mod http;
mod last_good;
pub mod line;
pub mod notify;
pub mod prometheus;
pub mod publish;
pub mod run;
pub mod server_time;
pub mod state;
pub mod sts;
