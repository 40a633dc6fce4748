//! The state file under `kill -9` at random moments, and under two rulers at once.
//!
//! One rule holds every other second, so that there is always something to store and to notify. The
//! other is never notified: that its alert begins at the first of its two seconds shows that this
//! tick was evaluated.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use alerting::state::State;
use alerting::timestamp::Timestamp;
use anyhow::Result;

use crate::dnswatch::{dnswatch, output, said};
use crate::leash::Leash;
use crate::parts;
use crate::prometheus::Prometheus;

const RULES: &str = "
groups:
- name: g
  interval: 1s
  query_offset: 0s
  rules:
  - alert: EveryOtherSecond
    expr: vector(time()) and on () (vector(time()) % 2 < 1)
    annotations:
      summary: of tick {{ printf \"%.0f\" $value }}
  - alert: TwoOfFour
    expr: vector(time()) % 4 < 2
    for: 1h
";

/// How often the ruler is killed.
const KILLS: usize = 40;
/// Far longer than a run takes; only a ruler that hangs meets it.
const SOON: Duration = Duration::from_secs(120);

fn start(prometheus: &Prometheus, folder: &Path) -> Result<Leash> {
    Leash::start(
        dnswatch()
            .args(["run", "--rules=rules.yml", "--state=state.json"])
            .args(["--interval=100ms", "--group-wait=0s", "--group-interval=0s"])
            .arg(format!("--url={}", prometheus.url()))
            .env("RUST_LOG", "error")
            .current_dir(folder),
    )
}

/// Version and document, which must be whole whenever it is checked.
#[track_caller]
fn look(folder: &Path) -> Option<(u64, State)> {
    let bytes = std::fs::read(folder.join("state.json")).ok()?;
    let text = String::from_utf8(bytes).expect("the file is text");
    let (version, document) = text.split_once('\n').expect("a version and a document");
    let state = State::from_json(document.as_bytes()).expect("the document is whole");
    let version = version.parse().expect("the version is a number");
    Some((version, state))
}

/// Looks at the file again and again until it is as awaited.
#[track_caller]
fn wait_for(folder: &Path, awaited: impl Fn(u64, &State) -> bool) -> State {
    let deadline = Instant::now() + SOON;
    while Instant::now() < deadline {
        match look(folder) {
            Some((version, state)) if awaited(version, &state) => return state,
            _ => std::thread::yield_now(),
        }
    }
    panic!("the file never became what was awaited");
}

fn cursor(state: &State) -> Timestamp {
    let rule = state.rules.values().next().expect("the rule");
    rule.evaluated_until
}

/// Whether each alert of `TwoOfFour` that began after the tick `first` began where it must.
#[track_caller]
fn check_none_lost(state: &State, first: Timestamp) {
    let alerts = state.rules.values().flat_map(|rule| rule.active.values());
    for alert in alerts.filter(|alert| alert.labels.get("alertname") == "TwoOfFour") {
        let begun = alert.active_at;
        assert!(
            begun <= first || begun.as_millis() % 4000 == 0,
            "the tick before {begun} was lost"
        );
    }
}

fn sequence(state: &State) -> u64 {
    state.notify.nflog.iter().map(|entry| entry.sequence).sum()
}

/// How often each start and each end was notified: the annotation names the tick.
fn notified(log: &str, into: &mut BTreeMap<String, usize>) {
    let mut status = "";
    for line in log.lines().map(str::trim) {
        for known in ["FIRING", "RESOLVED"] {
            if line.starts_with(known) {
                status = known;
            }
        }
        if let Some(tick) = line.strip_prefix("of tick ") {
            *into.entry(format!("{status} {tick}")).or_default() += 1;
        }
    }
}

#[tokio::test]
async fn kill_9_at_any_moment_leaves_the_old_document_or_the_new() -> Result<()> {
    let Some(tools) = parts::prometheus() else {
        return Ok(());
    };
    let prometheus = tools.server().start().await?;
    let folder = tempfile::tempdir()?;
    let folder = folder.path();
    std::fs::write(folder.join("rules.yml"), RULES)?;
    let mut random = fastrand::Rng::with_seed(7);
    let mut all = BTreeMap::new();
    let (mut version, mut seen) = (0, Timestamp::default());
    let mut first = None;
    let mut kills = 0;
    while kills < KILLS || all.len() < 10 {
        kills += 1;
        let ruler = start(&prometheus, folder)?;
        let until = version + random.u64(1..4);
        wait_for(folder, |version, _| version >= until);
        // Somewhere in what comes next: a number of looks at the file, not of milliseconds.
        for _ in 0..random.usize(0..3_000) {
            look(folder);
        }
        let killed = Command::new("kill")
            .args(["-KILL", &ruler.pid().to_string()])
            .status()?;
        assert!(killed.success());
        ruler.ends().await?;
        notified(&ruler.log(), &mut all);
        let (next, state) = look(folder).expect("it was written");
        assert!(next >= version, "from version {version} back to {next}");
        assert!(
            cursor(&state) >= seen,
            "from {seen} back to {}",
            cursor(&state)
        );
        check_none_lost(&state, *first.get_or_insert(cursor(&state)));
        (version, seen) = (next, cursor(&state));
    }
    // Left alone, it sends what is still pending.
    let ruler = start(&prometheus, folder)?;
    let last = wait_for(folder, |now, state| {
        now >= version + 6 && state.notify.outbox.pending().is_empty()
    });
    drop(ruler);
    let twice = all.values().filter(|count| **count > 1).count();
    assert!(all.values().all(|count| *count <= 2), "{all:?}");
    assert!(twice <= kills, "{twice} notified twice");
    eprintln!(
        "{kills} kills, {version} versions, {} beginnings and ends notified, {twice} of them twice, \
         last sequence {}",
        all.len(),
        sequence(&last)
    );
    Ok(())
}

#[tokio::test]
async fn two_rulers_on_one_file_notify_each_event_once() -> Result<()> {
    let Some(tools) = parts::prometheus() else {
        return Ok(());
    };
    let prometheus = tools.server().start().await?;
    let folder = tempfile::tempdir()?;
    let folder = folder.path();
    std::fs::write(folder.join("rules.yml"), RULES)?;
    let rulers = [start(&prometheus, folder)?, start(&prometheus, folder)?];
    wait_for(folder, |_, state| sequence(state) >= 12);
    let mut all = BTreeMap::new();
    for ruler in rulers {
        notified(&ruler.log(), &mut all);
    }
    assert!(all.len() >= 5, "hardly anything was notified: {all:?}");
    assert!(all.values().all(|count| *count == 1), "{all:?}");
    Ok(())
}

/// One `run --once` with the state at `state`; whether it succeeded, and what it said.
#[track_caller]
fn once(prometheus: &Prometheus, folder: &Path, state: &str) -> (bool, String) {
    let output = output(
        dnswatch()
            .args(["run", "--once", "--rules=rules.yml"])
            .arg(format!("--state={state}"))
            .arg(format!("--url={}", prometheus.url()))
            .current_dir(folder),
    );
    (output.status.success(), said(&output))
}

/// README's command: the folder is not there yet.
#[tokio::test]
async fn the_folder_of_the_state_is_made() -> Result<()> {
    let Some(tools) = parts::prometheus() else {
        return Ok(());
    };
    let prometheus = tools.server().start().await?;
    let folder = tempfile::tempdir()?;
    let folder = folder.path();
    std::fs::write(folder.join("rules.yml"), RULES)?;
    let (success, said) = once(&prometheus, folder, "var/lib/dnswatch/state.json");
    assert!(success, "{said}");
    assert!(look(&folder.join("var/lib/dnswatch")).is_some());
    let (_, said) = once(&prometheus, folder, "var/lib/dnswatch/state.json");
    assert!(!said.contains("first run"), "{said}");
    Ok(())
}

/// A link is followed, the file itself is locked: two rulers by two names exclude each other.
#[tokio::test]
async fn a_linked_state_is_the_file_that_it_leads_to() -> Result<()> {
    let Some(tools) = parts::prometheus() else {
        return Ok(());
    };
    let prometheus = tools.server().start().await?;
    let folder = tempfile::tempdir()?;
    let folder = folder.path();
    std::fs::write(folder.join("rules.yml"), RULES)?;
    std::fs::create_dir(folder.join("real"))?;
    // Before the first write it leads nowhere: that is the first run.
    std::os::unix::fs::symlink("real/state.json", folder.join("link.json"))?;
    std::os::unix::fs::symlink("link.json", folder.join("other.json"))?;
    let (success, said) = once(&prometheus, folder, "other.json");
    assert!(success && said.contains("first run"), "{said}");
    let real = folder.join("real");
    assert!(look(&real).is_some());
    for name in ["link.json", "other.json"] {
        assert!(folder.join(name).is_symlink(), "{name}");
    }
    let beside: Vec<_> = std::fs::read_dir(folder)?
        .map(|it| it.unwrap().file_name())
        .collect();
    assert_eq!(beside.len(), 4, "{beside:?}");

    let start = |state: &str| {
        Leash::start(
            dnswatch()
                .args(["run", "--rules=rules.yml"])
                .arg(format!("--state={state}"))
                .args(["--interval=100ms", "--group-wait=0s", "--group-interval=0s"])
                .arg(format!("--url={}", prometheus.url()))
                .env("RUST_LOG", "error")
                .current_dir(folder),
        )
    };
    let rulers = [start("link.json")?, start("real/state.json")?];
    wait_for(&real, |_, state| sequence(state) >= 8);
    let mut all = BTreeMap::new();
    for ruler in rulers {
        notified(&ruler.log(), &mut all);
    }
    assert!(all.len() >= 3, "hardly anything was notified: {all:?}");
    assert!(all.values().all(|count| *count == 1), "{all:?}");
    assert!(folder.join("link.json").is_symlink());
    Ok(())
}

/// What is no state file is named, at once and within bounds; nothing of it is changed.
#[tokio::test]
async fn what_cannot_be_a_state_file_is_named() -> Result<()> {
    let Some(tools) = parts::prometheus() else {
        return Ok(());
    };
    let prometheus = tools.server().start().await?;
    let folder = tempfile::tempdir()?;
    let folder = folder.path();
    std::fs::write(folder.join("rules.yml"), RULES)?;
    std::fs::create_dir(folder.join("folder"))?;
    let pipe = folder.join("pipe");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, 0o600.into())?;
    std::fs::File::create(folder.join("sparse"))?.set_len(10 << 30)?;
    std::fs::write(folder.join("empty"), "")?;
    std::os::unix::fs::symlink("not-mounted/state.json", folder.join("unmounted"))?;
    std::os::unix::fs::symlink("loop", folder.join("loop"))?;
    for (state, expected) in [
        ("/dev/full", "it is a device, not a regular file"),
        ("/dev/zero", "it is a device, not a regular file"),
        ("folder", "it is a folder, not a regular file"),
        ("pipe", "it is a named pipe, not a regular file"),
        ("sparse", "it is larger than 256 MiB"),
        ("empty", "it does not begin with a version"),
        ("rules.yml", "it does not begin with a version"),
        ("rules.yml/state.json", "Not a directory"),
        ("unmounted", "whose folder cannot be read"),
        ("loop", "too many links"),
    ] {
        let (success, said) = once(&prometheus, folder, state);
        assert!(!success, "{state}: {said}");
        assert!(said.contains(expected), "{state}: {said}");
        assert!(
            said.contains(state.split('/').next_back().unwrap()),
            "{state}: {said}"
        );
    }
    assert_eq!(std::fs::read_to_string(folder.join("rules.yml"))?, RULES);
    assert_eq!(std::fs::metadata(folder.join("empty"))?.len(), 0);
    Ok(())
}
