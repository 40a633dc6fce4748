//! From the paths on the command line to rule files.

use std::fs;
use std::path::{Path, PathBuf};

use alerting::rules::SourceFile;
use anyhow::{Context, Result, ensure};

/// Reads the rule files at `paths`: a file as it is, of a folder every `.yml` and `.yaml`
/// directly in it, by name.
pub(crate) fn read(paths: &[PathBuf]) -> Result<Vec<SourceFile>> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            let inside = in_folder(path)?;
            ensure!(
                !inside.is_empty(),
                "{} holds no .yml or .yaml file",
                path.display()
            );
            for file in inside {
                files.push(read_one(&file)?);
            }
        } else {
            files.push(read_one(path)?);
        }
    }
    Ok(files)
}

fn in_folder(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut inside = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))? {
        let path = entry
            .with_context(|| format!("reading {}", folder.display()))?
            .path();
        let is_yaml = path
            .extension()
            .is_some_and(|extension| extension == "yml" || extension == "yaml");
        if is_yaml && path.is_file() {
            inside.push(path);
        }
    }
    inside.sort();
    Ok(inside)
}

fn read_one(path: &Path) -> Result<SourceFile> {
    let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    Ok(SourceFile {
        name: path.display().to_string(),
        text,
    })
}
