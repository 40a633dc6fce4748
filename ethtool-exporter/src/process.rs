//! What the exporter itself uses, by the names that all of Prometheus's clients have for it.

use std::fs;

/// What `/proc` reports about this process; `None` where it reports nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Process {
    /// Processor time, in seconds.
    pub cpu_seconds: Option<f64>,
    /// When it started, in seconds since 1970.
    pub start_time_seconds: Option<f64>,
    /// Memory in use, in bytes.
    pub resident_bytes: Option<u64>,
    /// Address space in use, in bytes.
    pub virtual_bytes: Option<u64>,
    /// Open files and connections.
    pub open_fds: Option<u64>,
    /// How many it may open.
    pub max_fds: Option<u64>,
}

/// How many of the kernel's ticks make a second (`USER_HZ`): the same on every processor that Rust
/// and Linux share.
const TICKS_PER_SECOND: f64 = 100.0;

impl Process {
    /// Looks at this process.
    pub fn look() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let mut process = Self::from_texts(
            &read("/proc/self/stat"),
            &read("/proc/self/status"),
            &read("/proc/self/limits"),
            &read("/proc/stat"),
        );
        process.open_fds = fs::read_dir("/proc/self/fd")
            .ok()
            // The folder itself is open while it is read.
            .and_then(|files| u64::try_from(files.count()).ok()?.checked_sub(1));
        process
    }

    fn from_texts(stat: &str, status: &str, limits: &str, kernel: &str) -> Self {
        // The second field is the program's name in brackets, and may hold anything.
        let fields: Vec<&str> = stat
            .rsplit_once(')')
            .map(|(_, rest)| rest.split_ascii_whitespace().collect())
            .unwrap_or_default();
        // Numbered from 1 in proc(5); the first here is the third there.
        let seconds = |number: usize| {
            let ticks: f64 = fields.get(number - 3)?.parse().ok()?;
            Some(ticks / TICKS_PER_SECOND)
        };
        let booted = number_after(kernel, "btime ");
        Self {
            cpu_seconds: seconds(14)
                .zip(seconds(15))
                .map(|(user, system)| user + system),
            start_time_seconds: seconds(22)
                .zip(booted)
                .map(|(since_boot, booted)| booted as f64 + since_boot),
            resident_bytes: number_after(status, "VmRSS:").map(|kib| kib * 1024),
            virtual_bytes: number_after(status, "VmSize:").map(|kib| kib * 1024),
            open_fds: None,
            max_fds: number_after(limits, "Max open files"),
        }
    }
}

/// The number after the word with which a line begins.
fn number_after(text: &str, word: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(word))?;
    rest.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_blanks_is_parsed() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 500 0 0 0 150 50 0 0 20 0 2 0 12345 9000 300";
        let status = "Name:\ta\nVmSize:\t    9000 kB\nVmRSS:\t    1200 kB\n";
        let limits =
            "Limit  Soft Limit  Hard Limit  Units\nMax open files   1024   524288   files\n";
        let kernel = "cpu  1 2 3\nbtime 1700000000\n";
        let process = Process::from_texts(stat, status, limits, kernel);
        let expected = Process {
            cpu_seconds: Some(2.0),
            start_time_seconds: Some(1_700_000_123.45),
            resident_bytes: Some(1_228_800),
            virtual_bytes: Some(9_216_000),
            open_fds: None,
            max_fds: Some(1024),
        };
        assert_eq!(process, expected);
    }

    #[test]
    fn without_proc_nothing_is_made_up() {
        assert_eq!(Process::from_texts("", "", "", ""), Process::default());
    }

    #[test]
    fn this_process_is_seen() {
        let process = Process::look();
        assert!(process.resident_bytes > Some(100_000), "{process:?}");
        assert!(process.open_fds > Some(2), "{process:?}");
        assert!(
            process.start_time_seconds > Some(1_600_000_000.0),
            "{process:?}"
        );
        assert!(
            process.cpu_seconds.is_some() && process.max_fds.is_some(),
            "{process:?}"
        );
    }
}
