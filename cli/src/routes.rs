//! `dnswatch routes`: where an alert is routed, as `amtool config routes test` shows it.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use alerting::config::Settings;
use alerting::labels::Labels;
use alerting::matchers::{MatchOp, Matcher};
use anyhow::{Result, bail};
use backends::config_files;

/// What `dnswatch routes` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// alertmanager.yml, a definition of AMP, or a folder that holds one.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The alert's labels.
    #[arg(value_name = "LABEL=VALUE")]
    labels: Vec<String>,
}

/// Prints the receivers in the order of the routes.
pub(crate) fn routes(args: &Args) -> Result<ExitCode> {
    let labels = labels(&args.labels)?;
    let files = config_files::read_alertmanager(&args.config)?;
    let mut out = std::io::stdout().lock();
    match Settings::default().load(&files) {
        Ok(config) => {
            let routes = config.route.matching(&labels);
            let receivers: Vec<&str> = routes.iter().map(|it| it.receiver.as_str()).collect();
            writeln!(out, "{}", receivers.join(","))?;
            for name in receivers {
                let receiver = config.receiver(name);
                for kind in receiver.iter().flat_map(|receiver| &receiver.undelivered) {
                    writeln!(
                        std::io::stderr(),
                        "the receiver {name}: {kind} is not delivered by dnswatch"
                    )?;
                }
            }
            Ok(ExitCode::SUCCESS)
        }
        Err(errors) => {
            for error in &errors {
                writeln!(out, "{error}")?;
            }
            Ok(ExitCode::FAILURE)
        }
    }
}

/// Labels in the syntax of a matcher, so that what is quoted there can be quoted here. Of two of
/// one name the later counts.
fn labels(texts: &[String]) -> Result<Labels> {
    let mut pairs = BTreeMap::new();
    for text in texts {
        let matcher = Matcher::parse(text)?;
        if matcher.op() != MatchOp::Equal {
            bail!("{text}: a label has one value: write it as NAME=VALUE");
        }
        pairs.insert(matcher.name().to_owned(), matcher.value().to_owned());
    }
    Ok(pairs.into_iter().collect())
}
