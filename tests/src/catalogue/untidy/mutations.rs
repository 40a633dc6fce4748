//! What makes a tidy cluster untidy, one thing at a time.

use std::collections::BTreeSet;

use super::series::{Sample, Samples, Series};
use super::stories::{Fired, Story};

/// A story with one change, and the alerts that must fire in it.
#[derive(Debug, Clone)]
pub(super) struct Cell {
    /// `coredns_dns_responses_total: another replica`.
    pub(super) change: String,
    pub(super) series: Vec<Series>,
    pub(super) expected: Vec<Fired>,
}

/// Every cell of a story. `calm` is another story of the same rule, in which nothing fires.
pub(super) fn cells(story: &Story, calm: Option<&Story>) -> Vec<Cell> {
    let families: BTreeSet<&str> = story
        .series
        .iter()
        .map(|series| series.name.as_str())
        .collect();
    let mut cells = Vec::new();
    for family in families {
        let here = |series: &Series| series.name == family;
        cells.extend(doubled(story, &here));
        cells.extend(renamed(story, family));
        cells.extend(interrupted(story, family, &here));
        cells.extend(unlabelled(story, &here));
        for cell in &mut cells {
            if !cell.change.contains(':') {
                cell.change = format!("{family}: {}", cell.change);
            }
        }
    }
    let whole = unlabelled(story, &|_| true)
        .into_iter()
        .chain(added(story, calm));
    cells.extend(whole.map(|cell| Cell {
        change: format!("all: {}", cell.change),
        ..cell
    }));
    cells
}

fn cell(story: &Story, change: &str, series: Vec<Series>) -> Cell {
    Cell {
        change: change.to_owned(),
        series,
        expected: story.expected.clone(),
    }
}

/// The story with each series replaced by what `change` makes of it.
fn each(story: &Story, change: &str, of: impl Fn(&Series) -> Vec<Series>) -> Cell {
    cell(story, change, story.series.iter().flat_map(of).collect())
}

/// The node's address, or the pod's.
fn host(series: &Series) -> &str {
    let instance = series.label("instance");
    instance.split_once(':').map_or(instance, |(host, _)| host)
}

fn is_driver(series: &Series) -> bool {
    series.name == "node_net_ethtool"
}

/// Two series for each: an HA pair of collectors, a second job, a second name of the target.
fn doubled(story: &Story, here: &impl Fn(&Series) -> bool) -> Vec<Cell> {
    let twice = |change, first: &[(&str, &str)], second: &dyn Fn(&Series) -> Series| {
        each(story, change, |series| match here(series) {
            true => vec![series.with(first), second(series)],
            false => vec![series.clone()],
        })
    };
    vec![
        twice("another replica", &[("replica", "a")], &|series| {
            series.with(&[("replica", "b")])
        }),
        twice("another job and port", &[], &|series| {
            let job = series.with(&[("job", "other"), ("pod", "other-x2x9v")]);
            match series.name.starts_with("coredns_") {
                // CoreDNS has one port, whichever job scrapes it.
                true => job,
                false => job.with(&[("instance", &format!("{}:9100", host(series)))]),
            }
        }),
        twice("another instance of the node", &[], &|series| {
            let node = series.label("node");
            match series.label("instance").rsplit_once(':') {
                Some((_, port)) if series.name.starts_with("coredns_") => {
                    series.with(&[("instance", &format!("{node}-pod:{port}"))])
                }
                // As some jobs have it: the target is named after the node.
                _ => series.with(&[("instance", node), ("node", ""), ("job", "other")]),
            }
        }),
    ]
}

/// Every other name of the same thing: in place of it, on one node or pod only, and beside it.
fn renamed(story: &Story, family: &str) -> Vec<Cell> {
    let mut cells = Vec::new();
    for (name, rename) in others(story, family) {
        let first = story.series.iter().find(|series| series.name == family);
        let first = first.map_or("", |series| series.label("node")).to_owned();
        let renamed = |change: String, only: Option<&str>, beside: bool| {
            let applies = |series: &Series| only.is_none_or(|node| series.label("node") == node);
            let mut cell = each(story, &change, |series| {
                let other = rename(series);
                match (applies(series), other) {
                    (true, Some(other)) if beside => {
                        let mut both = vec![series.clone()];
                        both.extend(other);
                        both
                    }
                    (true, Some(other)) => other,
                    _ => vec![series.clone()],
                }
            });
            // Network Flow Monitor knows an interface by its ENI.
            if name == "Network Flow Monitor" && !beside {
                for fired in &mut cell.expected {
                    let here = only.is_none_or(|node| fired.node == node);
                    if here && !fired.device.is_empty() {
                        fired.device = format!("eni-{}", fired.node);
                    }
                }
            }
            cell
        };
        cells.push(renamed(format!("as {name}"), None, false));
        cells.push(renamed(format!("as {name} on one"), Some(&first), false));
        if family == "node_net_ethtool" {
            cells.push(renamed(format!("with {name} beside"), None, true));
        }
    }
    cells
}

