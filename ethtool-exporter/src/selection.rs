//! Which devices and which statistics are wanted.

use std::str::FromStr;

use regex::{Regex, RegexBuilder};

use crate::device::DeviceName;
use crate::ethtool::answer::DriverInfo;

/// What `--metrics-include` is unless it is set: the counters that show throttling of an EC2
/// network interface (`linklocal_allowance_exceeded` and its siblings), and those that explain a
/// counter reset.
pub const DEFAULT_METRICS: &str = ".*_allowance_.*|total_resets|interface_up|interface_down";

/// As much memory as a compiled expression may take.
const LARGEST_PATTERN: usize = 1 << 20;

/// A regular expression that must match the whole of a name.
#[derive(Debug, Clone)]
pub struct Pattern(Regex);

impl FromStr for Pattern {
    type Err = regex::Error;

    fn from_str(expression: &str) -> Result<Self, regex::Error> {
        // By itself first: `a)|(b` must not become valid by what is put around it.
        let whole = RegexBuilder::new(expression)
            .size_limit(LARGEST_PATTERN)
            .build()
            .and_then(|_| {
                RegexBuilder::new(&format!("^(?:{expression})$"))
                    .size_limit(LARGEST_PATTERN)
                    .build()
            })?;
        Ok(Self(whole))
    }
}

impl Pattern {
    fn matches(&self, name: &str) -> bool {
        self.0.is_match(name)
    }
}

/// Which devices and statistics are exported.
#[derive(Debug, Clone)]
pub struct Selection {
    /// The devices, by name; `None`: those that stand for hardware.
    pub device_include: Option<Pattern>,
    /// Not these devices.
    pub device_exclude: Option<Pattern>,
    /// The statistics, by name; `None`: all.
    pub metrics_include: Option<Pattern>,
    /// Not these statistics.
    pub metrics_exclude: Option<Pattern>,
}

impl Selection {
    /// Whether a device of that name may be wanted at all.
    pub fn may_want_device(&self, name: &DeviceName) -> bool {
        let name = name.text();
        let is = |pattern: &Option<Pattern>| pattern.as_ref().map(|it| it.matches(&name));
        is(&self.device_include).unwrap_or(true) && !is(&self.device_exclude).unwrap_or(false)
    }

    /// Whether a device [of such a name](Self::may_want_device) is wanted, now that its driver is
    /// known.
    pub fn wants_driver(&self, info: &DriverInfo) -> bool {
        self.device_include.is_some() || is_physical(info)
    }

    /// Whether a statistic is wanted.
    pub fn wants_statistic(&self, name: &str) -> bool {
        let is = |pattern: &Option<Pattern>| pattern.as_ref().map(|it| it.matches(name));
        is(&self.metrics_include).unwrap_or(true) && !is(&self.metrics_exclude).unwrap_or(false)
    }
}

/// Whether a driver drives hardware, or what a hypervisor shows as such (virtio, ENA): its device
/// has an address on a bus. Virtual devices (veth, VLANs, tunnels, ...) have none, however new the
/// kind; these few say something there all the same.
fn is_physical(info: &DriverInfo) -> bool {
    !matches!(info.bus_info.as_str(), "" | "N/A")
        && !matches!(
            info.driver.as_str(),
            "bonding" | "bridge" | "dummy" | "openvswitch" | "team" | "tun" | "veth"
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_pattern(pattern: &str, matches: &[&str], does_not: &[&str]) {
        let pattern: Pattern = pattern.parse().unwrap();
        for name in matches {
            assert!(pattern.matches(name), "{name}");
        }
        for name in does_not {
            assert!(!pattern.matches(name), "{name}");
        }
    }

    #[test]
    fn patterns_match_whole_names() {
        check_pattern("eth0|ens", &["eth0", "ens"], &["eth01", "ens5", "veth0"]);
        check_pattern("(?i)ENS.*", &["ens5"], &["xens5"]);
        check_pattern("", &[""], &["a"]);
        check_pattern(
            DEFAULT_METRICS,
            &[
                "linklocal_allowance_exceeded",
                "conntrack_allowance_available",
                "total_resets",
                "interface_up",
            ],
            &["queue_0_tx_cnt", "interface_up_2", "rx_packets"],
        );
    }

    #[test]
    fn what_is_no_pattern_by_itself_is_none() {
        for bad in ["(", "a)|(b", "[z-a]", "(?P<n>a)(?P<n>b)", "a{9999999}"] {
            assert!(bad.parse::<Pattern>().is_err(), "{bad}");
        }
    }

    /// What the drivers of these devices say on Linux 6: `ethtool -i`.
    #[test]
    fn a_bus_address_marks_hardware() {
        for (driver, bus_info, expected) in [
            ("ena", "0000:00:05.0", true),
            ("virtio_net", "0000:00:03.0", true),
            ("vif", "vif-0", true),
            ("ixgbevf", "0000:00:03.0", true),
            ("veth", "", false),
            ("ifb", "", false),
            ("802.1Q VLAN Support", "", false),
            ("bridge", "N/A", false),
            ("tun", "tap", false),
            ("some-new-tunnel", "", false),
        ] {
            let info = DriverInfo {
                driver: driver.to_owned(),
                bus_info: bus_info.to_owned(),
                ..DriverInfo::default()
            };
            assert_eq!(is_physical(&info), expected, "{driver}");
        }
    }
}
