//! Rules whose evaluation fails at some ticks, because of the data: which ticks those are, and what
//! becomes of their alerts.

use std::time::Duration;

use alerting::alert::AlertState;
use alerting::rules::SourceFile;
use alerting::timestamp::Timestamp;
use anyhow::{Context as _, Result, ensure};

use crate::history::START;
use crate::nasty;
use crate::parts;
use crate::planner::{Seen, evaluate};
use crate::promtool_test::{AtTick, Comparison};

/// The groups of `failing.yml` with their rule and what promtool says when it fails.
const GROUPS: [(&str, &str); 5] = [
    ("ManyToMany", "found duplicate series for the match group"),
    ("OneToMany", "found duplicate series for the match group"),
    (
        "SameLabels",
        "vector contains metrics with the same labelset after applying alert labels",
    ),
    (
        "SameSeries",
        "vector cannot contain metrics with the same labelset",
    ),
    ("Limit", "exceeded limit of 2 with 3 alerts"),
];

/// promtool ends at the first failure. Up to there it must agree with us; there it must fail, too,
/// for the same reason.
#[tokio::test]
async fn what_fails_in_promtool_fails_here_at_the_same_tick() -> Result<()> {
    let Some(tools) = parts::prometheus() else {
        return Ok(());
    };
    let history = nasty::hour(2, true);
    let server = tools
        .server()
        .samples(history.samples(START))
        .start()
        .await?;
    let (head, groups) = include_str!("../data/failing.yml")
        .split_once("  - name:")
        .context("groups")?;
    let groups: Vec<&str> = groups.split("  - name:").collect();
    ensure!(groups.len() == GROUPS.len());
    for (group, (rule, reason)) in groups.into_iter().zip(GROUPS) {
        ensure!(group.contains(rule), "{group}");
        let files = [SourceFile {
            name: "failing.yml".to_owned(),
            text: format!("{head}  - name:{group}"),
        }];
        let case = Comparison {
            tools: &tools,
            files: &files,
            history: &history,
            start: START,
            interval: Duration::from_secs(30),
        };
        let seen = evaluate(&case, server.url()).await?;
        check(&case, &seen, rule, reason).with_context(|| rule.to_owned())?;
    }
    Ok(())
}

fn check(case: &Comparison<'_>, seen: &[Seen], rule: &str, reason: &str) -> Result<()> {
    let fails = |seen: &Seen| seen.failed.is_some();
    let first = seen.iter().position(fails).context("it never fails")?;
    let error = seen[first].failed.as_deref().unwrap_or_default();
    ensure!(error.contains(reason), "{error}");
    let before: Vec<AtTick> = seen[..first].iter().cloned().map(Seen::said).collect();
    let fired = |(_, active): &AtTick| active.iter().any(|alert| alert.state == AlertState::Firing);
    ensure!(before.iter().any(fired), "nothing fired before {first}");
    case.agrees(&before)?;

    let said = case.ask(&[(seen[first].tick, Vec::new())])?;
    let said = String::from_utf8_lossy(&said.stdout) + String::from_utf8_lossy(&said.stderr);
    let at = in_go(seen[first].tick, case.start);
    let failure = format!("rule: {rule}, time: {at}, err:");
    ensure!(
        said.contains(&failure) && said.contains(reason),
        "{failure}\n{said}"
    );

    // A failure changes no alert, but `limit`, which Prometheus forgets them all for; and an
    // evaluation that succeeds continues from there.
    let mut went_on = 0;
    for pair in seen[first - 1..].windows(2) {
        let (before, after) = (&pair[0], &pair[1]);
        if fails(after) {
            let kept = if rule == "Limit" {
                &[][..]
            } else {
                &before.active
            };
            ensure!(after.active == kept, "{before:#?} {after:#?}");
        }
        went_on += usize::from(fails(before) && !fails(after));
    }
    ensure!(went_on >= 2, "it failed and recovered {went_on} times");
    Ok(())
}

/// A time since the start as Go writes it: `1m30s`, `1h0m0s`.
fn in_go(at: Timestamp, start: Timestamp) -> String {
    let seconds = at.since(start).as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds}s"),
        (0, _) => format!("{minutes}m{seconds}s"),
        _ => format!("{hours}h{minutes}m{seconds}s"),
    }
}

/// The judge sees what it is there to see.
#[tokio::test]
async fn promtool_finds_a_tick_that_is_wrong() -> Result<()> {
    let Some(tools) = parts::prometheus() else {
        return Ok(());
    };
    let history = nasty::hour(2, false);
    let server = tools
        .server()
        .samples(history.samples(START))
        .start()
        .await?;
    let files = [SourceFile {
        name: "one.yml".to_owned(),
        text: "groups: [{name: g, interval: 30s, rules: [{alert: A, expr: m > 7, for: 1m, \
               annotations: {value: '{{ $value }}'}}]}]"
            .to_owned(),
    }];
    let case = Comparison {
        tools: &tools,
        files: &files,
        history: &history,
        start: START,
        interval: Duration::from_secs(30),
    };
    let seen = evaluate(&case, server.url()).await?;
    let right: Vec<AtTick> = seen.into_iter().map(Seen::said).collect();
    case.agrees(&right)?;
    let firing = |(_, active): &AtTick| {
        active
            .first()
            .is_some_and(|a| a.state == AlertState::Firing)
    };
    let at = right.iter().position(firing).context("one that fires")?;
    for change in [
        (|tick| tick.1[0].state = AlertState::Pending) as fn(&mut AtTick),
        |tick| tick.1[0].active_at = tick.0,
        |tick| tick.1[0].annotations[0].1.push('0'),
        |tick| tick.1.truncate(0),
    ] {
        let mut wrong = right.clone();
        change(&mut wrong[at]);
        ensure!(case.agrees(&wrong).is_err(), "{:?}", wrong[at]);
    }
    Ok(())
}
