//! What the demo prints: lines that stay, and how things stand now.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

/// On anything but a terminal, how often to say how things stand.
const BETWEEN_NOTES: u64 = 15;

/// Standard output: on a terminal with one live line at the bottom, else with a
/// line of progress now and then.
#[derive(Debug)]
pub(crate) struct Console {
    live: bool,
    noted: Option<(String, u64)>,
}

impl Console {
    /// The console of this process.
    pub(crate) fn new() -> Self {
        Self {
            live: io::stdout().is_terminal(),
            noted: None,
        }
    }

    /// Prints a line that stays.
    pub(crate) fn line(&self, line: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        self.wipe(&mut out)?;
        writeln!(out, "{line}")?;
        out.flush()
    }

    /// Says how things stand at `second` in `phase`.
    pub(crate) fn status(&mut self, second: u64, phase: &str, status: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        if self.live {
            self.wipe(&mut out)?;
            // Without wrapping, a narrow terminal shows less of the line instead of
            // leaving parts of it behind.
            write!(out, "\x1b[?7l{phase}: {status}\x1b[?7h")?;
            return out.flush();
        }
        let due = match &self.noted {
            Some((noted, at)) => noted != phase || second >= at + BETWEEN_NOTES,
            None => true,
        };
        if due {
            self.noted = Some((phase.to_owned(), second));
            writeln!(out, "{phase}: {status}")?;
        }
        out.flush()
    }

    /// Takes the live line away.
    pub(crate) fn clear(&self) -> io::Result<()> {
        let mut out = io::stdout().lock();
        self.wipe(&mut out)?;
        out.flush()
    }

    fn wipe(&self, out: &mut impl io::Write) -> io::Result<()> {
        if self.live {
            write!(out, "\r\x1b[2K")?;
        }
        Ok(())
    }
}

/// `75 s` or `2 min 5 s`.
pub(crate) fn human(duration: Duration) -> String {
    match (duration.as_secs() / 60, duration.as_secs() % 60) {
        (0, seconds) => format!("{seconds} s"),
        (minutes, 0) => format!("{minutes} min"),
        (minutes, seconds) => format!("{minutes} min {seconds} s"),
    }
}
