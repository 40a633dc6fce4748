//! `dnswatch`: Prometheus rules evaluated against any Prometheus API, alerts told once.

mod check;
mod preview;
mod routes;
mod run;
mod scenario;
mod silence;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(version, about, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Evaluate rules against a Prometheus or an AMP workspace and tell alerts in the terminal.
    Run(Box<run::Args>),
    /// Say what is wrong with rule files and alertmanager.yml, with line and column. Exits 1 if
    /// anything is.
    Check(check::Args),
    /// Print the receivers that an alert with these labels goes to, separated by commas.
    Routes(routes::Args),
    /// Show a message as it will arrive.
    Preview(preview::Args),
    /// Add, list and expire silences.
    #[command(subcommand)]
    Silence(silence::Command),
}

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_target(false)
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env()
                .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info")),
        )
        .init();
    let done = match Cli::parse().command {
        Command::Run(args) => run::run(&args),
        Command::Check(args) => check::check(&args),
        Command::Routes(args) => routes::routes(&args),
        Command::Preview(args) => preview::preview(&args),
        Command::Silence(command) => silence::silence(&command),
    };
    done.unwrap_or_else(|error| {
        tracing::error!("{error:#}");
        ExitCode::FAILURE
    })
}
