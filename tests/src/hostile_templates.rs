//! Templates that loop for ever or build gigabytes, for each of a thousand alerts: the alerts fire all
//! the same, what is kept is bounded, and the other rules have their turn.

use std::time::Duration;

use alerting::alert::{Alert, AlertState};
use alerting::rules::SourceFile;
use alerting::state::RuleState;
use anyhow::{Context as _, Result, ensure};

use crate::history::{History, START};
use crate::parts;
use crate::ruler::{Bench, as_prometheus};

const SERIES: usize = 1000;

const RULES: &str = r#"
groups:
- name: hostile
  rules:
  - alert: ForEver
    expr: m > 0
    labels: {severity: page}
    annotations:
      description: '{{ range 1000000000 }}{{ end }}'
      summary: of {{ $labels.n }}
  - alert: Doubles
    expr: m > 0
    annotations:
      description: '{{ $x := "0123456789" }}{{ range 100 }}{{ $x = print $x $x }}{{ end }}{{ $x }}'
  - alert: Megabytes
    expr: m > 0
    annotations:
      description: '{{ printf "%1000000d" 1 }}'
  - alert: InALabel
    expr: m > 0
    labels:
      long: '{{ printf "%1000000d" 1 }}'
  - alert: Well
    expr: m{n="7"} > 0
    annotations: {summary: 'of {{ $labels.n }}'}
"#;

#[tokio::test]
async fn hostile_templates_stop_neither_their_rule_nor_another() -> Result<()> {
    let Some(tools) = parts::prometheus() else {
        return Ok(());
    };
    let mut history = History::new(Duration::from_secs(15));
    for n in 0..SERIES {
        history.push(&format!("m{{n=\"{n}\"}}"), vec![Some(1.0); 12]);
    }
    let server = tools
        .server()
        .samples(history.samples(START))
        .start()
        .await?;
    let files = vec![SourceFile {
        name: "hostile.yml".to_owned(),
        text: RULES.to_owned(),
    }];
    let mut bench = Bench::new(server.url(), files, as_prometheus())?;
    bench.run_at(START).await?;
    let report = bench.run_at(START.plus(Duration::from_secs(60))).await?;
    ensure!(report.evaluated.evaluated == 5, "{:?}", report.evaluated);
    let state = bench.state().await?;
    let rule = |name: &str| -> Result<&RuleState> {
        let mut rules = state.rules.values();
        rules
            .find(|rule| rule.id.alert == name)
            .with_context(|| name.to_owned())
    };
    let text = |alert: &Alert, name: &str| alert.annotations.get(name).cloned().unwrap_or_default();

    for (name, error) in [
        ("ForEver", "template takes more than 1000000 steps"),
        ("Doubles", "text of more than 1048576 bytes in a template"),
        ("Megabytes", ""),
    ] {
        let alerts = &rule(name)?.active;
        ensure!(alerts.len() == SERIES, "{name}: {}", alerts.len());
        let mut failed = 0;
        let mut kept = 0;
        for alert in alerts.values() {
            ensure!(alert.state == AlertState::Firing);
            let description = text(alert, "description");
            kept += description.len();
            failed += usize::from(description.starts_with("<error expanding template: "));
        }
        ensure!(kept < 40 << 20, "{name}: {kept} bytes");
        ensure!(failed > SERIES / 2, "{name}: {failed}");
        let notified = |alert: &Alert| text(alert, "description").contains(error);
        ensure!(alerts.values().any(notified), "{name}");
    }
    // Together they took more than all alerts of a rule may.
    let spent = "the templates of all alerts together take more than 20000000 steps";
    let for_ever = rule("ForEver")?;
    let notified = |alert: &&Alert| text(alert, "description").contains(spent);
    ensure!(for_ever.active.values().filter(notified).count() > SERIES / 2);
    // That spoils nothing else of them.
    let rest = |alert: &Alert| {
        let summary = format!("of {}", alert.labels.get("n"));
        alert.labels.get("severity") == "page" && text(alert, "summary") == summary
    };
    ensure!(for_ever.active.values().all(rest));

    // Labels are what an alert is known by: there the evaluation fails.
    let in_a_label = rule("InALabel")?;
    let failure = in_a_label.health.failure.as_ref().context("a failure")?;
    let expected = "in labels, the templates of all alerts together give out more than 32 MiB";
    ensure!(failure.error == expected, "{}", failure.error);
    ensure!(in_a_label.active.is_empty());

    let well = rule("Well")?;
    let summary = well.active.values().map(|alert| text(alert, "summary"));
    ensure!(summary.collect::<Vec<_>>() == ["of 7"]);
    Ok(())
}
