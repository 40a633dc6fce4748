//! Eight incidents, and which rules fire in each, within how long. No other does.
//!
//! What the demo's cluster goes through is written down as a collector would have, loaded by a
//! real Prometheus and evaluated by the real ruler.

use std::collections::BTreeMap;
use std::time::Duration;

use alerting::alert::AlertState;
use alerting::config::Settings;
use alerting::evaluation::EvaluationOptions;
use alerting::rules::SourceFile;
use alerting::timestamp::Timestamp;
use anyhow::{Context as _, Result, ensure};
use dnswatch_demo::incidents::{self, Incident};

use super::recording::{record, time};
use super::{files_of, folder};
use crate::parts;
use crate::prometheus::Prometheus;
use crate::ruler::{Bench, Notified};

/// From scrape to scrape, in seconds; in the week, which is long, as seldom as the rules allow.
pub(super) const SCRAPE: u64 = 30;
const SCRAPE_IN_WEEK: u64 = 60;
/// From run to run. Ticks in between are made up for.
const RUN: u64 = 10 * 60;
const RUN_IN_WEEK: u64 = 4 * 60 * 60;
/// How long before an incident its rules are evaluated.
const WATCHED_BEFORE: u64 = 60 * 60;

/// Rules that must fire, and the minutes from the incident's beginning within which: the minute
/// that dnswatch waits for late samples is part of them.
type Expected<'a> = &'a [(&'a str, u16)];

#[tokio::test]
async fn an_ndots_storm() -> Result<()> {
    let expected: Expected<'_> = &[
        ("LinkLocalThrottling", 4),
        ("LinkLocalThrottlingSevere", 5),
        ("LinkLocalThrottlingFleet", 5),
        ("DNSThrottlingConfirmed", 5),
        ("CoreDNSServfailHigh", 8),
        ("CoreDNSErrorBudgetBurnFast", 6),
        ("CoreDNSErrorBudgetBurnMedium", 20),
        ("CoreDNSErrorBudgetBurnSlow", 95),
        ("CoreDNSLatencyHigh", 13),
    ];
    check(&incidents::ndots_storm(), expected).await.map(drop)
}

#[tokio::test]
async fn two_coredns_pods_on_one_node() -> Result<()> {
    let expected: Expected<'_> = &[
        ("LinkLocalThrottling", 4),
        ("LinkLocalThrottlingSevere", 5),
        ("DNSThrottlingConfirmed", 5),
        ("CoreDNSServfailHigh", 8),
        ("CoreDNSErrorBudgetBurnFast", 6),
        ("CoreDNSErrorBudgetBurnMedium", 20),
        ("CoreDNSErrorBudgetBurnSlow", 95),
        ("CoreDNSLatencyHigh", 13),
    ];
    let incident = incidents::two_pods_on_one_node();
    check(&incident, expected).await.map(drop)
}

#[tokio::test]
async fn an_imds_hog() -> Result<()> {
    let expected: Expected<'_> = &[("LinkLocalThrottling", 4), ("LinkLocalThrottlingSevere", 5)];
    check(&incidents::imds_hog(), expected).await.map(drop)
}

#[tokio::test]
async fn conntrack_exhaustion() -> Result<()> {
    // Low from minute 54 on, full at 60.
    let expected: Expected<'_> = &[
        ("ConntrackAllowanceLow", 80),
        ("ConntrackAllowanceExceeded", 66),
    ];
    let incident = incidents::conntrack_exhaustion();
    check(&incident, expected).await.map(drop)
}

#[tokio::test]
async fn an_upstream_outage() -> Result<()> {
    let expected: Expected<'_> = &[
        ("CoreDNSUpstreamDown", 6),
        ("CoreDNSServfailHigh", 8),
        ("CoreDNSErrorBudgetBurnFast", 22),
        ("CoreDNSLatencyHigh", 13),
    ];
    let incident = incidents::upstream_outage();
    check(&incident, expected).await.map(drop)
}

#[tokio::test]
async fn a_collector_that_dies_in_a_storm() -> Result<()> {
    // Silent from minute 10 to 40.
    let expected: Expected<'_> = &[
        ("LinkLocalThrottling", 4),
        ("LinkLocalThrottlingSevere", 5),
        ("DNSThrottlingConfirmed", 5),
        ("CoreDNSServfailHigh", 8),
        ("CoreDNSErrorBudgetBurnFast", 6),
        ("CoreDNSErrorBudgetBurnMedium", 20),
        ("CoreDNSErrorBudgetBurnSlow", 95),
        ("CoreDNSLatencyHigh", 13),
        ("TelemetryStale", 17),
    ];
    let incident = incidents::collector_dies();
    let Some(notified) = check(&incident, expected).await? else {
        return Ok(());
    };
    // The storm is over at 25, but no sample shows it: no all-clear before the samples are back.
    let back = time(incident.silent[0].end);
    let early = notified
        .iter()
        .find(|notified| notified.at < back && notified.notification.resolved > 0);
    ensure!(early.is_none(), "{early:?}");
    Ok(())
}

#[tokio::test]
async fn a_slow_leak_up_to_the_limit() -> Result<()> {
    // The limit is reached at minute 180.
    let expected: Expected<'_> = &[("LinkLocalThrottling", 185)];
    check(&incidents::slow_leak(), expected).await.map(drop)
}

