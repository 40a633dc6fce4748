//! Native histograms, as a Prometheus makes them of its own requests: an alert on them is there and
//! fires where Prometheus's own does.

use std::collections::BTreeSet;
use std::time::Duration;

use alerting::alert::AlertState;
use alerting::labels::Labels;
use alerting::rules::SourceFile;
use anyhow::{Context as _, Result, ensure};
use backends::clock::{Clock as _, SystemClock};

use crate::parts;
use crate::prometheus::Prometheus;
use crate::ruler::{Bench, active, as_prometheus};

/// Far longer than any step takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

const CONFIG: &str = "
global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: [histograms.yml]
scrape_configs: [{job_name: self, file_sd_configs: [{files: [self.json]}]}]
";

const RULES: &str = "
groups:
- name: g
  interval: 1s
  rules:
  - {alert: Itself, expr: prometheus_tsdb_compaction_duration_seconds}
  - {alert: Both, expr: '{__name__=~\"prometheus_tsdb_compaction_duration_seconds|prometheus_build_info\"}'}
  - {alert: OfIt, expr: histogram_count(prometheus_tsdb_tombstone_cleanup_seconds) >= 0, for: 1s}
  - {alert: Compared, expr: prometheus_tsdb_compaction_duration_seconds > 0}
";

type Told = (Labels, AlertState);

async fn theirs(prometheus: &Prometheus) -> Result<BTreeSet<Told>> {
    let answer = prometheus.api("alerts", &[]).await?;
    let alerts = answer["alerts"].as_array().context("alerts")?.iter();
    alerts
        .map(|alert| {
            let labels = serde_json::from_value(alert["labels"].clone())?;
            Ok((labels, serde_json::from_value(alert["state"].clone())?))
        })
        .collect()
}

#[tokio::test]
async fn native_histograms_alert_as_in_prometheus() -> Result<()> {
    let Some(tools) = parts::prometheus3() else {
        return Ok(());
    };
    let server = tools
        .server()
        .flag("--enable-feature=native-histograms")
        .config(CONFIG)
        .file("histograms.yml", RULES)
        .file("self.json", "[]")
        .start()
        .await?;
    let own = server.url().trim_start_matches("http://");
    let targets = format!("[{{\"targets\": [\"{own}\"]}}]");
    server.reload("self.json", &targets).await?;
    let files = vec![SourceFile {
        name: "histograms.yml".to_owned(),
        text: RULES.to_owned(),
    }];
    let mut bench = Bench::new(server.url(), files, as_prometheus())?;
    let began = SystemClock.now();
    let mut beat = tokio::time::interval(Duration::from_millis(200));
    loop {
        beat.tick().await;
        let now = SystemClock.now();
        bench.run_at(now).await?;
        let state = bench.state().await?;
        let failing = state.rules.values().filter_map(|rule| {
            let failure = rule.health.failure.as_ref()?;
            Some(failure.error.clone())
        });
        let failing: Vec<String> = failing.collect();
        ensure!(failing.is_empty(), "{failing:?}");
        let ours: BTreeSet<Told> = active(&state)
            .into_iter()
            .map(|alert| (alert.labels, alert.state))
            .collect();
        let theirs = theirs(&server).await?;
        let all_fire = ours.iter().all(|(_, state)| *state == AlertState::Firing);
        if ours == theirs && ours.len() == 4 && all_fire {
            break;
        }
        ensure!(
            now.since(began) < PATIENCE,
            "ours: {ours:#?}\nPrometheus's: {theirs:#?}"
        );
    }
    // It was native histograms.
    let query = "prometheus_tsdb_compaction_duration_seconds";
    let answer = server.api("query", &[("query", query)]).await?;
    ensure!(answer["result"][0]["histogram"].is_array(), "{answer}");
    Ok(())
}
