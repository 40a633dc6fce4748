//! `dnswatch check`: whether rule files and `alertmanager.yml` would load, and what in them is
//! probably not meant.

mod online;
mod report;

use std::io::{self, Read as _, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use alerting::config::{Config, ConfigFiles, Settings};
use alerting::duration;
use alerting::rules::lint::{self, Finding, Severity, Surroundings};
use alerting::rules::{Defaults, SourceFile};
use alerting::source::Place;
use anyhow::{Context as _, Result};
use backends::config_files;

use self::report::{Format, Report};
use crate::server::Access;

/// The most bytes that are read of standard input.
const MAX_STDIN: u64 = 64 << 20;

/// What `dnswatch check` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Rule files, alertmanager.yml, folders of them, or the stack's folder config/dnswatch; `-` reads
    /// a rule file from standard input.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Exit 1 on warnings too.
    #[arg(long)]
    strict: bool,
    /// Lines for people, or one JSON object a line.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// Also ask this Prometheus or AMP workspace which selectors match nothing, and what each rule
    /// costs in query samples.
    #[arg(long)]
    url: Option<String>,
    /// How often series get a sample.
    #[arg(long, default_value = "30s", value_parser = duration::parse, value_name = "DURATION")]
    scrape_interval: Duration,
    /// The interval of groups that name none.
    #[arg(long, default_value = "1m", value_parser = duration::parse, value_name = "DURATION")]
    evaluation_interval: Duration,
    #[command(flatten)]
    access: Access,
}

/// Prints everything that is wrong, one a line: `file:line:column: severity: what (name)`.
pub(crate) fn check(args: &Args) -> Result<ExitCode> {
    let files = read(&args.paths)?;
    let settings = Settings {
        defaults: Defaults {
            interval: args.evaluation_interval,
            ..Defaults::default()
        },
        ..Settings::default()
    };
    let loaded = settings.load(&files);
    let mut findings: Vec<Finding> = loaded
        .as_ref()
        .err()
        .into_iter()
        .flatten()
        .map(|error| Finding {
            place: error.place.clone(),
            severity: Severity::Error,
            name: "load",
            message: error.message.clone(),
        })
        .collect();
    let warnings = loaded.iter().flat_map(|config| &config.warnings);
    findings.extend(warnings.map(|warning| Finding {
        place: warning.place.clone(),
        severity: Severity::Warning,
        name: "alertmanager",
        message: warning.message.clone(),
    }));
    let surroundings = Surroundings {
        scrape_interval: args.scrape_interval,
    };
    findings.extend(lint::lint(&files.rules, surroundings));
    findings.extend(passed_over(&args.paths));

    let mut report = Report::new(args.format, io::stdout().lock());
    for finding in &findings {
        report.finding(finding)?;
    }
    if let (Some(url), Ok(config)) = (&args.url, &loaded) {
        online::check(&args.access.client(url)?, &files, config, &mut report)?;
    }
    if let (Format::Text, Ok(config)) = (args.format, &loaded) {
        summary(&files, config, &mut report)?;
    }
    report.end(args.strict)
}

/// The files at `paths`, where `-` is a rule file on standard input.
fn read(paths: &[PathBuf]) -> Result<ConfigFiles> {
    let (stdin, paths): (Vec<_>, Vec<_>) = paths
        .iter()
        .cloned()
        .partition(|path| path.as_os_str() == "-");
    let mut files = if paths.is_empty() {
        ConfigFiles::default()
    } else {
        config_files::read(&paths)?
    };
    if !stdin.is_empty() {
        let mut text = String::new();
        io::stdin()
            .lock()
            .take(MAX_STDIN)
            .read_to_string(&mut text)
            .context("reading standard input")?;
        files.rules.push(SourceFile {
            name: "stdin".to_owned(),
            text,
        });
    }
    Ok(files)
}

/// Files in folders that look like rule files and are not read.
fn passed_over(paths: &[PathBuf]) -> Vec<Finding> {
    let found = config_files::passed_over(paths).into_iter();
    let finding = |path: PathBuf| Finding {
        place: Place {
            file: path.display().to_string(),
            line: 1,
            column: 1,
        },
        severity: Severity::Warning,
        name: "file/ending",
        message: "the file is not read: rule files end in .yml, .yaml or .rules, and in a \
                  configuration folder they are in rules/"
            .to_owned(),
    };
    found.map(finding).collect()
}

/// What the files hold.
fn summary(files: &ConfigFiles, config: &Config, report: &mut Report<impl Write>) -> Result<()> {
    let well = if report.is_silent() { ": all well" } else { "" };
    let groups = &config.groups;
    let alerts: usize = groups.iter().map(|group| group.rules.len()).sum();
    let records: usize = groups.iter().map(|group| group.records.len()).sum();
    if !files.rules.is_empty() {
        report.line(format!(
            "{} file(s), {} group(s), {alerts} alerting rule(s){well}.",
            files.rules.len(),
            groups.len()
        ))?;
    }
    if let Some(file) = &files.alertmanager {
        report.line(format!(
            "{}: {} route(s), {} receiver(s), {} inhibition rule(s){}.",
            file.name,
            config.route.nodes().len(),
            config.receivers.len(),
            config.inhibit_rules.len(),
            if config.warnings.is_empty() {
                ": all well"
            } else {
                ""
            },
        ))?;
    }
    if records > 0 {
        report.line(format!(
            "{records} recording rule(s) are valid, but are left to the server's own ruler: \
             dnswatch does not record series."
        ))?;
    }
    Ok(())
}
