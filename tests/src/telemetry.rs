//! Telemetry that stops is no all-clear: the alert is kept open, the unknown state is notified, and
//! an alert ends as resolved only when its samples say so.

use std::ops::Range;
use std::time::Duration;

use alerting::config::Settings;
use alerting::notify::Route;
use anyhow::{Context as _, Result, ensure};

use crate::history::{History, START};
use crate::parts;
use crate::ruler::{Bench, Notified, patient, starter_rules, story};

/// One node of a history, in minutes.
struct Node {
    name: &'static str,
    drops: Range<usize>,
    /// When its exporter is not heard.
    silent: Range<usize>,
}

/// The notifications of a history, by the starter rule for throttling and the product's own
/// settings, but for a reminder every 20 minutes.
async fn notified(nodes: &[Node], minutes: usize) -> Result<Option<Vec<Notified>>> {
    let Some(tools) = parts::prometheus() else {
        return Ok(None);
    };
    let mut history = History::new(Duration::from_secs(15));
    for node in nodes {
        let name = node.name;
        let mut count = 7000.0;
        let values = (0..4 * minutes).map(|n| {
            if node.drops.contains(&(n / 4)) {
                count += 150.0;
            }
            (!node.silent.contains(&(n / 4))).then_some(count)
        });
        let values = values.collect();
        history.push(
            &format!(
                "node_net_ethtool{{type=\"linklocal_allowance_exceeded\",cluster=\"prod\",\
                 node=\"{name}\",instance=\"{name}:9417\",device=\"ens5\"}}"
            ),
            values,
        );
    }
    let server = tools
        .server()
        .samples(history.samples(START))
        .start()
        .await?;
    let settings = Settings {
        workspace: "test".to_owned(),
        route: Route {
            repeat_interval: Duration::from_secs(20 * 60),
            ..Route::default()
        },
        ..Settings::default()
    };
    let files = starter_rules(&["link-local.yml"])?;
    let mut bench = Bench::with_client(patient(server.url()), files, settings)?;
    for minute in 0..minutes {
        let now = START.plus(Duration::from_secs(u64::try_from(60 * minute)? + 7));
        let report = bench.run_at(now).await?;
        ensure!(
            report.failing.is_empty() && report.server.is_none(),
            "{report:?}"
        );
    }
    Ok(Some(bench.notified()))
}

/// The body of the notification whose line in the story begins so.
fn body<'a>(notified: &'a [Notified], line: &str) -> Result<&'a str> {
    let at = story(notified, START)
        .iter()
        .position(|notified| notified.starts_with(line))
        .with_context(|| line.to_owned())?;
    Ok(&notified[at].message.body)
}

#[tokio::test]
async fn an_alert_is_held_until_the_samples_say_that_it_is_over() -> Result<()> {
    let nodes = [Node {
        name: "n1",
        drops: 5..30,
        silent: 15..55,
    }];
    let Some(notified) = notified(&nodes, 70).await? else {
        return Ok(());
    };
    let story = story(&notified, START);
    let stopped = "DnswatchTelemetryStopped (LinkLocalThrottling link-local link-local warning)";
    let throttled = "LinkLocalThrottling prod (ens5 n1 warning)";
    ensure!(
        story
            == [
                format!("8 [FIRING:1] {throttled}, first notification"),
                format!("19 [FIRING:1] {stopped}, first notification"),
                format!("33 [FIRING:1] {throttled}, repeat interval elapsed"),
                format!("44 [FIRING:1] {stopped}, repeat interval elapsed"),
                format!("58 [RESOLVED] {throttled}, all alerts resolved"),
                format!("59 [RESOLVED] {stopped}, all alerts resolved"),
            ],
        "{story:#?}"
    );
    let expected = "\
No data for a firing alert: it is kept open
FIRING since 2026-01-01 00:18 UTC (1m ago)
value 1
Where: rule=LinkLocalThrottling rule_group=link-local rule_namespace=link-local severity=warning

Since 2026-01-01 00:18 UTC the series behind 1 firing alert(s) have no samples. The alerts stay \
open because their current state is unknown. Check the exporters, the collector and the workspace; \
the DNS failure itself may affect the collector.
";
    let said = body(&notified, "19 ")?;
    ensure!(said == expected, "{said}");
    for (line, words) in [
        (
            "8 ",
            "n1 drops DNS, IMDS or NTP packets on ens5\nFIRING since ",
        ),
        ("8 ", "\n▁▁▁▁▁▁▁▁▁▂▄▅▇█  now 1200\n"),
        (
            "8 ",
            "\nWhere: cluster=prod device=ens5 node=n1 severity=warning\n",
        ),
        ("8 ", "\nrunbook: rules/runbooks/LinkLocalThrottling.md\n"),
        ("33 ", "\nFIRING (held) since 2026-01-01 00:07 UTC ("),
        (
            "33 ",
            "\nkept open since 2026-01-01 00:18 UTC: no data, current state unknown\n",
        ),
        ("33 ", "last firing value 225\n"),
        (
            "58 ",
            "Was: n1 drops DNS, IMDS or NTP packets on ens5\n\
             RESOLVED at 2026-01-01 00:56 UTC, after 49m\n\
             the condition cleared\n\
             ▁▁▁▁  now 0, last firing value 225\n",
        ),
    ] {
        let said = body(&notified, line)?;
        ensure!(said.contains(words), "{words}\nis not in\n{said}");
    }
    Ok(())
}

#[tokio::test]
async fn telemetry_that_never_comes_back_ends_an_alert_but_does_not_resolve_it() -> Result<()> {
    let nodes = [Node {
        name: "n1",
        drops: 5..30,
        silent: 15..200,
    }];
    let Some(mut notified) = notified(&nodes, 100).await? else {
        return Ok(());
    };
    notified.retain(|notified| {
        notified
            .message
            .subject
            .contains("] LinkLocalThrottling prod")
    });
    check_ended(
        &notified,
        &["33 [FIRING:1]", "58 [FIRING:1]"],
        "78 ",
        "01:18 UTC",
    )
}

#[tokio::test]
async fn a_node_that_is_gone_while_others_report_is_no_longer_reported() -> Result<()> {
    let nodes = [
        Node {
            name: "n1",
            drops: 5..30,
            silent: 15..200,
        },
        Node {
            name: "n2",
            drops: 0..0,
            silent: 0..0,
        },
    ];
    let Some(notified) = notified(&nodes, 40).await? else {
        return Ok(());
    };
    check_ended(&notified, &[], "23 ", "00:23 UTC")
}

/// The alert is notified, again where a reminder is due, and then as ended: not as resolved.
fn check_ended(notified: &[Notified], reminders: &[&str], ended: &str, at: &str) -> Result<()> {
    let story = story(notified, START);
    let first = "8 [FIRING:1]";
    let last = format!("{ended}[NO LONGER REPORTED]");
    let expected = [first]
        .into_iter()
        .chain(reminders.iter().copied())
        .chain([last.as_str()]);
    ensure!(
        story.len() == reminders.len() + 2
            && story
                .iter()
                .zip(expected)
                .all(|(notified, start)| notified.starts_with(start)),
        "{story:#?}"
    );
    let said = body(notified, ended)?;
    for words in [
        format!("\nNO LONGER REPORTED at 2026-01-01 {at}, after "),
        "\nthe series disappeared, current state unknown\n".to_owned(),
        "last firing value 225\n".to_owned(),
    ] {
        ensure!(said.contains(&words), "{words}\nis not in\n{said}");
    }
    Ok(())
}
