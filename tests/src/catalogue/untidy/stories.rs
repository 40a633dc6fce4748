//! The tidy cluster, and for each rule what happens in it: once so that the rule fires, and once
//! almost so.
//!
//! Three nodes, each with one exporter, one interface and one collector; two CoreDNS pods. A story
//! has only the metrics that its rule reads, and `up`.

use super::series::{Sample, Samples, Series, counter};

/// What happens to the metrics of one rule.
#[derive(Debug, Clone)]
pub(super) struct Story {
    pub(super) alert: &'static str,
    /// `storm`, `calm` or `few`.
    pub(super) name: &'static str,
    /// From sample to sample, in seconds.
    pub(super) interval: u64,
    pub(super) len: usize,
    pub(super) series: Vec<Series>,
    /// The labels of the alerts that fire at some time.
    pub(super) expected: Vec<Fired>,
}

/// An alert, by the labels that its query gave.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Fired {
    pub(super) cluster: String,
    pub(super) node: String,
    pub(super) device: String,
}

const NODES: [(&str, &str); 3] = [("n1", "10.0.0.1"), ("n2", "10.0.0.2"), ("n3", "10.0.0.3")];
const PODS: [(&str, &str); 2] = [("n1", "10.0.1.1:9153"), ("n2", "10.0.1.2:9153")];
/// What a counter had counted before.
const BEFORE: f64 = 48_213.0;

struct Scene {
    interval: u64,
    len: usize,
    series: Vec<Series>,
}

impl Scene {
    fn new(interval: u64, len: usize) -> Self {
        let series = Vec::new();
        Self {
            interval,
            len,
            series,
        }
    }

    /// When something begins: a third of the way.
    fn begin(&self) -> usize {
        self.len / 3
    }

    fn after(&self, step: f64) -> Vec<Sample> {
        let begin = self.begin();
        counter(BEFORE, self.len, |at| if at > begin { step } else { 0.0 })
    }

    fn steady(&self, step: f64) -> Vec<Sample> {
        counter(BEFORE, self.len, |_| step)
    }

    fn once(&self, step: f64) -> Vec<Sample> {
        let begin = self.begin();
        counter(BEFORE, self.len, |at| if at == begin { step } else { 0.0 })
    }

    fn ones(&self) -> Vec<Sample> {
        vec![Sample::Value(1.0); self.len]
    }

    fn until_begin(&self, samples: Vec<Sample>) -> Vec<Sample> {
        let begin = self.begin();
        let kept = samples.into_iter().enumerate();
        let kept = kept.map(|(at, sample)| match at {
            at if at < begin => sample,
            at if at == begin => Sample::Stale,
            _ => Sample::Nothing,
        });
        kept.collect()
    }

    /// A driver's statistic of the first so many nodes.
    fn driver(mut self, statistic: &str, samples: &[Vec<Sample>]) -> Self {
        for ((node, ip), samples) in NODES.iter().zip(samples) {
            self.series.push(Series::new(
                "node_net_ethtool",
                &[
                    ("cluster", "prod"),
                    ("job", "ethtool-exporter"),
                    ("instance", &format!("{ip}:9417")),
                    ("node", node),
                    ("device", "ens5"),
                    ("type", statistic),
                ],
                samples.clone(),
            ));
        }
        self
    }

    fn up(mut self, samples: &[Vec<Sample>]) -> Self {
        for ((node, ip), samples) in NODES.iter().zip(samples) {
            let instance = format!("{ip}:9417");
            let labels = [
                ("cluster", "prod"),
                ("job", "ethtool-exporter"),
                ("instance", instance.as_str()),
                ("node", node),
            ];
            self.series
                .push(Series::new("up", &labels, samples.clone()));
        }
        self
    }

    fn pod(&mut self, pod: usize, name: &str, labels: &[(&str, &str)], samples: Samples) {
        let (node, instance) = PODS[pod];
        let own = [
            ("cluster", "prod"),
            ("job", "coredns"),
            ("instance", instance),
            ("node", node),
        ];
        let mut series = Series::new(name, &own, Vec::new()).with(labels);
        series.samples = samples;
        self.series.push(series);
    }

