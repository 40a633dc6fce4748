//! What we say of timelines, put to `promtool test rules`: a test file each, so that each has a
//! verdict of its own.

use std::collections::BTreeMap;
use std::io::{Read as _, Seek as _};
use std::path::Path;

use alerting::timestamp::Timestamp;
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::timeline::{EXTERNAL_LABELS, Rule, Timeline, in_go, name};
use crate::history::START;
use crate::planner::Seen;
use crate::prometheus::PrometheusTools;
use crate::promtool_test::{alerts, differences, expressions};
use crate::ruler::in_memory;

/// How many promtools are at work at once.
const JUDGES: usize = 2;
/// What their files and databases may need.
const ROOM: u64 = 1 << 30;

/// The words that we and promtool both find for each failure.
const REASONS: [&str; 5] = [
    "found duplicate series for the match group",
    "multiple matches for labels",
    "vector contains metrics with the same labelset after applying alert labels",
    "vector cannot contain metrics with the same labelset",
    "exceeded limit of",
];

/// What promtool has against what we `seen` of each timeline, if it has anything.
pub(super) fn judge(
    tools: &PrometheusTools,
    timelines: &[Timeline],
    seen: &[Vec<Seen>],
) -> Result<Vec<Option<String>>> {
    let folder = in_memory(ROOM)?;
    let mut files = Vec::new();
    for (id, (timeline, seen)) in timelines.iter().zip(seen).enumerate() {
        let rules = timeline.rule_file(id);
        std::fs::write(folder.path().join(&rules.name), rules.text)?;
        let failed = seen.iter().position(|seen| seen.failed.is_some());
        // promtool ends at the first failure: up to there it is to agree, and there to fail.
        let agreed = &seen[..failed.unwrap_or(seen.len())];
        if !agreed.is_empty() {
            files.push((id, write(folder.path(), timeline, id, "", agreed)?));
        }
        if let Some(failed) = failed {
            let nothing = Seen {
                active: Vec::new(),
                ..seen[failed].clone()
            };
            files.push((
                id,
                write(folder.path(), timeline, id, "-fails", &[nothing])?,
            ));
        }
    }
    let said = ask(tools, folder.path(), &files)?;
    let mut verdicts: Vec<Option<String>> = vec![None; timelines.len()];
    for (id, file) in &files {
        let said = said.get(file).with_context(|| format!("{file}: no word"))?;
        let against = if file.ends_with("-fails.yml") {
            let failed = seen[*id].iter().find(|seen| seen.failed.is_some());
            fails_elsewise(said, failed.context("one that failed")?)
        } else {
            (!said.contains("SUCCESS")).then(|| differences(said))
        };
        if let Some(against) = against {
            verdicts[*id].get_or_insert(against);
        }
    }
    Ok(verdicts)
}

/// Why promtool did not fail as we did, if it did not.
fn fails_elsewise(said: &str, ours: &Seen) -> Option<String> {
    let error = ours.failed.as_deref().unwrap_or_default();
    let reason = REASONS.into_iter().find(|reason| error.contains(reason));
    let at = in_words(ours.tick);
    let failure = format!("rule: {}, time: {at}, err:", Rule::NAME);
    let agrees = reason.is_some_and(|reason| said.contains(&failure) && said.contains(reason));
    (!agrees).then(|| format!("we fail at {at}: {error}\npromtool: {said}"))
}

/// A time since the start as Go writes it: `1m30s`, `1h0m0s`.
fn in_words(at: Timestamp) -> String {
    let seconds = at.since(START).as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds}s"),
        (0, _) => format!("{minutes}m{seconds}s"),
        _ => format!("{hours}h{minutes}m{seconds}s"),
    }
}

fn write(
    folder: &Path,
    timeline: &Timeline,
    id: usize,
    suffix: &str,
    seen: &[Seen],
) -> Result<String> {
    let mut samples = Vec::new();
    let mut firing: Vec<Value> = Vec::new();
    for seen in seen {
        // A rule's own samples have the time that its query had.
        let written = seen.tick.minus(timeline.query_offset);
        if written >= START {
            let at = in_go(written.since(START));
            samples.extend(expressions(&at, &seen.active, START));
        }
        let at = in_go(seen.tick.since(START));
        firing.push(alerts(&at, &seen.active, Rule::NAME));
    }
    let external: serde_json::Map<String, Value> = EXTERNAL_LABELS
        .iter()
        .map(|(name, text)| ((*name).to_owned(), json!(text)))
        .collect();
    let test = json!({
        "rule_files": [format!("{}.yml", name(id))],
        "evaluation_interval": in_go(timeline.interval),
        "tests": [{
            "interval": in_go(timeline.step),
            "input_series": timeline.input_series(id),
            "external_labels": external,
            "promql_expr_test": samples,
            "alert_rule_test": firing,
        }],
    });
    let file = format!("test-{}{suffix}.yml", name(id));
    std::fs::write(folder.join(&file), test.to_string())?;
    Ok(file)
}

/// What promtool says of each file.
fn ask(
    tools: &PrometheusTools,
    folder: &Path,
    files: &[(usize, String)],
) -> Result<BTreeMap<String, String>> {
    let share = files.len().div_ceil(JUDGES).max(1);
    let said: Result<Vec<String>> = std::thread::scope(|scope| {
        let judges: Vec<_> = files
            .chunks(share)
            .map(|files| scope.spawn(move || one(tools, folder, files)))
            .collect();
        judges
            .into_iter()
            .map(|judge| judge.join().expect("no panic"))
            .collect()
    });
    let mut by_file = BTreeMap::new();
    for (files, said) in files.chunks(share).zip(said?) {
        let sections = sections(&said);
        ensure!(sections.len() == files.len(), "{said}");
        let files = files.iter().map(|(_, file)| file.clone());
        by_file.extend(files.zip(sections));
    }
    Ok(by_file)
}

/// What is said of each file, in their order: a verdict, and what it is for. Not every release
/// names the files.
fn sections(said: &str) -> Vec<String> {
    let mut sections: Vec<String> = Vec::new();
    for line in said
        .lines()
        .filter(|line| !line.starts_with("Unit Testing:"))
    {
        if line == "  SUCCESS" || line == "  FAILED:" {
            sections.push(String::new());
        }
        if let Some(section) = sections.last_mut() {
            section.push_str(line);
            section.push('\n');
        }
    }
    sections
}

fn one(tools: &PrometheusTools, folder: &Path, files: &[(usize, String)]) -> Result<String> {
    // Its two streams are one story.
    let mut said = tempfile::tempfile_in(folder)?;
    std::process::Command::new(&tools.promtool)
        .args(["test", "rules"])
        .args(files.iter().map(|(_, file)| file))
        .current_dir(folder)
        // Its databases, too, cost no disk.
        .env("TMPDIR", folder)
        .stdout(said.try_clone()?)
        .stderr(said.try_clone()?)
        .status()?;
    let mut text = String::new();
    said.rewind()?;
    said.read_to_string(&mut text)?;
    Ok(text)
}
