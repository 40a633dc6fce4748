//! The rule catalogue, by the judge that its users know: promtool.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::dnswatch::{dnswatch, output, said};
use crate::parts;
use crate::prometheus::PrometheusTools;

/// The files of a folder and its folders that are `kind` of YAML, recognised by their top-level
/// key: a rule file has `groups`, a promtool test has `tests`.
fn yaml_files(folder: &Path, kind: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(yaml_files(&path, kind)?);
        } else if path
            .extension()
            .is_some_and(|name| name == "yml" || name == "yaml")
        {
            let text = std::fs::read_to_string(&path)?;
            if text.lines().any(|line| line.starts_with(kind)) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Has promtool judge every file of a kind, and checks that there is one at all.
#[track_caller]
fn check(verb: [&str; 2], kind: &str) -> Result<()> {
    let (Some(older), Some(current)) = (parts::prometheus(), parts::prometheus3()) else {
        return Ok(());
    };
    let catalogue = Path::new(env!("CARGO_MANIFEST_DIR")).join("../rules");
    let files = yaml_files(&catalogue, kind)?;
    assert!(!files.is_empty(), "{}: no {kind}", catalogue.display());
    for tools in [older, current] {
        let output = tools.promtool(
            verb.map(OsStr::new)
                .into_iter()
                .chain(files.iter().map(|file| file.as_os_str())),
        )?;
        let version = tools.version()?;
        assert!(
            output.status.success(),
            "promtool {version}: {}",
            said(&output)
        );
        eprintln!("{} files with {kind} pass promtool {version}", files.len());
    }
    Ok(())
}

#[test]
fn promtool_accepts_the_catalogue() -> Result<()> {
    check(["check", "rules"], "groups:")
}

#[test]
fn the_catalogue_passes_its_unit_tests() -> Result<()> {
    check(["test", "rules"], "tests:")
}

/// The expressions of a list, one a line.
fn expressions(list: &str) -> Vec<&str> {
    let lines = list.lines().map(str::trim);
    lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect()
}

/// Which of the rules `E0`, `E1`, … of a file are refused, by what was said of them line by line.
fn refused<'a>(lines: impl Iterator<Item = &'a str>) -> BTreeSet<usize> {
    let number = |line: &str| {
        let (_, rest) = line.split_once("\"E")?;
        rest.split('"').next()?.parse().ok()
    };
    lines.filter_map(number).collect()
}

/// Has promtool and `dnswatch check` judge the same expressions. Both name each that they refuse.
fn judged_by_both(
    tools: &PrometheusTools,
    expressions: &[&str],
) -> Result<(BTreeSet<usize>, BTreeSet<usize>)> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("rules.yml");
    let rules = expressions
        .iter()
        .enumerate()
        .map(|(number, expr)| serde_json::json!({"alert": format!("E{number}"), "expr": expr}));
    // Each rule on a line of its own: that shows which one is meant.
    let rules: Vec<String> = rules.map(|rule| format!("  - {rule}\n")).collect();
    let text = format!("groups:\n- name: g\n  rules:\n{}", rules.concat());
    std::fs::write(&path, &text)?;
    let promtool = tools.promtool(["check".as_ref(), "rules".as_ref(), path.as_os_str()])?;
    let promtool = [promtool.stdout, promtool.stderr].concat();
    let theirs = refused(String::from_utf8_lossy(&promtool).lines());

    let ours = output(dnswatch().args(["check", "--format=json"]).arg(&path));
    let text: Vec<&str> = text.lines().collect();
    let mut lines = Vec::new();
    for line in String::from_utf8(ours.stdout)?.lines() {
        let finding: serde_json::Value = serde_json::from_str(line)?;
        if finding["severity"] == "error" {
            let line = finding["line"].as_u64().context("a line")?;
            lines.push(text[usize::try_from(line)? - 1]);
        }
    }
    Ok((theirs, refused(lines.into_iter())))
}

#[test]
fn check_refuses_the_expressions_that_promtool_refuses() -> Result<()> {
    let good = expressions(include_str!("../data/expressions.txt"));
    let bad = expressions(include_str!("../data/refused.txt"));
    let all: Vec<&str> = good.iter().chain(&bad).copied().collect();
    let (Some(older), Some(current)) = (parts::prometheus(), parts::prometheus3()) else {
        return Ok(());
    };
    for tools in [older, current] {
        let (theirs, ours) = judged_by_both(&tools, &all)?;
        let version = tools.version()?;
        let shown = |numbers: Vec<&usize>| -> Vec<&str> {
            numbers.into_iter().map(|number| all[*number]).collect()
        };
        let only_theirs = shown(theirs.difference(&ours).collect());
        let only_ours = shown(ours.difference(&theirs).collect());
        assert!(
            only_theirs.is_empty() && only_ours.is_empty(),
            "only promtool {version} refuses {only_theirs:#?}; only we refuse {only_ours:#?}"
        );
        assert!(
            theirs.len() >= bad.len(),
            "promtool {version}: {} of {}",
            theirs.len(),
            bad.len()
        );
        let (all, refused) = (all.len(), theirs.len());
        eprintln!("{all} expressions, {refused} of them refused, by promtool {version}");
    }
    Ok(())
}