    /// A counter of CoreDNS, half of it in each pod.
    fn coredns(mut self, name: &str, labels: &[(&str, &str)], samples: &[Sample]) -> Self {
        for pod in 0..PODS.len() {
            let half = samples.iter().map(|sample| match sample {
                Sample::Value(value) => Sample::Value(value / 2.0),
                other => *other,
            });
            self.pod(pod, name, labels, Samples::Number(half.collect()));
        }
        self
    }

    /// CoreDNS's answers: well, and failed by itself.
    fn answers(self, well: f64, failed: f64) -> Self {
        let name = "coredns_dns_responses_total";
        let server = [("server", "dns://:53"), ("zone", ".")];
        let of = |rcode, plugin| [server[0], server[1], ("rcode", rcode), ("plugin", plugin)];
        let (well, failed) = (self.steady(well), self.after(failed));
        let scene = self.coredns(name, &of("NOERROR", "loadbalance"), &well);
        scene.coredns(name, &of("SERVFAIL", ""), &failed)
    }

    fn histogram(mut self, name: &str, labels: &[(&str, &str)], fast: f64, slow: f64) -> Self {
        for pod in 0..PODS.len() {
            let samples = Samples::Histogram {
                fast: self.steady(fast / 2.0),
                slow: self.after(slow / 2.0),
                native: false,
            };
            self.pod(pod, name, labels, samples);
        }
        self
    }

    /// What stands for CoreDNS stands for the caches of the first two nodes instead.
    fn on_caches(mut self) -> Self {
        for series in &mut self.series {
            let Some(pod) = PODS
                .iter()
                .position(|(_, instance)| *instance == series.label("instance"))
            else {
                continue;
            };
            let port = match series.name.as_str() {
                "coredns_nodecache_setup_errors_total" => 9353,
                _ => 9253,
            };
            let (node, ip) = NODES[pod];
            let instance = format!("{ip}:{port}");
            let labels = [
                ("job", "node-local-dns"),
                ("instance", &instance),
                ("node", node),
            ];
            *series = series.with(&labels);
        }
        self
    }

    fn expecting(self, alert: &'static str, name: &'static str, expected: &[[&str; 3]]) -> Story {
        let expected = expected.iter().map(|[cluster, node, device]| Fired {
            cluster: cluster.to_string(),
            node: node.to_string(),
            device: device.to_string(),
        });
        Story {
            alert,
            name,
            interval: self.interval,
            len: self.len,
            series: self.series,
            expected: expected.collect(),
        }
    }
}

/// Two stories of each rule, or more.
pub(super) fn all() -> Vec<Story> {
    let mut all = drivers();
    all.extend(throttling());
    all.extend(coredns());
    all.extend(budgets());
    all.extend(caches());
    all.extend(witnesses());
    all
}

const ONE: &[[&str; 3]] = &[["prod", "n1", "ens5"]];
const NODE: &[[&str; 3]] = &[["prod", "n1", ""]];
const CLUSTER: &[[&str; 3]] = &[["prod", "", ""]];

