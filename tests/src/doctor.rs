//! `dnswatch doctor` on a real Prometheus: each fault is found where it is planted, and no other.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use alerting::timestamp::Timestamp;
use anyhow::Result;
use backends::clock::{Clock as _, SystemClock};
use serde_json::Value;

use crate::dnswatch::{dnswatch, output, said};
use crate::parts;
use crate::samples::Samples;

/// How long before now the history begins.
const PAST: i64 = 15 * 60;
/// How long after now it ends: the time that passes until it is checked.
const FUTURE: i64 = 5 * 60;

/// One series: at which seconds of the history it has which value.
#[derive(Debug, Clone)]
struct Planted {
    labels: BTreeMap<String, String>,
    samples: BTreeMap<i64, f64>,
}

impl Planted {
    fn new(name: &str, labels: &[(&str, &str)], value: f64) -> Self {
        let common = [("__name__", name), ("cluster", "prod")];
        let labels = labels.iter().chain(&common);
        Self {
            labels: labels
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            samples: BTreeMap::new(),
        }
        .every(15, value)
    }

    fn every(mut self, seconds: usize, value: f64) -> Self {
        self.samples = (-PAST..FUTURE)
            .step_by(seconds)
            .map(|at| (at, value))
            .collect();
        self
    }

    fn is(&self, name: &str) -> bool {
        self.labels["__name__"] == name
    }

    fn is_counter(&self) -> bool {
        self.is("node_net_ethtool") && self.labels["type"] == "linklocal_allowance_exceeded"
    }

    fn is_of(&self, port: &str) -> bool {
        self.labels["instance"].ends_with(port)
    }

    fn set(&mut self, label: &str, value: &str) {
        self.labels.insert(label.to_owned(), value.to_owned());
    }
}

/// Three nodes with their exporters, two CoreDNS pods, nothing wrong.
fn healthy() -> Vec<Planted> {
    let mut all = Vec::new();
    for number in 1..=3 {
        let node = format!("ip-10-0-1-{number}.ec2.internal");
        let instance = format!("10.0.1.{number}:9417");
        let target = [("node", node.as_str()), ("instance", instance.as_str())];
        all.push(Planted::new("up", &target, 1.0));
        for kind in ["linklocal_allowance_exceeded", "pps_allowance_exceeded"] {
            let labels = [&target[..], &[("device", "ens5"), ("type", kind)]].concat();
            all.push(Planted::new("node_net_ethtool", &labels, 7.0));
        }
    }
    for number in 1..=2 {
        let node = format!("ip-10-0-1-{number}.ec2.internal");
        let instance = format!("10.0.1.4{number}:9153");
        let target = [("node", node.as_str()), ("instance", instance.as_str())];
        all.push(Planted::new("up", &target, 1.0));
        let version = [&target[..], &[("version", "1.12.1")]].concat();
        all.push(Planted::new("coredns_build_info", &version, 1.0));
        let queries = [&target[..], &[("type", "A")]].concat();
        all.push(Planted::new("coredns_dns_requests_total", &queries, 9.0));
    }
    all
}

/// A series of values at the seconds of the history, of which most have none.
fn written(planted: &[Planted], now: Timestamp) -> Samples {
    let start = now.minus(Duration::from_secs(PAST.unsigned_abs()));
    planted.iter().fold(Samples::new(), |samples, planted| {
        let labels: Vec<String> = planted
            .labels
            .iter()
            .filter(|(name, _)| *name != "__name__")
            .map(|(name, value)| format!("{name}=\"{value}\""))
            .collect();
        let series = format!("{}{{{}}}", planted.labels["__name__"], labels.join(","));
        let values = (-PAST..FUTURE).map(|at| planted.samples.get(&at).copied());
        samples.series(&series, start, Duration::from_secs(1), values)
    })
}

