//! The rules in clusters that are less tidy than ours: each rule, with each of its metrics doubled,
//! renamed, removed, interrupted and stripped of labels, and with all that a workspace may have
//! besides. The same alerts fire as in the tidy cluster, once a node, or the table of exceptions
//! says why not.
//!
//! - [`series`]: samples at even times, as promtool reads them
//! - [`stories`]: the tidy cluster, and what happens in it for each rule
//! - [`mutations`]: what makes it untidy
//! - [`exceptions`]: where other alerts fire, and why

mod exceptions;
mod mutations;
mod series;
mod stories;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::thread;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use self::exceptions::EXCEPTIONS;
use self::mutations::{Cell, cells};
use self::stories::{Fired, Story};
use super::{Rule, rules};
use crate::parts;
use crate::prometheus::PrometheusTools;

/// Of ten cells, so many have the alerts of the tidy cluster.
const FLOOR: f64 = 0.9;

#[test]
fn untidy_clusters_have_the_alerts_of_tidy_ones() -> Result<()> {
    let (Some(tools), Some(tools3)) = (parts::prometheus(), parts::prometheus3()) else {
        return Ok(());
    };
    let work = tempfile::tempdir()?;
    let rules = rules()?;
    for rule in &rules {
        let path = work.path().join(format!("{}.rules.yml", rule.text.alert));
        std::fs::write(path, alone(rule).to_string())?;
    }
    let all = all_cells(&rules)?;
    let mut files = Vec::new();
    for (number, (story, cell)) in all.iter().enumerate() {
        let path = work.path().join(format!("{number}.yml"));
        std::fs::write(&path, test_file(story, cell).to_string())?;
        files.push(path);
    }
    // Prometheus 2 and 3 have every other one each.
    let (odd, even): (Vec<_>, Vec<_>) = files
        .iter()
        .cloned()
        .enumerate()
        .partition(|(n, _)| n % 2 == 1);
    let hand =
        |cards: Vec<(usize, PathBuf)>| cards.into_iter().map(|(_, path)| path).collect::<Vec<_>>();
    let (odd, even) = (hand(odd), hand(even));
    let failures = thread::scope(|scope| {
        let hands = [(&tools, odd), (&tools3, even)]
            .map(|(tools, files)| scope.spawn(move || failing(tools, &files)));
        let mut failures = (BTreeSet::new(), String::new());
        for hand in hands {
            let (files, text) = hand.join().expect("no panic")?;
            failures.0.extend(files);
            failures.1.push_str(&text);
        }
        Ok::<_, anyhow::Error>(failures)
    })?;
    judge(&all, &files, &failures.0, &failures.1)
}

/// Every story as it is, and changed.
fn all_cells(rules: &[Rule]) -> Result<Vec<(Story, Cell)>> {
    let stories = stories::all();
    let notified: BTreeSet<&str> = stories.iter().map(|story| story.alert).collect();
    for rule in rules {
        let name = rule.text.alert.as_str();
        ensure!(
            notified.contains(name) || name == "Watchdog",
            "no story of {name}"
        );
    }
    let mut all = Vec::new();
    for story in &stories {
        let tidy = Cell {
            change: "tidy".to_owned(),
            series: story.series.clone(),
            expected: story.expected.clone(),
        };
        let calm = stories
            .iter()
            .find(|other| other.alert == story.alert && other.name == "calm");
        let changed = cells(story, calm);
        all.extend(
            std::iter::once(tidy)
                .chain(changed)
                .map(|cell| (story.clone(), cell)),
        );
    }
    Ok(all)
}

/// A rule file with this rule only: the others of its file would be evaluated for nothing.
fn alone(rule: &Rule) -> Value {
    let text = &rule.text;
    let mut alone = json!({"alert": text.alert, "expr": text.expr});
    if let Some(hold_for) = &text.hold_for {
        alone["for"] = json!(hold_for);
    }
    json!({"groups": [{"name": "alone", "rules": [alone]}]})
}

