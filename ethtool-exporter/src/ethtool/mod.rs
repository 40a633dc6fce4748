//! What a driver is asked by way of the kernel's `SIOCETHTOOL`, and its answers.
//!
//! Anyone may ask these four questions: the kernel wants `CAP_NET_ADMIN` only for others
//! (`net/ethtool/ioctl.c`, `dev_ethtool`).

pub mod answer;
mod kernel;

use std::io;

pub use kernel::Kernel;

use crate::device::DeviceName;

/// The most statistics that a device may have. The largest drivers seen have some 16,000.
pub const MOST_STATISTICS: u32 = 65_536;

/// The names and the values of a device's statistics, as the kernel calls that set.
pub(crate) const ETH_SS_STATS: u32 = 1;

/// A question about a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// `ETHTOOL_GDRVINFO`: which driver, for [`answer::driver_info`].
    DriverInfo,
    /// `ETHTOOL_GSSET_INFO`: how many statistics, for [`answer::set_size`].
    SetSize,
    /// `ETHTOOL_GSTRINGS`: their names, for [`answer::names`]. `count` is how many are expected;
    /// the answer may hold another number.
    Names {
        /// The number that [`Question::SetSize`] returned.
        count: u32,
    },
    /// `ETHTOOL_GSTATS`: their values, for [`answer::values`].
    Values {
        /// How many [`Question::Names`] gave.
        count: u32,
    },
}

/// Who answers: the [`Kernel`], or, in tests, what a driver's documentation says it would.
pub trait Ethtool {
    /// The names of all devices, sorted.
    ///
    /// # Errors
    /// Where they cannot be listed.
    fn devices(&mut self) -> io::Result<Vec<DeviceName>>;

    /// The answer, as the kernel lays it out. It may be longer than what the driver said.
    ///
    /// # Errors
    /// The kernel's: `ENODEV` where the device is gone or detached, `EOPNOTSUPP` where it has no
    /// such thing.
    fn ask(&mut self, device: &DeviceName, question: Question) -> io::Result<&[u8]>;
}
