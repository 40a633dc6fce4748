//! A collection as a page of metrics.

use bytes::Bytes;
use std::sync::OnceLock;
use std::time::Instant;

use crate::collector::{Collection, Reading};
use crate::exposition::{Exposition, Format, Kind};
use crate::process::Process;

/// A collection with all that is on its page. Written at most once in each format, however many
/// ask.
#[derive(Debug)]
pub struct Snapshot {
    /// When it was complete.
    pub taken: Instant,
    collection: Result<Collection, String>,
    process: Process,
    pages: [OnceLock<Bytes>; 2],
    packed: [OnceLock<Bytes>; 2],
}

impl Snapshot {
    /// What was collected just now, or why nothing could be.
    pub fn new(collection: Result<Collection, String>) -> Self {
        Self {
            taken: Instant::now(),
            collection,
            process: Process::look(),
            pages: Default::default(),
            packed: Default::default(),
        }
    }

    /// Why there is no page.
    pub fn failure(&self) -> Option<&str> {
        self.collection.as_ref().err().map(String::as_str)
    }

    /// The page.
    pub fn page(&self, format: Format) -> Bytes {
        let [text, open_metrics] = &self.pages;
        let page = match format {
            Format::Text => text,
            Format::OpenMetrics => open_metrics,
        };
        page.get_or_init(|| self.write(format).into()).clone()
    }

    /// The page, as `pack` makes it smaller. It must always do so in the same way.
    pub fn packed(&self, format: Format, pack: impl FnOnce(&[u8]) -> Vec<u8>) -> Bytes {
        let [text, open_metrics] = &self.packed;
        let packed = match format {
            Format::Text => text,
            Format::OpenMetrics => open_metrics,
        };
        packed
            .get_or_init(|| pack(&self.page(format)).into())
            .clone()
    }

    fn write(&self, format: Format) -> String {
        let mut page = Exposition::new(format);
        let devices = self
            .collection
            .as_ref()
            .map(|it| &*it.devices)
            .unwrap_or_default();
        statistics(&mut page, devices);
        drivers(&mut page, devices);
        health(&mut page, devices);
        build(&mut page);
        process(&mut page, &self.process);
        page.finish()
    }
}

/// The drivers' statistics. Gauges, though most only grow: a collector that speaks OpenTelemetry
/// would call a counter `node_net_ethtool_total`, and some are gauges.
fn statistics(page: &mut Exposition, devices: &[Reading]) {
    const NAME: &str = "node_net_ethtool";
    page.family(
        NAME,
        Kind::Gauge,
        "Statistics of network drivers, by the driver's own names.",
    );
    for reading in devices {
        let Some(statistics) = &reading.statistics else {
            continue;
        };
        let device = reading.device.text();
        for (wanted, value) in statistics.layout.wanted().iter().zip(&statistics.values) {
            page.sample(NAME, &[("device", &device), ("type", &wanted.name)], value);
        }
    }
}

fn drivers(page: &mut Exposition, devices: &[Reading]) {
    const NAME: &str = "node_net_ethtool_info";
    page.family(
        NAME,
        Kind::Gauge,
        "The driver of a network device; always 1.",
    );
    for reading in devices {
        let info = &reading.info;
        // Not even that is known of a device whose first answer was an error.
        if info.driver.is_empty() {
            continue;
        }
        let labels = [
            ("device", &*reading.device.text()),
            ("driver", &info.driver),
            ("version", &info.version),
            ("firmware_version", &info.firmware_version),
            ("bus_info", &info.bus_info),
        ];
        page.sample(NAME, &labels, 1);
    }
}

fn health(page: &mut Exposition, devices: &[Reading]) {
    const SUCCESS: &str = "ethtool_exporter_device_success";
    page.family(
        SUCCESS,
        Kind::Gauge,
        "Whether the device could be read (1) or not (0).",
    );
    for reading in devices {
        let success = u8::from(reading.statistics.is_some());
        page.sample(SUCCESS, &[("device", &reading.device.text())], success);
    }
    const DURATION: &str = "ethtool_exporter_device_duration_seconds";
    page.family(
        DURATION,
        Kind::Gauge,
        "How long the device took to be read.",
    );
    for reading in devices {
        let seconds = reading.took.as_secs_f64();
        page.sample(DURATION, &[("device", &reading.device.text())], seconds);
    }
}

fn build(page: &mut Exposition) {
    const NAME: &str = "ethtool_exporter_build_info";
    page.family(NAME, Kind::Gauge, "What was built; always 1.");
    let labels = [
        ("version", env!("CARGO_PKG_VERSION")),
        (
            "revision",
            option_env!("ETHTOOL_EXPORTER_REVISION").unwrap_or("unknown"),
        ),
    ];
    page.sample(NAME, &labels, 1);
}

fn process(page: &mut Exposition, process: &Process) {
    let mut single = |name, kind, help, value: Option<f64>| {
        if let Some(value) = value {
            page.family(name, kind, help);
            page.sample(name, &[], value);
        }
    };
    let whole = |value: Option<u64>| value.map(|value| value as f64);
    single(
        "process_cpu_seconds_total",
        Kind::Counter,
        "User and system processor time spent in seconds.",
        process.cpu_seconds,
    );
    single(
        "process_max_fds",
        Kind::Gauge,
        "Maximum number of open file descriptors.",
        whole(process.max_fds),
    );
    single(
        "process_open_fds",
        Kind::Gauge,
        "Number of open file descriptors.",
        whole(process.open_fds),
    );
    single(
        "process_resident_memory_bytes",
        Kind::Gauge,
        "Resident memory size in bytes.",
        whole(process.resident_bytes),
    );
    single(
        "process_start_time_seconds",
        Kind::Gauge,
        "Start time of the process since the Unix epoch in seconds.",
        process.start_time_seconds,
    );
    single(
        "process_virtual_memory_bytes",
        Kind::Gauge,
        "Virtual memory size in bytes.",
        whole(process.virtual_bytes),
    );
}
