//! `dnswatch backtest`: over history it reports what the ruler would have sent, run after run, in
//! the two documented formats.

mod made_up;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use alerting::alert::AlertState;
use alerting::config::Settings;
use alerting::duration;
use alerting::evaluation::EvaluationOptions;
use alerting::labels::Labels;
use alerting::notify::Route;
use alerting::rules::{Defaults, SourceFile};
use alerting::timestamp::Timestamp;
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::dnswatch::{dnswatch, output, said};
use crate::history::{History, START};
use crate::parts;
use crate::prometheus::Prometheus;
use crate::ruler::{Bench, starter_rules, starter_rules_folder};
use crate::{nasty, weather};

/// How often the ruler runs and how it groups, where a test does not say otherwise: with every tick
/// of the rules here.
fn every_tick() -> (Duration, Route) {
    (Duration::from_secs(30), Route::default())
}

/// `dnswatch backtest` over a history, with everything that it printed if it failed.
fn backtest(
    server: &Prometheus,
    rules: &[impl AsRef<Path>],
    end: Timestamp,
    args: &[&str],
) -> Result<String> {
    let mut command = dnswatch();
    command.args(["backtest", "--query-offset=0s"]);
    command.arg(format!("--url={}", server.url()));
    command.arg(format!("--start={START}"));
    command.arg(format!("--end={end}"));
    command.args(args).arg("--rules");
    command.args(rules.iter().map(AsRef::as_ref));
    let output = output(&mut command);
    let text = String::from_utf8(output.stdout.clone())?;
    // A history that has no data for some of the rules is a failure that says so.
    let lacks_data = text.contains("\"no_data\"") || text.contains("NO DATA");
    ensure!(output.status.success() || lacks_data, "{}", said(&output));
    Ok(text)
}

fn lines(text: &str) -> Result<Vec<Value>> {
    let lines = text.lines().map(serde_json::from_str);
    Ok(lines.collect::<Result<_, _>>()?)
}

/// What the ruler itself does, driven run after run: its transitions from run to run
/// and its notifications, as `backtest` writes them.
async fn driven(
    server: &Prometheus,
    files: Vec<SourceFile>,
    end: Timestamp,
    (schedule, route): (Duration, Route),
) -> Result<(Vec<Value>, Vec<Value>)> {
    let settings = Settings {
        defaults: Defaults {
            query_offset: Duration::ZERO,
            ..Defaults::default()
        },
        evaluation: EvaluationOptions {
            schedule,
            ..EvaluationOptions::default()
        },
        route,
        ..Settings::default()
    };
    let mut bench = Bench::new(server.url(), files, settings)?;
    let mut before: BTreeMap<(String, Labels), AlertState> = BTreeMap::new();
    let mut transitions = Vec::new();
    let mut now = START.minus(Duration::from_millis(1));
    bench.run_at(now).await?;
    now = START;
    while now <= end {
        bench.run_at(now).await?;
        let mut after: BTreeMap<(String, Labels), AlertState> = BTreeMap::new();
        for rule in bench.state().await?.rules.into_values() {
            for (labels, alert) in rule.active {
                if alert.state != AlertState::Inactive {
                    after.insert((rule.id.group.clone(), labels), alert.state);
                }
            }
        }
        let state = |of: &BTreeMap<(String, Labels), AlertState>, key: &(String, Labels)| {
            of.get(key).copied().unwrap_or(AlertState::Inactive)
        };
        let mut keys: Vec<_> = before.keys().chain(after.keys()).collect();
        keys.sort();
        keys.dedup();
        for key in keys {
            let (from, to) = (state(&before, key), state(&after, key));
            if from != to {
                let (group, labels) = key;
                transitions.push(json!({
                    "group": group, "labels": labels, "from": from, "to": to,
                    "at": now.to_string(),
                }));
            }
        }
        before = after;
        now = now.plus(schedule);
    }
    let notified = bench.notified().into_iter().map(|notified| {
        let alerts = notified.notification.alerts.iter().map(|alert| {
            let value = serde_json::to_value(alert).expect("JSON");
            json!({
                "labels": alert.labels,
                "annotations": alert.annotations,
                "startsAt": alert.starts_at.to_string(),
                "endsAt": alert.ends_at.map(|at| at.to_string()),
                "value": value["value"],
            })
        });
        json!({
            "at": notified.at.to_string(),
            "reason": notified.notification.reason.to_string(),
            "groupKey": notified.notification.group_key,
            "alerts": alerts.collect::<Vec<_>>(),
        })
    });
    // As lines, since serde_json reads a number less exactly than it writes it.
    let notified: Vec<String> = notified.map(|notified| notified.to_string()).collect();
    Ok((sorted(transitions), lines(&notified.join("\n"))?))
}

