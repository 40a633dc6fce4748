//! The page of an exporter, read.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};

/// The samples of a page in Prometheus's text format: each series as it is written, and its value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Page {
    pub(crate) text: String,
    samples: BTreeMap<String, f64>,
}

impl Page {
    /// Reads a page; a series that is there twice is an error.
    pub(crate) fn read(text: String) -> Result<Self> {
        let mut samples = BTreeMap::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (series, value) = line.rsplit_once(' ').context(line.to_owned())?;
            let value = value.parse().with_context(|| line.to_owned())?;
            let before = samples.insert(series.to_owned(), value);
            ensure!(before.is_none(), "twice: {line}");
        }
        Ok(Self { text, samples })
    }

    /// The value of a series.
    pub(crate) fn value(&self, series: &str) -> Option<f64> {
        self.samples.get(series).copied()
    }

    /// A device's statistics.
    pub(crate) fn statistics(&self, device: &str) -> BTreeMap<&str, f64> {
        let begin = format!("node_net_ethtool{{device=\"{device}\",type=\"");
        let samples = self.samples.iter();
        samples
            .filter_map(|(series, value)| {
                let name = series.strip_prefix(&begin)?.strip_suffix("\"}")?;
                Some((name, *value))
            })
            .collect()
    }

    /// The devices that were read, or not: 1 or 0.
    pub(crate) fn devices(&self) -> BTreeMap<&str, f64> {
        let samples = self.samples.iter();
        samples
            .filter_map(|(series, value)| {
                let device = series.strip_prefix("ethtool_exporter_device_success{device=\"")?;
                Some((device.strip_suffix("\"}")?, *value))
            })
            .collect()
    }

    /// Whether a device was read.
    pub(crate) fn success(&self, device: &str) -> Option<f64> {
        self.devices().get(device).copied()
    }
}
