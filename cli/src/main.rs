//! `dnswatch`: evaluates Prometheus rules against any Prometheus API and sends each notification
//! once.

mod backtest;
mod check;
mod credentials;
mod doctor;
mod preview;
mod routes;
mod ruling;
mod run;
mod scenario;
mod server;
mod silence;
mod stop;

use std::io::{self, Write as _};
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
    /// Evaluate rules against a Prometheus or AMP workspace and print notifications to the
    /// terminal.
    Run(Box<run::Args>),
    /// Validate rule files and alertmanager.yml: errors with line and column. Exits 1 on errors.
    Check(check::Args),
    /// Check that a Prometheus or AMP workspace has the metrics the rules need, and suggest fixes.
    /// Exits 1 if a problem is found.
    Doctor(Box<doctor::Args>),
    /// Replay rules over historical data: when alerts were pending and firing,
    /// and which notifications they would have sent.
    Backtest(Box<backtest::Args>),
    /// Print the receivers that an alert with these labels goes to, separated by commas.
    Routes(routes::Args),
    /// Show a message as it will arrive.
    Preview(preview::Args),
    /// Add, list and expire silences.
    #[command(subcommand)]
    Silence(silence::Command),
}

/// What a shell shows for a program that SIGPIPE ended.
const BROKEN_PIPE: u8 = 141;

/// Whether the program that reads our output has ended.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let io = cause.downcast_ref::<io::Error>().map(io::Error::kind);
        let json = cause.downcast_ref::<serde_json::Error>();
        let kind = io.or_else(|| json.and_then(serde_json::Error::io_error_kind));
        kind == Some(io::ErrorKind::BrokenPipe)
    })
}

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_target(false)
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env()
                .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info")),
        )
        .init();
    let command = Cli::parse().command;
    let is_logged = matches!(command, Command::Run(_));
    let done = match command {
        Command::Run(args) => run::run(&args),
        Command::Check(args) => check::check(&args),
        Command::Doctor(args) => doctor::doctor(&args),
        Command::Backtest(args) => backtest::backtest(&args),
        Command::Routes(args) => routes::routes(&args),
        Command::Preview(args) => preview::preview(&args),
        Command::Silence(command) => silence::silence(&command),
    };
    done.unwrap_or_else(|error| {
        if is_broken_pipe(&error) {
            // The reader has what it wanted: `dnswatch … | head`.
            return ExitCode::from(BROKEN_PIPE);
        }
        if is_logged {
            tracing::error!("{error:#}");
        } else {
            // A closed standard error leaves nothing to report to.
            writeln!(io::stderr(), "error: {error:#}").ok();
        }
        ExitCode::FAILURE
    })
}
