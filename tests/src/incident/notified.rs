//! The events for a person: on standard error, and in the file that `DNSWATCH_SHOW` names.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::sync::OnceLock;
use std::time::Instant;

/// Prints a line, with the time since the first one.
pub(super) fn report(line: &str) {
    static BEGAN: OnceLock<Instant> = OnceLock::new();
    let seconds = BEGAN.get_or_init(Instant::now).elapsed().as_secs();
    let line = format!("{:>2}:{:02}  {line}", seconds / 60, seconds % 60);
    eprintln!("{line}");
    if let Some(file) = std::env::var_os("DNSWATCH_SHOW") {
        let file = OpenOptions::new().create(true).append(true).open(file);
        // Who looks no longer misses nothing that the test is about.
        let _ = file.and_then(|mut file| writeln!(file, "{line}"));
    }
}
