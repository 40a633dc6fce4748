//! Files that became empty, are half written, or cannot be read: none of that is "no rules", and the
//! last good configuration holds.

use std::path::Path;
use std::process::Output;
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::dnswatch::{dnswatch, output, said};
use crate::leash::Leash;
use crate::parts;
use crate::prometheus::Prometheus;

const SOON: Duration = Duration::from_secs(120);

fn rules(alert: &str) -> String {
    format!(
        "groups:\n- name: g\n  interval: 1s\n  query_offset: 0s\n  rules:\n  \
         - {{alert: {alert}, expr: vector(42) > 41}}\n"
    )
}

/// Writes a file that counts at once: one that has just changed is read again first.
#[track_caller]
fn write(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    let file = std::fs::File::options().write(true).open(path).unwrap();
    let hour_ago = std::time::SystemTime::now() - Duration::from_secs(3600);
    file.set_modified(hour_ago).unwrap();
}

#[track_caller]
fn run_once(prometheus: &Prometheus, folder: &Path, args: &[&str]) -> Output {
    output(
        dnswatch()
            .args(["run", "--once", "--rules=rules", "--state=state.json"])
            .args(["--group-wait=0s", "--group-interval=1s"])
            .arg(format!("--url={}", prometheus.url()))
            .args(args)
            .current_dir(folder),
    )
}

#[track_caller]
fn run_until(prometheus: &Prometheus, folder: &Path, args: &[&str], awaited: &str) -> String {
    let mut all = String::new();
    for _ in 0..10_000 {
        let output = run_once(prometheus, folder, args);
        all.push_str(&said(&output));
        if all.contains(awaited) {
            return all;
        }
    }
    panic!("{awaited:?} was never said, but\n{all}");
}

#[tokio::test]
async fn what_became_empty_is_refused_and_the_last_good_holds() -> Result<()> {
    let Some(tools) = parts::prometheus() else {
        return Ok(());
    };
    let prometheus = tools.server().start().await?;
    let folder = tempfile::tempdir()?;
    let folder = folder.path();
    std::fs::create_dir(folder.join("rules"))?;
    let file = |name: &str| folder.join("rules").join(name);
    write(&file("a.yml"), &rules("A"));
    write(&file("b.yml"), &rules("B"));
    run_until(&prometheus, folder, &[], "[FIRING:1] B");

    // One of two: blank is not what anybody writes.
    write(&file("b.yml"), "# generated\n\n");
    let said = run_until(&prometheus, folder, &[], "[FIRING:1] DnswatchConfigRefused");
    ensure!(
        said.contains("b.yml is empty; it held 1 alerting rule(s)"),
        "{said}"
    );
    let refused = run_once(&prometheus, folder, &[]);
    ensure!(refused.status.code() == Some(1), "{refused:?}");

    // All of them, each in a way that loads or a folder without files.
    for text in ["", "groups: []\n"] {
        write(&file("a.yml"), text);
        write(&file("b.yml"), text);
        let refused = run_once(&prometheus, folder, &[]);
        let said = crate::dnswatch::said(&refused);
        ensure!(refused.status.code() == Some(1), "{said}");
        ensure!(
            said.contains("the 2 rule files hold no alerting rule"),
            "{said}"
        );
        ensure!(said.contains("set --allow-empty"), "{said}");
    }
    std::fs::remove_file(file("a.yml"))?;
    std::fs::remove_file(file("b.yml"))?;
    let gone = run_once(&prometheus, folder, &[]);
    ensure!(gone.status.code() == Some(1), "{gone:?}");
    ensure!(
        said_of(&gone).contains("rules holds no .yml, .yaml or .rules file"),
        "{gone:?}"
    );

    // One that says so loses its rules, and so does one that is gone; the other continues.
    write(&file("a.yml"), &rules("A"));
    write(&file("b.yml"), "groups: []\n");
    let said = run_until(&prometheus, folder, &[], "[ENDED] B");
    ensure!(
        !said.contains("[ENDED] A") && !said.contains("[RESOLVED] A"),
        "{said}"
    );
    // And all of them where the user says so.
    write(&file("a.yml"), "");
    run_until(&prometheus, folder, &["--allow-empty"], "[ENDED] A");
    let said = run_once(&prometheus, folder, &["--allow-empty"]);
    ensure!(said.status.success(), "{said:?}");
    Ok(())
}

fn said_of(output: &Output) -> String {
    said(output)
}

#[tokio::test]
async fn a_first_run_on_empty_files_fails() -> Result<()> {
    let Some(tools) = parts::prometheus() else {
        return Ok(());
    };
    let prometheus = tools.server().start().await?;
    for text in [
        "",
        "groups: []\n",
        "groups: [{name: g, rules: [{record: a, expr: up}]}]\n",
    ] {
        let folder = tempfile::tempdir()?;
        std::fs::create_dir(folder.path().join("rules"))?;
        write(&folder.path().join("rules/a.yml"), text);
        let refused = run_once(&prometheus, folder.path(), &[]);
        ensure!(refused.status.code() == Some(1), "{refused:?}");
        let said = said(&refused);
        ensure!(
            said.contains("rules/a.yml holds no alerting rule"),
            "{said}"
        );
        let allowed = run_once(&prometheus, folder.path(), &["--allow-empty"]);
        ensure!(allowed.status.success(), "{allowed:?}");
    }
    Ok(())
}