/// What is said of a history, as JSON, with the exit code.
async fn diagnosis(planted: &[Planted], arguments: &[&str]) -> Result<Option<(i32, Value)>> {
    let Some(tools) = parts::prometheus() else {
        return Ok(None);
    };
    let now = SystemClock.now().align_down(Duration::from_secs(1));
    let mut setup = tools.server();
    if !planted.is_empty() {
        setup = setup.samples(written(planted, now));
    }
    let server = setup.start().await?;
    let output = output(
        dnswatch()
            .args(["doctor", "--format=json", "--url", server.url()])
            .args(arguments),
    );
    let document = serde_json::from_slice(&output.stdout);
    let document = document.unwrap_or_else(|error| panic!("{error}: {}", said(&output)));
    Ok(Some((output.status.code().unwrap_or(-1), document)))
}

/// The findings' kinds are exactly `expected`; `words` are in what is said of them.
#[track_caller]
fn check_document(document: &Value, expected: &[&str], words: &[&str]) {
    let findings = document["findings"].as_array().unwrap();
    let found: BTreeSet<&str> = findings
        .iter()
        .map(|one| one["id"].as_str().unwrap())
        .collect();
    assert_eq!(found, expected.iter().copied().collect(), "{document:#}");
    for finding in findings {
        for part in ["what", "evidence", "fix"] {
            assert!(finding[part].as_str().unwrap().len() > 10, "{finding:#}");
        }
    }
    let text = document.to_string();
    for words in words {
        assert!(text.contains(words), "{words:?} is not in {document:#}");
    }
}

/// Plants one fault among what is healthy.
async fn check(
    plant: impl FnOnce(&mut Vec<Planted>),
    expected: &[&str],
    words: &[&str],
) -> Result<()> {
    let mut planted = healthy();
    plant(&mut planted);
    let Some((code, document)) = diagnosis(&planted, &[]).await? else {
        return Ok(());
    };
    check_document(&document, expected, words);
    let is_fault = |finding: &Value| finding["severity"] == "fault";
    let faults = document["findings"]
        .as_array()
        .unwrap()
        .iter()
        .any(is_fault);
    assert_eq!(
        (code, &document["well"]),
        (i32::from(faults), &Value::Bool(!faults))
    );
    Ok(())
}

#[tokio::test]
async fn all_is_well() -> Result<()> {
    check(
        |_| {},
        &[],
        &[
            "exporter: 3 series on 3 node(s), cluster prod; one sample every 15s",
            "CoreDNS: 2 series on 2 node(s), cluster prod; one sample every 15s",
        ],
    )
    .await
}

#[tokio::test]
async fn an_empty_workspace() -> Result<()> {
    check(Vec::clear, &["no-samples"], &["the right workspace"]).await
}

#[tokio::test]
async fn no_exporter_samples() -> Result<()> {
    check(
        |all| all.retain(|one| !one.is_of(":9417")),
        &["no-exporter"],
        &["deploy/kubernetes/exporter"],
    )
    .await
}

#[tokio::test]
async fn exporter_samples_that_stopped() -> Result<()> {
    // Longer ago than Prometheus looks back, but not longer than is checked: six minutes, and what
    // passes until it looks, which may take a busy machine most of another.
    let stop = |one: &mut Planted| one.samples.retain(|at, _| *at <= -360);
    check(
        |all| {
            all.iter_mut()
                .filter(|one| one.is_of(":9417"))
                .for_each(stop);
        },
        &["no-exporter"],
        &["Exporter samples have stopped", "the newest is 6m"],
    )
    .await
}

#[tokio::test]
async fn a_driver_without_the_counter() -> Result<()> {
    check(
        |all| all.retain(|one| !one.is_counter()),
        &["counter-absent"],
        &["other allowances come from ens5 of ip-10-0-1-1.ec2.internal"],
    )
    .await
}

#[tokio::test]
async fn no_coredns_samples() -> Result<()> {
    check(
        |all| all.retain(|one| !one.is_of(":9153")),
        &["no-coredns"],
        &["port 9153"],
    )
    .await
}

