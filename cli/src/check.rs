//! `dnswatch check`: whether rule files and `alertmanager.yml` would load.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use alerting::config::{Config, ConfigFiles, Settings};
use anyhow::Result;
use backends::config_files;

/// What `dnswatch check` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Rule files, alertmanager.yml, folders of them, or the stack's folder config/dnswatch.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
}

/// Tells every error, one a line: `file:line:column: what`.
pub(crate) fn check(args: &Args) -> Result<ExitCode> {
    let files = config_files::read(&args.paths)?;
    let mut out = std::io::stdout().lock();
    match Settings::default().load(&files) {
        Ok(config) => {
            all_well(&files, &config, &mut out)?;
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

fn all_well(files: &ConfigFiles, config: &Config, out: &mut impl Write) -> Result<()> {
    let groups = &config.groups;
    let alerts: usize = groups.iter().map(|group| group.rules.len()).sum();
    let records: usize = groups.iter().map(|group| group.records.len()).sum();
    if !files.rules.is_empty() {
        writeln!(
            out,
            "{} file(s), {} group(s), {alerts} alerting rule(s): all well.",
            files.rules.len(),
            groups.len()
        )?;
    }
    if let Some(file) = &files.alertmanager {
        writeln!(
            out,
            "{}: {} route(s), {} receiver(s), {} inhibition rule(s): all well.",
            file.name,
            config.route.nodes().len(),
            config.receivers.len(),
            config.inhibit_rules.len()
        )?;
    }
    if records > 0 {
        writeln!(
            out,
            "{records} recording rule(s) are valid, but are left to the server's own ruler: \
             dnswatch does not record series."
        )?;
    }
    for rule in groups.iter().flat_map(|group| &group.rules) {
        if let Some(error) = rule.expr.parse_error() {
            writeln!(
                out,
                "{}: warning: the expression of {} was not understood here ({error}); the server \
                 will judge it. When its series vanish, its alerts resolve at once.",
                rule.place, rule.id.alert
            )?;
        }
    }
    Ok(())
}
