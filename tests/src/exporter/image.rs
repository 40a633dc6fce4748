//! The image as `make image` builds it, run with nothing allowed.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

use super::page::Page;
use crate::leash::Leash;
use crate::parts;

/// Runs the program of the given folder as an unprivileged user, without capabilities, the folder
/// as a root that cannot be written. As in any container, `/proc` is there.
const READ_ONLY: &str = "
import ctypes, os, sys
BIND, REC, REMOUNT, READ_ONLY = 0x1000, 0x4000, 0x20, 1
PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 24, 38
libc = ctypes.CDLL(None, use_errno=True)
root = sys.argv[1].encode()
def mount(source, target, kind, flags):
    if libc.mount(source, target, kind, ctypes.c_ulong(flags), None):
        sys.exit(f'mount {target}: {os.strerror(ctypes.get_errno())}')
os.makedirs(root + b'/proc', exist_ok=True)
mount(root, root, None, BIND | REC)
mount(b'proc', root + b'/proc', b'proc', 0)
mount(b'none', root, None, REMOUNT | BIND | READ_ONLY)
os.chroot(root)
os.chdir('/')
for capability in range(64):
    libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
os.execv('/ethtool-exporter', ['ethtool-exporter', *sys.argv[2:]])
";

const START: Duration = Duration::from_secs(30);

/// What the image may weigh.
const LARGEST: u64 = 3_000_000;

/// A place of its own for images and containers.
#[derive(Debug)]
struct Store {
    buildah: PathBuf,
    folder: TempDir,
}

impl Store {
    fn new(buildah: PathBuf) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let policy = r#"{"default": [{"type": "insecureAcceptAnything"}]}"#;
        std::fs::write(folder.path().join("policy.json"), policy)?;
        Ok(Self { buildah, folder })
    }

    fn arguments(&self) -> [String; 6] {
        let path = |name: &str| self.folder.path().join(name).display().to_string();
        let [storage, run] = ["storage", "run"].map(path);
        let options = [
            "--storage-driver",
            "vfs",
            "--root",
            &storage,
            "--runroot",
            &run,
        ];
        options.map(str::to_owned)
    }

    fn policy(&self) -> String {
        self.folder.path().join("policy.json").display().to_string()
    }

    /// How `build-image` is to call it. Network and isolation do not matter here.
    fn builder(&self) -> String {
        let options = format!(
            "build --isolation chroot --signature-policy {}",
            self.policy()
        );
        format!(
            "{} {} {options}",
            self.buildah.display(),
            self.arguments().join(" ")
        )
    }

    fn run(&self, arguments: &[&str]) -> Result<String> {
        let output = Command::new(&self.buildah)
            .args(self.arguments())
            .args(arguments)
            .output()?;
        good(output)
    }
}

fn good(output: Output) -> Result<String> {
    ensure!(
        output.status.success(),
        "{}",
        crate::dnswatch::said(&output)
    );
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[test]
fn hadolint_has_nothing_to_say() -> Result<()> {
    let Some(judges) = parts::exporter_judges() else {
        return Ok(());
    };
    let dockerfile = here().join("ethtool-exporter/Dockerfile");
    let said = good(
        Command::new(judges.join("hadolint"))
            .arg(dockerfile)
            .output()?,
    )?;
    ensure!(said.is_empty(), "{said}");
    Ok(())
}

/// Built, weighed, and run: by buildah, as the image says; and unprivileged, without capabilities,
/// on a root that cannot be written.
#[tokio::test]
async fn the_image_runs_with_nothing_allowed() -> Result<()> {
    let (Some(buildah), Some(())) = (parts::buildah(), parts::network_namespaces()) else {
        return Ok(());
    };
    let store = Store::new(buildah)?;
    let built = Command::new(here().join("ethtool-exporter/build-image"))
        .arg("ethtool-exporter")
        .env("IMAGE_BUILDER", store.builder())
        .output()?;
    good(built)?;

    let container = store.run(&[
        "from",
        "--signature-policy",
        &store.policy(),
        "localhost/ethtool-exporter",
    ])?;
    let config = store.run(&["inspect", &container])?;
    let mut config: serde_json::Value = serde_json::from_str(&config)?;
    let config = config["OCIv1"]["config"].take();
    ensure!(config["User"] == "65534:65534", "{config}");
    ensure!(config["Entrypoint"][0] == "/ethtool-exporter", "{config}");
    let labels = &config["Labels"];
    ensure!(
        labels["org.opencontainers.image.version"] == env!("CARGO_PKG_VERSION"),
        "{config}"
    );

    // As the image says; `lo` is everywhere, and has no driver.
    let arguments = ["--once", "--device-include=.*", "--all-metrics"];
    let mut run = vec![
        "run",
        "--isolation",
        "chroot",
        "--cap-drop",
        "all",
        &container,
        "--",
    ];
    run.push("/ethtool-exporter");
    run.extend(arguments);
    let page = Page::read(store.run(&run)? + "\n")?;
    ensure!(page.text.contains("node_net_ethtool"), "{}", page.text);

    let root = store.run(&["mount", &container])?;
    let files: Vec<_> = std::fs::read_dir(&root)?.collect::<Result<_, _>>()?;
    let weight = std::fs::metadata(Path::new(&root).join("ethtool-exporter"))?.len();
    ensure!(weight < LARGEST, "{weight} bytes");
    // Folders that buildah makes for a run are not the image's.
    ensure!(
        files
            .iter()
            .all(|it| it.path().is_dir() || it.file_name() == "ethtool-exporter")
    );

    let mut command = Command::new("unshare");
    command.args(["--mount", "--net", "--propagation", "private", "sh", "-c"]);
    command.arg("ip link add name a type veth peer name b && exec python3 -c \"$0\" \"$@\"");
    command.args([READ_ONLY, &root, "--listen=127.0.0.1:0"]);
    command.args(["--device-include=.*", "--all-metrics"]);
    let process = Leash::start(&command)?;
    process
        .says(START, |line| line.contains("listening on").then_some(()))
        .await?;
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.pid()))?;
    for line in [
        "CapEff:\t0000000000000000",
        "CapBnd:\t0000000000000000",
        "NoNewPrivs:\t1",
        "Uid:\t65534\t65534",
    ] {
        ensure!(status.contains(line), "{line}: {status}");
    }
    let mounts = std::fs::read_to_string(format!("/proc/{}/mountinfo", process.pid()))?;
    let root = mounts
        .lines()
        .find(|line| line.split(' ').nth(4) == Some("/"));
    let root = root.context(mounts.clone())?;
    ensure!(root.contains(" ro,"), "{root}");
    ensure!(process.log().contains("a (veth): 1"), "{}", process.log());
    Ok(())
}
