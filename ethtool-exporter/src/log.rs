//! What the exporter tells of itself: one line each on standard error.

use std::fmt;
use std::io::Write as _;

/// Tells something, in one line whatever it holds.
pub fn tell(message: fmt::Arguments<'_>) {
    let mut line = message.to_string();
    if line.contains(char::is_control) {
        line = line.escape_debug().to_string();
    }
    // Where even this cannot be written, there is nobody to tell.
    let _ = writeln!(std::io::stderr(), "ethtool-exporter: {line}");
}