/// A running ruler never takes the half of a file: it is cut off while it is written, at a place
/// where it loads, and completed when the ruler has met it.
#[tokio::test]
async fn a_half_written_file_does_not_count() -> Result<()> {
    let Some(tools) = parts::prometheus() else {
        return Ok(());
    };
    let prometheus = tools.server().start().await?;
    let folder = tempfile::tempdir()?;
    let folder = folder.path();
    let path = folder.join("rules.yml");
    let whole = rules("A") + "  - {alert: B, expr: vector(42) > 41}\n";
    write(&path, &whole);
    let ruler = Leash::start(
        dnswatch()
            .args(["run", "--rules=rules.yml", "--state=state.json"])
            .args(["--interval=100ms", "--group-wait=0s", "--group-interval=0s"])
            .arg(format!("--url={}", prometheus.url()))
            .current_dir(folder),
    )?;
    let is = |text: &'static str| move |line: &str| line.contains(text).then_some(());
    ruler.says(SOON, is("[FIRING:1] B")).await?;
    // As a generator writes that is slower than the ruler: a piece at a time.
    let half = rules("A");
    let mut writing = tokio::time::interval(Duration::from_millis(100));
    for round in 0..40 {
        writing.tick().await;
        std::fs::write(&path, if round % 2 == 0 { &half } else { "groups:\n" })?;
    }
    std::fs::write(&path, whole.replace("A,", "C,"))?;
    ruler.says(SOON, is("[FIRING:1] C")).await?;
    let log = ruler.log();
    ensure!(!log.contains("[ENDED] B"), "{log}");
    ensure!(!log.contains("no alerting rule"), "{log}");
    ensure!(log.contains("[ENDED] A"), "{log}");
    Ok(())
}

/// What is in the folder, with the error that names it. `make` is given the folder.
#[track_caller]
fn check_unreadable(make: impl Fn(&Path), expected: &str) {
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("config/rules");
    std::fs::create_dir_all(&rules).unwrap();
    write(&rules.join("good.yml"), &self::rules("A"));
    make(&folder.path().join("config"));
    let mut command = dnswatch();
    command.args(["check", "config"]).current_dir(folder.path());
    let output = output(&mut command);
    let said = said(&output);
    assert_eq!(output.status.code(), Some(1), "{expected}: {said}");
    assert!(said.contains(expected), "{expected}: {said}");
}

#[test]
fn what_cannot_be_read_is_never_taken_for_absent() {
    use std::os::unix::fs::symlink;
    check_unreadable(
        |config| symlink("gone.yml", config.join("rules/link.yml")).unwrap(),
        "reading config/rules/link.yml: it is a link to gone.yml, which is not there",
    );
    check_unreadable(
        |config| symlink("gone.yml", config.join("alertmanager.yml")).unwrap(),
        "reading config/alertmanager.yml: it is a link to gone.yml",
    );
    check_unreadable(
        |config| symlink("/dev/zero", config.join("rules/zero.yml")).unwrap(),
        "reading config/rules/zero.yml: it is a device, not a regular file",
    );
    check_unreadable(
        |config| std::fs::create_dir(config.join("rules/folder.yml")).unwrap(),
        "reading config/rules/folder.yml: it is a folder, not a regular file",
    );
    check_unreadable(
        |config| std::fs::create_dir(config.join("alertmanager.yml")).unwrap(),
        "reading config/alertmanager.yml: it is a folder, not a regular file",
    );
    check_unreadable(
        |config| {
            let pipe = config.join("rules/pipe.yml");
            rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, 0o600.into()).unwrap();
        },
        "reading config/rules/pipe.yml: it is a named pipe, not a regular file",
    );
    check_unreadable(
        |config| {
            let sparse = std::fs::File::create(config.join("rules/sparse.yml")).unwrap();
            sparse.set_len(10 << 30).unwrap();
        },
        "reading config/rules/sparse.yml: it is larger than 16 MiB",
    );
    check_unreadable(
        |config| {
            std::fs::write(config.join("rules/latin.yml"), b"groups: []\n# caf\xe9\n").unwrap();
        },
        "reading config/rules/latin.yml: it is not UTF-8 text, at line 2",
    );
    check_unreadable(
        |config| std::fs::write(config.join("alertmanager.yaml"), "").unwrap(),
        "config/alertmanager.yaml:",
    );
}

#[test]
fn other_endings_are_read_or_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    file("a.YML", &rules("A"));
    file("b.rules", &rules("B"));
    file("c.yaml", &rules("C"));
    file("d.yml.bak", &rules("D"));
    file("e.json", "{}");
    file("README.md", "");
    file(".hidden", "");
    let output = output(dnswatch().args(["check", "."]).current_dir(folder.path()));
    let said = said(&output);
    assert!(output.status.success(), "{said}");
    assert!(
        said.contains("3 file(s), 3 group(s), 3 alerting rule(s)"),
        "{said}"
    );
    for name in ["d.yml.bak", "e.json"] {
        let warning = format!("./{name}:1:1: warning: the file is not read");
        assert!(said.contains(&warning), "{warning}: {said}");
    }
    assert!(said.contains("2 warning(s)"), "{said}");
}

#[test]
fn check_warns_of_a_file_without_rules() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.yml"), rules("A")).unwrap();
    for empty in [
        "",
        "# nothing\n",
        "groups:\n",
        "groups: [{name: g, rules: []}]\n",
    ] {
        std::fs::write(folder.path().join("b.yml"), empty).unwrap();
        let mut command = dnswatch();
        command.args(["check", "--strict", "a.yml", "b.yml"]);
        let output = output(command.current_dir(folder.path()));
        let said = said(&output);
        assert_eq!(output.status.code(), Some(1), "{empty:?}: {said}");
        assert!(
            said.contains("b.yml:1:1: warning: the file holds no rule"),
            "{said}"
        );
    }
}
