//! What arrives by every way, and what rules and `dnswatch doctor` make of it.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use alerting::alert::AlertState;
use alerting::labels::{Labels, METRIC_NAME};
use anyhow::{Context as _, Result, bail, ensure};
use futures_util::future::try_join_all;
use serde_json::Value;

use super::api_server::{ApiServer, Right};
use super::cluster::Cluster;
use super::manifests::{built, deploy, documents, of_kind, the};
use super::ways::{Way, every_way};
use crate::dnswatch::{dnswatch, output, said};
use crate::history::{History, START};
use crate::parts;
use crate::prometheus::{Prometheus, PrometheusTools};
use crate::ruler::{Active, Bench, active, as_prometheus, starter_rules};

/// Far longer than two scrapes take; only what never comes meets it.
const LONG: Duration = Duration::from_secs(120);
const LINK_LOCAL: &str = "linklocal_allowance_exceeded";

/// What a user applies, as far as it matters here.
struct Applied {
    daemonset: Value,
    rights: BTreeSet<Right>,
}

impl Applied {
    fn read(kubectl: &Path) -> Result<Self> {
        let objects = documents(kubectl, &built(kubectl, &deploy("kubernetes/adot"))?)?;
        Ok(Self {
            daemonset: the(&objects, "DaemonSet")?.clone(),
            rights: rights(&objects)?,
        })
    }
}

