//! Every rule has its unit tests, its runbook and its line on the page of thresholds, and they
//! speak of the same rule.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use regex::Regex;

use super::{Rule, folder, rules};

/// What a runbook has, in this order.
const SECTIONS: [&str; 4] = [
    "## Confirm",
    "## Likely causes",
    "## Remedy",
    "## It worked when",
];
/// Longer pages are not read at night.
const LINES: usize = 70;

#[test]
fn every_rule_has_its_pages_and_no_page_is_left_over() -> Result<()> {
    let rules = rules()?;
    let names: BTreeSet<String> = rules.iter().map(|rule| rule.text.alert.clone()).collect();
    ensure!(names.len() == rules.len(), "two rules of one name");
    let readme = include_str!("../../../README.md");
    let count = format!("has {} rules and a Watchdog", rules.len() - 1);
    ensure!(readme.contains(&count), "README.md does not say: {count}");
    for (pages, extension) in [("tests", "yml"), ("runbooks", "md")] {
        let found = stems(&folder().join(pages), extension)?;
        let odd: Vec<_> = found.symmetric_difference(&names).collect();
        ensure!(odd.is_empty(), "{pages}: {odd:?}");
    }
    Ok(())
}

#[test]
fn a_rule_says_what_people_need() -> Result<()> {
    for rule in rules()? {
        let name = &rule.text.alert;
        let annotation = |key: &str| {
            let text = rule.text.annotations[key].as_str();
            text.with_context(|| format!("{name}: {key}"))
        };
        let severity = rule.text.labels["severity"].as_str().unwrap_or_default();
        ensure!(
            ["critical", "warning", "none"].contains(&severity),
            "{name}"
        );
        ensure!(!annotation("summary")?.is_empty() && !annotation("description")?.is_empty());
        let path = annotation("runbook_url")?;
        ensure!(
            path == format!("rules/runbooks/{name}.md"),
            "{name}: {path}"
        );
        for pinned in ["job=", "device="] {
            ensure!(!rule.text.expr.contains(pinned), "{name} pins {pinned}");
        }
        // Who turns the threshold finds it where it is named.
        if let Some(threshold) = threshold(&rule) {
            let said = annotation("description")?.contains("threshold");
            ensure!(
                said || threshold == 0.0,
                "{name} does not name its threshold"
            );
        }
    }
    Ok(())
}

#[test]
fn a_runbook_is_about_its_rule() -> Result<()> {
    let metrics = Regex::new(r"\b(?:node_(?:net_)?ethtool\w*|coredns_\w+|up\b)")?;
    let alert =
        Regex::new(r"\b(?:LinkLocal|CoreDNS|DNSThrottling|NodeLocalDNS|Conntrack)[A-Z]\w+")?;
    let rules = rules()?;
    let names: BTreeSet<&str> = rules.iter().map(|rule| rule.text.alert.as_str()).collect();
    for rule in &rules {
        let name = &rule.text.alert;
        let page = std::fs::read_to_string(rule.runbook())?;
        ensure!(
            page.starts_with(&format!("# {name}\n\n")),
            "{name}: its title"
        );
        ensure!(page.lines().count() <= LINES, "{name}: too long");
        let mut rest = page.as_str();
        for section in SECTIONS {
            let (_, after) = rest
                .split_once(&format!("\n{section}\n\n"))
                .with_context(|| format!("{name}: {section}"))?;
            rest = after;
        }
        let confirm = between(&page, SECTIONS[0], SECTIONS[1]);
        let commands = confirm.lines().filter(|line| line.starts_with("    "));
        ensure!(commands.count() == 2, "{name}: two commands");
        // What is checked is what the rule looks at.
        let of_rule: BTreeSet<&str> = metrics
            .find_iter(&rule.text.expr)
            .map(|found| family(found.as_str()))
            .collect();
        let looked_at = metrics
            .find_iter(&page)
            .any(|found| of_rule.contains(family(found.as_str())));
        ensure!(
            looked_at || of_rule.is_empty(),
            "{name}: none of {of_rule:?}"
        );
        // The other rules that it names are there.
        for found in alert.find_iter(&page) {
            ensure!(names.contains(found.as_str()), "{name}: {}", found.as_str());
        }
    }
    Ok(())
}