#[tokio::test]
async fn a_cluster_with_coredns_alone() -> Result<()> {
    let other = |mut one: Planted| {
        one.set("cluster", "staging");
        one
    };
    check(
        |all| {
            let coredns: Vec<_> = all
                .iter()
                .filter(|one| one.is_of(":9153"))
                .cloned()
                .collect();
            all.extend(coredns.into_iter().map(other));
        },
        &["no-exporter"],
        &["No exporter samples of cluster staging"],
    )
    .await
}

#[tokio::test]
async fn no_cluster_label() -> Result<()> {
    check(
        |all| all.iter_mut().for_each(|one| one.set("cluster", "")),
        &["no-cluster-label"],
        &[
            "exporter series have no label `cluster`",
            "3 of 3",
            "external_labels.cluster",
        ],
    )
    .await
}

#[tokio::test]
async fn no_node_label() -> Result<()> {
    check(
        |all| {
            all.iter_mut()
                .filter(|one| one.is_of(":9417"))
                .for_each(|one| one.set("node", ""));
        },
        &["no-node-label"],
        &["__meta_kubernetes_pod_node_name"],
    )
    .await
}

#[tokio::test]
async fn two_clusters_of_one_name_with_nodes_at_one_address() -> Result<()> {
    check(
        |all| {
            let mut other = all.iter().find(|one| one.is_counter()).cloned().unwrap();
            other.set("node", "ip-10-0-1-1.eu-west-1.compute.internal");
            all.push(other);
        },
        &["clusters-collide"],
        &[
            "10.0.1.1:9417 ens5 is on the nodes `ip-10-0-1-1.ec2.internal`",
            "of cluster prod",
        ],
    )
    .await
}

/// A second collector's samples, four seconds behind the first one's, in the same series.
fn interleave(one: &mut Planted, value: f64) {
    let second: Vec<i64> = one.samples.keys().map(|at| at + 4).collect();
    one.samples.extend(second.into_iter().map(|at| (at, value)));
}

#[tokio::test]
async fn two_clusters_that_write_the_same_series() -> Result<()> {
    check(
        |all| {
            all.iter_mut()
                .filter(|one| one.is_counter())
                .for_each(|one| interleave(one, 900.0));
        },
        &["clusters-collide"],
        &["Counters jump back and forth", "3 such series"],
    )
    .await
}

#[tokio::test]
async fn two_collectors_that_write_the_same_series() -> Result<()> {
    check(
        |all| {
            all.iter_mut()
                .filter(|one| one.is_counter())
                .for_each(|one| interleave(one, 7.0));
        },
        &["written-twice"],
        &[
            "Two collectors write the same exporter series of cluster prod",
            "3 of 3 series",
        ],
    )
    .await
}

#[tokio::test]
async fn two_jobs_that_scrape_the_same_exporters() -> Result<()> {
    check(
        |all| {
            let counters: Vec<_> = all.iter().filter(|one| one.is_counter()).cloned().collect();
            all.extend(counters.into_iter().map(|mut one| {
                one.set("job", "kubernetes-pods");
                one
            }));
        },
        &["scraped-twice"],
        &["3 such device(s)"],
    )
    .await
}

#[tokio::test]
async fn a_scrape_interval_too_long_for_the_windows() -> Result<()> {
    let slow = |one: &mut Planted| *one = one.clone().every(90, 7.0);
    check(
        |all| {
            all.iter_mut()
                .filter(|one| one.is_of(":9417"))
                .for_each(slow);
        },
        &["interval-too-long"],
        &["one every 1m30s", "2m", "a scrape_interval of 30s or less"],
    )
    .await?;
    // Of the rules that are to work here, whatever they are.
    let rules = tempfile::NamedTempFile::with_suffix(".yml")?;
    std::fs::write(
        rules.path(),
        "groups: [{name: g, rules: [{alert: Hasty, expr: 'rate(node_net_ethtool{type=\"linklocal_allowance_exceeded\"}[20s]) > 0'}]}]",
    )?;
    let path = rules.path().display().to_string();
    if let Some((code, document)) = diagnosis(&healthy(), &["--rules", &path]).await? {
        check_document(&document, &["interval-too-long"], &["Hasty looks at 20s"]);
        assert_eq!(code, 1);
    }
    Ok(())
}

