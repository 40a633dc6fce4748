//! The exporter's command line.

use clap::Parser;

use crate::http::listen::Address;
use crate::selection::{DEFAULT_METRICS, Pattern, Selection};

/// Exports the statistics of network drivers (`ethtool -S`) to Prometheus: by default, of physical
/// devices: the metrics that show throttling on EC2.
///
/// Regular expressions match whole names.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
pub struct Args {
    /// Where to listen. 0.0.0.0 and [::] stand for all addresses, IPv4 and IPv6.
    #[arg(
        long,
        env = "ETHTOOL_EXPORTER_LISTEN",
        default_value = "0.0.0.0:9417",
        value_name = "ADDRESS:PORT"
    )]
    pub listen: Address,
    /// Export these devices, physical or not [default: the physical ones]
    #[arg(long, env = "ETHTOOL_EXPORTER_DEVICE_INCLUDE", value_name = "REGEX")]
    pub device_include: Option<Pattern>,
    /// Do not export these devices
    #[arg(long, env = "ETHTOOL_EXPORTER_DEVICE_EXCLUDE", value_name = "REGEX")]
    pub device_exclude: Option<Pattern>,
    /// Export these statistics
    #[arg(
        long,
        env = "ETHTOOL_EXPORTER_METRICS_INCLUDE",
        default_value = DEFAULT_METRICS,
        value_name = "REGEX"
    )]
    pub metrics_include: Pattern,
    /// Do not export these statistics
    #[arg(long, env = "ETHTOOL_EXPORTER_METRICS_EXCLUDE", value_name = "REGEX")]
    pub metrics_exclude: Option<Pattern>,
    /// Export all statistics but those excluded: some 450 of an ENA with 8 queues
    #[arg(
        long,
        env = "ETHTOOL_EXPORTER_ALL_METRICS",
        conflicts_with = "metrics_include"
    )]
    pub all_metrics: bool,
    /// Print the metrics once, and exit
    #[arg(long, env = "ETHTOOL_EXPORTER_ONCE")]
    pub once: bool,
}

impl Args {
    /// Which devices and statistics are to be exported.
    pub fn selection(&self) -> Selection {
        Selection {
            device_include: self.device_include.clone(),
            device_exclude: self.device_exclude.clone(),
            metrics_include: (!self.all_metrics).then(|| self.metrics_include.clone()),
            metrics_exclude: self.metrics_exclude.clone(),
        }
    }
}
