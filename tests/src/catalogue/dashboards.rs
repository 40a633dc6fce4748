//! Every query of every panel finds something in the incident that the panel is for, and no query
//! fails. The dashboards are those of `deploy/grafana`; Grafana itself is not here: its variables
//! are put in by hand, and what it draws is ignored.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use dnswatch_demo::incidents::{self, Incident};
use serde_json::{Value, json};

use super::incidents::{SCRAPE, server};
use super::recording::time;
use super::{exporters as pages, files_of, rules};
use crate::front::Front;
use crate::parts;
use crate::prometheus::Prometheus;

/// Panels that are for the exhaustion of tracked connections, not for two CoreDNS pods on one node.
const ON_CONNTRACK: [&str; 2] = [
    "Queued or dropped for other allowances",
    "Connections that can still be tracked",
];

/// Panels of NodeLocal DNSCache, which the incidents' cluster does not run.
const ON_CACHES: [&str; 4] = [
    "Lookups that a node cache fails",
    "How long a node cache takes",
    "Hits of a node cache",
    "New connections to upstreams, by protocol",
];

/// Panels with a query for each limit, of which an incident exceeds one.
const ANY_OF: [&str; 1] = ["Queued or dropped for other allowances"];

/// A query of a panel.
struct Query {
    panel: String,
    expr: String,
}

#[tokio::test]
async fn every_query_of_every_panel_finds_something() -> Result<()> {
    let mut by_incident: BTreeMap<String, (Incident, Vec<Query>)> = BTreeMap::new();
    let mut on_caches = Vec::new();
    for (file, board) in dashboards()? {
        let queries = queries(&board);
        ensure!(!queries.is_empty(), "{}", file.display());
        for query in queries {
            if ON_CACHES.contains(&query.panel.as_str()) {
                on_caches.push(query);
                continue;
            }
            let incident = if ON_CONNTRACK.contains(&query.panel.as_str()) {
                incidents::conntrack_exhaustion()
            } else {
                incidents::two_pods_on_one_node()
            };
            let name = incident.scenario.name.clone();
            let (_, queries) = by_incident
                .entry(name)
                .or_insert_with(|| (incident, Vec::new()));
            queries.push(query);
        }
    }
    ensure!(by_incident.len() == 2, "a panel of another name");
    if parts::prometheus().is_none() {
        return Ok(());
    }
    let mut asked = 0;
    for (name, (incident, queries)) in &by_incident {
        let Some(server) = server(incident, SCRAPE).await? else {
            return Ok(());
        };
        let mut any_of: BTreeMap<String, bool> = BTreeMap::new();
        for query in queries {
            asked += 1;
            let found = finds(&server, incident, &query.expr)
                .await
                .with_context(|| format!("{}: {}", query.panel, query.expr))?;
            ensure!(
                found || ANY_OF.contains(&query.panel.as_str()),
                "{name}: {} is empty: {}",
                query.panel,
                query.expr
            );
            any_of.insert(
                query.panel.clone(),
                found || any_of.get(&query.panel) == Some(&true),
            );
        }
        let empty: Vec<&String> = any_of
            .iter()
            .filter(|(_, found)| !**found)
            .map(|(panel, _)| panel)
            .collect();
        ensure!(
            empty.is_empty(),
            "{name}: every query is empty of {empty:?}"
        );
    }
    ensure!(on_caches.len() == 5, "a panel of another name");
    on_node_caches(&on_caches)?;
    eprintln!("{asked} queries, and {} on node caches", on_caches.len());
    Ok(())
}

