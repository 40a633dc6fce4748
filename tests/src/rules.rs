//! The rule catalogue, by the judge that its users know: promtool.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::parts;

/// The files of a folder and its folders that are `kind` of YAML, told by their top-level key:
/// a rule file has `groups`, a promtool test has `tests`.
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
    let Some(tools) = parts::prometheus() else {
        return Ok(());
    };
    let catalogue = Path::new(env!("CARGO_MANIFEST_DIR")).join("../rules");
    let files = yaml_files(&catalogue, kind)?;
    assert!(!files.is_empty(), "{}: no {kind}", catalogue.display());
    let said = tools.promtool(
        verb.map(OsStr::new)
            .into_iter()
            .chain(files.iter().map(|file| file.as_os_str())),
    )?;
    let (out, err) = (
        String::from_utf8_lossy(&said.stdout),
        String::from_utf8_lossy(&said.stderr),
    );
    assert!(said.status.success(), "{out}{err}");
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