#[tokio::test]
async fn samples_that_come_late() -> Result<()> {
    // Two minutes later than the next was due, and what passes until it looks.
    let stop = |one: &mut Planted| one.samples.retain(|at, _| *at <= -135);
    check(
        |all| all.iter_mut().filter(|one| one.is_counter()).for_each(stop),
        &["late"],
        &["at least 2m", "the rules ask 1m back", "query_offset: "],
    )
    .await
}

#[tokio::test]
async fn a_counter_renamed_by_the_collector() -> Result<()> {
    check(
        |all| {
            let counters = all.iter_mut().filter(|one| one.is("node_net_ethtool"));
            counters.for_each(|one| one.set("__name__", "node_net_ethtool_total"));
        },
        &["renamed"],
        &[
            "there is node_net_ethtool_total",
            "add_metric_suffixes: false",
        ],
    )
    .await
}

#[tokio::test]
async fn a_coredns_before_1_11() -> Result<()> {
    check(
        |all| {
            let first = all.iter_mut().find(|one| one.is("coredns_build_info"));
            first.unwrap().set("version", "1.10.1");
        },
        &["coredns-too-old"],
        &["1 of 2: 1.10.1 at 10.0.1.41:9153"],
    )
    .await
}

#[tokio::test]
async fn a_node_without_an_exporter() -> Result<()> {
    // By kube-state-metrics, which knows Fargate's nodes too.
    check(
        |all| {
            for number in 1..=4 {
                let node = format!("ip-10-0-1-{number}.ec2.internal");
                let labels = [("node", node.as_str()), ("instance", "10.0.2.2:8080")];
                all.push(Planted::new("kube_node_info", &labels, 1.0));
            }
            let fargate = [
                ("node", "fargate-ip-10-0-9-9.ec2.internal"),
                ("instance", "10.0.2.2:8080"),
            ];
            all.push(Planted::new("kube_node_info", &fargate, 1.0));
        },
        &["node-without-exporter"],
        &["kube-state-metrics knows 1 node(s) without: ip-10-0-1-4.ec2.internal"],
    )
    .await?;
    // By CoreDNS, whose own nodes matter most.
    check(
        |all| all.retain(|one| one.labels["instance"] != "10.0.1.2:9417"),
        &["node-without-exporter"],
        &["CoreDNS runs on 1 node(s) without: ip-10-0-1-2.ec2.internal"],
    )
    .await
}

#[tokio::test]
async fn targets_that_do_not_answer() -> Result<()> {
    check(
        |all| {
            let first = all
                .iter_mut()
                .find(|one| one.is("up") && one.is_of(":9153"));
            first.unwrap().samples.values_mut().for_each(|up| *up = 0.0);
        },
        &["scrape-fails"],
        &["up is 0 for 1 of 5: 10.0.1.41:9153"],
    )
    .await
}

#[test]
fn a_workspace_is_known_by_its_arn_alone() {
    let output = output(
        dnswatch()
            .args([
                "doctor",
                "--workspace",
                "ws-12345678-1234-1234-1234-123456789012",
            ])
            .env_remove("AWS_ACCESS_KEY_ID"),
    );
    let text = said(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("needs --sigv4-region"), "{text}");
}

/// Samples of a local Prometheus never carry its external labels: it adds them to what it sends.
#[tokio::test]
async fn external_labels_are_read_from_the_servers_configuration() -> Result<()> {
    let Some(tools) = parts::prometheus() else {
        return Ok(());
    };
    let mut planted = healthy();
    for series in &mut planted {
        series.labels.remove("cluster");
    }
    let now = SystemClock.now().align_down(Duration::from_secs(1));
    let server = tools
        .server()
        .config("global: {external_labels: {cluster: prod, region: eu-west-1}}\n")
        .samples(written(&planted, now))
        .start()
        .await?;
    let output = output(dnswatch().args(["doctor", "--format=json", "--url", server.url()]));
    let document: Value = serde_json::from_slice(&output.stdout)?;
    check_document(&document, &[], &["external label cluster=prod"]);
    assert_eq!(output.status.code(), Some(0), "{document:#}");
    Ok(())
}

