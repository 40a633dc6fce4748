//! The whole of it, as `make demo` shows it: built and deployed by SAM CLI to an AWS on this
//! machine that holds each role to its policies; fired by its schedule; a storm notified by Slack
//! and by e-mail, FIRING and RESOLVED. Then as README has a person deploy it. And with everything
//! failing that can.
//!
//! `DNSWATCH_BUILD=release` deploys the functions as they are built for AWS (`make soak`).

mod cast;
mod deliveries;
mod faults;
mod guided;
mod ledger;
pub(crate) mod local_aws;
mod runs;
mod sandbox;
mod way;
mod world;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::leash::Leash;
use crate::parts;

/// The demo gives up by itself before.
const OVER: Duration = Duration::from_secs(15 * 60);
/// Only the function and Slack may read it: the webhook's path.
const CANARY: &str = "B000DEMO";

#[tokio::test]
async fn a_storm_is_notified_by_slack_and_by_email() -> Result<()> {
    let (Some(tools), Some(_), Some(_)) = (parts::prometheus(), parts::sam(), parts::ministack())
    else {
        return Ok(());
    };
    let demo = local_aws::target()?.join("debug/dnswatch-demo");
    ensure!(
        demo.is_file(),
        "{}: cargo build --package dnswatch-demo",
        demo.display()
    );
    let functions = tempfile::tempdir()?;
    local_aws::build(functions.path())?;

    let folder = tempfile::tempdir()?;
    let mut command = Command::new(&demo);
    command
        .arg("--keep")
        .arg("--deploy")
        .arg(functions.path())
        .arg("--prometheus")
        .arg(&tools.prometheus)
        .env("TMPDIR", folder.path());
    let show = Leash::start(&command)?;
    show.says(OVER, |line| {
        line.starts_with("FIRING and RESOLVED were both notified")
            .then_some(())
    })
    .await?;
    let kept = show
        .says(OVER, |line| {
            Some(line.strip_prefix("Logs and state are in ")?.to_owned())
        })
        .await?;

    let log = Path::new(kept.trim_end_matches('.')).join("aws/ministack.log");
    let log = std::fs::read_to_string(log)?;
    ensure!(log.contains("\"message\":\"posted\""), "{log}");
    for said in [log, show.log()] {
        ensure!(!said.contains(CANARY), "{said}");
    }
    Ok(())
}
