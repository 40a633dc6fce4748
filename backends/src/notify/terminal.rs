//! Notifications as text, for people at a terminal.

use std::io::Write;
use std::sync::Mutex;

use alerting::notify::Outgoing;

use super::{Notifier, PublishError};

/// Writes each notification as a block of text: the subject, the body, an empty line.
pub struct Terminal<W> {
    out: Mutex<W>,
}

impl<W: Write> Terminal<W> {
    /// Writes to `out`.
    pub fn new(out: W) -> Self {
        Self {
            out: Mutex::new(out),
        }
    }
}

impl<W: Write> Notifier for Terminal<W> {
    async fn publish(&self, outgoing: &Outgoing<'_>) -> Result<(), PublishError> {
        let message = outgoing.text();
        let text = printable(&format!("{}\n{}\n", message.subject, message.body));
        let mut out = self.out.lock().unwrap_or_else(|broken| broken.into_inner());
        out.write_all(text.as_bytes())
            .and_then(|()| out.flush())
            .map_err(|error| PublishError::Transient(format!("writing to the terminal: {error}")))
    }
}

/// Labels come from anywhere: no escape sequence of theirs reaches the terminal.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\n' => '\n',
            c if c.is_control() => '\u{fffd}',
            c => c,
        })
        .collect()
}