/// The rules that look at one statistic of a driver. Calm is under the threshold, and above it where
/// a copy counts twice.
fn drivers() -> Vec<Story> {
    let of = |alert, statistic, storm: f64, calm: f64| {
        let scene = || Scene::new(30, 120);
        let story = |step: f64| {
            let (first, other) = (scene().after(step), scene().after(0.0));
            scene().driver(statistic, &[first, other.clone(), other])
        };
        [
            story(storm).expecting(alert, "storm", ONE),
            story(calm).expecting(alert, "calm", &[]),
        ]
    };
    let resets = || {
        let (first, other) = (Scene::new(30, 120).once(1.0), Scene::new(30, 120).once(0.0));
        Scene::new(30, 120).driver("total_resets", &[first, other.clone(), other])
    };
    let conntrack = |left: f64| {
        let scene = Scene::new(60, 90);
        let samples = |left: f64| -> Vec<Sample> {
            let value = |at| match at {
                at if at <= scene.begin() => 100_000.0 + (at % 2) as f64,
                at => left + (at % 2) as f64,
            };
            (0..scene.len).map(|at| Sample::Value(value(at))).collect()
        };
        let other = samples(90_000.0);
        let samples = [samples(left), other.clone(), other];
        Scene::new(60, 90).driver("conntrack_allowance_available", &samples)
    };
    let mut all: Vec<Story> = [
        of(
            "LinkLocalThrottling",
            "linklocal_allowance_exceeded",
            100.0,
            0.0,
        ),
        of(
            "LinkLocalThrottlingSevere",
            "linklocal_allowance_exceeded",
            300.0,
            120.0,
        ),
        of(
            "ConntrackAllowanceExceeded",
            "conntrack_allowance_exceeded",
            1.0,
            0.0,
        ),
        of(
            "PacketRateAllowanceExceeded",
            "pps_allowance_exceeded",
            50.0,
            20.0,
        ),
        of(
            "InboundBandwidthAllowanceExceeded",
            "bw_in_allowance_exceeded",
            30.0,
            12.0,
        ),
        of(
            "OutboundBandwidthAllowanceExceeded",
            "bw_out_allowance_exceeded",
            20.0,
            7.0,
        ),
    ]
    .concat();
    all.push(resets().expecting("NetworkInterfaceReset", "storm", ONE));
    all.push(conntrack(5_000.0).expecting("ConntrackAllowanceLow", "storm", NODE));
    all.push(conntrack(15_000.0).expecting("ConntrackAllowanceLow", "calm", &[]));
    all
}

fn throttling() -> Vec<Story> {
    let drops = |scene: Scene, steps: [f64; 3]| {
        let samples = steps.map(|step| scene.after(step));
        scene.driver("linklocal_allowance_exceeded", &samples)
    };
    let scene = || Scene::new(30, 120);
    let fleet = "LinkLocalThrottlingFleet";
    let confirmed = "DNSThrottlingConfirmed";
    vec![
        drops(scene(), [10.0; 3]).expecting(fleet, "storm", CLUSTER),
        drops(scene(), [10.0, 10.0, 0.0]).expecting(fleet, "calm", &[]),
        // Two drops to three failures: two copies of the failures alone would be too many for them.
        drops(scene().answers(600.0, 12.0), [8.0, 0.0, 0.0]).expecting(confirmed, "storm", CLUSTER),
        // One drop to three.
        drops(scene().answers(600.0, 12.0), [4.0, 0.0, 0.0]).expecting(confirmed, "calm", &[]),
        drops(scene().answers(32.0, 2.0), [8.0, 0.0, 0.0]).expecting(confirmed, "few", &[]),
    ]
}