#[test]
fn the_page_of_thresholds_has_the_rules_numbers() -> Result<()> {
    let page = std::fs::read_to_string(folder().join("README.md"))?;
    let row = |name: &str| {
        let rows: Vec<&str> = page
            .lines()
            .filter(|line| line.starts_with(&format!("| {name} |")))
            .collect();
        ensure!(rows.len() == 1, "{name}: {rows:?}");
        Ok(rows[0].split('|').map(str::trim).collect::<Vec<_>>())
    };
    let windows = Regex::new(r"\[(\d+[smhd])")?;
    let rules = rules()?;
    let table = between(&page, "\n## The rules\n", "\n## ");
    let rows = table.lines().filter(|line| line.starts_with("| ")).count();
    ensure!(rows == rules.len() + 1, "a row for no rule");
    for rule in rules {
        let name = &rule.text.alert;
        let cells = row(name)?;
        let severity = rule.text.labels["severity"].as_str();
        ensure!(severity == Some(cells[2]), "{name}: {cells:?}");
        if let Some(threshold) = threshold(&rule) {
            let number: String = cells[3]
                .chars()
                .take_while(|c| c.is_ascii_digit() || *c == '.')
                .collect();
            let scale = if cells[3].contains('%') { 100.0 } else { 1.0 };
            let said: f64 = number
                .parse()
                .with_context(|| format!("{name}: {cells:?}"))?;
            ensure!((said / scale - threshold).abs() < 1e-9, "{name}: {cells:?}");
        }
        for window in windows.captures_iter(&rule.text.expr) {
            ensure!(cells[4].contains(&window[1]), "{name}: {cells:?}");
        }
        ensure!(
            cells[5] == rule.text.hold_for.as_deref().unwrap_or(""),
            "{name}"
        );
        for number in floors(&rule)? {
            ensure!(
                cells[6].contains(&number),
                "{name}: no {number} in {cells:?}"
            );
        }
    }
    Ok(())
}

/// The last number that the expression compares with.
fn threshold(rule: &Rule) -> Option<f64> {
    comparisons(rule)
        .last()
        .and_then(|number| number.parse().ok())
}

/// The other numbers that something is compared with, as the page writes them.
fn floors(rule: &Rule) -> Result<Vec<String>> {
    let all = comparisons(rule);
    let last = all.last().cloned();
    let floors = all
        .into_iter()
        .filter(|number| Some(number) != last.as_ref());
    Ok(floors
        .filter_map(|number| match number.as_str() {
            "0" => None,
            "0.5" => Some("one drop to two failures".to_owned()),
            "0.1" => Some("10%".to_owned()),
            number => Some(number.to_owned()),
        })
        .collect())
}

fn comparisons(rule: &Rule) -> Vec<String> {
    let comparison = Regex::new(r"(?:>=|<=|>|<) (\d[\d.]*)").expect("a pattern");
    let found = comparison.captures_iter(&rule.text.expr);
    found.map(|found| found[1].to_owned()).collect()
}

/// A metric without what a histogram appends, and without the parts that distinguish exporters.
fn family(metric: &str) -> &str {
    let metric = ["_bucket", "_count", "_sum"]
        .iter()
        .find_map(|suffix| metric.strip_suffix(suffix))
        .unwrap_or(metric);
    if metric.starts_with("node_") {
        "node"
    } else {
        metric
    }
}

fn between<'a>(page: &'a str, from: &str, to: &str) -> &'a str {
    let (_, rest) = page.split_once(from).unwrap_or_default();
    rest.split_once(to).unwrap_or_default().0
}

fn stems(folder: &Path, extension: &str) -> Result<BTreeSet<String>> {
    let mut stems = BTreeSet::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let (stem, suffix) = (path.file_stem(), path.extension());
        ensure!(suffix.is_some_and(|suffix| suffix == extension), "{path:?}");
        stems.extend(stem.map(|stem| stem.to_string_lossy().into_owned()));
    }
    Ok(stems)
}
