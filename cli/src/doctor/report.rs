//! A diagnosis as text and as JSON.

use std::fmt::Write as _;

use anyhow::Result;
use serde::Serialize;

use super::judge::{Diagnosis, Finding, Severity};

/// For people.
pub(super) fn text(url: &str, diagnosis: &Diagnosis) -> String {
    let mut text = format!("{url}\n");
    // Writing to a String does not fail.
    for line in &diagnosis.summary {
        let _ = writeln!(text, "  {line}");
    }
    for finding in &diagnosis.findings {
        let severity = match finding.severity {
            Severity::Fault => "FAULT",
            Severity::Advice => "ADVICE",
        };
        let _ = writeln!(
            text,
            "\n{severity}  {}  [{}]\n  evidence: {}\n  fix: {}",
            finding.what, finding.id, finding.evidence, finding.fix
        );
    }
    let count = |severity| {
        let of_it = |finding: &&Finding| finding.severity == severity;
        diagnosis.findings.iter().filter(of_it).count()
    };
    let _ = match (count(Severity::Fault), count(Severity::Advice)) {
        (0, 0) => writeln!(text, "\nAll well."),
        (0, advice) => writeln!(text, "\nOK: {advice} advice."),
        (faults, advice) => writeln!(text, "\n{faults} problem(s), {advice} advice."),
    };
    text
}

#[derive(Serialize)]
struct Document<'a> {
    url: &'a str,
    well: bool,
    summary: &'a [String],
    findings: &'a [Finding],
}

/// For machines.
pub(super) fn json(url: &str, diagnosis: &Diagnosis) -> Result<String> {
    let document = Document {
        url,
        well: diagnosis.is_well(),
        summary: &diagnosis.summary,
        findings: &diagnosis.findings,
    };
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}
