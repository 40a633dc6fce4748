//! What kustomize makes of `deploy/kubernetes`, and what is in the other files of `deploy/`.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

const DEPLOY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy");
const ORACLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/oracles");

/// A file or folder of `deploy/`.
pub(crate) fn deploy(path: &str) -> PathBuf {
    Path::new(DEPLOY).join(path)
}

/// What `kubectl kustomize` makes of a folder, as YAML.
pub(crate) fn built(kubectl: &Path, folder: &Path) -> Result<String> {
    let said = Command::new(kubectl)
        .arg("kustomize")
        .arg(folder)
        .output()?;
    ensure!(
        said.status.success() && said.stderr.is_empty(),
        "{}: {}",
        folder.display(),
        String::from_utf8_lossy(&said.stderr)
    );
    Ok(String::from_utf8(said.stdout)?)
}

/// The documents of a YAML text.
pub(crate) fn documents(kubectl: &Path, yaml: &str) -> Result<Vec<Value>> {
    let mut read = Command::new(kubectl.with_file_name("python"))
        .arg(Path::new(ORACLES).join("kubernetes/read.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut input = read.stdin.take().context("a pipe")?;
    input.write_all(yaml.as_bytes())?;
    drop(input);
    let said = read.wait_with_output()?;
    ensure!(said.status.success(), "read.py failed");
    Ok(serde_json::from_slice(&said.stdout)?)
}

/// `deploy/aws/workspace.yaml`, its functions as objects: `{"Fn::Sub": "…"}`.
pub(crate) fn workspace_template(sam: &Path) -> Result<Value> {
    let said = Command::new(sam.with_file_name("python"))
        .arg(Path::new(ORACLES).join("stack/read.py"))
        .arg(deploy("aws/workspace.yaml"))
        .output()?;
    ensure!(
        said.status.success(),
        "{}",
        String::from_utf8_lossy(&said.stderr)
    );
    let mut read: Value = serde_json::from_slice(&said.stdout)?;
    Ok(read["template"].take())
}

/// All objects of a kind.
pub(crate) fn of_kind<'a>(objects: &'a [Value], kind: &str) -> Vec<&'a Value> {
    objects
        .iter()
        .filter(|object| object["kind"] == kind)
        .collect()
}

/// The only object of a kind.
pub(crate) fn the<'a>(objects: &'a [Value], kind: &str) -> Result<&'a Value> {
    let found = of_kind(objects, kind);
    let [only] = found.as_slice() else {
        anyhow::bail!("{} of {kind}", found.len());
    };
    Ok(only)
}
