//! The real Alertmanager and its amtool as judges: of configurations, of where alerts go, of what
//! is notified when, and of what templates render.

mod generated;
mod pipeline;
mod rendered;
mod routed;
mod server;
mod silenced;

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, ensure};

use crate::parts;

/// The programs of an Alertmanager release: [`crate::parts::alertmanager`] has them.
#[derive(Debug, Clone)]
pub(crate) struct AlertmanagerTools {
    pub(crate) alertmanager: PathBuf,
    pub(crate) amtool: PathBuf,
}

impl AlertmanagerTools {
    /// Which release they are of, in a line for the test's output.
    fn version(&self) -> Result<String> {
        let said = Command::new(&self.amtool).arg("--version").output()?;
        let said = String::from_utf8(said.stdout)?;
        let version = said.split_whitespace().nth(2).unwrap_or_default();
        ensure!(
            version.starts_with(RELEASE),
            "the part is Alertmanager {version}, not {RELEASE}: run tests/parts/install alertmanager"
        );
        Ok(format!("Alertmanager {version}"))
    }
}

/// The release that everything here is compared with.
const RELEASE: &str = "0.35.";

/// What `alerting/tests/core` holds our own verdicts against.
const VERDICTS: &str = include_str!("../../alerting/tests/core/amtool-verdicts.txt");

/// The recorded verdicts are amtool's.
#[test]
fn the_verdicts_on_record_are_those_of_amtool() -> Result<()> {
    let Some(tools) = parts::alertmanager() else {
        return Ok(());
    };
    println!("{}", tools.version()?);
    let folder = tempfile::tempdir()?;
    let mut expected = Vec::new();
    for (at, case) in VERDICTS.split("#### amtool 0.35: ").skip(1).enumerate() {
        let (verdict, text) = case.split_once('\n').unwrap_or_default();
        let file = folder.path().join(format!("{at:03}.yml"));
        std::fs::write(&file, text)?;
        expected.push((file, verdict == "ok", verdict.ends_with("panic"), text));
    }
    let (mut ok, mut refused) = (0, 0);
    // One at a time where it panics; the others in one call, which names each file.
    let files = expected.iter().filter(|(_, _, panics, _)| !panics);
    let said = Command::new(&tools.amtool)
        .arg("check-config")
        .args(files.map(|(file, ..)| file))
        .output()?;
    let said = String::from_utf8(said.stdout)?;
    for (file, is_ok, panics, text) in &expected {
        if *panics {
            continue;
        }
        let (_, after) = said
            .split_once(&format!("Checking '{}'", file.display()))
            .unwrap_or_default();
        // What it logs stands before its verdict.
        let mut lines = after.lines().filter(|line| !line.starts_with("time="));
        let verdict = lines.find(|line| !line.trim().is_empty());
        let found = verdict.is_some_and(|line| line.trim_start().starts_with("SUCCESS"));
        ensure!(!after.is_empty() && found == *is_ok, "{text}{after:.300}");
        if *is_ok {
            ok += 1;
        } else {
            refused += 1;
        }
    }
    println!("amtool: {ok} accepted, {refused} refused");
    ensure!(ok >= 220 && refused >= 160, "{ok} {refused}");
    Ok(())
}