/// Rule files as a whole, beside their expressions; whether they are good is for promtool to say.
const FILES: [&str; 41] = [
    "",
    "# nothing\n",
    "groups:\n",
    "groups: []\n",
    "groups: {}\n",
    "group: []\n",
    "groups:\n- name: g\n",
    "groups:\n- rules: []\n",
    "groups:\n- name: ''\n  rules: []\n",
    "groups:\n- name: g\n- name: g\n",
    "groups:\n- {name: g, interval: 5m, limit: 3, query_offset: 1m, rules: []}\n",
    "groups:\n- {name: g, interval: 5 m, rules: []}\n",
    "groups:\n- {name: g, interval: -5m, rules: []}\n",
    "groups:\n- {name: g, limit: many, rules: []}\n",
    "groups:\n- {name: g, rulez: []}\n",
    "groups:\n- {name: g, rules: [{alert: A}]}\n",
    "groups:\n- {name: g, rules: [{expr: up}]}\n",
    "groups:\n- {name: g, rules: [{alert: A, record: a, expr: up}]}\n",
    "groups:\n- {name: g, rules: [{record: a, expr: up, for: 1m}]}\n",
    "groups:\n- {name: g, rules: [{record: a, expr: up, keep_firing_for: 1m}]}\n",
    "groups:\n- {name: g, rules: [{record: a, expr: up, annotations: {a: b}}]}\n",
    "groups:\n- {name: g, rules: [{record: 'a{b}', expr: up}]}\n",
    "groups:\n- {name: g, rules: [{record: a, expr: up, labels: {a: b}}]}\n",
    "groups:\n- {name: g, rules: [{alert: A, expr: up, labels: {__name__: b}}]}\n",
    "groups:\n- {name: g, rules: [{alert: A, expr: up, labels: {a: '{{ $value '}}]}\n",
    "groups:\n- {name: g, rules: [{alert: A, expr: up, annotations: {a: '{{ nosuch }}'}}]}\n",
    "groups:\n- {name: g, rules: [{alert: A, expr: up, annotations: {a: '{{ $nosuch }}'}}]}\n",
    "groups:\n- {name: g, rules: [{alert: A, expr: up, annotations: {a: 5, b: true, c: ~}}]}\n",
    "groups:\n- {name: g, rules: [{alert: A, expr: up, for: 1h30m, keep_firing_for: 1d}]}\n",
    "groups:\n- {name: g, rules: [{alert: A, expr: up, for: 30m1h}]}\n",
    "groups:\n- {name: g, rules: [{alert: A, expr: 1}, {alert: A, expr: up, labels: {a: b}}]}\n",
    "groups:\n- name: g\n  rules:\n  - &a {alert: A, expr: up == 0}\n  - *a\n",
    "groups:\n- {name: g, rules: [{alert: A, alert: B, expr: up}]}\n",
    "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: |\n      # a comment\n      up == 0\n---\nnot: read\n",
    "groups:\n- {name: g, rules: [{alert: A, expr: 'up =='}]}\n---\n",
    "groups: []\n...\nnot: read\n",
    "groups: []\n---\n{[\n",
    "groups:\n- {name: g, limit: '5', rules: []}\n",
    "groups:\n- {name: g, limit: 5.5, rules: []}\n",
    "groups:\n- {name: g, limit: 1e2, rules: []}\n",
    "groups:\n- {name: g, rules: [{record: a, expr: up, labels: {a: '{{ nosuch }}'}}]}\n",
];

#[test]
fn check_refuses_the_files_that_promtool_refuses() -> Result<()> {
    let (Some(older), Some(current)) = (parts::prometheus(), parts::prometheus3()) else {
        return Ok(());
    };
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("rules.yml");
    for tools in [older, current] {
        let version = tools.version()?;
        let mut refused = 0;
        for text in FILES {
            std::fs::write(&path, text)?;
            // Its own lint, of duplicates, is none of a file that does not load.
            let arguments = ["check", "rules", "--lint=none"].map(OsStr::new);
            let theirs = tools.promtool(arguments.into_iter().chain([path.as_os_str()]))?;
            let ours = output(dnswatch().arg("check").arg(&path));
            assert_eq!(
                ours.status.success(),
                theirs.status.success(),
                "{text}\n{}\npromtool {version}: {}",
                said(&ours),
                said(&theirs)
            );
            refused += usize::from(!theirs.status.success());
        }
        assert!(refused >= 18, "{refused}");
        let all = FILES.len();
        eprintln!("{all} rule files, {refused} of them refused, by promtool {version}");
    }
    Ok(())
}

/// What the catalogue is held to that `check` would let pass.
#[test]
fn the_catalogue_has_no_warnings() {
    let catalogue = Path::new(env!("CARGO_MANIFEST_DIR")).join("../rules");
    let judged = output(dnswatch().args(["check", "--strict"]).arg(catalogue));
    assert!(judged.status.success(), "{}", said(&judged));
}
