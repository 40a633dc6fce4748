//! The rule catalogue: what is in `rules/`, as its tests look at it.
//!
//! - [`pages`]: every rule has its unit tests, its runbook and its line on the page of thresholds
//! - [`mutants`], [`mutation`]: a rule that is changed fails its unit tests
//! - [`recording`], [`incidents`], [`live`]: which rules fire in which incident, and that no other does
//! - [`untidy`]: the rules in clusters that are less tidy than our fixtures
//! - [`exporters`]: the rules on the page of each exporter, recorded from its source
//! - [`dashboards`]: every panel of `deploy/grafana` shows something in the incident that it is for

mod dashboards;
mod exporters;
mod incidents;
mod live;
mod mutants;
mod mutation;
mod pages;
mod recording;
mod untidy;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::Deserialize;
use serde_json::Value;

/// A rule of the catalogue as its author wrote it.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    /// The file, relative to the catalogue's folder.
    pub(crate) file: PathBuf,
    pub(crate) text: RuleText,
}

/// What is written of a rule.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct RuleText {
    pub(crate) alert: String,
    pub(crate) expr: String,
    #[serde(rename = "for")]
    pub(crate) hold_for: Option<String>,
    pub(crate) labels: Value,
    pub(crate) annotations: Value,
}

#[derive(Deserialize)]
struct RuleFile {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    rules: Vec<RuleText>,
}

impl Rule {
    /// Its unit tests.
    pub(crate) fn tests(&self) -> PathBuf {
        folder().join("tests").join(self.page("yml"))
    }

    /// Its runbook.
    pub(crate) fn runbook(&self) -> PathBuf {
        folder().join("runbooks").join(self.page("md"))
    }

    fn page(&self, extension: &str) -> String {
        format!("{}.{extension}", self.text.alert)
    }
}

/// The catalogue's folder.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../rules")
}

/// Every rule of the catalogue, the optional ones too.
pub(crate) fn rules() -> Result<Vec<Rule>> {
    let mut rules = Vec::new();
    for part in ["", "optional"] {
        let folder = folder().join(part);
        for path in files_of(&folder, "yml")? {
            let text = std::fs::read_to_string(&path)?;
            let file: RuleFile =
                serde_saphyr::from_str(&text).with_context(|| path.display().to_string())?;
            let name = path.file_name().context("a file's name")?;
            let groups = file.groups.into_iter();
            rules.extend(groups.flat_map(|group| group.rules).map(|text| Rule {
                file: Path::new(part).join(name),
                text,
            }));
        }
    }
    Ok(rules)
}

/// The files directly in a folder that end so, by name.
pub(crate) fn files_of(folder: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|found| found == extension) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
