//! A real incident: packets that are dropped, from a real CoreDNS, counted, collected, judged and
//! notified. docs/incident.md says what was measured.
//!
//! - [`network`]: a VPC in network namespaces, with a policer where the Nitro card has its limit
//! - [`nic`]: the interface whose counter the real exporter reads
//! - [`cluster`]: nodes with the real CoreDNS and exporter; the real collector as deploy/ has it
//! - [`workspace`]: AMP's endpoint, which judges signatures, before a real Prometheus
//! - [`ruling`]: the deployed stack, and Slack
//! - [`scene`]: all of it put up
//! - [`notified`]: what a person sees of it

mod cluster;
mod network;
mod nic;
mod notified;
mod ruling;
mod scene;
mod workspace;

use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use notified::report;
use ruling::Ruling;
use scene::{Parts, Scene, number, outcome};

use crate::leash::Leash;

/// Lookups a second beyond the limit, and below it.
const RATE: u32 = 1500;
const BELOW: u32 = 300;
/// Packets a second of others on the crowded node, past CoreDNS.
const NEIGHBOURS: u32 = 8000;
/// Seconds that no load lasts: each is stopped before.
const LONG: u64 = 900;
/// The template's `QueryOffset`, in seconds: a sample that comes later is late for the rules.
const QUERY_OFFSET: f64 = 60.0;
/// How old the newest sample of the crowded node's counter is.
const AGE: &str = "time() - max(timestamp(node_net_ethtool{type=\"linklocal_allowance_exceeded\",cluster=\"my-cluster\"}))";

/// The counter of a node, as the collector stored it.
fn counter(node: &str) -> String {
    format!("node_net_ethtool{{type=\"linklocal_allowance_exceeded\",node=\"{node}\"}}")
}

/// What the policer drops is what the exporter counts and what Prometheus has; nothing is dropped
/// below the limit, nor where there is none.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_dropped_is_what_is_stored() -> Result<()> {
    const SECONDS: u64 = 30;
    let Some(parts) = Parts::find() else {
        return Ok(());
    };
    let scene = Scene::set(&parts).await?;
    let (crowded, calm, free) = (&scene.crowded, &scene.calm, &scene.free);
    for worker in [crowded, calm, free] {
        let query = counter(&worker.node.name);
        scene
            .answers(&scene.prometheus, &query, |value| value == 0.0)
            .await?;
    }
    report("each node's counter is in Prometheus, and is 0");
    let storm = scene.load(crowded, RATE, SECONDS)?;
    let same = scene.load(free, RATE, SECONDS)?;
    let below = scene.load(calm, BELOW, SECONDS)?;
    for (name, load) in [("crowded", &storm), ("free", &same), ("calm", &below)] {
        report(&format!("{name}: {}", outcome(load).await?));
    }
    check_counts(&scene).await?;
    let sent = scene.vpc.packets(&free.node)?.sent;
    ensure!(
        sent > u64::from(network::LIMIT) * SECONDS,
        "{sent} are no storm"
    );
    Ok(())
}

