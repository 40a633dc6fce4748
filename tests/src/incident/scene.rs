//! All of it put up: three nodes with CoreDNS, the collectors, the workspace.
//!
//! | cluster | node | load | policer |
//! |---|---|---|---|
//! | `my-cluster` | crowded | beyond the limit | yes |
//! | `calm-cluster` | calm | the same below the limit | yes |
//! | | free | as the crowded one | no |
//!
//! The collector of `my-cluster` is the shipped one. Beside it runs a second one for the same
//! nodes, whose `spec` lacks `dnsPolicy` and which writes to a Prometheus of its own.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::cluster::{Applied, Collector, Worker, resolv_conf};
use super::network::{Node, RESOLVER, Vpc};
use super::workspace::Workspace;
use crate::leash::Leash;
use crate::parts;
use crate::prometheus::{Prometheus, PrometheusTools};

/// Far longer than anything takes to arrive.
const LONG: Duration = Duration::from_secs(300);
/// A VPC's resolver from a node in its zone; nothing that is measured here depends on it.
const LATENCY: Duration = Duration::from_micros(1500);
pub(super) const CALM_CLUSTER: &str = "calm-cluster";

/// The parts.
pub(super) struct Parts {
    pub(super) prometheus: PrometheusTools,
    coredns: PathBuf,
    otelcol: PathBuf,
    dns: PathBuf,
    kubectl: PathBuf,
    python: PathBuf,
}

impl Parts {
    /// `None` is a skip, which was reported.
    pub(super) fn find() -> Option<Self> {
        parts::network_namespaces()?;
        parts::nftables()?;
        Some(Self {
            prometheus: parts::prometheus3()?,
            coredns: parts::coredns()?,
            otelcol: parts::otelcol()?,
            dns: parts::dns()?,
            kubectl: parts::kubectl()?,
            python: parts::python()?,
        })
    }
}

/// The scene, until it is dropped.
pub(super) struct Scene {
    pub(super) crowded: Worker,
    pub(super) calm: Worker,
    pub(super) free: Worker,
    /// The shipped collector, and the one that resolves by CoreDNS.
    pub(super) shipped: Collector,
    pub(super) by_coredns: Collector,
    pub(super) of_calm: Collector,
    pub(super) workspace: Workspace,
    /// What the ruler asks, and where the second collector writes.
    pub(super) prometheus: Prometheus,
    pub(super) control: Prometheus,
    pub(super) vpc: Vpc,
}

impl Scene {
    /// Puts it up. Prometheus servers are on loopback.
    pub(super) async fn set(parts: &Parts) -> Result<Self> {
        let vpc = Vpc::new(&parts.dns, LATENCY).await?;
        let worker = async |number, is_policed| -> Result<Worker> {
            let node = vpc.node(number, is_policed).await?;
            Worker::start(&vpc, node, &parts.coredns).await
        };
        let (crowded, calm) = (worker(1, true).await?, worker(2, true).await?);
        let free = worker(3, false).await?;
        let pods: Vec<Node> = [
            vpc.node(4, true).await?,
            vpc.node(5, true).await?,
            vpc.node(6, true).await?,
        ]
        .into();
        let [for_shipped, for_control, for_calm] =
            <[Node; 3]>::try_from(pods).ok().context("three")?;

        let server = || parts.prometheus.server();
        let (prometheus, control) = (server().start().await?, server().start().await?);
        let servers = BTreeMap::from([
            (IpAddr::from(for_shipped.ip), prometheus.url().to_owned()),
            (IpAddr::from(for_calm.ip), prometheus.url().to_owned()),
            (IpAddr::from(for_control.ip), control.url().to_owned()),
        ]);
        let workspace = Workspace::start(&vpc, &parts.python, servers).await?;

        let applied = Applied::read(&parts.kubectl)?;
        let shipped = applied.collector()?;
        let mut without = shipped.clone();
        let fields = without.as_object_mut().context("a spec")?;
        ensure!(
            fields.remove("dnsPolicy").is_some(),
            "the shipped collector has no dnsPolicy: {shipped}"
        );
        let mut of_calm = shipped.clone();
        of_calm["config"]["exporters"]["prometheusremotewrite"]["external_labels"]["cluster"] =
            json!(CALM_CLUSTER);
        let start = async |node, spec: &Value, port, dns: &Worker, workers: &[&Worker]| {
            let api = applied.api(&vpc, port, workers)?;
            let resolv_conf = resolv_conf(spec, &dns.node.ip.to_string())?;
            let certificate = &workspace.certificate;
            Collector::start(
                node,
                &parts.otelcol,
                spec,
                &resolv_conf,
                (api, port),
                certificate,
            )
            .await
        };
        Ok(Self {
            shipped: start(for_shipped, &shipped, 6443, &crowded, &[&crowded]).await?,
            by_coredns: start(for_control, &without, 6444, &crowded, &[&crowded]).await?,
            of_calm: start(for_calm, &of_calm, 6445, &calm, &[&calm, &free]).await?,
            crowded,
            calm,
            free,
            workspace,
            prometheus,
            control,
            vpc,
        })
    }

    /// Begins to ask a worker's CoreDNS for fresh names, at a rate.
    pub(super) fn load(&self, worker: &Worker, rate: u32, seconds: u64) -> Result<Leash> {
        let load = self.vpc.load(&worker.node, &worker.server(), rate, seconds);
        Leash::start(&load)
    }

    /// Begins to send queries from the crowded node past CoreDNS, each once: its pods that resolve
    /// by the node's own resolver.
    pub(super) fn neighbours(&self, rate: u32, seconds: u64) -> Result<Leash> {
        let server = format!("{RESOLVER}:53");
        let mut load = self.vpc.load(&self.crowded.node, &server, rate, seconds);
        load.args(["-attempts", "1", "-timeout", "1s"]);
        Leash::start(&load)
    }

    /// Waits until a query's one value is as it should be.
    pub(super) async fn answers(
        &self,
        server: &Prometheus,
        query: &str,
        is_so: impl Fn(f64) -> bool,
    ) -> Result<f64> {
        let asked = Instant::now();
        loop {
            let value = number(server, query).await?;
            if let Some(value) = value.filter(|value| is_so(*value)) {
                return Ok(value);
            }
            ensure!(
                asked.elapsed() < LONG,
                "{query}: {value:?}; refused by the workspace: {:#?}; by the APIs: {:?} {:?} {:?}; \
                 the collector:\n{}",
                self.workspace.seen().refused,
                self.shipped.refused(),
                self.by_coredns.refused(),
                self.of_calm.refused(),
                self.shipped.process.log()
            );
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }
}

/// The one number that a query gives.
pub(super) async fn number(server: &Prometheus, query: &str) -> Result<Option<f64>> {
    let data = server.api("query", &[("query", query)]).await?;
    let value = data["result"][0]["value"][1].as_str();
    Ok(value.map(str::parse).transpose()?)
}

/// What became of a load, when it has ended.
pub(super) async fn outcome(load: &Leash) -> Result<Value> {
    let line = load
        .says(Duration::from_secs(900), |line| {
            line.starts_with('{').then(|| line.to_owned())
        })
        .await?;
    Ok(serde_json::from_str(&line)?)
}