fn sorted(mut lines: Vec<Value>) -> Vec<Value> {
    lines.sort_by_cached_key(|line| (line["at"].to_string(), line.to_string()));
    lines
}

/// Of each line, these fields only.
fn only(lines: &[Value], kind: &str, fields: &[&str]) -> Vec<Value> {
    let of_kind = lines.iter().filter(|line| line["type"] == kind);
    of_kind
        .map(|line| {
            let fields = fields
                .iter()
                .map(|field| ((*field).to_owned(), line[field].clone()));
            Value::Object(fields.collect())
        })
        .collect()
}

/// The transitions as somebody sees them who looks at each run only.
fn from_run_to_run(transitions: Vec<Value>, schedule: Duration) -> Result<Vec<Value>> {
    let mut seen: BTreeMap<String, Value> = BTreeMap::new();
    for mut line in transitions {
        let at: jiff::Timestamp = line["at"].as_str().context("a moment")?.parse()?;
        let at = Timestamp::from_millis(at.as_millisecond());
        let run = at.align_down(schedule);
        let run = if run < at { run.plus(schedule) } else { run };
        line["at"] = json!(run.to_string());
        let key = format!("{run} {} {}", line["group"], line["labels"]);
        match seen.get_mut(&key) {
            Some(known) => known["to"] = line["to"].take(),
            None => drop(seen.insert(key, line)),
        }
    }
    let lines = seen.into_values();
    Ok(lines.filter(|line| line["from"] != line["to"]).collect())
}

/// Compares a backtest with the ruler itself, and says how much there was to compare.
async fn compare(
    history: &History,
    files: Vec<SourceFile>,
    (schedule, route): (Duration, Route),
) -> Result<(usize, usize)> {
    let Some(tools) = parts::prometheus() else {
        return Ok((usize::MAX, usize::MAX));
    };
    let server = tools
        .server()
        .samples(history.samples(START))
        .start()
        .await?;
    let folder = tempfile::tempdir()?;
    let mut paths = Vec::new();
    for file in &files {
        let name = Path::new(&file.name).file_name().context("a file")?;
        paths.push(folder.path().join(name));
        std::fs::write(folder.path().join(name), &file.text)?;
    }
    let end = START.plus(history.length()).align_down(schedule);
    let switch = |name, value| format!("--{name}={}", duration::format(value));
    let switches = [
        "--format=json".to_owned(),
        switch("interval", schedule),
        format!("--group-by={}", route.group_by.join(",")),
        switch("group-wait", route.group_wait),
        switch("group-interval", route.group_interval),
        switch("repeat-interval", route.repeat_interval),
    ];
    let text = backtest(
        &server,
        &paths,
        end,
        &switches.each_ref().map(String::as_str),
    )?;
    let lines = lines(&text)?;
    let mut notified = only(
        &lines,
        "notification",
        &["at", "reason", "groupKey", "alerts"],
    );
    for alert in notified
        .iter_mut()
        .flat_map(|notified| notified["alerts"].as_array_mut().unwrap())
    {
        let fields = ["labels", "annotations", "startsAt", "endsAt", "value"];
        let kept = fields.map(|field| (field.to_owned(), alert[field].clone()));
        *alert = Value::Object(kept.into_iter().collect());
    }
    let transitions = only(
        &lines,
        "transition",
        &["group", "labels", "from", "to", "at"],
    );
    let (expected_transitions, expected_notified) =
        driven(&server, files, end, (schedule, route)).await?;
    let first = |ours: &[Value], theirs: &[Value]| {
        let differs = ours
            .iter()
            .zip(theirs)
            .find(|(ours, theirs)| ours != theirs);
        differs.map(|(ours, theirs)| format!("backtest: {ours:#}, the ruler: {theirs:#}"))
    };
    let transitions = sorted(from_run_to_run(transitions, schedule)?);
    ensure!(
        transitions == expected_transitions,
        "{} transitions, {} expected: {:?}",
        transitions.len(),
        expected_transitions.len(),
        first(&transitions, &expected_transitions)
    );
    ensure!(
        notified == expected_notified,
        "{} notifications, {} expected: {:?}",
        notified.len(),
        expected_notified.len(),
        first(&notified, &expected_notified)
    );
    Ok((transitions.len(), notified.len()))
}

