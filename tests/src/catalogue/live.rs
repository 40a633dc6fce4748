//! One incident live: the demonstration's storm over two CoreDNS pods on one node, at a real clock,
//! with the whole catalogue, as `dnswatch run` prints it in a terminal.

use std::collections::BTreeSet;
use std::process::Command;

use anyhow::{Result, ensure};

use crate::dnswatch::{binary, output, said};
use crate::parts;

/// What may fire in the storm, which is too short for the rest of its incident's rules.
const OF_THE_STORM: [&str; 4] = [
    "CoreDNSErrorBudgetBurnFast",
    "DNSThrottlingConfirmed",
    "LinkLocalThrottling",
    "LinkLocalThrottlingSevere",
];

#[tokio::test]
async fn two_coredns_pods_on_one_node_live() -> Result<()> {
    if parts::prometheus().is_none() {
        return Ok(());
    }
    // It succeeds only if the storm and its end were notified.
    let ran = tokio::task::spawn_blocking(|| output(&mut Command::new(binary("dnswatch-demo"))));
    let ran = ran.await?;
    let said = said(&ran);
    ensure!(ran.status.success(), "{said}");
    // A subject: `[FIRING:1] LinkLocalThrottling demo (…)`.
    let subjects = |status: &str| -> BTreeSet<String> {
        let lines = said.lines().filter(|line| line.starts_with(status));
        let words = lines.filter_map(|line| line.split(' ').nth(1));
        words.map(ToOwned::to_owned).collect()
    };
    let firing = subjects("[FIRING:");
    for name in ["LinkLocalThrottling", "DNSThrottlingConfirmed"] {
        ensure!(firing.contains(name), "{name} was not notified:\n{said}");
    }
    let other = firing
        .iter()
        .find(|name| !OF_THE_STORM.contains(&name.as_str()));
    ensure!(other.is_none(), "{other:?} was notified:\n{said}");
    ensure!(
        subjects("[RESOLVED]").contains("LinkLocalThrottling"),
        "{said}"
    );
    let unsure = said.lines().find(|line| {
        ["[ENDED]", "[PAST]", "[NO LONGER"]
            .iter()
            .any(|status| line.starts_with(status))
    });
    ensure!(unsure.is_none(), "{said}");
    Ok(())
}
