//! `ethtool-exporter`: the statistics of network drivers, for Prometheus.
//!
//! - [`ethtool`]: what the kernel is asked, how its answers are read; all of the `unsafe` code
//! - [`device`], [`selection`]: a device's name; which devices and statistics are wanted
//! - [`layout`]: where in a driver's answer the wanted statistics stand
//! - [`collector`]: one collection, from all devices; a failing one costs its own samples
//! - [`process`]: what the exporter itself uses
//! - [`page`], [`exposition`]: a collection as a page, in either of Prometheus's formats
//! - [`scrapes`]: one collection serves all scrapes that are waiting
//! - [`http`]: listening, bounded connections, negotiation, paths
//! - [`args`], [`log`]: the command line, and the log
//!
//! A statistic that the driver does not have, or that could not be read, is absent, never 0.

pub mod args;
pub mod collector;
pub mod device;
pub mod ethtool;
pub mod exposition;
pub mod http;
pub mod layout;
pub mod log;
pub mod page;
pub mod process;
pub mod scrapes;
pub mod selection;
