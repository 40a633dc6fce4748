//! What differs from Prometheus on purpose, by the table in README.md: with its switch set it is as
//! Prometheus has it, by promtool or a running one, and without it as the table says. Not here:
//! `--max-catch-up`, which `restored.rs` sets beside a Prometheus that was frozen.

use std::path::Path;
use std::time::Duration;

use alerting::alert::AlertState;
use alerting::config::Settings;
use alerting::labels::Labels;
use alerting::rules::SourceFile;
use alerting::timestamp::Timestamp;
use anyhow::{Context as _, Result, ensure};
use backends::clock::{Clock as _, SystemClock};
use serde_json::Value;

use crate::dnswatch::{dnswatch, output, said};
use crate::history::{History, START};
use crate::parts;
use crate::prometheus::{Prometheus, Served};
use crate::promtool_test::{AtTick, Comparison};
use crate::ruler::{Bench, active, as_prometheus, served};
use crate::timelines::remote_write;

const MINUTE: Duration = Duration::from_secs(60);
const MINUTES: u32 = 30;

/// A change of an alert: the minute, its node, what it is then.
type Change = (u64, String, String);

/// A switch, and a history in which it shows.
struct Row {
    /// The switch as the table has it, set as Prometheus is.
    switch: &'static [&'static str],
    /// The other switches, in both runs.
    others: &'static [&'static str],
    /// The group's own settings.
    group: &'static str,
    /// The values of two nodes, minute by minute; none is a gap.
    value: fn(&str, u32) -> Option<f64>,
    /// The notifications without the switch.
    without: &'static [(u64, &'static str, &'static str)],
}

/// All alert where the value is above 5, with `for: 1m`.
const ROWS: [Row; 4] = [
    // n1 is gone from minute 5 on, and seen for the look-back; n2 continues, so that it is held for
    // another five minutes.
    Row {
        switch: &["--resolve-vanished"],
        others: &["--query-offset=0s"],
        group: "",
        value: |node, minute| match node {
            "n1" => (minute < 5).then_some(10.0),
            _ => Some(1.0),
        },
        without: &[
            (0, "n1", "pending"),
            (1, "n1", "firing"),
            (14, "n1", "inactive"),
        ],
    },
    // Both are gone: it is held for as long as telemetry may be stopped.
    Row {
        switch: &["--resolve-vanished"],
        others: &["--query-offset=0s", "--stale-hold=12m"],
        group: "",
        value: |_, minute| (minute < 5).then_some(10.0),
        without: &[
            (0, "n1", "pending"),
            (0, "n2", "pending"),
            (1, "n1", "firing"),
            (1, "n2", "firing"),
            (21, "n1", "inactive"),
            (21, "n2", "inactive"),
        ],
    },
    // What is asked for a minute back comes a minute later.
    Row {
        switch: &["--query-offset=0s"],
        others: &[],
        group: "",
        value: storm,
        without: &[
            (11, "n1", "pending"),
            (12, "n1", "firing"),
            (21, "n1", "inactive"),
        ],
    },
    // A group's own wins, whatever the switch is.
    Row {
        switch: &["--query-offset=5m"],
        others: &[],
        group: "query_offset: 0s",
        value: storm,
        without: &[
            (10, "n1", "pending"),
            (11, "n1", "firing"),
            (20, "n1", "inactive"),
        ],
    },
];

fn storm(node: &str, minute: u32) -> Option<f64> {
    let over = node == "n1" && (10..20).contains(&minute);
    Some(if over { 10.0 } else { 1.0 })
}

