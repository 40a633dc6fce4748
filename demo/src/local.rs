//! The show with `dnswatch run`: no AWS, alerts in the terminal.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use dnswatch_demo::acts::{self, Notified};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::ChildStdout;
use tokio::time::{Instant, timeout};

use crate::Args;
use crate::child::{Child, Program};
use crate::console::{Console, human};
use crate::show::{Scene, Stage};
use crate::{exporter, parts};

/// How long after its last line a notification counts as complete.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Plays the show to its end.
///
/// # Errors
/// Where a part is missing or ends, or where FIRING and RESOLVED are not both
/// notified in time.
pub(crate) async fn play(args: &Args, stage: &mut Stage) -> anyhow::Result<()> {
    let dnswatch_program = parts::dnswatch(args.dnswatch.as_deref())?;
    let rules = parts::rule_files(&args.rules)?;
    let folder = stage.folder(args.keep)?;
    let exporter = exporter::start(args, stage, &folder).await?;
    let mut scene = Scene::set(args, stage, &folder, Some(exporter)).await?;
    stage.console.line(&format!(
        "A DNS storm comes over a simulated cluster, and goes. This takes about {}.",
        human(acts::estimate(scene.storm_ends))
    ))?;
    stage.console.line(&format!(
        "Prometheus is at http://{} meanwhile; dnswatch runs on it.",
        scene.prometheus
    ))?;
    stage.console.line(&format!(
        "It also scrapes ethtool-exporter, which reads this machine's own network devices: http://{exporter}/metrics"
    ))?;

    let run = dnswatch_args(scene.prometheus, &rules, &folder.join("state.json"));
    let program = Program {
        name: "dnswatch",
        path: &dnswatch_program,
        args: &run,
        environment: None,
        is_heard: true,
    };
    let mut ruler = Child::start(&program, folder.join("dnswatch.log"))?;
    let lines = ruler.take_stdout();
    let ruler = stage.dnswatch.insert(ruler);
    let lines = lines.context("dnswatch has no standard output")?;

    let watcher = stage.prometheus.as_mut().context("Prometheus runs")?;
    let notified = tokio::select! {
        notified = watch(&mut scene, BufReader::new(lines).lines(), &mut stage.console) => notified?,
        error = watcher.ended() => return Err(error),
    };
    match notified {
        Watched::Both => {
            stage
                .console
                .line("FIRING and RESOLVED were both notified: the demo is over.")?;
            Ok(())
        }
        Watched::SilentFor(missing) => bail!(
            "after {} {missing}; the end of dnswatch's log:\n{}",
            human(acts::DEADLINE),
            ruler.log_tail()
        ),
        Watched::RulerLeft => Err(ruler.ended().await),
    }
}

/// How the watch ended.
enum Watched {
    Both,
    /// The deadline came; what was missing then.
    SilentFor(&'static str),
    /// dnswatch closed its output.
    RulerLeft,
}

/// Moves the cluster on in real time and listens to dnswatch, until both
/// notifications arrived or the deadline has passed.
async fn watch(
    scene: &mut Scene,
    mut lines: Lines<BufReader<ChildStdout>>,
    console: &mut Console,
) -> anyhow::Result<Watched> {
    let began = Instant::now();
    let mut notified = Notified::default();
    loop {
        tokio::select! {
            now = scene.second() => {
                let elapsed = now? - began;
                if let (Some(missing), true) = (notified.missing(), elapsed >= acts::DEADLINE) {
                    return Ok(Watched::SilentFor(missing));
                }
                scene.report(&left(notified, elapsed, scene.storm_ends), console)?;
            }
            line = lines.next_line() => {
                let Some(line) = line.context("cannot read what dnswatch says")? else {
                    return Ok(Watched::RulerLeft);
                };
                console.line(&line)?;
                notified.hear(&line);
                if notified == Notified::Resolved {
                    while let Ok(Ok(Some(line))) = timeout(LAST_WORDS, lines.next_line()).await {
                        console.line(&line)?;
                    }
                    return Ok(Watched::Both);
                }
            }
        }
    }
}

/// What is left, for the line of progress, `elapsed` after the beginning.
fn left(notified: Notified, elapsed: Duration, storm_ends: Duration) -> String {
    let left = acts::estimate(storm_ends).saturating_sub(elapsed);
    if left.is_zero() {
        let patience = acts::DEADLINE.saturating_sub(elapsed);
        format!("late, giving up in {}", human(patience))
    } else if notified == Notified::Firing && elapsed > storm_ends {
        format!("RESOLVED in {}", human(left))
    } else {
        format!("{} left", human(left))
    }
}

fn dnswatch_args(prometheus: SocketAddr, rules: &[PathBuf], state: &Path) -> Vec<String> {
    let mut args = vec!["run".to_owned(), format!("--url=http://{prometheus}")];
    args.extend(
        rules
            .iter()
            .map(|file| format!("--rules={}", file.display())),
    );
    args.push(format!("--state={}", state.display()));
    args.extend(
        [
            "--interval=5s",
            "--query-offset=5s",
            "--group-wait=0s",
            "--group-interval=5s",
            "--repeat-interval=1h",
        ]
        .map(str::to_owned),
    );
    args
}
