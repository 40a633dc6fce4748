//! An incident as a collector would have written it down: the demo's cluster is lived through
//! second by second, and its pages are scraped into samples.

use std::time::Duration;

use alerting::timestamp::Timestamp;
use dnswatch_demo::incidents::Incident;
use dnswatch_demo::pages::Target;
use dnswatch_demo::scrape_config::{coredns_labels, exporter_labels};
use dnswatch_demo::simulation::Simulation;

use crate::history::START;
use crate::samples::Samples;

/// What a counter of the driver began with.
const COUNTED_BEFORE: u64 = 48_213;
/// From scrape to scrape in the quiet days before an incident, which only long windows see.
const SELDOM: u64 = 600;
/// How long before the incident scrapes are as often as usual: longer than rules look back to
/// say that something is gone.
pub(super) const FINE_BEFORE: u64 = 2 * 60 * 60 + 30 * 60;
/// How long an exporter is down during a rollout, and the next node's turn after it.
const ROLLOUT: u64 = 45;
const TURN: u64 = 60;

/// The time of a second of the incident.
pub(super) fn time(second: u64) -> Timestamp {
    START.plus(Duration::from_secs(second))
}

/// The samples of an incident, scraped every so many seconds.
pub(super) fn record(incident: &Incident, every: u64) -> Samples {
    let mut simulation =
        Simulation::new(incident.scenario.clone()).expect("a topology that makes sense");
    let mut samples = Samples::new();
    let fine_from = incident.begins.saturating_sub(FINE_BEFORE);
    for second in 0..incident.ends {
        simulation.step(Duration::from_secs(1));
        if incident
            .silent
            .iter()
            .any(|silent| silent.contains(&second))
        {
            continue;
        }
        let every = if second < fine_from { SELDOM } else { every };
        let cluster = simulation.cluster();
        let mut place = 0;
        // Targets are scraped one after the other.
        let mut is_due = || {
            place += 7;
            second % every == place % every
        };
        for (number, node) in cluster.living_nodes().enumerate() {
            if !is_due() {
                continue;
            }
            let (is_up, pod) = exporter(incident, number as u64, second);
            let mut labels = vec![
                ("cluster", cluster.name().to_owned()),
                ("job", "kubernetes-pods".to_owned()),
                ("kubernetes_pod_name", pod),
            ];
            labels.extend(exporter_labels(node));
            let page = Target::Node(&node.name).page(cluster).filter(|_| is_up);
            let page = page.map(|page| as_read(incident, &node.name, second, &page));
            scrape(&mut samples, &labels, page.as_deref(), second);
        }
        for pod in cluster.living_pods() {
            if !is_due() {
                continue;
            }
            let mut labels = vec![
                ("cluster", cluster.name().to_owned()),
                ("job", "kubernetes-service-endpoints".to_owned()),
            ];
            labels.extend(coredns_labels(&pod.spec));
            let page = Target::Pod(&pod.spec.name).page(cluster);
            scrape(&mut samples, &labels, page.as_deref(), second);
        }
    }
    samples
}

/// Whether a node's exporter runs, and the name of its pod.
fn exporter(incident: &Incident, number: u64, second: u64) -> (bool, String) {
    let turns = incident.rollouts.iter().map(|start| start + number * TURN);
    let generation = turns.clone().filter(|turn| *turn <= second).count();
    let is_down = turns
        .into_iter()
        .any(|turn| (turn..turn + ROLLOUT).contains(&second));
    (!is_down, format!("ethtool-exporter-{number}-{generation}"))
}

/// The exporter's page with what the driver made of its counters.
fn as_read(incident: &Incident, node: &str, second: u64, page: &str) -> String {
    let of_node = |name: &str| name == node;
    let fails = incident
        .failed_readings
        .iter()
        .any(|(name, when)| of_node(name) && when.contains(&second));
    let was_reset = incident
        .resets
        .iter()
        .any(|(name, when)| of_node(name) && *when <= second);
    let before = if was_reset { 0 } else { COUNTED_BEFORE };
    let mut read = String::with_capacity(page.len());
    for line in page
        .lines()
        .filter(|line| line.contains("_allowance_") || line.contains("total_resets"))
    {
        let (series, value) = line.rsplit_once(' ').expect("a sample");
        let value: u64 = value.parse().expect("a count");
        let value = match () {
            () if fails && series.contains("_allowance_") => 0,
            () if series.contains("_exceeded") => value + before,
            () => value,
        };
        read.push_str(&format!("{series} {value}\n"));
    }
    read
}

/// One scrape of a target: `up`, and its page if it answered.
fn scrape(samples: &mut Samples, labels: &[(&str, String)], page: Option<&str>, second: u64) {
    let labels: Vec<String> = labels
        .iter()
        .map(|(name, value)| format!("{name}=\"{value}\""))
        .collect();
    let labels = labels.join(",");
    let up = if page.is_some() { "1" } else { "0" };
    samples.push(&format!("up{{{labels}}}"), up, time(second));
    for line in page.unwrap_or_default().lines() {
        if line.starts_with('#') || is_left_out(line) {
            continue;
        }
        let (series, value) = line.rsplit_once(' ').expect("a sample");
        let series = match series.split_once('{') {
            Some((name, own)) => format!("{name}{{{labels},{own}"),
            None => format!("{series}{{{labels}}}"),
        };
        samples.push(&series, value, time(second));
    }
}

/// What neither rules nor dashboards look at.
fn is_left_out(line: &str) -> bool {
    line.starts_with("coredns_proxy_request_duration_seconds_bucket")
        || line.starts_with("coredns_plugin_enabled") && !line.contains("name=\"kubernetes\"")
}
