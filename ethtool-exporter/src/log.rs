//! The exporter's log: one line each on standard error.

use std::fmt;
use std::io::Write as _;

/// Logs a message in one line, whatever it holds.
pub fn log_line(message: fmt::Arguments<'_>) {
    let mut line = message.to_string();
    if line.contains(char::is_control) {
        line = line.escape_debug().to_string();
    }
    // Where even this cannot be written, there is nothing to report to.
    let _ = writeln!(std::io::stderr(), "ethtool-exporter: {line}");
}
