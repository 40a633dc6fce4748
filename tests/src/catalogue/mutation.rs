//! The unit tests of the rules, tested: a rule with a change must fail them.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use super::{Rule, mutants, rules};
use crate::parts;
use crate::prometheus::PrometheusTools;

/// Changes that no unit test can notice, and why.
const SURVIVORS: &[(&str, &str, &str)] = &[];

/// A rule as it is, or changed, with its unit tests beside it.
struct Case {
    alert: String,
    /// None for the rule as it is.
    change: Option<String>,
    rule: PathBuf,
    test: PathBuf,
}

#[test]
fn a_rule_that_is_changed_fails_its_unit_tests() -> Result<()> {
    let Some(tools) = parts::prometheus() else {
        return Ok(());
    };
    let folder = tempfile::tempdir()?;
    let mut cases = Vec::new();
    for rule in rules()? {
        cases.extend(cases_of(&rule, folder.path())?);
    }
    // A change that is no rule any more would fail for that alone.
    accepted(&tools, &cases)?;

    let processes = thread::available_parallelism()?.get();
    // Dealt out like cards, since the mutants of one rule take alike.
    let hands: Vec<Vec<&Case>> = (0..processes)
        .map(|hand| cases.iter().skip(hand).step_by(processes).collect())
        .collect();
    let passed: BTreeSet<PathBuf> = thread::scope(|scope| {
        let running: Vec<_> = hands
            .iter()
            .map(|hand| scope.spawn(|| passing(&tools, hand)))
            .collect();
        let passed = running.into_iter().map(|hand| {
            let passed = hand.join().expect("no panic");
            passed.map(|passed| passed.into_iter().collect::<Vec<_>>())
        });
        passed.collect::<Result<Vec<_>>>()
    })?
    .concat()
    .into_iter()
    .collect();

    let mut survivors = Vec::new();
    let mut killed: BTreeMap<&str, usize> = BTreeMap::new();
    for case in &cases {
        let passed = passed.contains(&case.test);
        match &case.change {
            None => ensure!(passed, "{} fails its tests as it is", case.alert),
            Some(change) if passed => survivors.push((case.alert.as_str(), change.as_str())),
            Some(_) => *killed.entry(&case.alert).or_default() += 1,
        }
    }
    let changed = cases.iter().filter(|case| case.change.is_some()).count();
    let page = include_str!("../../../docs/guarantees.md");
    let count = format!("each of {changed} changed rules");
    ensure!(
        page.contains(&count),
        "docs/guarantees.md does not say: {count}"
    );
    eprintln!(
        "{} of {changed} mutants killed: {killed:?}",
        changed - survivors.len()
    );
    let excused = |survivor: &(&str, &str)| {
        let reason = SURVIVORS
            .iter()
            .find(|(alert, change, _)| (*alert, *change) == *survivor);
        eprintln!(
            "survived: {survivor:?}: {:?}",
            reason.map(|(_, _, why)| why)
        );
        reason.is_some()
    };
    let unexcused: Vec<_> = survivors.iter().filter(|&it| !excused(it)).collect();
    ensure!(
        unexcused.is_empty(),
        "survived for no known reason: {unexcused:#?}"
    );
    let stale = SURVIVORS
        .iter()
        .find(|(alert, change, _)| !survivors.contains(&(*alert, *change)));
    ensure!(stale.is_none(), "no survivor any more: {stale:?}");
    Ok(())
}

/// The rule and its mutants, each alone in a file, with its tests made to read that file.
fn cases_of(rule: &Rule, folder: &Path) -> Result<Vec<Case>> {
    let tests = std::fs::read_to_string(rule.tests())?;
    let reads = format!("../{}", rule.file.display());
    ensure!(
        tests.contains(&reads),
        "{:?} does not read {reads}",
        rule.tests()
    );
    let mutants = mutants::of(&rule.text);
    ensure!(mutants.len() > 1 || rule.text.expr.trim() == "vector(1)");
    let as_it_is = (None, &rule.text.expr, &rule.text.hold_for);
    let changed = mutants
        .iter()
        .map(|mutant| (Some(&mutant.change), &mutant.expr, &mutant.hold_for));
    let versions = std::iter::once(as_it_is).chain(changed);
    let mut cases = Vec::new();
    for (number, (change, expr, hold_for)) in versions.enumerate() {
        let name = format!("{}-{number}", rule.text.alert);
        let mut text = json!({
            "alert": rule.text.alert,
            "expr": expr,
            "labels": rule.text.labels,
            "annotations": rule.text.annotations,
        });
        if let Some(hold_for) = hold_for {
            text["for"] = json!(hold_for);
        }
        let file = json!({"groups": [{"name": "mutant", "rules": [text]}]});
        let path = folder.join(format!("{name}.rules.yml"));
        std::fs::write(&path, file.to_string())?;
        let test = folder.join(format!("{name}.yml"));
        std::fs::write(&test, tests.replace(&reads, &format!("{name}.rules.yml")))?;
        cases.push(Case {
            alert: rule.text.alert.clone(),
            change: change.cloned(),
            rule: path,
            test,
        });
    }
    Ok(cases)
}

fn accepted(tools: &PrometheusTools, cases: &[Case]) -> Result<()> {
    let check = ["check", "rules"].map(OsStr::new);
    let files = cases.iter().map(|case| case.rule.as_os_str());
    let said = tools.promtool(check.into_iter().chain(files))?;
    let text = String::from_utf8_lossy(&said.stderr);
    ensure!(said.status.success(), "{text}");
    Ok(())
}

/// The tests that pass. One process for many: promtool says of each file how it went.
fn passing(tools: &PrometheusTools, cases: &[&Case]) -> Result<BTreeSet<PathBuf>> {
    let test = ["test", "rules"].map(OsStr::new);
    let files = cases.iter().map(|case| case.test.as_os_str());
    let said = tools.promtool(test.into_iter().chain(files))?;
    let mut passed = BTreeSet::new();
    let mut asked = 0;
    let mut current = None;
    for line in String::from_utf8(said.stdout)?.lines() {
        if let Some(file) = line.strip_prefix("Unit Testing:  ") {
            asked += 1;
            current = Some(PathBuf::from(file));
        } else if line.trim() == "SUCCESS" {
            passed.insert(current.take().context("a file before its outcome")?);
        }
    }
    ensure!(asked == cases.len(), "{asked} of {} tests run", cases.len());
    Ok(passed)
}