/// Every query of a panel about node caches finds the page of one, which promtool reads.
fn on_node_caches(queries: &[Query]) -> Result<()> {
    let Some(tools) = parts::prometheus() else {
        return Ok(());
    };
    let page = include_str!("../../data/pages/node-local-dns.txt");
    let mut series = pages::input_series(page, r#"cluster="c",node="n1",instance="10.0.0.1:9253""#);
    series.push(json!({
        "series": r#"coredns_dns_request_duration_seconds{cluster="c",node="n1",instance="10.0.0.1:9253"}"#,
        "values": "{{schema:0 sum:1 count:1 buckets:[1]}}+{{schema:0 sum:1 count:1 buckets:[1]}}x20",
    }));
    let asked = queries.iter().map(|query| {
        let expr = filled_in(&query.expr);
        let found = json!([{"labels": "{}", "value": 1}]);
        json!({"expr": format!("vector(1) and on() ({expr})"), "eval_time": "10m", "exp_samples": found})
    });
    let test = json!({
        "rule_files": [],
        "tests": [{"interval": "30s", "input_series": series, "promql_expr_test": asked.collect::<Vec<_>>()}],
    });
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("caches.yml");
    std::fs::write(&path, test.to_string())?;
    let said = tools.promtool(["test".as_ref(), "rules".as_ref(), path.as_os_str()])?;
    ensure!(said.status.success(), "{said:?}");
    Ok(())
}

/// A query with values in place of Grafana's variables.
fn filled_in(expr: &str) -> String {
    expr.replace("$__rate_interval", "2m")
        .replace("$cluster", ".*")
        .replace("$node", ".*")
}

/// Whether a query has a number at some moment of the incident.
async fn finds(server: &Prometheus, incident: &Incident, expr: &str) -> Result<bool> {
    let expr = filled_in(expr);
    ensure!(
        !expr.contains('$') || expr.contains("\"$1\""),
        "a variable is left: {expr}"
    );
    let seconds = |second: u64| (time(second).as_millis() / 1000).to_string();
    let data = server
        .api(
            "query_range",
            &[
                ("query", expr.as_str()),
                ("start", &seconds(incident.begins)),
                ("end", &seconds(incident.ends - 60)),
                ("step", "60"),
            ],
        )
        .await?;
    let series = data["result"].as_array().context("a matrix")?;
    Ok(series.iter().any(|series| {
        let values = series["values"].as_array();
        values.is_some_and(|values| values.iter().any(|value| value[1] != "NaN"))
    }))
}

#[test]
fn dashboards_are_what_grafana_takes() -> Result<()> {
    let mut uids = BTreeSet::new();
    for (file, board) in dashboards()? {
        let of = file.display();
        ensure!(
            board["title"].is_string() && board["schemaVersion"].is_u64(),
            "{of}"
        );
        ensure!(
            uids.insert(board["uid"].to_string()),
            "{of}: its uid is another's"
        );
        let variables: BTreeSet<&str> = array(&board["templating"]["list"])
            .iter()
            .filter_map(|variable| variable["name"].as_str())
            .collect();
        ensure!(
            variables.contains("datasource") && variables.contains("cluster"),
            "{of}"
        );
        let mut ids = BTreeSet::new();
        let mut taken = BTreeSet::new();
        for panel in array(&board["panels"]) {
            let title = panel["title"].as_str().context("a title")?;
            ensure!(ids.insert(panel["id"].to_string()), "{of}: {title}: its id");
            let at = |key: &str| panel["gridPos"][key].as_u64().context("a place");
            let (x, y, w, h) = (at("x")?, at("y")?, at("w")?, at("h")?);
            ensure!(x + w <= 24 && w > 0 && h > 0, "{of}: {title}");
            for cell in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
                ensure!(taken.insert(cell), "{of}: {title} lies over another panel");
            }
            if panel["type"] == "row" {
                continue;
            }
            ensure!(
                panel["description"]
                    .as_str()
                    .is_some_and(|text| text.len() > 10),
                "{title}"
            );
            let source = panel["datasource"]["uid"].as_str().unwrap_or_default();
            let variable = source.trim_start_matches("${").trim_end_matches('}');
            ensure!(variables.contains(variable), "{of}: {title}: {source}");
            let refs: BTreeSet<String> = array(&panel["targets"])
                .iter()
                .map(|target| target["refId"].to_string())
                .collect();
            ensure!(
                refs.len() == array(&panel["targets"]).len(),
                "{title}: refId"
            );
        }
    }
    Ok(())
}

#[test]
fn the_panel_of_conditions_has_the_rules_expressions() -> Result<()> {
    let (_, board) = dashboards()?
        .into_iter()
        .find(|(file, _)| file.ends_with("alerts-and-ruler.json"))
        .context("the dashboard")?;
    let panel = array(&board["panels"])
        .iter()
        .find(|panel| panel["title"] == "Rules whose condition holds")
        .context("the panel")?;
    let shown: BTreeMap<&str, &str> = array(&panel["targets"])
        .iter()
        .filter_map(|target| Some((target["legendFormat"].as_str()?, target["expr"].as_str()?)))
        .collect();
    // Windows of a day and more are too much to draw.
    let is_long = |expr: &str| {
        let hour_of_answers = r#"coredns_dns_responses_total{instance!~".+:9253"}[1h]"#;
        ["[1d]", "[6h]", "[3d]", hour_of_answers]
            .iter()
            .any(|window| expr.contains(window))
    };
    let mut expected = BTreeMap::new();
    for rule in rules()? {
        let expr = rule
            .text
            .expr
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ");
        if rule.text.alert != "Watchdog" && !is_long(&expr) {
            expected.insert(rule.text.alert, format!("count({expr}) or vector(0)"));
        }
    }
    let expected: BTreeMap<&str, &str> = expected
        .iter()
        .map(|(name, expr)| (name.as_str(), expr.as_str()))
        .collect();
    ensure!(shown == expected, "{shown:#?}\n{expected:#?}");
    Ok(())
}