#[tokio::test]
async fn each_switch_makes_it_prometheuss_way() -> Result<()> {
    let Some(tools) = parts::prometheus3() else {
        return Ok(());
    };
    let mut changes = 0;
    for row in &ROWS {
        let mut history = History::new(MINUTE);
        for node in ["n1", "n2"] {
            let values = (0..MINUTES).map(|minute| (row.value)(node, minute));
            history.push(&format!("drops{{node=\"{node}\"}}"), values.collect());
        }
        let server = tools
            .server()
            .samples(history.samples(START))
            .start()
            .await?;
        let text = format!(
            "groups:\n- name: switched\n  interval: 1m\n  {}\n  rules:\n  \
             - {{alert: A, expr: drops > 5, for: 1m}}\n",
            row.group
        );
        let file = SourceFile {
            name: "switched.yml".to_owned(),
            text,
        };
        // What it is Prometheus's way, promtool says of our state machine.
        let files = [file.clone()];
        let mut bench = Bench::new(server.url(), files.to_vec(), as_prometheus())?;
        bench.run_at(START.minus(Duration::from_millis(1))).await?;
        let mut ticks: Vec<AtTick> = Vec::new();
        for minute in 0..MINUTES {
            let tick = START.plus(MINUTE * minute);
            bench.run_at(tick).await?;
            ticks.push((tick, active(&bench.state().await?)));
        }
        let case = Comparison {
            tools: &tools,
            files: &files,
            history: &history,
            start: START,
            interval: MINUTE,
        };
        case.agrees(&ticks)?;

        let folder = tempfile::tempdir()?;
        let path = folder.path().join(&file.name);
        std::fs::write(&path, &file.text)?;
        let switched = backtest(&server, &path, &[row.switch, row.others].concat())?;
        let theirs = notified(&ticks);
        ensure!(
            switched == theirs,
            "{:?}: {switched:?}\n{theirs:?}",
            row.switch
        );
        let ours = backtest(&server, &path, row.others)?;
        let without: Vec<Change> = row
            .without
            .iter()
            .map(|(minute, node, to)| (*minute, (*node).to_owned(), (*to).to_owned()))
            .collect();
        ensure!(ours == without, "without {:?}: {ours:?}", row.switch);
        // Else the history shows nothing.
        ensure!((ours == theirs) != row.group.is_empty(), "{:?}", row.switch);
        changes += ours.len() + switched.len();
    }
    eprintln!("{} switches, {changes} changes", ROWS.len());
    ensure!(changes >= 24, "{changes}");
    Ok(())
}

/// The changes from tick to tick.
fn notified(ticks: &[AtTick]) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut before: Vec<(Labels, AlertState)> = Vec::new();
    for (tick, active) in ticks {
        let minute = tick.since(START).as_secs() / 60;
        let now: Vec<(Labels, AlertState)> = active
            .iter()
            .map(|alert| (alert.labels.clone(), alert.state))
            .collect();
        let mut here: Vec<Change> = Vec::new();
        for (labels, state) in now.iter().filter(|one| !before.contains(one)) {
            let state = match state {
                AlertState::Pending => "pending",
                _ => "firing",
            };
            here.push((minute, labels.get("node").to_owned(), state.to_owned()));
        }
        let is_gone = |labels: &Labels| now.iter().all(|(other, _)| other != labels);
        for (labels, _) in before.iter().filter(|(labels, _)| is_gone(labels)) {
            here.push((minute, labels.get("node").to_owned(), "inactive".to_owned()));
        }
        here.sort();
        changes.extend(here);
        before = now;
    }
    changes
}

/// The changes that `dnswatch backtest` reports.
fn backtest(server: &Prometheus, rules: &Path, args: &[&str]) -> Result<Vec<Change>> {
    let mut command = dnswatch();
    command.args(["backtest", "--format=json"]);
    command.arg(format!("--url={}", server.url()));
    command.arg(format!("--start={START}"));
    command.arg(format!("--end={}", START.plus(MINUTE * (MINUTES - 1))));
    command.args(args).arg("--rules").arg(rules);
    let output = output(&mut command);
    ensure!(output.status.success(), "{}", said(&output));
    let mut changes = Vec::new();
    for line in String::from_utf8(output.stdout)?.lines() {
        let line: Value = serde_json::from_str(line)?;
        if line["type"] == "transition" {
            let at: jiff::Timestamp = line["at"].as_str().context("a time")?.parse()?;
            let at = Timestamp::from_millis(at.as_millisecond());
            let node = line["labels"]["node"].as_str().context("a node")?;
            let to = line["to"].as_str().context("a state")?;
            changes.push((
                at.since(START).as_secs() / 60,
                node.to_owned(),
                to.to_owned(),
            ));
        }
    }
    changes.sort();
    Ok(changes)
}

/// The table names no switch that `dnswatch run` and the stack have not.
#[test]
fn the_switches_of_the_table_are_those_of_the_program() -> Result<()> {
    let page = include_str!("../../docs/compatibility.md");
    let (_, table) = page
        .split_once("## Differences from Prometheus")
        .context("the section")?;
    let (table, _) = table
        .split_once("## Differences from Alertmanager")
        .context("its end")?;
    let template = include_str!("../../template.yaml");
    let help = said(&output(dnswatch().args(["run", "--help"])));
    let mut switches = 0;
    for row in table.lines().filter(|line| line.starts_with('|')) {
        let last = row.trim_end_matches('|').rsplit('|').next();
        for code in last.unwrap_or_default().split('`') {
            if code.starts_with("--") && !code.starts_with("---") {
                let flag = code.split(' ').next().unwrap_or_default();
                let is_in_help = help.split_whitespace().any(|word| word == flag);
                ensure!(is_in_help, "dnswatch run has no {flag}");
                let parameter: String = flag
                    .split('-')
                    .map(|word| match word.split_at_checked(1) {
                        Some((first, rest)) => first.to_ascii_uppercase() + rest,
                        None => String::new(),
                    })
                    .collect();
                let is_in_stack = template.contains(&format!("\n  {parameter}:\n"));
                ensure!(is_in_stack, "the stack has no {parameter}");
                switches += 1;
            }
        }
    }
    ensure!(switches >= 4, "{switches} in {table}");
    Ok(())
}

