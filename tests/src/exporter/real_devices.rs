//! What ethtool says of a device, the exporter says, while devices come, go and change.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, Result, ensure};

use super::namespace::Namespace;
use super::program::{Exporter, for_everyone, once};
use crate::parts;

/// The statistics that `ethtool -S` prints; the command is called with these words before it.
fn said_by(mut ethtool: Command, device: &str) -> Result<BTreeMap<String, f64>> {
    let output = ethtool.args(["-S", device]).output()?;
    ensure!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout)?;
    let mut statistics = BTreeMap::new();
    for line in text.lines().skip(1) {
        let (name, value) = line.rsplit_once(": ").context(line.to_owned())?;
        statistics.insert(name.trim().to_owned(), value.trim().parse()?);
    }
    Ok(statistics)
}

/// On this machine's own devices: sysfs says which are physical, ethtool what they count. A
/// container may have none, and then none must be exported.
#[test]
fn this_machines_own_devices_say_the_same_by_both() -> Result<()> {
    let Some(ethtool) = parts::ethtool() else {
        return Ok(());
    };
    let (_folder, program) = for_everyone()?;
    let mut physical = Vec::new();
    for entry in std::fs::read_dir("/sys/class/net")? {
        let entry = entry?;
        if entry.path().join("device").exists() {
            physical.push(
                entry
                    .file_name()
                    .into_string()
                    .ok()
                    .context("a plain name")?,
            );
        }
    }
    physical.sort();
    let mut before = Vec::new();
    for device in &physical {
        before.push(said_by(Command::new(&ethtool), device)?);
    }
    let page = once(&program, &["--all-metrics"])?;
    ensure!(page.devices().keys().eq(&physical), "{}", page.text);
    for (device, before) in physical.iter().zip(before) {
        let after = said_by(Command::new(&ethtool), device)?;
        let ours = page.statistics(device);
        let names: Vec<_> = before.keys().map(String::as_str).collect();
        ensure!(ours.keys().eq(&names), "{device}: {names:?}: {ours:?}");
        // The device is in use meanwhile. Nothing that it counts goes back.
        for (name, value) in ours {
            let (least, most) = (before[name], after[name]);
            ensure!(
                least <= value && value <= most,
                "{device} {name}: {value}, not {least} to {most}"
            );
        }
    }
    Ok(())
}

/// Forty queues each way: some 360 statistics a device.
#[tokio::test]
async fn a_device_with_forty_queues_is_read_whole() -> Result<()> {
    let (Some(ethtool), Some(())) = (parts::ethtool(), parts::network_namespaces()) else {
        return Ok(());
    };
    let mut namespace = Namespace::new().await?;
    namespace.run(
        "ip link add big0 numtxqueues 40 numrxqueues 40 type veth peer name big1 numtxqueues 40 numrxqueues 40",
    )?;
    let arguments = ["--device-include=big.", "--all-metrics"];
    let exporter = Exporter::start_in(&mut namespace, &arguments).await?;
    ensure!(exporter.status("CapEff")? == 0 && exporter.status("Uid")? == 65534);
    let page = exporter.page().await?;
    for device in ["big0", "big1"] {
        let mut command = namespace.command();
        command.arg(&ethtool);
        let theirs = said_by(command, device)?;
        let ours = page.statistics(device);
        ensure!(ours.len() > 300, "{}", ours.len());
        let theirs: BTreeMap<&str, f64> = theirs.iter().map(|(k, v)| (k.as_str(), *v)).collect();
        ensure!(ours == theirs, "{ours:?}\n{theirs:?}");
    }
    Ok(())
}

/// Of these, none is hardware; each can be asked for by name.
#[tokio::test]
async fn virtual_devices_are_exported_only_when_asked_for() -> Result<()> {
    let Some(()) = parts::network_namespaces() else {
        return Ok(());
    };
    let mut namespace = Namespace::new().await?;
    for line in [
        "ip link add eth0 type veth peer name eni0123456789",
        "ip link add ens5 type bridge",
        "ip tuntap add ens6 mode tap",
        "ip link add mac0 link eth0 type macvlan",
    ] {
        namespace.run(line)?;
    }
    let by_default = Exporter::start_in(&mut namespace, &["--all-metrics"]).await?;
    let page = by_default.page().await?;
    ensure!(page.devices().is_empty(), "{}", page.text);
    let arguments = [
        "--device-include=e.*",
        "--device-exclude=eni.*",
        "--all-metrics",
    ];
    let asked = Exporter::start_in(&mut namespace, &arguments).await?;
    let page = asked.page().await?;
    ensure!(
        page.devices().keys().eq(&["ens5", "ens6", "eth0"]),
        "{}",
        page.text
    );
    let drivers = ["bridge", "tun", "veth"];
    for (device, driver) in page.devices().keys().zip(drivers) {
        let begin = format!("node_net_ethtool_info{{device=\"{device}\",driver=\"{driver}\",");
        ensure!(page.text.contains(&begin), "{begin}: {}", page.text);
    }
    // A bridge has no statistics: that is no failure, and makes no zeros.
    ensure!(page.statistics("ens5").is_empty() && page.success("ens5") == Some(1.0));
    Ok(())
}