#[test]
fn the_rulers_panels_ask_for_metrics_that_there_are() -> Result<()> {
    let source = include_str!("../../../functions/ruler/src/metrics.rs");
    let template = include_str!("../../../template.yaml");
    let mut asked = 0;
    for (_, board) in dashboards()? {
        let targets = array(&board["panels"])
            .iter()
            .flat_map(|panel| array(&panel["targets"]));
        for target in targets.filter(|target| target["namespace"].is_string()) {
            asked += 1;
            let name = target["metricName"].as_str().context("a name")?;
            let is_there = match target["namespace"].as_str() {
                Some("dnswatch") => source.contains(&format!("\"{name}\"")),
                _ => template.contains(&format!("MetricName: {name}")),
            };
            ensure!(is_there, "{target}");
        }
    }
    ensure!(asked > 10, "{asked}");
    Ok(())
}

/// Both dashboards reach a server that takes them as Grafana's HTTP API documents it, and what it
/// refuses is reported, without the token.
#[tokio::test]
async fn the_script_uploads_them() -> Result<()> {
    let Some(python) = parts::python() else {
        return Ok(());
    };
    for (status, code) in [(200, 0), (401, 1)] {
        let grafana = Front::start("http://127.0.0.1:9", move |_| {
            let body = r#"{"url": "/d/a", "message": "the reason"}"#;
            Some((status, "application/json", body.to_owned()))
        })
        .await?;
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/grafana/upload");
        let said = tokio::task::spawn_blocking({
            let (python, url) = (python.clone(), format!("{}/", grafana.url));
            move || {
                Command::new(python)
                    .arg(script)
                    .env("GRAFANA_URL", url)
                    .env("GRAFANA_TOKEN", "secret-token")
                    .output()
            }
        })
        .await??;
        let text = String::from_utf8([said.stdout, said.stderr].concat())?;
        ensure!(said.status.code() == Some(code), "{text}");
        ensure!(!text.contains("secret-token"), "{text}");
        ensure!(text.contains("the reason") == (status != 200), "{text}");
        let requests = grafana.answered.lock().expect("no panic").clone();
        // It stops at the first refusal.
        ensure!(requests.len() == if status == 200 { 2 } else { 1 });
        for request in requests {
            ensure!(
                request.line() == "POST /api/dashboards/db",
                "{}",
                request.head
            );
            let head = request.head.to_ascii_lowercase();
            ensure!(
                head.contains("authorization: bearer secret-token"),
                "{head}"
            );
            let body: Value = serde_json::from_slice(&request.body)?;
            let uid = body["dashboard"]["uid"].as_str().unwrap_or_default();
            ensure!(uid.starts_with("dnswatch-") && body["dashboard"]["id"].is_null());
            ensure!(body["overwrite"] == true);
        }
    }
    Ok(())
}

/// The PromQL of a dashboard.
fn queries(board: &Value) -> Vec<Query> {
    let mut queries = Vec::new();
    for panel in array(&board["panels"]) {
        for target in array(&panel["targets"]) {
            if let Some(expr) = target["expr"].as_str() {
                let panel = panel["title"].as_str().unwrap_or_default().to_owned();
                // CloudWatch's targets have an empty one.
                if !expr.is_empty() {
                    let expr = expr.to_owned();
                    queries.push(Query { panel, expr });
                }
            }
        }
    }
    queries
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn dashboards() -> Result<Vec<(PathBuf, Value)>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/grafana");
    let files = files_of(&folder, "json")?;
    ensure!(files.len() == 2);
    let read = |file: PathBuf| {
        let board = serde_json::from_str(&std::fs::read_to_string(&file)?)?;
        Ok((file, board))
    };
    files.into_iter().map(read).collect()
}