#[tokio::test]
async fn a_quiet_week() -> Result<()> {
    check(&incidents::quiet_week(), &[]).await.map(drop)
}

/// Plays an incident, and checks which rules fired and when, that all of them ended, and that
/// those were notified, and nothing else. Returns the notifications; None without the parts.
async fn check(incident: &Incident, expected: Expected<'_>) -> Result<Option<Vec<Notified>>> {
    let is_week = incident.begins == 0;
    let scrape = if is_week { SCRAPE_IN_WEEK } else { SCRAPE };
    let Some(server) = server(incident, scrape).await? else {
        return Ok(None);
    };
    if is_week {
        was_a_week(&server, incident).await?;
    }
    let mut bench = Bench::new(server.url(), catalogue()?, settings())?;
    let mut fired: BTreeMap<String, Timestamp> = BTreeMap::new();
    let mut still = Vec::new();
    let (from, step) = if is_week {
        (3 * 60 * 60, RUN_IN_WEEK)
    } else {
        (incident.begins - WATCHED_BEFORE, RUN)
    };
    let last = incident.ends - 60;
    let stops = (from..last).step_by(usize::try_from(step)?).chain([last]);
    for second in stops {
        let report = bench.run_at(time(second)).await?;
        ensure!(
            report.failing.is_empty() && report.server.is_none(),
            "{report:?}"
        );
        let state = bench.state().await?;
        still.clear();
        for alert in state.rules.values().flat_map(|rule| rule.active.values()) {
            let name = alert.labels.get("alertname").to_owned();
            // Its short window is six hours.
            if alert.state == AlertState::Firing && name != "CoreDNSErrorBudgetBurnSlow" {
                still.push(name.clone());
            }
            if let Some(at) = alert.fired_at {
                let first = fired.entry(name).or_insert(at);
                *first = at.min(*first);
            }
        }
    }
    let minutes = |at: Timestamp| at.since(time(incident.begins)).as_secs_f64() / 60.0;
    let name = &incident.scenario.name;
    for (rule, at) in &fired {
        eprintln!("{name}: {rule} after {:.1} minutes", minutes(*at));
    }
    for (rule, within) in expected {
        let at = fired
            .get(*rule)
            .with_context(|| format!("{name}: {rule} did not fire"))?;
        let after = minutes(*at);
        ensure!(
            (0.0..=f64::from(*within)).contains(&after),
            "{name}: {rule} after {after} minutes"
        );
    }
    let is_expected = |rule: &str| expected.iter().any(|(name, _)| *name == rule);
    let unexpected: Vec<_> = fired.keys().filter(|rule| !is_expected(rule)).collect();
    ensure!(unexpected.is_empty(), "{name}: {unexpected:?} fired too");
    ensure!(still.is_empty(), "{name}: {still:?} still fire");
    let notified = bench.notified();
    for one in &notified {
        for alert in &one.notification.alerts {
            let rule = alert.labels.get("alertname");
            // The ruler's own alerts are right only while samples are missing.
            let is_own = rule == "DnswatchTelemetryStopped" && !incident.silent.is_empty();
            ensure!(is_expected(rule) || is_own, "{name}: notified {rule}");
        }
    }
    Ok(Some(notified))
}

/// What could have misled a rule in the week is in the blocks.
async fn was_a_week(server: &Prometheus, incident: &Incident) -> Result<()> {
    let end = (time(incident.ends - 60).as_millis() / 1000).to_string();
    for query in [
        // A failed reading and a reset on one node.
        "resets(node_net_ethtool{type=\"linklocal_allowance_exceeded\",node=\"ip-10-0-1-11.ec2.internal\"}[7d]) >= 2",
        // A broken name.
        "sum(increase(coredns_dns_responses_total{rcode=\"SERVFAIL\",plugin!=\"\"}[7d])) > 100000",
        // Pods, nodes and exporters that came and went.
        "count(count_over_time(up{job=\"kubernetes-service-endpoints\"}[7d])) == 7",
        "count(count_over_time(up{job=\"kubernetes-pods\"}[7d])) == 7",
        "sum(count_over_time(up[7d] offset 1m)) > 7 * 24 * 60 * 4",
    ] {
        let data = server
            .api("query", &[("query", query), ("time", &end)])
            .await?;
        let found = data["result"].as_array().map_or(0, Vec::len);
        ensure!(found > 0, "not in the week: {query}");
    }
    Ok(())
}

/// A server that has the incident in its blocks; None without the parts.
pub(super) async fn server(incident: &Incident, scrape: u64) -> Result<Option<Prometheus>> {
    let Some(tools) = parts::prometheus() else {
        return Ok(None);
    };
    let server = tools.server().samples(record(incident, scrape));
    server.start().await.map(Some)
}

fn settings() -> Settings {
    Settings {
        workspace: "test".to_owned(),
        evaluation: EvaluationOptions {
            max_catch_up: Duration::from_secs(RUN_IN_WEEK),
            ..EvaluationOptions::default()
        },
        ..Settings::default()
    }
}

fn catalogue() -> Result<Vec<SourceFile>> {
    let files = files_of(&folder(), "yml")?.into_iter().map(|path| {
        Ok(SourceFile {
            text: std::fs::read_to_string(&path)?,
            name: path.display().to_string(),
        })
    });
    files.collect()
}
