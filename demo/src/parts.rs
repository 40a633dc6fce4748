//! Where the programs are that the demo starts.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use crate::aws::Programs;

/// The Prometheus given, else the one among the parts, else the one on PATH.
///
/// # Errors
/// Where it is not there.
pub(crate) fn prometheus(given: Option<&Path>) -> anyhow::Result<PathBuf> {
    if let Some(given) = given {
        if !given.is_file() {
            bail!("there is no Prometheus at {}", given.display());
        }
        return Ok(given.to_owned());
    }
    let part = parts_folder().map(|parts| parts.join("prometheus/prometheus"));
    part.filter(|part| part.is_file())
        .or_else(|| on_path("prometheus"))
        .context("no Prometheus found: run `make parts`, or name one with --prometheus")
}

/// The programs of a local AWS, among the parts.
///
/// # Errors
/// Where they are not there.
pub(crate) fn local_aws() -> anyhow::Result<Programs> {
    let part = |path: &str| {
        parts_folder()
            .map(|parts| parts.join(path))
            .filter(|part| part.is_file())
            .with_context(|| format!("no {path} found: run `make parts`"))
    };
    Ok(Programs {
        ministack: part("ministack/bin/ministack")?,
        sam: part("sam/bin/sam")?,
    })
}

/// The dnswatch given, else the one beside this program.
///
/// # Errors
/// Where it is not there.
pub(crate) fn dnswatch(given: Option<&Path>) -> anyhow::Result<PathBuf> {
    beside("dnswatch", "--dnswatch", given)
}

/// The ethtool-exporter given, else the one beside this program.
///
/// # Errors
/// Where it is not there.
pub(crate) fn exporter(given: Option<&Path>) -> anyhow::Result<PathBuf> {
    beside("ethtool-exporter", "--exporter", given)
}

fn beside(name: &str, flag: &str, given: Option<&Path>) -> anyhow::Result<PathBuf> {
    let path = match given {
        Some(given) => given.to_owned(),
        None => env::current_exe()
            .with_context(|| {
                format!("cannot find this program's own path; name {name} with {flag}")
            })?
            .with_file_name(name),
    };
    if !path.is_file() {
        bail!(
            "there is no {name} at {}: run `cargo build -p {name}`, or name one with {flag}",
            path.display()
        );
    }
    Ok(path)
}

/// The rule files directly in `folder`, by name.
///
/// # Errors
/// Where it cannot be read or holds none.
pub(crate) fn rule_files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder)
        .with_context(|| format!("cannot read the rules folder {}", folder.display()))?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "yml" || extension == "yaml")
        {
            files.push(path);
        }
    }
    if files.is_empty() {
        bail!("no rule file (.yml, .yaml) in {}", folder.display());
    }
    files.sort();
    Ok(files)
}

/// The first file of that name in PATH's folders.
pub(crate) fn on_path(name: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

/// Where `make parts` puts what it installs.
fn parts_folder() -> Option<PathBuf> {
    let set = |name| {
        env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let cache = set("DNSWATCH_CACHE").or_else(|| {
        set("XDG_CACHE_HOME")
            .or_else(|| Some(set("HOME")?.join(".cache")))
            .map(|cache| cache.join("dnswatch"))
    })?;
    Some(cache.join("parts"))
}
