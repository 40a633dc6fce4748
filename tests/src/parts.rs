//! Where the real programs are, and what happens where one is missing.
//!
//! `tests/parts/install` puts them there. Whether a missing one is a failure is for
//! `DNSWATCH_PARTS` to say: `require` (the default in CI) or `skip`.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::panic::Location;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::alertmanager::AlertmanagerTools;
use crate::prometheus::PrometheusTools;

/// Prometheus and promtool. `None` is a skip, which was reported: the test ends there.
#[track_caller]
pub(crate) fn prometheus() -> Option<PrometheusTools> {
    let folder = part("prometheus", Location::caller())?;
    Some(PrometheusTools {
        prometheus: folder.join("prometheus"),
        promtool: folder.join("promtool"),
    })
}

/// The same of Prometheus 3. `None` is a skip, which was reported: the test ends there.
#[track_caller]
pub(crate) fn prometheus3() -> Option<PrometheusTools> {
    let folder = part("prometheus3", Location::caller())?;
    Some(PrometheusTools {
        prometheus: folder.join("prometheus"),
        promtool: folder.join("promtool"),
    })
}

/// Alertmanager and amtool. `None` is a skip, which was reported: the test ends there.
#[track_caller]
pub(crate) fn alertmanager() -> Option<AlertmanagerTools> {
    let folder = part("alertmanager", Location::caller())?;
    Some(AlertmanagerTools {
        alertmanager: folder.join("alertmanager"),
        amtool: folder.join("amtool"),
    })
}

/// A Python with the packages of `tests/parts/requirements-python.txt`. `None` is a skip, and has
/// been reported: the test ends there.
#[track_caller]
pub(crate) fn python() -> Option<PathBuf> {
    Some(part("python", Location::caller())?.join("bin/python"))
}

/// SAM CLI. What it calls (`cargo-lambda`, and zig by way of `python3`) is beside it: its folder
/// must come first in the PATH.
#[track_caller]
pub(crate) fn sam() -> Option<PathBuf> {
    Some(part("sam", Location::caller())?.join("bin/sam"))
}

/// cfn-lint, the lint of CloudFormation's own people.
#[track_caller]
pub(crate) fn cfn_lint() -> Option<PathBuf> {
    Some(part("sam", Location::caller())?.join("bin/cfn-lint"))
}

/// `moto_server`, an AWS that is strict about what it is sent.
#[track_caller]
pub(crate) fn moto() -> Option<PathBuf> {
    Some(part("moto", Location::caller())?.join("bin/moto_server"))
}

/// `ministack`, an AWS that deploys stacks and runs their functions.
#[track_caller]
pub(crate) fn ministack() -> Option<PathBuf> {
    Some(part("ministack", Location::caller())?.join("bin/ministack"))
}

/// checkov, the security lint of templates.
#[track_caller]
pub(crate) fn checkov() -> Option<PathBuf> {
    Some(part("checkov", Location::caller())?.join("bin/checkov"))
}

/// ethtool, which reads drivers by its own way.
#[track_caller]
pub(crate) fn ethtool() -> Option<PathBuf> {
    Some(part("ethtool", Location::caller())?.join("ethtool"))
}

/// buildah, which makes images.
#[track_caller]
pub(crate) fn buildah() -> Option<PathBuf> {
    Some(part("buildah", Location::caller())?.join("buildah"))
}

/// The folder of the programs that judge the exporter: hadolint, and a Python with
/// prometheus-client.
#[track_caller]
pub(crate) fn exporter_judges() -> Option<PathBuf> {
    Some(part("exporter", Location::caller())?.join("bin"))
}

/// Whether network namespaces can be made here, which takes root. `None` is a skip, which was
/// reported: the test ends there.
#[track_caller]
pub(crate) fn network_namespaces() -> Option<()> {
    let made = Command::new("unshare")
        .args(["--net", "ip", "link"])
        .output();
    let reason = match made {
        Ok(output) if output.status.success() => return Some(()),
        Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        Err(error) => error.to_string(),
    };
    missing("root and iproute2", &reason, Location::caller());
    None
}

/// CoreDNS. `None` is a skip, which was reported: the test ends there.
#[track_caller]
pub(crate) fn coredns() -> Option<PathBuf> {
    Some(part("coredns", Location::caller())?.join("coredns"))
}

/// An OpenTelemetry collector of the components that deploy/kubernetes/adot uses.
#[track_caller]
pub(crate) fn otelcol() -> Option<PathBuf> {
    Some(part("otelcol", Location::caller())?.join("otelcol"))
}

