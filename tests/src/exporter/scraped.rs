//! A real Prometheus scrapes it, promtool has nothing to say against its page, and neither has a
//! strict reader of OpenMetrics.

use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use flate2::read::GzDecoder;
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, HeaderMap, HeaderValue};
use serde_json::Value;

use super::namespace::Namespace;
use super::program::Exporter;
use crate::parts;

const OPEN_METRICS: &str = "application/openmetrics-text;version=1.0.0";

/// Reads with prometheus-client's parser, and prints each family's name, kind and samples.
const READ: &str = "
import sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families
for family in text_string_to_metric_families(sys.stdin.read()):
    print(family.type, family.name, len(family.samples))
";

fn with(headers: &[(reqwest::header::HeaderName, &'static str)]) -> HeaderMap {
    let headers = headers.iter();
    headers
        .map(|(name, value)| (name.clone(), HeaderValue::from_static(value)))
        .collect()
}

/// Feeds a program, which must end well, and returns what it said.
pub(super) fn judge(command: &mut Command, page: &[u8]) -> Result<String> {
    let streams = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut judge = streams.spawn()?;
    judge
        .stdin
        .take()
        .context("it has an input")?
        .write_all(page)?;
    let output = judge.wait_with_output()?;
    let said = crate::dnswatch::said(&output);
    ensure!(
        output.status.success(),
        "{said}\n{}",
        String::from_utf8_lossy(page)
    );
    Ok(said)
}

/// By negotiation: both formats, packed and not, hold the same.
#[tokio::test]
async fn both_formats_are_accepted_by_their_judges() -> Result<()> {
    let (Some(tools), Some(judges), Some(())) = (
        parts::prometheus(),
        parts::exporter_judges(),
        parts::network_namespaces(),
    ) else {
        return Ok(());
    };
    let mut namespace = Namespace::new().await?;
    namespace.run("ip link add name a type veth peer name b")?;
    let arguments = ["--device-include=.*", "--all-metrics"];
    let exporter = Exporter::start_in(&mut namespace, &arguments).await?;

    let (_, headers, text) = exporter.get("/metrics", HeaderMap::new()).await?;
    ensure!(headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8");
    ensure!(!headers.contains_key("content-encoding"));
    let promtool = &mut Command::new(&tools.promtool);
    let said = judge(promtool.args(["check", "metrics"]), &text)?;
    ensure!(said.is_empty(), "promtool: {said}");

    let (_, headers, open) = exporter
        .get("/metrics", with(&[(ACCEPT, OPEN_METRICS)]))
        .await?;
    ensure!(
        headers["content-type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    );
    let read = judge(
        Command::new(judges.join("python")).args(["-c", READ]),
        &open,
    )?;
    let samples = String::from_utf8(text)?
        .lines()
        .filter(|it| !it.starts_with('#'))
        .count();
    let counts = read
        .lines()
        .map(|line| line.rsplit(' ').next().unwrap_or("").parse());
    let counts: Vec<usize> = counts.collect::<Result<_, _>>()?;
    ensure!(counts.iter().sum::<usize>() == samples, "{read}");
    for family in [
        "gauge node_net_ethtool ",
        "gauge node_net_ethtool_info ",
        "counter process_cpu_seconds ",
    ] {
        ensure!(read.contains(family), "{family}: {read}");
    }

    let accept = with(&[(ACCEPT, OPEN_METRICS), (ACCEPT_ENCODING, "gzip")]);
    let (_, headers, packed) = exporter.get("/metrics", accept).await?;
    ensure!(headers["content-encoding"] == "gzip", "{headers:?}");
    let mut unpacked = String::new();
    GzDecoder::new(&*packed).read_to_string(&mut unpacked)?;
    judge(
        Command::new(judges.join("python")).args(["-c", READ]),
        unpacked.as_bytes(),
    )?;
    ensure!(
        packed.len() * 3 < unpacked.len(),
        "{} of {}",
        packed.len(),
        unpacked.len()
    );
    Ok(())
}

/// A Prometheus as users have it, with nothing configured for us but the address.
#[tokio::test]
async fn a_real_prometheus_scrapes_it() -> Result<()> {
    let (Some(tools), Some(())) = (parts::prometheus(), parts::network_namespaces()) else {
        return Ok(());
    };
    let mut namespace = Namespace::new().await?;
    namespace.run(
        "ip link add big0 numtxqueues 40 numrxqueues 40 type veth peer name big1 numtxqueues 40 numrxqueues 40",
    )?;
    let arguments = ["--device-include=big0", "--all-metrics"];
    let exporter = Exporter::start_in(&mut namespace, &arguments).await?;
    let config = format!(
        "scrape_configs: [{{job_name: ethtool, scrape_interval: 1s, static_configs: [{{targets: ['{}']}}]}}]",
        exporter.address
    );
    let server = tools.server().config(&config).start().await?;
    let query = |query: &'static str| {
        let server = &server;
        async move { server.api("query", &[("query", query)]).await }
    };
    let value = |data: &Value| data["result"][0]["value"][1].as_str().map(str::to_owned);
    let scraped = async {
        while value(&query("sum(up)").await?).as_deref() != Some("1") {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(Duration::from_secs(30), scraped)
        .await
        .context("never scraped")??;
    let page = exporter.page().await?;
    let statistics = page.statistics("big0");
    let count = query("count(node_net_ethtool{device=\"big0\"})").await?;
    ensure!(
        value(&count) == Some(statistics.len().to_string()),
        "{count}"
    );
    let counter = query("node_net_ethtool{type=\"tx_queue_39_xdp_xmit\"}").await?;
    ensure!(value(&counter).as_deref() == Some("0"), "{counter}");
    let info = query("node_net_ethtool_info{driver=\"veth\"}").await?;
    ensure!(value(&info).as_deref() == Some("1"), "{info}");
    // A counter would be called `…_total` on its way through some collectors.
    let metadata = server
        .api("metadata", &[("metric", "node_net_ethtool")])
        .await?;
    ensure!(
        metadata["node_net_ethtool"][0]["type"] == "gauge",
        "{metadata}"
    );
    Ok(())
}