type Rename = Box<dyn Fn(&Series) -> Option<Vec<Series>>>;

fn others(story: &Story, family: &str) -> Vec<(&'static str, Rename)> {
    let is_histogram = story
        .series
        .iter()
        .any(|series| series.name == family && matches!(series.samples, Samples::Histogram { .. }));
    let mut others: Vec<(&str, Rename)> = Vec::new();
    if family == "node_net_ethtool" {
        others.push(("node_exporter", Box::new(node_exporter)));
        others.push(("the CloudWatch agent", Box::new(cloudwatch_agent)));
        let has = story
            .series
            .iter()
            .any(|series| series.label("type").ends_with("_exceeded"));
        if has {
            others.push(("Network Flow Monitor", Box::new(flow_monitor)));
        }
    }
    if is_histogram {
        let family = family.to_owned();
        others.push((
            "a native histogram",
            Box::new(move |series| (series.name == family).then(|| vec![native(series)])),
        ));
    }
    if family == "coredns_proxy_request_duration_seconds" {
        let down = story.alert == "CoreDNSUpstreamDown";
        let old = move |series: &Series| before_1_11(series, down);
        others.push(("CoreDNS before 1.11", Box::new(old)));
    }
    others
}

fn node_exporter(series: &Series) -> Option<Vec<Series>> {
    let statistic = series.label("type");
    is_driver(series).then(|| {
        let instance = format!("{}:9100", host(series));
        let mut other = series.with(&[("type", ""), ("job", "node"), ("instance", &instance)]);
        other.name = format!("node_ethtool_{statistic}");
        vec![other]
    })
}

/// It writes to the workspace itself, so that it has no label of a scrape.
fn cloudwatch_agent(series: &Series) -> Option<Vec<Series>> {
    let statistic = series.label("type");
    is_driver(series).then(|| {
        let mut other = series.with(&[
            ("type", ""),
            ("job", ""),
            ("instance", ""),
            ("node", ""),
            ("device", ""),
            ("InstanceId", series.label("node")),
            ("interface", series.label("device")),
            ("driver", "ena"),
        ]);
        other.name = format!("ethtool_{statistic}");
        vec![other]
    })
}

/// A gauge of the changes since the last scrape.
fn flow_monitor(series: &Series) -> Option<Vec<Series>> {
    let statistic = series.label("type");
    is_driver(series).then(|| {
        let node = series.label("node");
        let mut other = series.with(&[
            ("type", ""),
            ("device", ""),
            ("job", "network-flow-monitor"),
            ("instance", &format!("{}:9109", host(series))),
            ("instance_id", node),
            ("eni", &format!("eni-{node}")),
        ]);
        other.name = statistic.to_owned();
        let changes = other.map(|samples| {
            let before = samples.first().into_iter().chain(samples);
            let pairs = samples.iter().zip(before);
            let changes = pairs.map(|pair| match pair {
                (Sample::Value(now), Sample::Value(before)) => Sample::Value(now - before),
                (now, _) => *now,
            });
            changes.collect()
        });
        vec![changes]
    })
}

fn native(series: &Series) -> Series {
    let mut other = series.clone();
    if let Samples::Histogram { native, .. } = &mut other.samples {
        *native = true;
    }
    other
}

/// It has no counter of the cache of connections by these names, and its histogram of the upstream
/// no `rcode`, which another counter has.
fn before_1_11(series: &Series, down: bool) -> Option<Vec<Series>> {
    if series.name.starts_with("coredns_proxy_conn_cache_") {
        return Some(Vec::new());
    }
    if series.name != "coredns_proxy_request_duration_seconds" {
        return None;
    }
    let mut other = series.with(&[("proxy_name", "")]);
    if down {
        other.name = "coredns_forward_request_duration_seconds".to_owned();
        other.labels.remove("rcode");
        if series.label("rcode") != "NOERROR" {
            return Some(Vec::new());
        }
    } else {
        other.name = "coredns_forward_responses_total".to_owned();
        if let Samples::Histogram { fast, .. } = &series.samples {
            other.samples = Samples::Number(fast.clone());
        }
    }
    Some(vec![other])
}

