//! A network device's name.

use std::borrow::Cow;
use std::fmt;

/// The longest name that the kernel gives, without its NUL (`IFNAMSIZ` is 16).
const LONGEST: usize = 15;

/// A network device's name: up to 15 bytes, any but `/`, `:`, blanks and NUL, so not always UTF-8.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceName {
    // Padded with NULs: the order of the arrays is that of the names.
    bytes: [u8; LONGEST + 1],
}

impl DeviceName {
    /// The name in these bytes; `None` where no device can be called so.
    pub fn new(name: &[u8]) -> Option<Self> {
        let mut bytes = [0; LONGEST + 1];
        let room = bytes.get_mut(..name.len())?;
        if name.is_empty() || name.len() > LONGEST || name.contains(&0) {
            return None;
        }
        room.copy_from_slice(name);
        Some(Self { bytes })
    }

    /// The name as the kernel wants it: 16 bytes, the last of them NUL.
    pub fn padded(&self) -> [u8; LONGEST + 1] {
        self.bytes
    }

    /// The name as text, in which U+FFFD stands for what is not UTF-8.
    pub fn text(&self) -> Cow<'_, str> {
        let name = self.bytes.split(|&byte| byte == 0).next();
        String::from_utf8_lossy(name.unwrap_or_default())
    }
}

impl fmt::Debug for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.text())
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

/// The names in the text of `/proc/net/dev`, sorted.
///
/// That file and not netlink or sysfs: it always shows the network namespace of the process that
/// reads it (sysfs shows that of the mounting namespace, which in a container is not always the
/// host's), it takes no lock that a driver may hold, and it costs a fifth of netlink's answer,
/// which carries every attribute of every link.
pub fn listed(proc_net_dev: &[u8]) -> Vec<DeviceName> {
    let mut names: Vec<DeviceName> = proc_net_dev
        .split(|&byte| byte == b'\n')
        .filter_map(|line| {
            // The two lines of headings have no colon, and names cannot have one.
            let colon = line.iter().position(|&byte| byte == b':')?;
            DeviceName::new(line.get(..colon)?.trim_ascii_start())
        })
        .collect();
    names.sort_unstable();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_any_bytes_are_found_and_sorted() {
        let file = b"Inter-|   Receive                 |  Transmit\n \
            face |bytes    packets errs|bytes    packets errs\n    \
            lo:    3293      31    0 3293      31    0\n\
            vlan.eth.12345a:       0 0 0 0 0 0\n  \
            e\xfft5: 1 2 3 4 5 6\n";
        let names: Vec<String> = listed(file).iter().map(DeviceName::to_string).collect();
        assert_eq!(names, ["e\u{fffd}t5", "lo", "vlan.eth.12345a"]);
        assert_eq!(
            &listed(file)[0].padded(),
            b"e\xfft5\0\0\0\0\0\0\0\0\0\0\0\0"
        );
    }

    #[test]
    fn what_no_device_is_called_is_no_name() {
        for name in [&b""[..], b"0123456789abcdef", b"a\0b"] {
            assert_eq!(DeviceName::new(name), None, "{name:?}");
        }
        assert_eq!(listed(b""), []);
        assert_eq!(listed(b" : 1 2\n0123456789abcdefg: 1\n"), []);
    }
}
