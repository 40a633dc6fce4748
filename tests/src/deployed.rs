//! The whole of it, as `make demo` shows it: built and deployed by SAM CLI to an AWS on this
//! machine that holds each role to its policies; fired by its schedule; a storm told by Slack and
//! by e-mail, FIRING and RESOLVED.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::leash::Leash;
use crate::parts;

/// The demo gives up by itself before.
const OVER: Duration = Duration::from_secs(15 * 60);
/// What nobody may read but the function and Slack: the webhook's path.
const CANARY: &str = "B000DEMO";

#[tokio::test]
async fn a_storm_is_told_by_slack_and_by_email() -> Result<()> {
    let (Some(tools), Some(_), Some(_)) = (parts::prometheus(), parts::sam(), parts::ministack())
    else {
        return Ok(());
    };
    let test = std::env::current_exe()?;
    let debug = test.ancestors().nth(2).context("target/debug")?;
    let target = debug.parent().context("target")?;
    let demo = debug.join("dnswatch-demo");
    ensure!(
        demo.is_file(),
        "{}: cargo build --package dnswatch-demo",
        demo.display()
    );

    // `make test` has built them before; here it is only made sure that they are of this source.
    let functions = target.join("functions");
    let build = Path::new(env!("CARGO_MANIFEST_DIR")).join("../demo/build-functions");
    let built = Command::new(build)
        .arg(&functions)
        .env("CARGO_TARGET_DIR", target)
        .output()?;
    ensure!(
        built.status.success(),
        "{}",
        String::from_utf8_lossy(&built.stderr)
    );

    let folder = tempfile::tempdir()?;
    let mut command = Command::new(&demo);
    command
        .arg("--keep")
        .arg("--deploy")
        .arg(&functions)
        .arg("--prometheus")
        .arg(&tools.prometheus)
        .env("TMPDIR", folder.path());
    let show = Leash::start(&command)?;
    show.says(OVER, |line| {
        line.starts_with("FIRING and RESOLVED were both told")
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
