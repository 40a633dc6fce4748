//! An outage of the backend loses no tick, and sends no false all-clear.

use std::time::Duration;

use alerting::alert::Alert;
use alerting::config::Settings;
use alerting::evaluation::EvaluationOptions;
use alerting::rules::SourceFile;
use alerting::timestamp::Timestamp;
use anyhow::{Context as _, Result, ensure};

use crate::history::{History, START};
use crate::parts;
use crate::proxy::{Proxy, Weather};
use crate::ruler::{Bench, Notified, impatient, patient, story};

/// Runs are a few seconds after the minute, as a scheduler starts them.
const AFTER_THE_MINUTE: Duration = Duration::from_secs(7);
/// The outage, in minutes since the start.
const OUTAGE: std::ops::Range<u64> = 20..40;
const MINUTES: u64 = 65;

/// When each storm is, in minutes: one rule looks at each.
const STORMS: [(&str, std::ops::Range<u64>); 4] = [
    ("Around", 10..50),
    ("Inside", 24..32),
    ("EndsInside", 10..30),
    ("BeginsInside", 26..50),
];

fn history() -> History {
    let mut history = History::new(Duration::from_secs(15));
    for (name, storm) in STORMS {
        let value = |n: u64| if storm.contains(&(n / 4)) { 100.0 } else { 0.5 };
        let values = (0..MINUTES * 4).map(|n| Some(value(n))).collect();
        history.push(&format!("drops{{storm=\"{name}\",node=\"n1\"}}"), values);
    }
    history
}

fn rules() -> Vec<SourceFile> {
    let rules: Vec<String> = STORMS
        .iter()
        .map(|(name, _)| {
            format!("      - {{alert: {name}, expr: 'drops{{storm=\"{name}\"}} > 5', for: 1m}}\n")
        })
        .collect();
    vec![SourceFile {
        name: "storms.yml".to_owned(),
        text: format!(
            "groups:\n  - name: storms\n    interval: 30s\n    rules:\n{}",
            rules.concat()
        ),
    }]
}

/// The product's own settings; the catching up takes several chunks.
fn settings() -> Settings {
    Settings {
        workspace: "test".to_owned(),
        evaluation: EvaluationOptions {
            chunk: 7,
            ..EvaluationOptions::default()
        },
        ..Settings::default()
    }
}

/// What a run left behind.
#[derive(Debug, PartialEq)]
struct Left {
    /// The ticks that the run evaluated, of all rules.
    evaluated: usize,
    cursors: Vec<Timestamp>,
    alerts: Vec<Alert>,
}

/// Runs once a minute, with an outage or without.
async fn drive(url: &str, outage: bool) -> Result<(Vec<Left>, Vec<Notified>)> {
    let proxy = Proxy::start(url).await?;
    let mut bench = Bench::with_client(patient(proxy.url()), rules(), settings())?;
    bench.run_at(START.minus(Duration::from_secs(1))).await?;
    let mut left = Vec::new();
    for minute in 0..MINUTES {
        let weather = match minute {
            _ if !outage || !OUTAGE.contains(&minute) => Weather::Fair,
            20..27 => Weather::Refuse,
            27..34 => Weather::Hang,
            // In the head, and in the body of even the shortest answer.
            34..37 => Weather::Cut(40),
            _ => Weather::Cut(180),
        };
        proxy.set(weather);
        bench.ask_by(match weather {
            Weather::Fair => patient(proxy.url()),
            _ => impatient(proxy.url()),
        })?;
        let now = START
            .plus(Duration::from_secs(60 * minute))
            .plus(AFTER_THE_MINUTE);
        let report = bench.run_at(now).await?;
        let state = bench.state().await?;
        let mut alerts: Vec<Alert> = state
            .rules
            .values()
            .flat_map(|rule| rule.active.values().cloned())
            .collect();
        for alert in &mut alerts {
            // That it was late is all that may be different.
            alert.late = false;
        }
        left.push(Left {
            evaluated: report.evaluated.evaluated,
            cursors: state
                .rules
                .values()
                .map(|rule| rule.evaluated_until)
                .collect(),
            alerts,
        });
    }
    Ok((left, bench.notified()))
}

#[tokio::test]
async fn an_outage_of_twenty_minutes_loses_no_tick() -> Result<()> {
    let Some(tools) = parts::prometheus() else {
        return Ok(());
    };
    let server = tools
        .server()
        .samples(history().samples(START))
        .start()
        .await?;
    let (usual, usually_told) = drive(server.url(), false).await?;
    let (left, notified) = drive(server.url(), true).await?;

    let during = usize::try_from(OUTAGE.start)?..usize::try_from(OUTAGE.end)?;
    let before = &left[during.start - 1];
    for (minute, (left, usual)) in left.iter().zip(&usual).enumerate() {
        if during.contains(&minute) {
            // All of it stands still, and the firing alerts fire.
            ensure!(
                left.evaluated == 0 && left.cursors == before.cursors,
                "{minute}: {left:#?}"
            );
            ensure!(left.alerts == before.alerts, "{minute}: {left:#?}");
        } else {
            // Also right after the outage: one run makes up for all of it.
            ensure!(
                left.cursors == usual.cursors,
                "{minute}: {left:#?} {usual:#?}"
            );
            ensure!(
                left.alerts == usual.alerts,
                "{minute}: {left:#?} {usual:#?}"
            );
        }
    }
    // Each tick of each rule was evaluated once.
    let all = |runs: &[Left]| runs.iter().map(|left| left.evaluated).sum::<usize>();
    let ticks = usize::try_from(2 * (MINUTES - 1) + 1)? * STORMS.len();
    ensure!(
        (all(&left), all(&usual)) == (ticks, ticks),
        "{} {}",
        all(&left),
        all(&usual)
    );
    ensure!(left[during.end].evaluated == 42 * STORMS.len());

    // The storms are not notified within the outage, a firing alert resolves only when it is known
    // to be over, and what fell into the outage is sent once, for information.
    ensure!(
        story(&notified, START)
            == [
                "13 [FIRING:1] Around (n1 Around), first notification",
                "13 [FIRING:1] EndsInside (n1 EndsInside), first notification",
                "25 [FIRING:1] DnswatchQueriesFailing (warning), first notification",
                "40 [FIRING:1] BeginsInside (n1 BeginsInside), first notification",
                "40 [RESOLVED] DnswatchQueriesFailing (warning), all alerts resolved",
                "40 [PAST] Inside (n1 Inside), ended unseen",
                "43 [RESOLVED] EndsInside (n1 EndsInside), all alerts resolved",
                "53 [RESOLVED] Around (n1 Around), all alerts resolved",
                "55 [RESOLVED] BeginsInside (n1 BeginsInside), all alerts resolved",
            ],
        "{:#?}",
        story(&notified, START)
    );
    // Without the outage all four are notified twice.
    ensure!(
        usually_told.len() == 2 * STORMS.len(),
        "{:#?}",
        story(&usually_told, START)
    );
    let past = notified
        .iter()
        .find(|notified| notified.message.subject.starts_with("[PAST]"));
    let past = &past.context("it is there")?.message.body;
    ensure!(
        past.contains("fired and resolved during an outage of dnswatch"),
        "{past}"
    );
    Ok(())
}