/// A promtool test: which alerts of the rule fired at some time.
fn test_file(story: &Story, cell: &Cell) -> Value {
    let seconds = story.interval * story.len as u64;
    let alert = story.alert;
    let expr = format!(
        "group by (cluster, node, device) \
         (max_over_time(ALERTS{{alertname=\"{alert}\",alertstate=\"firing\"}}[{seconds}s]))"
    );
    let series = cell.series.iter().flat_map(series::Series::written);
    let series: Vec<Value> = series
        .map(|(series, values)| json!({"series": series, "values": values}))
        .collect();
    let expected: Vec<Value> = cell
        .expected
        .iter()
        .map(|fired| json!({"labels": labels(fired), "value": 1}))
        .collect();
    let evaluation = match alert {
        "ConntrackAllowanceLow" => 300,
        _ => story.interval.max(30),
    };
    json!({
        "rule_files": [format!("{alert}.rules.yml")],
        "evaluation_interval": format!("{evaluation}s"),
        "tests": [{
            "name": format!("{alert} {}, {}", story.name, cell.change),
            "interval": format!("{}s", story.interval),
            "input_series": series,
            "promql_expr_test": [{"expr": expr, "eval_time": format!("{seconds}s"), "exp_samples": expected}],
        }],
    })
}

fn labels(fired: &Fired) -> String {
    let all = [
        ("cluster", &fired.cluster),
        ("node", &fired.node),
        ("device", &fired.device),
    ];
    let labels: Vec<String> = all
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(label, value)| format!("{label}=\"{value}\""))
        .collect();
    format!("{{{}}}", labels.join(","))
}

/// The files whose test fails, and what promtool says of them. One process for all of them.
fn failing(tools: &PrometheusTools, files: &[PathBuf]) -> Result<(BTreeSet<PathBuf>, String)> {
    let test = ["test", "rules"].map(OsStr::new);
    let said = tools.promtool(
        test.into_iter()
            .chain(files.iter().map(|file| file.as_os_str())),
    )?;
    let mut failing = BTreeSet::new();
    let mut seen = 0;
    let mut current = None;
    // Prometheus 3 prints failures to standard error.
    for line in String::from_utf8_lossy(&said.stdout).lines() {
        let file = ["Unit Testing:  ", "Processing test file: "]
            .iter()
            .find_map(|before| line.strip_prefix(before));
        if let Some(file) = file {
            seen += 1;
            failing.insert(PathBuf::from(file));
            current = Some(PathBuf::from(file));
        } else if line.trim() == "SUCCESS" {
            let current = current.take().context("a file before its outcome")?;
            failing.remove(&current);
        }
    }
    ensure!(seen == files.len(), "{seen} of {} tests run", files.len());
    let text = [said.stdout, said.stderr].concat();
    Ok((failing, String::from_utf8_lossy(&text).into_owned()))
}

/// What promtool says of the test of that name.
fn said_of<'a>(text: &'a str, name: &str) -> &'a str {
    let after = text
        .split_once(&format!("name: {name},"))
        .map_or("", |(_, after)| after);
    after.split_once("\n\n").map_or(after, |(said, _)| said)
}

fn judge(
    all: &[(Story, Cell)],
    files: &[PathBuf],
    failures: &BTreeSet<PathBuf>,
    text: &str,
) -> Result<()> {
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    let mut unexcused = String::new();
    let mut used = BTreeSet::new();
    for ((story, cell), file) in all.iter().zip(files) {
        if !failures.contains(file) {
            continue;
        }
        let excuse = EXCEPTIONS
            .iter()
            .position(|exception| exception.covers(story, cell));
        match excuse {
            Some(number) if cell.change != "tidy" => {
                used.insert(number);
                *reasons.entry(EXCEPTIONS[number].why).or_default() += 1;
            }
            _ => {
                let (alert, name, change) = (story.alert, story.name, &cell.change);
                let said = said_of(text, &format!("{alert} {name}, {change}"));
                let _ = writeln!(unexcused, "{alert} {name}, {change}:{said}");
            }
        }
    }
    let exceptions: usize = reasons.values().sum();
    let cells = all.iter().filter(|(_, cell)| cell.change != "tidy");
    let cells = cells.count();
    let equal = cells - exceptions;
    eprintln!("{equal} of {cells} untidy cells have the alerts of the tidy cluster");
    for (why, count) in &reasons {
        eprintln!("{count:4} exceptions: {why}");
    }
    ensure!(
        unexcused.is_empty(),
        "other alerts, for no known reason:\n{unexcused}"
    );
    let stale = EXCEPTIONS
        .iter()
        .enumerate()
        .find(|(number, _)| !used.contains(number));
    ensure!(stale.is_none(), "no exception any more: {stale:?}");
    ensure!(equal as f64 >= FLOOR * cells as f64, "{equal} of {cells}");
    Ok(())
}
