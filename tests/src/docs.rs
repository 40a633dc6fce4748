//! The documentation keeps its word: each guarantee names a test that exists, each link leads
//! somewhere, and README stays short.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use alerting::rules::lint::{self, Surroundings};
use alerting::source::SourceFile;
use anyhow::{Context, Result, ensure};

/// A README that is finished in one sitting.
const README_LINES: usize = 150;
/// At least as many guarantees as there were when this test was written.
const LEAST_GUARANTEES: usize = 50;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The pages that people read, with their text.
fn pages() -> Result<Vec<(PathBuf, String)>> {
    let mut pages = Vec::new();
    for folder in ["", "docs", "docs/adr", "deploy", "rules", "rules/runbooks"] {
        let folder = root().join(folder);
        if !folder.exists() {
            continue;
        }
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "md") {
                let text = fs::read_to_string(&path)?;
                pages.push((path, text));
            }
        }
    }
    Ok(pages)
}

#[test]
fn each_guarantee_names_a_test_that_exists() -> Result<()> {
    let page = fs::read_to_string(root().join("docs/guarantees.md"))?;
    let mut ids = BTreeSet::new();
    for row in page.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [id, _, test, ..] = cells.as_slice() else {
            continue;
        };
        if *id == "id" {
            continue;
        }
        ensure!(ids.insert(id.to_owned()), "{id} stands twice");
        let (file, function) = test
            .trim_matches('`')
            .split_once("::")
            .with_context(|| format!("{id}: `{test}` is not FILE::FUNCTION"))?;
        let source = fs::read_to_string(root().join(file))
            .with_context(|| format!("{id}: {file} cannot be read"))?;
        let body = source
            .split_once(&format!("fn {function}("))
            .with_context(|| format!("{id}: {file} has no function {function}"))?;
        let is_test = body
            .0
            .lines()
            .rev()
            .take(6)
            .any(|line| line.contains("#[test]") || line.contains("::test"));
        ensure!(is_test, "{id}: {function} is not a test");
    }
    ensure!(ids.len() >= LEAST_GUARANTEES, "only {} are left", ids.len());
    eprintln!("{} guarantees, each with a test", ids.len());
    Ok(())
}

/// The anchor of a heading, as GitHub makes it.
fn anchor(heading: &str) -> String {
    heading
        .trim_start_matches('#')
        .trim()
        .chars()
        .filter_map(|character| match character {
            ' ' => Some('-'),
            '-' | '_' => Some(character),
            _ if character.is_alphanumeric() => character.to_lowercase().next(),
            _ => None,
        })
        .collect()
}

#[test]
fn each_link_leads_to_a_page_and_a_heading() -> Result<()> {
    let mut links = 0;
    for (page, text) in pages()? {
        for (position, _) in text.match_indices("](") {
            let rest = text.get(position + 2..).unwrap_or_default();
            let target = rest.split(')').next().unwrap_or_default();
            if target.starts_with("http") || target.contains(char::is_whitespace) {
                continue;
            }
            links += 1;
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let linked = match file {
                "" => page.clone(),
                _ => page.parent().context("a folder")?.join(file),
            };
            ensure!(linked.exists(), "{}: {target}", page.display());
            if !heading.is_empty() {
                let text = fs::read_to_string(&linked)?;
                let found = text
                    .lines()
                    .filter(|line| line.starts_with('#'))
                    .any(|line| anchor(line) == heading);
                ensure!(found, "{}: {target} has no such heading", page.display());
            }
        }
    }
    ensure!(links > 40, "only {links} links were found");
    Ok(())
}

#[test]
fn readme_is_read_in_one_sitting() -> Result<()> {
    let lines = fs::read_to_string(root().join("README.md"))?
        .lines()
        .count();
    ensure!(lines <= README_LINES, "README.md has {lines} lines");
    Ok(())
}

/// What wakes an operator has a row that says what to do.
#[test]
fn each_alarm_and_each_own_alert_has_its_row() -> Result<()> {
    let page = fs::read_to_string(root().join("docs/operate.md"))?;
    let rows: Vec<&str> = page
        .lines()
        .filter(|line| line.starts_with("| `"))
        .collect();
    let has_row = |name: &str| rows.iter().any(|row| row.contains(&format!("`{name}`")));
    let template = fs::read_to_string(root().join("template.yaml"))?;
    let lines: Vec<&str> = template.lines().collect();
    let mut names: BTreeSet<String> = lines
        .windows(2)
        .filter(|pair| {
            pair.iter()
                .any(|line| line.contains("AWS::CloudWatch::Alarm"))
        })
        .filter_map(|pair| pair.first()?.trim().strip_suffix(':').map(str::to_owned))
        .collect();
    let alarms = names.len();
    ensure!(alarms > 10, "only {alarms} alarms were found");
    for entry in fs::read_dir(root().join("alerting/src/notify"))? {
        let source = fs::read_to_string(entry?.path()).unwrap_or_default();
        let own = source.split('"').filter(|text| {
            let rest = text.strip_prefix("Dnswatch").unwrap_or_default();
            !rest.is_empty() && rest.chars().all(char::is_alphanumeric)
        });
        names.extend(own.map(str::to_owned));
    }
    ensure!(
        names.len() > alarms + 5,
        "only {} alerts",
        names.len() - alarms
    );
    let missing: Vec<&String> = names.iter().filter(|name| !has_row(name)).collect();
    ensure!(
        missing.is_empty(),
        "docs/operate.md has no row for {missing:?}"
    );
    Ok(())
}

#[test]
fn each_lint_has_a_row_with_an_example_that_it_finds() -> Result<()> {
    let page = fs::read_to_string(root().join("docs/lints.md"))?;
    let mut listed = BTreeSet::new();
    for row in page.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").collect();
        let [name, severity, example, _] = cells.as_slice() else {
            anyhow::bail!("not four cells: {row}");
        };
        let (name, example) = (name.trim().trim_matches('`'), example.trim_matches('`'));
        let text = match example.starts_with("groups") {
            true => example.to_owned(),
            false => format!("groups: [{{name: g, rules: [{example}]}}]"),
        };
        let file = SourceFile {
            name: "rules.yml".to_owned(),
            text,
        };
        let surroundings = Surroundings {
            scrape_interval: std::time::Duration::from_secs(30),
        };
        let found = lint::lint(&[file], surroundings);
        ensure!(
            found
                .iter()
                .any(|one| one.name == name && one.severity.to_string() == *severity),
            "{name}: {found:?}"
        );
        listed.insert(name.to_owned());
    }
    let all: BTreeSet<String> = lint::NAMES.iter().map(ToString::to_string).collect();
    ensure!(listed == all, "{listed:?} are listed, {all:?} exist");
    Ok(())
}