/// What the collector's account may do by the roles that are bound to it.
pub(crate) fn rights(objects: &[Value]) -> Result<BTreeSet<Right>> {
    ensure!(
        of_kind(objects, "ClusterRole").is_empty(),
        "more than it needs"
    );
    let account = &the(objects, "ServiceAccount")?["metadata"];
    let texts = |value: &Value| -> Vec<String> {
        let texts = value.as_array().into_iter().flatten();
        texts.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let mut rights = BTreeSet::new();
    for binding in of_kind(objects, "RoleBinding") {
        let is_bound = binding["subjects"]
            .as_array()
            .into_iter()
            .flatten()
            .any(|subject| {
                subject["kind"] == "ServiceAccount"
                    && subject["name"] == account["name"]
                    && subject["namespace"] == account["namespace"]
            });
        ensure!(is_bound, "{binding}");
        let namespace = &binding["metadata"]["namespace"];
        let role = of_kind(objects, "Role").into_iter().find(|role| {
            role["metadata"]["name"] == binding["roleRef"]["name"]
                && role["metadata"]["namespace"] == *namespace
        });
        let rules = role.context("the role")?["rules"]
            .as_array()
            .context("rules")?;
        for rule in rules {
            ensure!(rule["apiGroups"] == serde_json::json!([""]), "{rule}");
            for verb in texts(&rule["verbs"]) {
                for resource in texts(&rule["resources"]) {
                    let namespace = namespace.as_str().map(str::to_owned);
                    rights.insert((verb.clone(), resource, namespace));
                }
            }
        }
    }
    Ok(rights)
}

/// What one way brought.
struct Brought {
    series: Vec<Labels>,
    sink: Prometheus,
}

/// Runs a way's configuration in a real Prometheus, until its samples have arrived in another.
async fn bring(
    way: &Way,
    tools: &PrometheusTools,
    cluster: &Cluster,
    applied: &Applied,
) -> Result<Brought> {
    let sink = tools.server().start().await?;
    let rights = way.is_bound.then(|| applied.rights.clone());
    let api = ApiServer::start(cluster.pods(&applied.daemonset)?, rights).await?;
    let source = tools
        .server()
        .config(&way.outside_a_pod(sink.url()))
        .file("kubeconfig.yml", &api.kubeconfig())
        .file("ca.pem", &api.certificate)
        .start()
        .await?;
    let devices = cluster.devices();
    let counts = [
        (
            format!("count({{type=\"{LINK_LOCAL}\"}} or node_ethtool_{LINK_LOCAL})"),
            devices.len(),
        ),
        ("count(coredns_build_info)".to_owned(), cluster.coredns()),
        // A scrape that a busy machine is too slow for is made again.
        ("count(up == 1)".to_owned(), cluster.targets()),
    ];
    let asked = Instant::now();
    for (query, count) in counts {
        while number(&sink, &query).await? != Some(count) {
            ensure!(
                asked.elapsed() < LONG,
                "{query} is not {count}; refused: {:#?}; targets: {:#}; its log:\n{}",
                api.refused(),
                source.api("targets", &[]).await?,
                source.process().log()
            );
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
    ensure!(api.refused().is_empty(), "{:?}", api.refused());
    if way.is_bound {
        assert_eq!(api.used(), applied.rights, "rights that nothing needs");
    }
    let series = sink
        .api("series", &[("match[]", "{__name__=~\".+\"}")])
        .await?;
    Ok(Brought {
        series: serde_json::from_value(series)?,
        sink,
    })
}

/// The one number that a query gives.
async fn number(server: &Prometheus, query: &str) -> Result<Option<usize>> {
    let data = server.api("query", &[("query", query)]).await?;
    match data["result"][0]["value"][1].as_str() {
        Some(number) => Ok(Some(number.parse()?)),
        None => Ok(None),
    }
}

/// Every series is of a target that it is to be of, and says which cluster and node that is on.
fn check_labels(way: &Way, brought: &Brought, cluster: &Cluster) -> Result<()> {
    let nodes = cluster.nodes();
    let mut targets = BTreeSet::new();
    for labels in &brought.series {
        assert_eq!(labels.get("cluster"), way.cluster, "{labels}");
        let instance = labels.get("instance");
        let node = nodes.get(instance).with_context(|| labels.to_string())?;
        assert_eq!(labels.get("node"), node, "{labels}");
        ensure!(labels.has("job"), "{labels}");
        targets.insert(instance);
        let name = labels.get(METRIC_NAME);
        let others: Vec<&str> = labels
            .iter()
            .map(|(label, _)| label)
            .filter(|label| ![METRIC_NAME, "cluster", "instance", "job", "node"].contains(label))
            .collect();
        match name {
            "node_net_ethtool" => {
                // No pod's name: a restart would begin new series.
                assert_eq!(others, ["device", "type"], "{labels}");
                ensure!(!labels.get("type").contains("queue"), "{labels}");
            }
            "node_ethtool_linklocal_allowance_exceeded"
            | "node_ethtool_conntrack_allowance_available" => assert_eq!(others, ["device"]),
            "node_net_ethtool_info" | "up" => {}
            _ if name.starts_with("scrape_") => {}
            _ if name.starts_with("coredns_") => {
                let is_dropped = name.contains("size_bytes_bucket") || name.contains("rest_client");
                ensure!(!is_dropped, "{labels}");
            }
            _ => bail!("no request for {labels}"),
        }
    }
    assert_eq!(targets.len(), cluster.targets(), "{targets:?}");
    Ok(())
}

/// The counter of each device of each node, as it was stored.
fn counters(brought: &Brought) -> Vec<&Labels> {
    let is_one = |labels: &&Labels| {
        let name = labels.get(METRIC_NAME);
        let of_ours = name == "node_net_ethtool" && labels.get("type") == LINK_LOCAL;
        of_ours || name == format!("node_ethtool_{LINK_LOCAL}")
    };
    brought.series.iter().filter(is_one).collect()
}

/// The shipped rules on a storm whose samples have the labels that were stored, at this way's
/// scrape interval.
async fn check_rules(way: &Way, brought: &Brought, tools: &PrometheusTools) -> Result<()> {
    const MINUTES: u64 = 25;
    let step = way.interval()?;
    let mut history = History::new(step);
    let samples = MINUTES * 60 / step.as_secs();
    let grows = |a_second: f64| -> Vec<Option<f64>> {
        let step = step.as_secs_f64();
        (0..samples)
            .scan(1000.0, |value, _| {
                *value += a_second * step;
                Some(Some(*value))
            })
            .collect()
    };
    let counters = counters(brought);
    let (dropping, quiet) = counters.split_first().context("a counter")?;
    history.push(&selector(dropping), grows(50.0));
    for labels in quiet {
        history.push(&selector(labels), grows(0.0));
    }
    let mut failing = 0;
    for labels in &brought.series {
        if labels.get(METRIC_NAME) == "coredns_dns_responses_total" {
            let fails = labels.get("rcode") == "SERVFAIL";
            failing += usize::from(fails);
            history.push(&selector(labels), grows(if fails { 30.0 } else { 60.0 }));
        }
    }
    ensure!(failing > 0, "no SERVFAIL arrived");
    let server = tools
        .server()
        .samples(history.samples(START))
        .start()
        .await?;
    let files = starter_rules(&["link-local.yml", "coredns.yml"])?;
    let mut bench = Bench::new(server.url(), files, as_prometheus())?;
    for minute in 1..MINUTES {
        let report = bench
            .run_at(START.plus(Duration::from_secs(60 * minute)))
            .await?;
        ensure!(
            report.failing.is_empty() && report.server.is_none(),
            "{report:?}"
        );
    }
    let firing: Vec<Active> = active(&bench.state().await?)
        .into_iter()
        .filter(|alert| alert.state == AlertState::Firing)
        .collect();
    let named = |name: &str| -> Vec<[&str; 3]> {
        let alerts = firing.iter().filter(|alert| alert.name() == name);
        alerts.map(|alert| place(&alert.labels)).collect()
    };
    let of_cluster = Labels::from_iter([("cluster", way.cluster)]);
    let (throttling, failing) = (named("LinkLocalThrottling"), named("CoreDNSServfailHigh"));
    assert_eq!(throttling, [place(dropping)], "{firing:#?}");
    assert_eq!(failing, [place(&of_cluster)], "{firing:#?}");
    Ok(())
}

/// Where an alert or a series is.
fn place(labels: &Labels) -> [&str; 3] {
    ["cluster", "node", "device"].map(|label| labels.get(label))
}

fn selector(labels: &Labels) -> String {
    let rest = labels.without(|name| name == METRIC_NAME).to_string();
    format!("{}{}", labels.get(METRIC_NAME), rest.replace(", ", ","))
}

/// `dnswatch doctor` has nothing to say of it, once no scrape is missing that a busy machine was too
/// slow for. The targets are served meanwhile.
async fn check_doctor(brought: &Brought) -> Result<()> {
    let asked = Instant::now();
    loop {
        let url = brought.sink.url().to_owned();
        let doctor = move || output(dnswatch().args(["doctor", "--url", &url]));
        let output = tokio::task::spawn_blocking(doctor).await?;
        let said = said(&output);
        if output.status.success() && said.ends_with("\nAll well.\n") {
            return Ok(());
        }
        ensure!(asked.elapsed() < LONG, "{said}");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

#[tokio::test]
async fn every_way_brings_what_rules_need_and_no_more() -> Result<()> {
    let (Some(tools), Some(kubectl)) = (parts::prometheus(), parts::kubectl()) else {
        return Ok(());
    };
    let Some(ways) = every_way()? else {
        return Ok(());
    };
    let cluster = Cluster::start().await?;
    let applied = Applied::read(&kubectl)?;
    let all = ways.iter().map(|way| async {
        let brought = bring(way, &tools, &cluster, &applied).await?;
        check_labels(way, &brought, &cluster)?;
        check_doctor(&brought).await?;
        check_rules(way, &brought, &tools).await
    });
    try_join_all(ways.iter().zip(all).map(|(way, done)| async move {
        done.await
            .with_context(|| format!("by way of {}", way.name))
    }))
    .await?;
    Ok(())
}