#[tokio::test]
async fn auto_mode_without_coredns_is_no_fault() -> Result<()> {
    let mut planted = healthy();
    planted.retain(|series| !series.is_of(":9153"));
    let Some((code, document)) = diagnosis(&planted, &["--auto-mode"]).await? else {
        return Ok(());
    };
    check_document(&document, &["no-coredns"], &["right on EKS Auto Mode"]);
    assert_eq!(code, 0, "{document:#}");
    // Nodes that are named as Auto Mode names them need no flag.
    for series in &mut planted {
        let node = format!("i-0{}", &series.labels["instance"].replace([':', '.'], "0"));
        series.set("node", &node);
    }
    let (code, document) = diagnosis(&planted, &[]).await?.expect("the same part");
    check_document(&document, &["no-coredns"], &["instance id"]);
    assert_eq!(code, 0, "{document:#}");
    Ok(())
}

#[tokio::test]
async fn other_statistics_without_the_counter_are_named() -> Result<()> {
    check(
        |all| {
            for series in all
                .iter_mut()
                .filter(|series| series.is("node_net_ethtool"))
            {
                let kind = match series.labels["type"].as_str() {
                    "linklocal_allowance_exceeded" => "rx_packets",
                    _ => "tx_packets",
                };
                series.set("type", kind);
            }
        },
        &["counter-absent"],
        &["rx_packets", "no allowance of ENA"],
    )
    .await
}

/// The counter by the names of AWS's own exporters is as good as ours.
#[tokio::test]
async fn the_counter_is_known_by_each_exporters_name() -> Result<()> {
    for (name, device) in [
        ("node_ethtool_linklocal_allowance_exceeded", "device"),
        ("ethtool_linklocal_allowance_exceeded", "interface"),
        ("linklocal_allowance_exceeded", "eni"),
    ] {
        check(
            |all| {
                all.retain(|series| !series.is("node_net_ethtool") || series.is_counter());
                for series in all
                    .iter_mut()
                    .filter(|series| series.is("node_net_ethtool"))
                {
                    series.labels.remove("type");
                    let interface = series.labels.remove("device").expect("a device");
                    series.set(device, &interface);
                    series.set("__name__", name);
                }
            },
            &[],
            &[],
        )
        .await?;
    }
    Ok(())
}

#[tokio::test]
async fn two_scrapers_of_network_flow_monitor() -> Result<()> {
    check(
        |all| {
            let mut seconds = Vec::new();
            all.retain(|series| !series.is("node_net_ethtool") || series.is_counter());
            for series in all.iter_mut().filter(|series| series.is_counter()) {
                series.set("eni", "eni-0a1b2c3d");
                series.set("__name__", "linklocal_allowance_exceeded");
                series.labels.remove("type");
                let mut second = series.clone();
                second.set("job", "another");
                seconds.push(second);
            }
            all.extend(seconds);
        },
        &["split-by-scrapers"],
        &["eni-0a1b2c3d"],
    )
    .await
}

#[tokio::test]
async fn two_exporters_on_one_node() -> Result<()> {
    check(
        |all| {
            let counters = all.iter().filter(|series| series.is_counter());
            let second: Vec<Planted> = counters
                .map(|series| {
                    let mut second = series.clone();
                    second.set("__name__", "node_ethtool_linklocal_allowance_exceeded");
                    second.labels.remove("type");
                    let instance = second.labels["instance"].replace(":9417", ":9100");
                    second.set("instance", &instance);
                    second
                })
                .collect();
            all.extend(second);
        },
        &["two-exporters"],
        &["once"],
    )
    .await
}