/// Devices appear, vanish and are renamed, and one's number of statistics changes, all the time:
/// every scrape is answered, and the device that stays is whole in each.
#[tokio::test]
async fn devices_come_go_and_change_under_scrapes() -> Result<()> {
    const ROUNDS: usize = 150;
    let (Some(ethtool), Some(())) = (parts::ethtool(), parts::network_namespaces()) else {
        return Ok(());
    };
    let mut namespace = Namespace::new().await?;
    namespace.run("ip link add stay type veth peer name peer")?;
    namespace.run("ip link add queues numtxqueues 40 numrxqueues 40 type veth peer name q1")?;
    let (_folder, program) = for_everyone()?;
    let arguments = ["--device-include=.*", "--all-metrics"];
    let exporter = Exporter::start_in(&mut namespace, &arguments).await?;
    let whole = exporter.page().await?.statistics("stay").len();
    ensure!(whole > 5, "{whole}");

    let ethtool = ethtool.display().to_string();
    let churn = format!(
        "for i in $(seq {ROUNDS}); do \
           ip link add come$i type veth peer name go$i; ip link set come$i name renamed$i; \
           {ethtool} -L queues rx $((i % 40 + 1)) tx $((40 - i % 40)); ip link del renamed$i; \
         done; ip link add last type veth peer name last1"
    );
    let mut command = namespace.command();
    let mut churning = command.args(["sh", "-c", &churn]).spawn()?;
    let is_over = Arc::new(AtomicBool::new(false));
    // Each call collects again, where the server would answer several scrapes by one collection.
    let calls = (0..2).map(|_| {
        let (is_over, program) = (Arc::clone(&is_over), program.clone());
        let mut command = namespace.command();
        command.arg(program).args(["--once"]).args(arguments);
        std::thread::spawn(move || -> Result<usize> {
            let mut calls = 0;
            while !is_over.load(Ordering::SeqCst) {
                let output = command.output()?;
                ensure!(output.status.success(), "{output:?}");
                let page = super::page::Page::read(String::from_utf8(output.stdout)?)?;
                ensure!(page.success("stay") == Some(1.0), "{}", page.text);
                ensure!(page.statistics("stay").len() == whole, "{}", page.text);
                calls += 1;
            }
            Ok(calls)
        })
    });
    let calls: Vec<_> = calls.collect();
    let mut scrapes = 0;
    let ended = loop {
        let page = exporter.page().await?;
        ensure!(page.statistics("stay").len() == whole, "{}", page.text);
        scrapes += 1;
        if let Some(ended) = churning.try_wait()? {
            break ended;
        }
    };
    is_over.store(true, Ordering::SeqCst);
    ensure!(ended.success(), "{ended}");
    for call in calls {
        scrapes += call.join().ok().context("a call panicked")??;
    }
    ensure!(scrapes > 20, "{scrapes}");
    let there = |page: &super::page::Page| {
        let devices: Vec<String> = page.devices().keys().map(|&it| it.to_owned()).collect();
        devices == ["last", "last1", "peer", "q1", "queues", "stay"]
    };
    let page = exporter.page_where(there).await?;
    ensure!(
        page.devices().values().all(|&success| success == 1.0),
        "{}",
        page.text
    );
    Ok(())
}

/// Notified why, at once, and with the place.
#[test]
fn a_bad_regular_expression_is_reported_at_start() -> Result<()> {
    let (_folder, program) = for_everyone()?;
    let by_flag = Command::new(&program)
        .args(["--once", "--device-include", "ens("])
        .output()?;
    let by_variable = Command::new(&program)
        .arg("--once")
        .env("ETHTOOL_EXPORTER_METRICS_EXCLUDE", "[z-a]")
        .output()?;
    for (output, words) in [
        (by_flag, ["'ens('", "--device-include", "unclosed group"]),
        (
            by_variable,
            [
                "'[z-a]'",
                "--metrics-exclude",
                "invalid character class range",
            ],
        ),
    ] {
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(
            !output.status.success() && output.stdout.is_empty(),
            "{output:?}"
        );
        for word in words {
            ensure!(said.contains(word), "{word}: {said}");
        }
    }
    Ok(())
}