/// A DNS load generator and an upstream for it (`tests/parts/go/dns`).
#[track_caller]
pub(crate) fn dns() -> Option<PathBuf> {
    Some(part("dns", Location::caller())?.join("dns"))
}

/// Whether packets can be counted and dropped here. `None` is a skip, which was reported: the test
/// ends there.
#[track_caller]
pub(crate) fn nftables() -> Option<()> {
    let listed = Command::new("unshare")
        .args(["--net", "nft", "list", "tables"])
        .output();
    let reason = match listed {
        Ok(output) if output.status.success() => return Some(()),
        Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        Err(error) => error.to_string(),
    };
    missing("root and nftables", &reason, Location::caller());
    None
}

/// kubectl, with a Python beside it that reads YAML, and Kubernetes's schemas.
#[track_caller]
pub(crate) fn kubectl() -> Option<PathBuf> {
    Some(part("kubernetes", Location::caller())?.join("bin/kubectl"))
}

/// The folder of a part, if it is installed.
fn part(name: &str, test: &Location<'_>) -> Option<PathBuf> {
    let parts = cache().join("parts");
    match find(&parts, name) {
        Ok(folder) => return Some(folder),
        Err(reason) => missing(name, &reason, test),
    }
    None
}

/// Fails where that is required, else reports the skip.
fn missing(name: &str, reason: &str, test: &Location<'_>) {
    assert!(
        !is_required(),
        "{name} is required, and cannot be had: {reason}"
    );
    report(&format!("{test}: skipped: needs {name}: {reason}"));
}

/// The folder of a part, or why there is none.
fn find(parts: &Path, name: &str) -> Result<PathBuf, String> {
    let folder = parts.join(name);
    // The stamp is written last: without it the part is half made.
    if folder.join("stamp").is_file() {
        return Ok(folder);
    }
    let reason = std::fs::read_to_string(parts.join(format!("{name}.missing")));
    Err(reason.map_or_else(
        |_| "run `make parts`".to_owned(),
        |reason| reason.trim_end().to_owned(),
    ))
}

fn is_required() -> bool {
    match set("DNSWATCH_PARTS") {
        Some(choice) => choice == "require",
        None => set("CI").is_some(),
    }
}

/// The same folder as the Makefile's and `tests/parts/install`'s.
fn cache() -> PathBuf {
    let user = || match set("XDG_CACHE_HOME") {
        Some(folder) => PathBuf::from(folder),
        None => PathBuf::from(set("HOME").unwrap_or_default()).join(".cache"),
    };
    set("DNSWATCH_CACHE").map_or_else(|| user().join("dnswatch"), PathBuf::from)
}

fn set(variable: &str) -> Option<String> {
    std::env::var(variable)
        .ok()
        .filter(|value| !value.is_empty())
}

/// Reports a skip where people look: a runner hides what a passing test prints, so `make test`
/// collects the lines in a file and prints them at its end.
fn report(skip: &str) {
    eprintln!("{skip}");
    if let Some(file) = set("DNSWATCH_SKIPPED") {
        let notified = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&file)
            .and_then(|mut file| writeln!(file, "{skip}"));
        assert!(notified.is_ok(), "{file}: {notified:?}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_there_only_with_its_stamp() {
        let parts = tempfile::tempdir().unwrap();
        let folder = parts.path().join("tool");
        std::fs::create_dir(&folder).unwrap();
        assert_eq!(
            find(parts.path(), "tool"),
            Err("run `make parts`".to_owned())
        );

        std::fs::write(parts.path().join("tool.missing"), "no network\n").unwrap();
        assert_eq!(find(parts.path(), "tool"), Err("no network".to_owned()));

        std::fs::write(folder.join("stamp"), "1").unwrap();
        assert_eq!(find(parts.path(), "tool"), Ok(folder));
    }

    #[test]
    fn python_has_the_pinned_botocore() {
        let Some(python) = python() else { return };
        let said = Command::new(python)
            .args(["-c", "import botocore; print(botocore.__version__)"])
            .output()
            .unwrap();
        let version = String::from_utf8(said.stdout).unwrap();
        let pinned = include_str!("../parts/requirements-python.txt");
        assert!(
            pinned
                .lines()
                .any(|line| line == format!("botocore=={}", version.trim())),
            "{version:?}"
        );
    }
}