fn coredns() -> Vec<Story> {
    let scene = || Scene::new(30, 120);
    let server = [("server", "dns://:53"), ("zone", ".")];
    let duration =
        |fast, slow| scene().histogram("coredns_dns_request_duration_seconds", &server, fast, slow);
    let upstream = |well: f64, failed: f64| {
        let name = "coredns_proxy_request_duration_seconds";
        let to = [("proxy_name", "forward"), ("to", "10.0.0.2:53")];
        let of = |rcode| [to[0], to[1], ("rcode", rcode)];
        let scene = scene().histogram(name, &of("NOERROR"), well, 0.0);
        scene.histogram(name, &of("SERVFAIL"), failed, 0.0)
    };
    let down = |broken: f64, misses: f64, hits: f64, answered: f64| {
        let to = [
            ("proxy_name", "forward"),
            ("to", "10.0.0.2:53"),
            ("proto", "udp"),
        ];
        let counter = |step| scene().steady(step);
        upstream(answered, 0.0)
            .coredns(
                "coredns_forward_healthcheck_broken_total",
                &[],
                &counter(broken),
            )
            .coredns(
                "coredns_proxy_conn_cache_misses_total",
                &to,
                &counter(misses),
            )
            .coredns("coredns_proxy_conn_cache_hits_total", &to, &counter(hits))
    };
    let single = |name: &str, samples: Vec<Sample>| scene().coredns(name, &[], &samples);
    let pods = |pods: usize| {
        let mut scene = scene();
        let samples = scene.ones();
        let labels = [("name", "kubernetes"), server[0], server[1]];
        for pod in 0..pods {
            scene.pod(
                pod,
                "coredns_plugin_enabled",
                &labels,
                Samples::Number(samples.clone()),
            );
        }
        scene
    };
    let gone = {
        let scene = pods(2);
        let gone = scene.until_begin(scene.ones());
        let mut scene = Scene {
            series: scene
                .series
                .iter()
                .map(|series| series.map(|_| gone.clone()))
                .collect(),
            ..scene
        };
        let up = vec![scene.ones(); 3];
        scene = scene.up(&up);
        scene
    };
    vec![
        scene()
            .answers(600.0, 12.0)
            .expecting("CoreDNSServfailHigh", "storm", CLUSTER),
        scene()
            .answers(600.0, 4.5)
            .expecting("CoreDNSServfailHigh", "calm", &[]),
        scene()
            .answers(32.0, 2.0)
            .expecting("CoreDNSServfailHigh", "few", &[]),
        duration(600.0, 12.0).expecting("CoreDNSLatencyHigh", "storm", CLUSTER),
        duration(600.0, 3.0).expecting("CoreDNSLatencyHigh", "calm", &[]),
        duration(10.0, 10.0).expecting("CoreDNSLatencyHigh", "few", &[]),
        down(60.0, 60.0, 20.0, 20.0).expecting("CoreDNSUpstreamDown", "storm", CLUSTER),
        // Three of eight; two copies of what is broken alone would be six.
        down(30.0, 30.0, 50.0, 50.0).expecting("CoreDNSUpstreamDown", "calm", &[]),
        upstream(200.0, 400.0).expecting("CoreDNSUpstreamServfail", "storm", CLUSTER),
        upstream(400.0, 200.0).expecting("CoreDNSUpstreamServfail", "calm", &[]),
        upstream(5.0, 15.0).expecting("CoreDNSUpstreamServfail", "few", &[]),
        single("coredns_panics_total", scene().once(2.0)).expecting(
            "CoreDNSPanic",
            "storm",
            CLUSTER,
        ),
        single(
            "coredns_forward_max_concurrent_rejects_total",
            scene().after(10.0),
        )
        .expecting("CoreDNSConcurrencyRejects", "storm", CLUSTER),
        single("coredns_reload_failed_total", scene().once(2.0)).expecting(
            "CoreDNSReloadFailed",
            "storm",
            CLUSTER,
        ),
        gone.expecting("CoreDNSMissing", "storm", CLUSTER),
        pods(2).expecting("CoreDNSMissing", "calm", &[]),
        pods(1).expecting("CoreDNSTooFew", "storm", CLUSTER),
        pods(2).expecting("CoreDNSTooFew", "calm", &[]),
    ]
}

fn budgets() -> Vec<Story> {
    let of = |alert, interval, storm: f64, calm: f64| {
        let answers = 20.0 * interval as f64;
        let story = |share: f64| Scene::new(interval, 200).answers(answers, answers * share);
        [
            story(storm).expecting(alert, "storm", CLUSTER),
            story(calm).expecting(alert, "calm", &[]),
        ]
    };
    [
        of("CoreDNSErrorBudgetBurnFast", 60, 0.03, 0.01),
        of("CoreDNSErrorBudgetBurnMedium", 300, 0.01, 0.004),
        of("CoreDNSErrorBudgetBurnSlow", 1800, 0.003, 0.0005),
    ]
    .concat()
}