/// Removed, ended, with two scrapes missed, restarted.
fn interrupted(story: &Story, family: &str, here: &impl Fn(&Series) -> bool) -> Vec<Cell> {
    let at = story.len * 3 / 4;
    let changed = |change, of: &dyn Fn(usize, &Sample) -> Sample| {
        each(story, change, |series| {
            vec![match here(series) {
                true => series.map(|samples| {
                    samples
                        .iter()
                        .enumerate()
                        .map(|(at, sample)| of(at, sample))
                        .collect()
                }),
                false => series.clone(),
            }]
        })
    };
    let mut cells = vec![
        each(story, "removed", |series| match here(series) {
            true => Vec::new(),
            false => vec![series.clone()],
        }),
        changed("ends", &|now, sample| match sample {
            Sample::Value(_) if now == at => Sample::Stale,
            _ if now > at => Sample::Nothing,
            sample => *sample,
        }),
        changed("two scrapes are missed", &|now, sample| match sample {
            Sample::Value(_) if now == at => Sample::Stale,
            _ if now == at + 1 => Sample::Nothing,
            sample => *sample,
        }),
    ];
    let is_gauge = family == "up"
        || family == "coredns_plugin_enabled"
        || story.alert == "ConntrackAllowanceLow";
    if !is_gauge {
        cells.push(each(story, "restarts from zero", |series| {
            vec![match here(series) {
                true => series.map(|samples| restarted(samples, at)),
                false => series.clone(),
            }]
        }));
    }
    cells
}

fn restarted(samples: &[Sample], at: usize) -> Vec<Sample> {
    let before = match samples.get(at) {
        Some(Sample::Value(value)) => *value,
        _ => 0.0,
    };
    let restarted = samples
        .iter()
        .enumerate()
        .map(|(now, sample)| match sample {
            Sample::Value(value) if now >= at => Sample::Value(value - before),
            sample => *sample,
        });
    restarted.collect()
}

/// Without the labels `node` and `cluster`.
fn unlabelled(story: &Story, here: &impl Fn(&Series) -> bool) -> Vec<Cell> {
    let without = |change, label: &str| {
        each(story, change, |series| {
            vec![match here(series) {
                true => series.with(&[(label, "")]),
                false => series.clone(),
            }]
        })
    };
    let mut nodes = without("without node", "node");
    let mut clusters = without("without cluster", "cluster");
    // A part of what the rule reads alone cannot rename its alerts.
    if story.series.iter().all(here) {
        for fired in &mut nodes.expected {
            let series = story.series.iter().find(|series| {
                series.label("node") == fired.node && !series.label("instance").ends_with(":9153")
            });
            fired.node = series.map_or("", host).to_owned();
        }
        for fired in &mut clusters.expected {
            fired.cluster.clear();
        }
    }
    vec![nodes, clusters]
}

/// What else there may be in a workspace.
fn added(story: &Story, calm: Option<&Story>) -> Vec<Cell> {
    let with = |change, more: Vec<Series>| {
        cell(
            story,
            change,
            story.series.iter().cloned().chain(more).collect(),
        )
    };
    let mut cells = vec![
        with("Windows, Fargate and hybrid nodes", other_nodes(story)),
        with("node caches of an older CoreDNS", node_caches(story, true)),
        with("node caches of a newer CoreDNS", node_caches(story, false)),
        with("a busy CoreDNS beside the caches", busy_coredns(story)),
    ];
    // The caches' rules look at caches, and CoreDNS's rules at CoreDNS.
    let about_caches = story.alert.starts_with("NodeLocal");
    cells.retain(|cell| match cell.change.as_str() {
        change if change.contains("node caches") => !about_caches,
        change if change.contains("busy") => about_caches,
        _ => true,
    });
    let other = |series: &Series| series.with(&[("cluster", "other")]);
    let second = calm.unwrap_or(story).series.iter().map(other);
    let second = second.map(|series| match calm {
        Some(_) => series,
        // Nothing happens in it.
        None => series.map(|samples| vec![Sample::Value(1.0); samples.len()]),
    });
    cells.push(with("a second cluster that is well", second.collect()));
    cells
}