#[tokio::test]
async fn it_reports_what_the_ruler_would_have_sent() -> Result<()> {
    let rules = starter_rules(&["link-local.yml", "coredns.yml", "exporter.yml"])?;
    let (transitions, notified) = compare(&weather::day(1), rules, every_tick()).await?;
    eprintln!("{transitions} transitions and {notified} notifications compared");
    ensure!(transitions >= 60 && notified >= 20);
    Ok(())
}

#[tokio::test]
async fn rules_that_are_hard_to_evaluate_are_reported_as_by_the_ruler() -> Result<()> {
    let nasty = SourceFile {
        name: "nasty.yml".to_owned(),
        text: include_str!("../data/nasty.yml").to_owned(),
    };
    let (transitions, notified) =
        compare(&nasty::hour(2, false), vec![nasty], every_tick()).await?;
    eprintln!("{transitions} transitions and {notified} notifications compared");
    ensure!(transitions >= 200 && notified >= 50);
    Ok(())
}

/// Skipping runs without a due notification changes nothing in the result.
#[tokio::test]
async fn however_rules_are_grouped_the_report_is_the_rulers() -> Result<()> {
    let (mut transitions, mut notified) = (0, 0);
    // In 14 an alert ends, fires again and ends between two notifications.
    for seed in (0..8).chain([14]) {
        let setup = made_up::setup(seed);
        let rules = SourceFile {
            name: "rules.yml".to_owned(),
            text: setup.rules.clone(),
        };
        let compared = compare(&setup.history, vec![rules], (setup.schedule, setup.route)).await;
        let (some, more) = compared.with_context(|| format!("seed {seed}\n{}", setup.rules))?;
        transitions = some.saturating_add(transitions);
        notified = more.saturating_add(notified);
    }
    eprintln!("{transitions} transitions and {notified} notifications compared");
    ensure!(transitions >= 1_000 && notified >= 400);
    Ok(())
}

#[tokio::test]
async fn the_lines_have_the_documented_form() -> Result<()> {
    let Some(tools) = parts::prometheus() else {
        return Ok(());
    };
    let (server, rules) = (storm(&tools).await?, tempfile::tempdir()?);
    let path = rules.path().join("rules.yml");
    std::fs::write(
        &path,
        "groups:\n- name: g\n  interval: 30s\n  rules:\n  - alert: High\n    expr: m > 5\n    \
         for: 1m\n    annotations: {summary: 'at {{ $value }}'}\n  - alert: Twice\n    \
         expr: m > 5\n    labels: {node: any}\n",
    )?;
    let end = START.plus(Duration::from_secs(15 * 60));
    let text = backtest(&server, &[path], end, &["--format=json"])?;
    let lines = lines(&text)?;
    let at = |minutes: u64| START.plus(Duration::from_secs(minutes * 60)).to_string();
    let labels = json!({"alertname": "High", "node": "a"});
    ensure!(lines.contains(&json!({
        "type": "transition", "group": "g", "alert": "High", "labels": labels,
        "from": "inactive", "to": "pending", "at": at(4), "value": 9.0,
        "annotations": {"summary": "at 9"},
    })));
    ensure!(lines.contains(&json!({
        "type": "transition", "group": "g", "alert": "High", "labels": labels,
        "from": "pending", "to": "firing", "at": at(5), "value": 9.0,
        "annotations": {"summary": "at 9"},
    })));
    ensure!(lines.contains(&json!({
        "type": "rule_error", "group": "g", "alert": "Twice", "at": at(4),
        "error": "vector contains metrics with the same labelset after applying alert labels",
    })));
    let mut notified = lines.iter().filter(|line| {
        line["type"] == "notification" && line["groupKey"] == "{}:{alertname=\"High\"}"
    });
    let first = notified.next().context("a notification")?;
    ensure!(
        (&first["at"], &first["receiver"], &first["status"])
            == (&json!(at(6)), &json!("terminal"), &json!("firing")),
        "{first:#}"
    );
    ensure!(first["reason"] == "first notification", "{first:#}");
    ensure!(
        first["alerts"][0]["status"] == "firing" && first["alerts"][1]["labels"]["node"] == "b"
    );
    ensure!(notified.any(|line| line["status"] == "resolved"));
    Ok(())
}

