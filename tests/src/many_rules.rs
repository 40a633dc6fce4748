//! More rules than anyone has: each is evaluated, and where a run's time is too short for all, none is
//! left behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use alerting::alert::AlertState;
use alerting::rules::SourceFile;
use alerting::state::State;
use anyhow::{Context as _, Result, ensure};

use crate::dnswatch::{dnswatch, output, said};
use crate::front::Front;
use crate::history::{History, START};
use crate::parts;
use crate::prometheus::{Prometheus, PrometheusTools};
use crate::ruler::{Bench, as_prometheus};

const MINUTE: Duration = Duration::from_secs(60);

/// So many rules, one a series; those whose number ends in 99 find something.
fn rules(count: usize) -> Vec<SourceFile> {
    let rules: Vec<String> = (0..count)
        .map(|n| {
            let (of, is) = (n % 100, u8::from(n % 100 == 99));
            format!("  - {{alert: A{n}, expr: 'm{{n=\"{of}\"}} == {is} + 0 * {n} > 0'}}\n")
        })
        .collect();
    vec![SourceFile {
        name: "many.yml".to_owned(),
        text: format!("groups:\n- name: g\n  rules:\n{}", rules.concat()),
    }]
}

fn history() -> History {
    let mut history = History::new(Duration::from_secs(15));
    for n in 0..100 {
        history.push(&format!("m{{n=\"{n}\"}}"), vec![Some(1.0); 80]);
    }
    history
}

async fn serve(tools: &PrometheusTools) -> Result<Prometheus> {
    let server = tools.server().samples(history().samples(START));
    server.start().await
}

fn firing(state: &State) -> usize {
    let alerts = state.rules.values().flat_map(|rule| rule.active.values());
    alerts
        .filter(|alert| alert.state == AlertState::Firing)
        .count()
}

#[tokio::test]
async fn ten_thousand_rules_are_evaluated_in_one_run() -> Result<()> {
    const RULES: usize = 10_000;
    let Some(tools) = parts::prometheus() else {
        return Ok(());
    };
    let server = serve(&tools).await?;
    let mut bench = Bench::new(server.url(), rules(RULES), as_prometheus())?;
    bench.run_at(START).await?;
    let report = bench.run_at(START.plus(MINUTE)).await?;
    let evaluated = report.evaluated;
    ensure!(
        (evaluated.evaluated, evaluated.failed) == (RULES, 0),
        "{evaluated:?}"
    );
    ensure!(firing(&bench.state().await?) == RULES / 100);
    Ok(())
}

/// Each answer takes a third of a second, so that a run has time for half of the rules only.
#[tokio::test]
async fn rules_that_found_no_time_have_it_in_the_next_run() -> Result<()> {
    const RULES: usize = 200;
    let Some(tools) = parts::prometheus() else {
        return Ok(());
    };
    let server = serve(&tools).await?;
    let asked = Arc::new(AtomicUsize::new(0));
    let clock = Arc::new(std::sync::OnceLock::<crate::ruler::HandClock>::new());
    let (count, slow) = (Arc::clone(&asked), Arc::clone(&clock));
    let front = Front::start(server.url(), move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        if let Some(clock) = slow.get() {
            clock.pass(Duration::from_millis(300));
        }
        None
    })
    .await?;
    let mut bench = Bench::new(&front.url, rules(RULES), as_prometheus())?;
    bench.run_at(START).await?;
    clock.set(bench.clock.clone()).ok().context("set once")?;
    for minute in 1..=10 {
        let before = asked.swap(0, Ordering::SeqCst);
        ensure!(before < RULES, "{before} of {RULES} rules were asked about");
        bench.run_at(START.plus(MINUTE * minute)).await?;
        let state = bench.state().await?;
        let oldest = state.rules.values().map(|rule| rule.evaluated_until).min();
        // A run has time for half of them.
        let lag = START.plus(MINUTE * minute).since(oldest.context("rules")?);
        ensure!(lag <= MINUTE * 3, "minute {minute}: {lag:?} behind");
    }
    Ok(())
}

/// Ten megabytes of rules, in each of which something is probably not meant: `check` says so of each,
/// in less memory than a Lambda function has.
#[test]
fn a_rule_file_of_ten_megabytes_is_checked() -> Result<()> {
    const RULES: usize = 20_000;
    /// In KiB.
    const MOST: usize = 512 << 10;
    let mut text = "groups:\n- name: g\n  rules:\n".to_owned();
    let more = "x".repeat(400);
    for n in 0..RULES {
        text += &format!(
            "  - alert: A{n}\n    expr: >-\n      up{{n=\"{n}\"}}\n    for: 5m\n    annotations:\n      \
             summary: '{{{{ $labels.instance }}}} {more}'\n"
        );
    }
    ensure!(text.len() > 10_000_000, "{} bytes", text.len());
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("large.yml"), text)?;
    let mut command = std::process::Command::new("bash");
    command
        .args(["-c", r#"ulimit -d "$0" && exec "$@""#, &MOST.to_string()])
        .arg(dnswatch().get_program())
        .args(["check", "large.yml"])
        .current_dir(folder.path());
    let output = output(&mut command);
    let said = said(&output);
    let end: Vec<&str> = said.lines().rev().take(3).collect();
    ensure!(output.status.success(), "{end:#?}");
    let warnings = said
        .lines()
        .filter(|line| line.contains("(alerts/comparison)"));
    ensure!(warnings.count() == RULES, "{end:#?}");
    Ok(())
}
