//! `amtool config routes test` and `dnswatch routes` say the same of generated trees.

use std::process::{Command, Output};

use anyhow::{Result, ensure};
use fastrand::Rng;

use super::generated;
use crate::dnswatch::{dnswatch, said};
use crate::parts;

const TREES: usize = 25;
const ALERTS: usize = 6;

fn tree(rng: &mut Rng) -> String {
    let mut text = String::from("route:\n  receiver: r0\n");
    routes(rng, 3, "  ", &mut text);
    text.push_str("receivers:\n");
    for receiver in 0..6 {
        text.push_str(&format!("- name: r{receiver}\n"));
    }
    text
}

fn routes(rng: &mut Rng, depth: usize, indent: &str, out: &mut String) {
    let count = rng.usize(..5);
    if depth == 0 || count == 0 {
        return;
    }
    out.push_str(&format!("{indent}routes:\n"));
    for _ in 0..count {
        let continue_matching = rng.u8(..3) > 0;
        out.push_str(&format!("{indent}- continue: {continue_matching}\n"));
        let inner = format!("{indent}  ");
        if rng.bool() {
            out.push_str(&format!("{inner}receiver: r{}\n", rng.usize(1..6)));
        }
        generated::conditions(rng, &inner, out);
        routes(rng, depth - 1, &inner, out);
    }
}

#[test]
fn routes_are_those_of_amtool() -> Result<()> {
    let Some(tools) = parts::alertmanager() else {
        return Ok(());
    };
    println!("{}", tools.version()?);
    let folder = tempfile::tempdir()?;
    let mut rng = Rng::with_seed(8);
    let (mut asked, mut several, mut beyond_root) = (0, 0, 0);
    for _ in 0..TREES {
        let file = folder.path().join("alertmanager.yml");
        let text = tree(&mut rng);
        std::fs::write(&file, &text)?;
        for _ in 0..ALERTS {
            let labels: Vec<String> = generated::labels(&mut rng)
                .iter()
                .map(|(name, value)| format!("{name}=\"{value}\""))
                .collect();
            let theirs = Command::new(&tools.amtool)
                .args(["config", "routes", "test", "--config.file"])
                .arg(&file)
                .args(&labels)
                .output()?;
            let mut ours = dnswatch();
            let ours = ours.args(["routes", "--config"]).arg(&file).args(&labels);
            let ours = ours.output()?;
            ensure!(theirs.status.success(), "{}\n{text}", said(&theirs));
            ensure!(ours.status.success(), "{}\n{text}", said(&ours));
            let (theirs, ours) = (output(&theirs)?, output(&ours)?);
            ensure!(theirs == ours, "{labels:?}: {theirs} {ours}\n{text}");
            asked += 1;
            several += usize::from(ours.contains(','));
            beyond_root += usize::from(ours.trim() != "r0");
        }
    }
    println!(
        "routes: {asked} asked, {several} to several receivers, {beyond_root} beyond the root"
    );
    ensure!(
        asked == TREES * ALERTS && several >= 20 && beyond_root >= 60,
        "{several} {beyond_root}"
    );
    Ok(())
}

/// Labels as people type them, one an argument, and merge keys.
#[test]
fn labels_and_merge_keys_are_read_as_amtool_reads_them() -> Result<()> {
    let Some(tools) = parts::alertmanager() else {
        return Ok(());
    };
    println!("{}", tools.version()?);
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("alertmanager.yml");
    let text = "route:\n  receiver: d\n  routes:\n  - &r\n    receiver: e\n    matchers: [a=b]\n  \
                - <<: *r\n    receiver: f\n    matchers: [c=d]\n  - {receiver: g, matchers: ['a=\"b,c\"']}\n  \
                - {receiver: h, matchers: ['c=d']}\n  - {receiver: i, matchers: ['a=\"b,c=d\"']}\n  \
                - {receiver: j, match: {x: 'y z'}}\n\
                receivers: [{name: d}, {name: e}, {name: f}, {name: g}, {name: h}, {name: i}, {name: j}]\n";
    std::fs::write(&file, text)?;
    let cases: [&[&str]; 14] = [
        &["a=b,c"],
        &["a=b,c=d"],
        &["c=d"],
        &["a=b", "c=d"],
        &["a=\"b,c\""],
        &["a=x", "a=b"],
        &["x=y z"],
        &["x=\"y z\""],
        &["{a=b}"],
        &["a"],
        &["a!=b"],
        &["a=~b"],
        &["a="],
        &[],
    ];
    for labels in cases {
        let theirs = Command::new(&tools.amtool)
            .args(["config", "routes", "test", "--config.file"])
            .arg(&file)
            .args(labels)
            .output()?;
        let mut ours = dnswatch();
        let ours = ours.args(["routes", "--config"]).arg(&file).args(labels);
        let ours = ours.output()?;
        let both = format!("{labels:?}\n{}\n{}", said(&theirs), said(&ours));
        ensure!(theirs.status.success() == ours.status.success(), "{both}");
        if theirs.status.success() {
            ensure!(output(&theirs)? == output(&ours)?, "{both}");
        }
    }
    Ok(())
}

/// What a program printed, without what it warns of.
fn output(output: &Output) -> Result<String> {
    let text = String::from_utf8(output.stdout.clone())?;
    let lines = text.lines().filter(|line| !line.starts_with("time="));
    Ok(lines.collect::<Vec<_>>().join("\n").trim().to_owned())
}