#[tokio::test]
async fn an_alertmanager_file_among_the_rules_defines_the_receivers() -> Result<()> {
    let Some(tools) = parts::prometheus() else {
        return Ok(());
    };
    let (server, folder) = (storm(&tools).await?, tempfile::tempdir()?);
    std::fs::write(
        folder.path().join("rules.yml"),
        "groups:\n- name: g\n  interval: 30s\n  rules:\n  - {alert: High, expr: m > 5}\n",
    )?;
    std::fs::write(
        folder.path().join("alertmanager.yml"),
        "route: {receiver: pager, group_by: [node], group_wait: 2m, group_interval: 1m}\n\
         receivers:\n- name: pager\n  sns_configs:\n  \
         - topic_arn: arn:aws:sns:eu-west-1:123456789012:pager\n    \
         sigv4: {region: eu-west-1}\n",
    )?;
    let end = START.plus(Duration::from_secs(15 * 60));
    let text = backtest(&server, &[folder.path()], end, &["--format=json"])?;
    let fields = ["at", "receiver", "status", "groupKey"];
    let notified = only(&lines(&text)?, "notification", &fields);
    let line = |minutes: u64, status: &str, node: &str| {
        let at = START.plus(Duration::from_secs(minutes * 60)).to_string();
        let group = format!("{{}}:{{node=\"{node}\"}}");
        json!({"at": at, "receiver": "pager", "status": status, "groupKey": group})
    };
    let expected = [
        line(6, "firing", "a"),
        line(6, "firing", "b"),
        line(10, "resolved", "a"),
        line(10, "resolved", "b"),
    ];
    ensure!(notified == expected, "{notified:#?}");
    Ok(())
}

/// For 15 minutes two nodes, both at 9 from the fourth to the tenth.
async fn storm(tools: &crate::prometheus::PrometheusTools) -> Result<Prometheus> {
    let mut history = History::new(Duration::from_secs(30));
    for node in ["a", "b"] {
        let values = (0..=30).map(|n| Some(if (8..20).contains(&n) { 9.0 } else { 1.0 }));
        history.push(&format!("m{{node=\"{node}\"}}"), values.collect());
    }
    tools.server().samples(history.samples(START)).start().await
}

#[tokio::test]
async fn the_timeline_shows_when_alerts_were_pending_and_fired() -> Result<()> {
    let Some(tools) = parts::prometheus() else {
        return Ok(());
    };
    let (server, rules) = (storm(&tools).await?, tempfile::tempdir()?);
    let path = rules.path().join("rules.yml");
    std::fs::write(
        &path,
        "groups:\n- name: g\n  interval: 30s\n  rules:\n  - {alert: High, expr: m > 5, for: 1m}\n  \
         - {alert: Quiet, expr: m > 10}\n",
    )?;
    let end = START.plus(Duration::from_secs(15 * 60));
    let text = backtest(&server, &[path], end, &[])?;
    for expected in [
        "High (g): 2 alerts fired, once each",
        "1×, 5m",
        "········░░██████████··········",
        "Rules that never became pending: Quiet (g)",
        "2 firing, 0 ended: alertname=High  to terminal, first notification",
        "0 firing, 2 ended: alertname=High  to terminal, all alerts resolved",
    ] {
        ensure!(text.contains(expected), "{expected:?} is not in\n{text}");
    }
    Ok(())
}

#[tokio::test]
async fn a_history_that_cannot_be_read_to_its_end_is_a_failure() -> Result<()> {
    let Some(tools) = parts::prometheus() else {
        return Ok(());
    };
    let server = tools.server().start().await?;
    let call = |url: &str, start: &str| {
        output(
            dnswatch()
                .args([
                    "backtest",
                    "--start",
                    start,
                    "--end=1700000600",
                    "--format=json",
                ])
                .arg(format!("--url={url}"))
                .arg("--rules")
                .arg(starter_rules_folder()),
        )
    };
    let refused = call("http://127.0.0.1:9", "1700000000");
    ensure!(!refused.status.success() && said(&refused).contains("the server cannot be queried"));
    let backwards = call(server.url(), "1700000601");
    ensure!(!backwards.status.success() && said(&backwards).contains("is not before"));
    Ok(())
}
