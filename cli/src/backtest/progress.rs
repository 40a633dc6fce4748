//! How far it is, in one line of a terminal that is written over and over.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use alerting::timestamp::Timestamp;

use super::minute;

/// How many characters the bar has.
const WIDTH: usize = 30;
/// How often it is drawn at most.
const PAUSE: Duration = Duration::from_millis(100);

/// A bar that is wiped off at the end.
pub(super) struct Progress {
    start: Timestamp,
    end: Timestamp,
    began: Instant,
    drawn: Option<Instant>,
}

impl Progress {
    pub(super) fn new(start: Timestamp, end: Timestamp) -> Self {
        Self {
            start,
            end,
            began: Instant::now(),
            drawn: None,
        }
    }

    /// All is done up to `until`.
    pub(super) fn reached(&mut self, until: Timestamp) -> io::Result<()> {
        let now = Instant::now();
        if self.drawn.is_some_and(|drawn| now - drawn < PAUSE) {
            return Ok(());
        }
        self.drawn = Some(now);
        let all = self.end.since(self.start).as_secs_f64().max(0.001);
        let part = (until.since(self.start).as_secs_f64() / all).clamp(0.0, 1.0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "between nothing and WIDTH"
        )]
        let done = (part * WIDTH as f64) as usize;
        let mut line = format!(
            "\r{}{} {:3.0}%  {}",
            "█".repeat(done),
            "░".repeat(WIDTH.saturating_sub(done)),
            part * 100.0,
            minute(until)
        );
        let took = self.began.elapsed();
        if part > 0.02 && took > Duration::from_secs(2) {
            let left = took.as_secs_f64() / part * (1.0 - part);
            line.push_str(&format!("  about {left:.0} s left"));
        }
        let mut out = io::stderr().lock();
        out.write_all(line.as_bytes())?;
        out.write_all(b"\x1b[K")?;
        out.flush()
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.drawn.is_some() {
            // Whether a terminal takes it matters no more.
            let _ = io::stderr().lock().write_all(b"\r\x1b[K");
        }
    }
}
