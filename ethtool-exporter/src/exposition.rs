//! Prometheus's two text formats.

use std::fmt::{Display, Write as _};

/// Which of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Prometheus's own, version 0.0.4.
    Text,
    /// OpenMetrics, version 1.0.0.
    OpenMetrics,
}

impl Format {
    /// The value of `Content-Type`.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// What `# TYPE` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Goes up and down.
    Gauge,
    /// Only grows; its samples are called `…_total`.
    Counter,
}

/// A page of metrics under construction.
#[derive(Debug)]
pub struct Exposition {
    format: Format,
    text: String,
}

impl Exposition {
    /// An empty page.
    pub fn new(format: Format) -> Self {
        Self {
            format,
            text: String::new(),
        }
    }

    /// Begins a family. A counter's name is given as its samples have it.
    pub fn family(&mut self, name: &str, kind: Kind, help: &str) {
        let (kind, family) = match (kind, self.format) {
            (Kind::Gauge, _) => ("gauge", name),
            (Kind::Counter, Format::Text) => ("counter", name),
            // There a family's name is without what its kind adds.
            (Kind::Counter, Format::OpenMetrics) => {
                ("counter", name.strip_suffix("_total").unwrap_or(name))
            }
        };
        self.line(format_args!(
            "# HELP {family} {help}\n# TYPE {family} {kind}\n"
        ));
    }

    /// One sample.
    pub fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.text.push_str(name);
        for (position, (label, value)) in labels.iter().enumerate() {
            self.text.push(if position == 0 { '{' } else { ',' });
            self.text.push_str(label);
            self.text.push_str("=\"");
            self.escaped(value);
            self.text.push('"');
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
        self.line(format_args!(" {value}\n"));
    }

    /// The whole page.
    pub fn finish(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.text.push_str("# EOF\n");
        }
        self.text
    }

    /// A label's value: both formats escape these three characters, and take any others.
    fn escaped(&mut self, value: &str) {
        for piece in value.split_inclusive(['\\', '"', '\n']) {
            let (plain, escape) = match piece.as_bytes().split_last() {
                Some((b'\\', plain)) => (plain.len(), r"\\"),
                Some((b'"', plain)) => (plain.len(), "\\\""),
                Some((b'\n', plain)) => (plain.len(), r"\n"),
                _ => (piece.len(), ""),
            };
            self.text.push_str(piece.get(..plain).unwrap_or_default());
            self.text.push_str(escape);
        }
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        let _ = self.text.write_fmt(line);
    }
}
