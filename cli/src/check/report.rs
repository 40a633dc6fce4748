//! What `dnswatch check` has to say, as lines for people or as JSON, and how it exits.

use std::io::Write;
use std::process::ExitCode;

use alerting::rules::lint::{Finding, Severity};
use anyhow::Result;
use serde::Serialize;

use super::online::Cost;

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    Text,
    Json,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Line<'a> {
    Finding {
        severity: String,
        name: &'a str,
        file: &'a str,
        line: usize,
        column: usize,
        message: &'a str,
    },
    Server {
        severity: String,
        message: &'a str,
    },
    #[serde(rename_all = "camelCase")]
    Cost {
        group: &'a str,
        alert: &'a str,
        file: &'a str,
        line: usize,
        column: usize,
        samples: Option<u64>,
        samples_a_day: Option<u64>,
    },
}

/// Prints findings as they come, and counts them.
pub(super) struct Report<W> {
    format: Format,
    out: W,
    errors: usize,
    warnings: usize,
}

impl<W: Write> Report<W> {
    pub(super) fn new(format: Format, out: W) -> Self {
        Self {
            format,
            out,
            errors: 0,
            warnings: 0,
        }
    }

    /// Whether nothing was found.
    pub(super) fn is_silent(&self) -> bool {
        self.errors + self.warnings == 0
    }

    pub(super) fn finding(&mut self, finding: &Finding) -> Result<()> {
        match finding.severity {
            Severity::Error => self.errors += 1,
            Severity::Warning => self.warnings += 1,
            Severity::Note => {}
        }
        match self.format {
            Format::Text => self.line(finding.to_string()),
            Format::Json => self.json(&Line::Finding {
                severity: finding.severity.to_string(),
                name: finding.name,
                file: &finding.place.file,
                line: finding.place.line,
                column: finding.place.column,
                message: &finding.message,
            }),
        }
    }

    /// An error of the server as a whole.
    pub(super) fn server(&mut self, message: &str) -> Result<()> {
        self.errors += 1;
        match self.format {
            Format::Text => self.line(format!("error: {message}")),
            Format::Json => self.json(&Line::Server {
                severity: Severity::Error.to_string(),
                message,
            }),
        }
    }

    pub(super) fn cost(&mut self, cost: &Cost<'_>) -> Result<()> {
        let place = &cost.rule.place;
        let (group, alert) = (cost.group.name.as_str(), cost.rule.id.alert.as_str());
        match (self.format, cost.samples, cost.samples_a_day()) {
            (Format::Text, Some(samples), Some(day)) => self.line(format!(
                "{place}: {alert} reads {samples} samples at each tick, {day} a day"
            )),
            (Format::Text, ..) => Ok(()),
            (Format::Json, samples, samples_a_day) => self.json(&Line::Cost {
                group,
                alert,
                file: &place.file,
                line: place.line,
                column: place.column,
                samples,
                samples_a_day,
            }),
        }
    }

    /// A line for people; in JSON there are none.
    pub(super) fn line(&mut self, text: impl AsRef<str>) -> Result<()> {
        if self.format == Format::Text {
            writeln!(self.out, "{}", text.as_ref())?;
        }
        Ok(())
    }

    fn json(&mut self, line: &Line<'_>) -> Result<()> {
        serde_json::to_writer(&mut self.out, line)?;
        Ok(self.out.write_all(b"\n")?)
    }

    /// How many there were, and how the program exits for it.
    pub(super) fn end(mut self, strict: bool) -> Result<ExitCode> {
        let (errors, warnings) = (self.errors, self.warnings);
        if errors > 0 {
            self.line(format!("{errors} error(s)."))?;
        }
        if warnings > 0 {
            self.line(format!("{warnings} warning(s)."))?;
        }
        self.out.flush()?;
        Ok(if errors > 0 || (strict && warnings > 0) {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        })
    }
}