/// Far longer than any step takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

const LIMITED: &str = "
groups:
- name: limited
  interval: 1s
  limit: 1
  rules:
  - {alert: L, expr: live_l > 5}
";

/// A running Prometheus whose group has a limit, a ruler of ours with `--limit-wipes-state`, and one
/// without.
struct Limited {
    prometheus: Prometheus,
    wiping: Bench,
    keeping: Bench,
}

impl Limited {
    /// Continues with these values until `is_so` of the active alerts of the server, of ours with the
    /// switch, and of ours without it.
    async fn until(
        &mut self,
        values: [f64; 2],
        is_so: impl Fn(&[Vec<Served>; 3]) -> bool,
    ) -> Result<[Vec<Served>; 3]> {
        let deadline = SystemClock.now().plus(PATIENCE);
        let mut beat = tokio::time::interval(Duration::from_millis(200));
        loop {
            beat.tick().await;
            let now = SystemClock.now();
            let samples: [remote_write::NamedSample<'_>; 2] = [
                ("live_l", &[("node", "a")], values[0]),
                ("live_l", &[("node", "b")], values[1]),
            ];
            remote_write::send_at(self.prometheus.url(), now, &samples).await?;
            self.wiping.run_at(now).await?;
            self.keeping.run_at(now).await?;
            let all = [
                self.prometheus.alerts().await?,
                served(&self.wiping).await?,
                served(&self.keeping).await?,
            ];
            if is_so(&all) {
                return Ok(all);
            }
            ensure!(now < deadline, "{all:#?}");
        }
    }
}

#[tokio::test]
async fn an_exceeded_limit_wipes_the_state_only_where_it_is_to() -> Result<()> {
    let Some(tools) = parts::prometheus3() else {
        return Ok(());
    };
    let prometheus = tools
        .server()
        .config("rule_files: [limited.yml]")
        .file("limited.yml", LIMITED)
        .start()
        .await?;
    let bench = |wipes: bool| {
        let files = vec![SourceFile {
            name: "limited.yml".to_owned(),
            text: LIMITED.to_owned(),
        }];
        let mut settings: Settings = as_prometheus();
        settings.evaluation.semantics.limit_wipes_state = wipes;
        Bench::new(prometheus.url(), files, settings)
    };
    let mut limited = Limited {
        wiping: bench(true)?,
        keeping: bench(false)?,
        prometheus,
    };
    let all_have =
        |count: usize| move |all: &[Vec<Served>; 3]| all.iter().all(|a| a.len() == count);
    let before = limited.until([7.0, 1.0], all_have(1)).await?;
    let wiped = |all: &[Vec<Served>; 3]| all[0].is_empty() && all[1].is_empty();
    let exceeded = limited.until([7.0, 7.0], wiped).await?;
    ensure!(exceeded[2] == before[2], "{exceeded:?}");
    for bench in [&limited.wiping, &limited.keeping] {
        let state = bench.state().await?;
        let failures = state
            .rules
            .values()
            .filter_map(|rule| rule.health.failure.as_ref());
        let errors: Vec<&str> = failures.map(|failure| failure.error.as_str()).collect();
        ensure!(
            errors == ["exceeded limit of 1 with 2 alerts"],
            "{errors:?}"
        );
    }
    let rules = limited.prometheus.api("rules", &[]).await?;
    let error = &rules["groups"][0]["rules"][0]["lastError"];
    ensure!(*error == "exceeded limit of 1 with 2 alerts", "{rules}");

    let after = limited.until([7.0, 1.0], all_have(1)).await?;
    let began_anew = |which: usize| after[which][0].active_at > before[which][0].active_at;
    ensure!(began_anew(0) && began_anew(1), "{before:?} {after:?}");
    ensure!(after[2] == before[2], "{before:?} {after:?}");
    Ok(())
}
