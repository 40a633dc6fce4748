//! A real incident: packets that are dropped, from a real CoreDNS, counted, collected, judged and
//! told. docs/incident.md says what was measured.
//!
//! - [`network`]: a VPC in network namespaces, with a policer where the Nitro card has its limit
//! - [`nic`]: the interface whose counter the real exporter reads
//! - [`cluster`]: nodes with the real CoreDNS and exporter; the real collector as deploy/ has it
//! - [`workspace`]: AMP's endpoint, which judges signatures, before a real Prometheus
//! - [`scene`]: all of it put up
//! - [`told`]: what a person sees of it

mod cluster;
mod network;
mod nic;
mod scene;
mod told;
mod workspace;

use anyhow::{Result, ensure};
use scene::{Parts, Scene, number, outcome};
use told::tell;

/// The counter of a node, as the collector stored it.
fn counter(node: &str) -> String {
    format!("node_net_ethtool{{type=\"linklocal_allowance_exceeded\",node=\"{node}\"}}")
}

/// What the policer drops is what the exporter counts and what Prometheus has; nothing is dropped
/// below the limit, nor where there is none.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_dropped_is_what_is_stored() -> Result<()> {
    const SECONDS: u64 = 40;
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
    tell("each node's counter is in Prometheus, and is 0");
    let storm = scene.load(crowded, 1500, SECONDS)?;
    let same = scene.load(free, 1500, SECONDS)?;
    let below = scene.load(calm, 300, SECONDS)?;
    for (name, load) in [("crowded", &storm), ("free", &same), ("calm", &below)] {
        tell(&format!("{name}: {}", outcome(load).await?));
    }
    for (name, worker) in [("crowded", crowded), ("free", free), ("calm", calm)] {
        let packets = scene.vpc.packets(&worker.node)?;
        let exported = worker.exported()?;
        ensure!(
            exported == packets.dropped,
            "{name}: {packets:?}, exported {exported}"
        );
        let dropped = packets.dropped as f64;
        scene
            .answers(&scene.prometheus, &counter(&worker.node.name), |value| {
                value == dropped
            })
            .await?;
        let increase = format!("increase({}[10m] anchored)", counter(&worker.node.name));
        let increase = number(&scene.prometheus, &increase).await?;
        tell(&format!(
            "{name}: {packets:?}, exported {exported}, increase {increase:?}"
        ));
    }
    tell(&format!("{:#?}", crowded.coredns_page()?));
    tell(&format!("{:#?}", scene.workspace.seen()));
    Ok(())
}