/// What is known of them: that something of theirs is scraped, by the collector that scrapes `up`.
fn other_nodes(story: &Story) -> Vec<Series> {
    let up = story.series.iter().find(|series| series.name == "up");
    let ones = vec![Sample::Value(1.0); story.len];
    let samples = match up.map(|up| &up.samples) {
        Some(Samples::Number(samples)) => samples.clone(),
        _ => ones,
    };
    let target = |name: &str, node: &str, instance: &str, more: &[(&str, &str)]| {
        let labels = [("cluster", "prod"), ("node", node), ("instance", instance)];
        Series::new(name, &labels, samples.clone()).with(more)
    };
    let windows = [("os_image", "Windows Server 2022 Datacenter")];
    let hybrid = [(
        "provider_id",
        "eks-hybrid:///eu-west-1/prod/mi-0123456789abcdef1",
    )];
    vec![
        target(
            "up",
            "win-1",
            "10.0.0.9:9182",
            &[("job", "windows-exporter")],
        ),
        target("up", "win-1", "10.0.0.9:10250", &[("job", "kubelet")]),
        target("up", "win-2", "10.0.0.8:10250", &[("job", "kubelet")]),
        target("kube_node_info", "win-2", "10.0.3.3:8080", &windows),
        target(
            "up",
            "mi-0123456789abcdef0",
            "192.168.0.5:10250",
            &[("job", "kubelet")],
        ),
        target("up", "rack-7", "192.168.0.7:10250", &[("job", "kubelet")]),
        target("kube_node_info", "rack-7", "10.0.3.3:8080", &hybrid),
        target(
            "up",
            "fargate-ip-10-0-4-4.ec2.internal",
            "10.0.4.4:9153",
            &[("job", "coredns")],
        ),
    ]
}

/// They answer and forward much, and fail little.
fn node_caches(story: &Story, older: bool) -> Vec<Series> {
    let per_step = story.interval as f64;
    let steady = |rate: f64| super::series::counter(0.0, story.len, |_| rate * per_step);
    let series = |name: &str, labels: &[(&str, &str)], rate: f64| {
        let own = [
            ("cluster", "prod"),
            ("job", "node-local-dns"),
            ("instance", "10.0.0.7:9253"),
            ("node", "n7"),
        ];
        Series::new(name, &own, steady(rate)).with(labels)
    };
    let answers = |rcode, plugin, rate| {
        let labels = [
            ("server", "dns://169.254.20.10:53"),
            ("zone", "."),
            ("rcode", rcode),
            ("plugin", plugin),
        ];
        series("coredns_dns_responses_total", &labels, rate)
    };
    let mut duration = series(
        "coredns_dns_request_duration_seconds",
        &[("zone", ".")],
        0.0,
    );
    duration.samples = Samples::Histogram {
        fast: steady(1000.0),
        slow: steady(0.1),
        native: !older,
    };
    let mut all = vec![
        answers("NOERROR", "cache", 1000.0),
        answers("SERVFAIL", "forward", 10.0),
        answers("SERVFAIL", "", 1.0),
        duration,
        series("coredns_forward_healthcheck_broken_total", &[], 6.0),
        series("coredns_plugin_enabled", &[("name", "cache")], 0.0),
    ];
    let to = [("proxy_name", "forward"), ("to", "10.0.0.2:53")];
    if older {
        let name = "coredns_forward_request_duration_seconds_count";
        all.push(series(name, &[("to", "10.0.0.2:53")], 3000.0));
        let name = "coredns_forward_responses_total";
        all.push(series(
            name,
            &[("to", "10.0.0.2:53"), ("rcode", "NOERROR")],
            3000.0,
        ));
    } else {
        let mut upstream = series("coredns_proxy_request_duration_seconds", &to, 0.0);
        upstream.samples = Samples::Histogram {
            fast: steady(3000.0),
            slow: steady(0.0),
            native: true,
        };
        all.push(upstream.with(&[("rcode", "NOERROR")]));
        let name = "coredns_proxy_conn_cache_hits_total";
        all.push(series(name, &to, 3000.0).with(&[("proto", "udp")]));
    }
    all
}

fn busy_coredns(story: &Story) -> Vec<Series> {
    let caches = node_caches(story, false);
    let coredns = caches.iter().map(|series| {
        series.with(&[
            ("job", "coredns"),
            ("instance", "10.0.1.9:9153"),
            ("node", "n1"),
        ])
    });
    coredns.collect()
}