/// The whole way, on the shipped rules' own time: the deployed stack notifies Slack of the node
/// that drops packets, and of no other; and when it is over. Meanwhile the shipped collector's
/// samples keep arriving, and those of one that resolves by CoreDNS do not.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "ten minutes on a real clock: make test-real"]
async fn an_incident_reaches_slack() -> Result<()> {
    let Some(parts) = Parts::find() else {
        return Ok(());
    };
    let scene = Scene::set(&parts).await?;
    let Some(ruling) = Ruling::deploy(scene.prometheus.url()).await? else {
        return Ok(());
    };
    let (crowded, calm, free) = (&scene.crowded, &scene.calm, &scene.free);
    for worker in [crowded, calm, free] {
        let query = counter(&worker.node.name);
        scene
            .answers(&scene.prometheus, &query, |value| value == 0.0)
            .await?;
    }
    report(
        "three nodes with CoreDNS and the exporter run, collectors, Prometheus, the deployed stack",
    );

    let loads = [
        ("crowded", scene.load(crowded, RATE, LONG)?),
        ("crowded, past CoreDNS", scene.neighbours(NEIGHBOURS, LONG)?),
        ("free", scene.load(free, RATE, LONG)?),
        ("calm", scene.load(calm, BELOW, LONG)?),
    ];
    report(&format!(
        "the storm begins on {}: {RATE} lookups a second by CoreDNS, {NEIGHBOURS} packets past it; \
         on {} the same lookups without a limit; on {} {BELOW}",
        crowded.node.name, free.node.name, calm.node.name
    ));
    let notified = async {
        let cut_off = scene.answers(&scene.control, AGE, |age| age > QUERY_OFFSET);
        let fired = ruling.posts(&["FIRING", "LinkLocalThrottling"]);
        tokio::try_join!(fired, cut_off)
    };
    let (fired, cut_off) = tokio::select! {
        notified = notified => notified?,
        watched = watch(&scene) => match watched? {},
    };
    report(&format!("Slack: {fired}"));
    report(&format!(
        "by CoreDNS the newest sample was {cut_off:.0} s old, which is more than the ruler waits for"
    ));
    for (name, load) in &loads {
        stop(load)?;
        report(&format!("{name}: {}", outcome(load).await?));
    }
    report("the storm is over");
    check_counts(&scene).await?;
    let resolved = ruling.posts(&["RESOLVED", "LinkLocalThrottling"]).await?;
    report(&format!("Slack: {resolved}"));
    let texts = ruling.texts();
    for line in texts.lines() {
        report(&format!("| {line}"));
    }
    ensure!(texts.contains(&crowded.node.name), "{texts}");
    for other in [scene::CALM_CLUSTER, &calm.node.name, &free.node.name] {
        ensure!(!texts.contains(other), "{other}: {texts}");
    }
    let refused = scene.workspace.seen().refused;
    ensure!(refused.is_empty(), "{refused:#?}");
    Ok(())
}

/// Reports the storm until a sample comes later than the ruler waits for.
async fn watch(scene: &Scene) -> Result<std::convert::Infallible> {
    for second in 0_u64.. {
        let age = number(&scene.prometheus, AGE).await?;
        ensure!(
            age.is_some_and(|age| age <= QUERY_OFFSET),
            "the newest sample: {age:?}"
        );
        if second % 15 == 0 {
            let packets = scene.vpc.packets(&scene.crowded.node)?;
            let stored = number(&scene.prometheus, &counter(&scene.crowded.node.name)).await?;
            let by_coredns = number(&scene.control, AGE).await?;
            report(&format!(
                "sent {}, dropped {}; Prometheus knows of {}; its newest sample is {:.0} s old, \
                 {:.0} s by way of CoreDNS",
                packets.sent,
                packets.dropped,
                stored.unwrap_or_default(),
                age.unwrap_or_default(),
                by_coredns.unwrap_or(f64::INFINITY)
            ));
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    unreachable!("that is for ever");
}

/// What the policer dropped, the exporter's counter and Prometheus's increase are one number, which
/// is not 0 on the crowded node alone.
async fn check_counts(scene: &Scene) -> Result<()> {
    for (name, worker, drops) in [
        ("crowded", &scene.crowded, true),
        ("free", &scene.free, false),
        ("calm", &scene.calm, false),
    ] {
        let packets = scene.vpc.packets(&worker.node)?;
        ensure!((packets.dropped > 0) == drops, "{name}: {packets:?}");
        let exported = worker.exported()?;
        ensure!(
            exported == packets.dropped,
            "{name}: {packets:?}, exported {exported}"
        );
        // Not extrapolated: between the samples at both ends.
        let increase = format!("increase({}[30m] anchored)", counter(&worker.node.name));
        let dropped = packets.dropped as f64;
        scene
            .answers(&scene.prometheus, &increase, |value| value == dropped)
            .await?;
        report(&format!(
            "{name}: of {} packets {} were dropped; the exporter's counter and Prometheus's \
             increase say so, too",
            packets.sent, packets.dropped
        ));
    }
    Ok(())
}

/// Ends a load before its time.
fn stop(load: &Leash) -> Result<()> {
    let pid = load.pid().to_string();
    let sent = Command::new("kill").args(["-TERM", &pid]).status()?;
    ensure!(sent.success(), "kill -TERM {pid}: {sent}");
    Ok(())
}
