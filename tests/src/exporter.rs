//! The exporter and its image, on real network devices.
//!
//! - [`namespace`]: a network of a test's own; [`program`]: the exporter in it, without privileges;
//!   [`page`]: what it serves, read
//! - [`real_devices`]: what ethtool says, the exporter says, while devices come, go and change
//! - [`ena`]: ENA's statistics, which no machine here has: from the driver's documentation, through
//!   the same code, to an alert
//! - [`scraped`]: a real Prometheus scrapes it; promtool and a strict reader accept its pages
//! - [`addresses`]: where it listens, with IPv6 and without
//! - [`abuse`]: slow clients, many connections, huge heads
//! - [`image`]: the image as it is built, run with nothing allowed

mod abuse;
mod addresses;
pub(crate) mod ena;
mod image;
pub(crate) mod namespace;
mod page;
pub(crate) mod program;
mod real_devices;
mod scraped;
