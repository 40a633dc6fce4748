//! The function's log: JSON, a line an event, on standard output, which Lambda takes to CloudWatch
//! Logs.

use std::io::Write;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use serde_json::Value;

/// How much a line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Level {
    /// What helps to find out why.
    Debug,
    /// What was done.
    Info,
    /// What a person should look at some day.
    Warn,
    /// What failed.
    Error,
}

impl Level {
    /// The level of that name, in upper or lower case.
    pub fn parse(name: &str) -> Option<Self> {
        [
            ("debug", Self::Debug),
            ("info", Self::Info),
            ("warn", Self::Warn),
            ("error", Self::Error),
        ]
        .into_iter()
        .find(|(known, _)| name.eq_ignore_ascii_case(known))
        .map(|(_, level)| level)
    }
}

#[derive(Serialize)]
struct Line<'a, F> {
    level: Level,
    message: &'a str,
    #[serde(flatten)]
    fields: F,
}

/// Where lines go.
pub struct Log {
    least: Level,
    secrets: Vec<String>,
    out: Mutex<Box<dyn Write + Send>>,
}

impl Log {
    /// Lines of `least` and above go to `out`. Nothing of `secrets` is ever in one: no text
    /// should bring them along, and this is for the one that does.
    pub fn new(least: Level, secrets: Vec<String>, out: impl Write + Send + 'static) -> Self {
        Self {
            least,
            secrets: secrets
                .into_iter()
                .filter(|secret| !secret.is_empty())
                .collect(),
            out: Mutex::new(Box::new(out)),
        }
    }

    /// One line: what happened, and the fields of `fields`, an object.
    pub fn line(&self, level: Level, message: &str, fields: impl Serialize) {
        if level < self.least {
            return;
        }
        self.write(&Line {
            level,
            message,
            fields,
        });
    }

    /// A line of metrics: it is written whatever the level.
    pub(crate) fn metrics(&self, metrics: &Value) {
        self.write(metrics);
    }

    /// A text without secrets.
    pub fn hide(&self, text: &str) -> String {
        self.secrets.iter().fold(text.to_owned(), |text, secret| {
            text.replace(secret.as_str(), "***")
        })
    }

    fn write(&self, line: &impl Serialize) {
        // Texts, numbers and what is made of them can always be written.
        let line = self.hide(&serde_json::to_string(line).unwrap_or_default());
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        // A failing log cannot be reported to the log.
        let _ = writeln!(out, "{line}").and_then(|()| out.flush());
    }
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Log")
            .field("least", &self.least)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::io;
    use std::sync::Arc;

    use serde_json::json;

    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What `write` writes to a log of the level `info`.
    pub(crate) fn written(write: impl FnOnce(&Log)) -> String {
        let sink = Sink::default();
        let secrets = vec!["hunter2".to_owned(), String::new()];
        write(&Log::new(Level::Info, secrets, sink.clone()));
        let bytes = sink.0.lock().unwrap().clone();
        String::from_utf8(bytes).expect("text")
    }

    #[test]
    fn lines_below_the_level_are_left_out_and_secrets_hidden() {
        let lines = written(|log| {
            log.line(Level::Debug, "quiet", json!({}));
            log.line(Level::Error, "loud", json!({"why": "hunter2\nhunter2"}));
            log.metrics(&json!({"a": 1}));
        });
        assert_eq!(
            lines,
            "{\"level\":\"ERROR\",\"message\":\"loud\",\"why\":\"***\\n***\"}\n{\"a\":1}\n"
        );
    }
}
