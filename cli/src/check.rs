//! `dnswatch check`: whether rule files would load.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use alerting::rules::{self, Defaults};
use anyhow::Result;

use crate::rule_files;

/// What `dnswatch check` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Rule files, or folders of them.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
}

/// Tells every error, one a line: `file:line:column: what`.
pub(crate) fn check(args: &Args) -> Result<ExitCode> {
    let files = rule_files::read(&args.paths)?;
    let mut out = std::io::stdout().lock();
    match rules::load(&files, Defaults::default()) {
        Ok(groups) => {
            let alerts: usize = groups.iter().map(|group| group.rules.len()).sum();
            let records: usize = groups.iter().map(|group| group.records.len()).sum();
            writeln!(
                out,
                "{} file(s), {} group(s), {alerts} alerting rule(s): all well.",
                files.len(),
                groups.len()
            )?;
            if records > 0 {
                writeln!(
                    out,
                    "{records} recording rule(s) are valid, but are left to the server's own \
                     ruler: dnswatch does not record series."
                )?;
            }
            for rule in groups.iter().flat_map(|group| &group.rules) {
                if let Some(error) = rule.expr.parse_error() {
                    writeln!(
                        out,
                        "{}: warning: the expression of {} was not understood here ({error}); the \
                         server will judge it. When its series vanish, its alerts resolve at \
                         once.",
                        rule.place, rule.id.alert
                    )?;
                }
            }
            Ok(ExitCode::SUCCESS)
        }
        Err(errors) => {
            for error in &errors {
                writeln!(out, "{error}")?;
            }
            writeln!(out, "{} error(s).", errors.len())?;
            Ok(ExitCode::FAILURE)
        }
    }
}
