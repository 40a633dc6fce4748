//! The kernel's `SIOCETHTOOL`: all of the unsafe code.

#![allow(
    unsafe_code,
    reason = "the kernel writes its answer through a raw pointer: the one place where that is so"
)]

use std::ffi::c_char;
use std::io;
use std::os::fd::AsRawFd as _;
use std::ptr;

use socket2::{Domain, Socket, Type};

use super::{ETH_SS_STATS, Ethtool, MOST_STATISTICS, Question};
use crate::device::{self, DeviceName};

/// `SIOCETHTOOL` of `linux/sockios.h`.
const SIOCETHTOOL: u32 = 0x8946;
/// Of `linux/ethtool.h`.
const ETHTOOL_GDRVINFO: u32 = 0x03;
const ETHTOOL_GSTRINGS: u32 = 0x1b;
const ETHTOOL_GSTATS: u32 = 0x1d;
const ETHTOOL_GSSET_INFO: u32 = 0x37;

/// A multiple of every page size that Linux has on x86-64 and arm64.
const PAGES: usize = 64 << 10;
/// Room for the longest answer: [`MOST_STATISTICS`] names of 32 bytes, and their heading.
const ROOM: usize = (MOST_STATISTICS as usize * 32).next_multiple_of(PAGES) + PAGES;

/// The running kernel, in the network namespace in which this was opened.
#[derive(Debug)]
pub struct Kernel {
    socket: Socket,
    room: &'static mut [u8],
}

impl Kernel {
    /// Opens a socket to ask by, and makes room for answers, which is never given back: one for
    /// the life of the process. Only what answers touch of it takes memory.
    ///
    /// # Errors
    /// Where there is no socket or no address space to be had.
    pub fn open() -> io::Result<Self> {
        Ok(Self {
            // A device is looked up in the socket's namespace; nothing is sent by it.
            socket: Socket::new(Domain::IPV4, Type::DGRAM, None)?,
            room: guarded_room()?,
        })
    }
}

impl Ethtool for Kernel {
    fn devices(&mut self) -> io::Result<Vec<DeviceName>> {
        // The thread's own namespace, as the socket's.
        Ok(device::listed(&std::fs::read("/proc/thread-self/net/dev")?))
    }

    fn ask(&mut self, device: &DeviceName, question: Question) -> io::Result<&[u8]> {
        let heading = heading(question);
        // The room begins with more than a heading.
        for (byte, of_heading) in self.room.iter_mut().zip(heading) {
            *byte = of_heading;
        }
        let mut request = libc::ifreq {
            ifr_name: device.padded().map(|byte| byte.cast_signed() as c_char),
            ifr_ifru: libc::__c_anonymous_ifr_ifru {
                ifru_data: self.room.as_mut_ptr().cast(),
            },
        };
        // SAFETY: `SIOCETHTOOL` takes a pointer to an `ifreq`, which `request` is, alive and
        // borrowed nowhere else. By `ifru_data` the kernel reads a heading and writes its answer
        // there: to `room`, which is borrowed for writing and in which any bytes are valid. How
        // much the kernel writes is the driver's choice, whatever the heading asks for (before
        // Linux 6.19 the kernel does not look): what exceeds `room` meets its guard, of which the
        // kernel says `EFAULT` instead of writing on.
        let asked = unsafe {
            libc::ioctl(
                self.socket.as_raw_fd(),
                SIOCETHTOOL as _,
                ptr::from_mut(&mut request),
            )
        };
        match asked {
            -1 => Err(io::Error::last_os_error()),
            _ => Ok(self.room),
        }
    }
}

/// The first bytes of a question, as its `struct` has them.
fn heading(question: Question) -> [u8; 20] {
    let mut words = [0; 5];
    match question {
        // struct ethtool_drvinfo { cmd, … }
        Question::DriverInfo => words[0] = ETHTOOL_GDRVINFO,
        // struct ethtool_sset_info { cmd, reserved, u64 sset_mask, data[] }
        Question::SetSize => {
            let mask = (1_u64 << ETH_SS_STATS).to_ne_bytes();
            let [a, b, c, d, e, f, g, h] = mask;
            words = [
                ETHTOOL_GSSET_INFO,
                0,
                u32::from_ne_bytes([a, b, c, d]),
                u32::from_ne_bytes([e, f, g, h]),
                0,
            ];
        }
        // struct ethtool_gstrings { cmd, string_set, len, data[] }
        Question::Names { count } => words = [ETHTOOL_GSTRINGS, ETH_SS_STATS, count, 0, 0],
        // struct ethtool_stats { cmd, n_stats, data[] }
        Question::Values { count } => words = [ETHTOOL_GSTATS, count, 0, 0, 0],
    }
    let mut bytes = [0; 20];
    for (four, word) in bytes.chunks_exact_mut(4).zip(words) {
        four.copy_from_slice(&word.to_ne_bytes());
    }
    bytes
}

/// [`ROOM`] bytes, zero, followed by pages that cannot be written.
fn guarded_room() -> io::Result<&'static mut [u8]> {
    // SAFETY: a new private mapping wherever the kernel likes touches no memory of anyone's.
    let start = unsafe {
        libc::mmap(
            ptr::null_mut(),
            ROOM + PAGES,
            libc::PROT_NONE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
            -1,
            0,
        )
    };
    if start == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: these are the first pages of the mapping just made, to which no other reference
    // exists.
    let opened = unsafe { libc::mprotect(start, ROOM, libc::PROT_READ | libc::PROT_WRITE) };
    if opened == -1 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: `start` is the beginning of `ROOM` readable and writable bytes, zeroed by the
    // kernel, aligned to a page; they are never unmapped, and no other reference to them is made.
    Ok(unsafe { std::slice::from_raw_parts_mut(start.cast(), ROOM) })
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd as _;

    use super::*;

    /// Reads more into the room than it holds: the kernel must stop at the guard.
    #[test]
    fn what_exceeds_the_room_is_refused_by_the_kernel() {
        let room = guarded_room().unwrap();
        let zeros = std::fs::File::open("/dev/zero").unwrap();
        room.fill(1);
        // SAFETY: the bytes beyond `room` are those of its guard, which cannot be written.
        let read = unsafe { libc::read(zeros.as_raw_fd(), room.as_mut_ptr().cast(), ROOM + PAGES) };
        assert_eq!(usize::try_from(read), Ok(ROOM));
        assert!(room.iter().all(|&byte| byte == 0));
        let tail = room.last_mut().unwrap();
        // SAFETY: one byte of `room` and one of its guard.
        let read = unsafe {
            libc::read(
                zeros.as_raw_fd(),
                ptr::from_mut(tail).wrapping_add(1).cast(),
                1,
            )
        };
        assert_eq!(
            (read, io::Error::last_os_error().raw_os_error()),
            (-1, Some(libc::EFAULT))
        );
    }

    #[test]
    fn loopback_has_no_driver_and_an_unknown_name_is_no_device() {
        let mut kernel = Kernel::open().unwrap();
        let lo = DeviceName::new(b"lo").unwrap();
        assert!(kernel.devices().unwrap().contains(&lo));
        for (name, expected) in [(&b"lo"[..], libc::EOPNOTSUPP), (b"no such", libc::ENODEV)] {
            let device = DeviceName::new(name).unwrap();
            let error = kernel.ask(&device, Question::DriverInfo).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(expected), "{device}");
        }
    }
}