fn caches() -> Vec<Story> {
    let scene = || Scene::new(30, 120);
    let server = [("server", "dns://169.254.20.10:53"), ("zone", ".")];
    // The first node's cache is as given, the second's is healthy.
    let first = |scene: Scene| {
        let mut scene = scene.on_caches();
        for series in &mut scene.series {
            let is_second = series.label("node") == "n2" && series.name.starts_with("coredns_");
            if is_second && (series.label("rcode") == "SERVFAIL" || series.name.contains("setup")) {
                *series = series.map(|samples| vec![Sample::Value(0.0); samples.len()]);
            } else if let Samples::Histogram { slow, .. } = &mut series.samples
                && is_second
            {
                slow.fill(Sample::Value(0.0));
            }
        }
        scene
    };
    let duration = |fast, slow| {
        let name = "coredns_dns_request_duration_seconds";
        first(scene().histogram(name, &server, fast, slow))
    };
    let setup = |step: f64| {
        let labels = [("errortype", "iptables")];
        let samples = scene().after(step);
        first(scene().coredns("coredns_nodecache_setup_errors_total", &labels, &samples))
    };
    let throttled = |well, failed, drops: f64| {
        let scene = first(scene().answers(well, failed));
        let samples = [drops, 0.0, 0.0].map(|step| scene.after(step));
        scene.driver("linklocal_allowance_exceeded", &samples)
    };
    let failing = "NodeLocalDNSUpstreamFailing";
    let confirmed = "NodeLocalDNSThrottlingConfirmed";
    vec![
        first(scene().answers(1200.0, 24.0)).expecting(failing, "storm", NODE),
        first(scene().answers(1200.0, 9.0)).expecting(failing, "calm", &[]),
        first(scene().answers(64.0, 4.0)).expecting(failing, "few", &[]),
        duration(1200.0, 24.0).expecting("NodeLocalDNSLatencyHigh", "storm", NODE),
        duration(20.0, 20.0).expecting("NodeLocalDNSLatencyHigh", "few", &[]),
        throttled(1200.0, 24.0, 8.0).expecting(confirmed, "storm", NODE),
        throttled(1200.0, 24.0, 4.0).expecting(confirmed, "calm", &[]),
        throttled(64.0, 4.0, 8.0).expecting(confirmed, "few", &[]),
        setup(2.0).expecting("NodeLocalDNSSetupErrors", "storm", NODE),
        setup(0.0).expecting("NodeLocalDNSSetupErrors", "calm", &[]),
    ]
}

/// The rules about the witnesses themselves.
fn witnesses() -> Vec<Story> {
    let of = |alert, counters: [bool; 3], up: [bool; 3], expected| {
        let scene = Scene::new(60, 120);
        let series = |stay: bool, samples: Vec<Sample>| match stay {
            true => samples,
            false => scene.until_begin(samples),
        };
        let counters = counters.map(|stays| series(stays, scene.steady(0.0)));
        let up = up.map(|stays| series(stays, scene.ones()));
        let name = if expected == [[""; 3]; 0] {
            "calm"
        } else {
            "storm"
        };
        scene
            .driver("linklocal_allowance_exceeded", &counters)
            .up(&up)
            .expecting(alert, name, expected)
    };
    let mut never = of(
        "ExporterMissing",
        [true; 3],
        [true; 3],
        &[["prod", "n3", ""]],
    );
    never
        .series
        .retain(|series| series.name == "up" || series.label("node") != "n3");
    let mut none = of(
        "LinkLocalCounterAbsent",
        [true; 3],
        [true; 3],
        &[["", "", ""]],
    );
    none.series.retain(|series| series.name == "up");
    let stale = |stays: bool, expected| {
        let mut story = of("TelemetryStale", [stays; 3], [stays; 3], expected);
        story.series.retain(|series| series.name == "up");
        story
    };
    vec![
        of(
            "LinkLocalCounterMissing",
            [false, true, true],
            [true; 3],
            NODE,
        ),
        of("LinkLocalCounterMissing", [true; 3], [true; 3], &[]),
        of("LinkLocalCounterVanished", [false; 3], [true; 3], CLUSTER),
        of("LinkLocalCounterVanished", [true; 3], [true; 3], &[]),
        never,
        of("ExporterMissing", [true; 3], [true; 3], &[]),
        none,
        of("LinkLocalCounterAbsent", [true; 3], [true; 3], &[]),
        stale(false, CLUSTER),
        stale(true, &[]),
    ]
}
