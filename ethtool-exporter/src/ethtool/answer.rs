//! Reading the kernel's answers. Any bytes may come: none can panic, and what does not add up is
//! an error.

use std::borrow::Cow;

use super::{ETH_SS_STATS, MOST_STATISTICS};

/// How long a name is in an answer (`ETH_GSTRING_LEN`), and a text of the driver's.
const TEXT: usize = 32;

/// An answer that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// It ends before what it says it holds.
    #[error("the kernel's answer ends early")]
    Short,
    /// More than can be.
    #[error("the driver has {0} statistics, more than {MOST_STATISTICS}")]
    TooMany(u32),
}

/// Which driver a device has. The texts are the driver's own; empty is what it did not say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DriverInfo {
    /// The driver's name: `ena`.
    pub driver: String,
    /// The driver's version; of those in the kernel's tree, often the kernel's.
    pub version: String,
    /// The firmware's version.
    pub firmware_version: String,
    /// Where the device is: `0000:00:05.0`.
    pub bus_info: String,
}

/// Reads a `struct ethtool_drvinfo`.
///
/// # Errors
/// Where it is cut short.
pub fn driver_info(answer: &[u8]) -> Result<DriverInfo, Malformed> {
    let (texts, _) = after(answer, 4)?.as_chunks::<TEXT>();
    let [driver, version, firmware_version, bus_info, ..] = texts else {
        return Err(Malformed::Short);
    };
    let owned = |text| self::text(text).into_owned();
    Ok(DriverInfo {
        driver: owned(driver),
        version: owned(version),
        firmware_version: owned(firmware_version),
        bus_info: owned(bus_info),
    })
}

/// Reads how many statistics there are from a `struct ethtool_sset_info`: 0 where the driver has
/// no such set.
///
/// # Errors
/// Where it is cut short, or they are too many.
pub fn set_size(answer: &[u8]) -> Result<u32, Malformed> {
    let mask = u64::from_ne_bytes(at(answer, 8)?);
    if mask & (1 << ETH_SS_STATS) == 0 {
        return Ok(0);
    }
    bounded(u32::from_ne_bytes(at(answer, 16)?))
}

/// The names in a `struct ethtool_gstrings`, each to be read by [`text`].
///
/// # Errors
/// Where it is cut short, or they are too many.
pub fn names(answer: &[u8]) -> Result<&[[u8; TEXT]], Malformed> {
    let count = bounded(u32::from_ne_bytes(at(answer, 8)?))?;
    first(after(answer, 12)?, count)
}

/// The values in a `struct ethtool_stats`, each in the machine's byte order.
///
/// # Errors
/// Where it is cut short, or they are too many.
pub fn values(answer: &[u8]) -> Result<&[[u8; 8]], Malformed> {
    let count = bounded(u32::from_ne_bytes(at(answer, 4)?))?;
    first(after(answer, 8)?, count)
}

/// A text of the driver's: up to its NUL, if it has one, without blanks around it. U+FFFD stands
/// for what is not UTF-8.
pub fn text(bytes: &[u8; TEXT]) -> Cow<'_, str> {
    let bytes = bytes.split(|&byte| byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(bytes.trim_ascii())
}

fn bounded(count: u32) -> Result<u32, Malformed> {
    match count {
        0..=MOST_STATISTICS => Ok(count),
        _ => Err(Malformed::TooMany(count)),
    }
}

fn after(answer: &[u8], heading: usize) -> Result<&[u8], Malformed> {
    answer.get(heading..).ok_or(Malformed::Short)
}

fn at<const N: usize>(answer: &[u8], position: usize) -> Result<[u8; N], Malformed> {
    let bytes = after(answer, position)?.first_chunk();
    bytes.copied().ok_or(Malformed::Short)
}

fn first<const N: usize>(bytes: &[u8], count: u32) -> Result<&[[u8; N]], Malformed> {
    let (all, _) = bytes.as_chunks();
    let count = usize::try_from(count).map_err(|_| Malformed::Short)?;
    all.get(..count).ok_or(Malformed::Short)
}
