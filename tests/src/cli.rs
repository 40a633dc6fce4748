//! `dnswatch` as a user meets it: `check`, `run --once`, README's commands, errors.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use backends::clock::{Clock as _, SystemClock};

use crate::dnswatch::{dnswatch, output, said};
use crate::parts;
use crate::prometheus::Prometheus;
use crate::samples::Samples;

const GOOD: &str = "
groups:
- name: g
  interval: 1s
  query_offset: 0s
  rules:
  - alert: Always
    expr: vector(42) > 41
    annotations:
      summary: the answer is {{ $value }}
";

const BROKEN: &str = "
groups:
- name: g
  rules:
  - alert: Always
    expr: up
    fro: 5m
  - alert: Other
    for: 5 minutes
    expr: up
    annotations: {summary: '{{ $value '}
";

#[track_caller]
fn check(files: &[(&str, &str)], status: i32, expected: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let names = files.iter().map(|(name, _)| name);
    let output = output(
        dnswatch()
            .arg("check")
            .args(names)
            .current_dir(folder.path()),
    );
    let said = said(&output);
    assert_eq!(output.status.code(), Some(status), "{said}");
    for expected in expected {
        assert!(said.contains(expected), "{expected:?} is not in:\n{said}");
    }
}

#[test]
fn check_says_where_and_exits_1() {
    check(&[("good.yml", GOOD)], 0, &["1 alerting rule(s): all well"]);
    check(
        &[("good.yml", GOOD), ("broken.yml", BROKEN)],
        1,
        &["broken.yml:7:5: unknown field `fro`"],
    );
    let typed_right = BROKEN.replace("fro: 5m", "for: 5m");
    check(
        &[("broken.yml", &typed_right)],
        1,
        &[
            "broken.yml:9:10: not a valid duration: \"5 minutes\"",
            "broken.yml:11:28: the template of `summary` cannot be read, at its line 1, column",
            "2 error(s).",
        ],
    );
    check(&[("missing/none.yml", "")][..0], 2, &["PATH"]);
}

/// A route to a receiver, with what the receiver has beside its topic.
fn alertmanager(more: &str) -> String {
    format!(
        "route: {{receiver: ops}}\nreceivers:\n- name: ops\n  sns_configs:\n  \
         - topic_arn: arn:aws:sns:eu-west-1:123456789012:alerts\n{more}"
    )
}

#[test]
fn check_reads_alertmanagers_file_too() {
    check(
        &[("good.yml", GOOD), ("alertmanager.yml", &alertmanager(""))],
        0,
        &[
            "1 alerting rule(s): all well",
            "1 route(s), 1 receiver(s), 0 inhibition rule(s): all well",
        ],
    );
    check(
        &[("alertmanager.yml", &alertmanager("  slack_configs: []\n"))],
        1,
        &["alertmanager.yml:6:3: ", "slack_configs", "1 error(s)."],
    );
}

#[test]
fn check_reads_the_stacks_folder() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/dnswatch");
    let output = output(dnswatch().arg("check").arg(folder));
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("all well"), "{}", said(&output));
}

/// The folder has no `alertmanager.yml`, and needs none.
#[test]
fn documented_commands_take_the_stacks_folder_as_it_is_shipped() {
    let page = include_str!("../../docs/cli.md");
    let commands = page.lines().filter_map(|line| {
        let line = line.trim().strip_prefix("dnswatch ")?;
        line.contains("config/dnswatch").then_some(line)
    });
    let mut tried = Vec::new();
    for line in commands {
        // What is behind many blanks says what it is for.
        let words = line.split("    ").next().unwrap_or(line).split_whitespace();
        let mut command = dnswatch();
        command
            .args(words)
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
        let output = output(&mut command);
        assert!(output.status.success(), "{line}: {}", said(&output));
        tried.extend(line.split(' ').next());
    }
    assert_eq!(tried, ["check", "routes", "preview"]);
}

#[test]
fn an_error_is_one_line_without_a_clock() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = dnswatch();
    command.args(["routes", "--config", "nowhere", "a=b"]);
    let output = output(command.current_dir(folder.path()));
    let said = said(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.starts_with("error: reading nowhere: "), "{said}");
}

/// A definition of AMP that dnswatch cannot deliver all of: `check` and `routes` name what.
#[test]
fn what_a_definition_of_amp_has_that_is_not_delivered_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("alertmanager.yml");
    let text = "alertmanager_config: |\n  event_recorder: {}\n  route: {receiver: ops}\n  receivers:\n  \
                - name: ops\n    sns_configs: [{topic_arn: 'arn:aws:sns:eu-central-1:123456789012:alerts'}]\n    \
                pagerduty_configs: [{routing_key: {aws_secrets_manager: {secret_arn: x, secret_key: y}}}]\n";
    std::fs::write(&file, text).unwrap();
    let checked = output(dnswatch().arg("check").arg(&file));
    let said_of_check = said(&checked);
    assert!(checked.status.success(), "{said_of_check}");
    for part in [
        ":2:19: warning: `event_recorder` is not used",
        ":7:24: warning: `pagerduty_configs` of the receiver \"ops\" is not delivered by dnswatch",
        "1 route(s), 1 receiver(s), 0 inhibition rule(s).",
    ] {
        assert!(said_of_check.contains(part), "{part}\n{said_of_check}");
    }
    let strict = output(dnswatch().args(["check", "--strict"]).arg(&file));
    assert!(!strict.status.success(), "{}", said(&strict));
    let routed = output(
        dnswatch()
            .args(["routes", "--config"])
            .arg(&file)
            .arg("a=b,c"),
    );
    assert_eq!(String::from_utf8_lossy(&routed.stdout).trim(), "ops");
    let notified = String::from_utf8_lossy(&routed.stderr).into_owned();
    assert!(
        notified.contains("ops: pagerduty_configs is not delivered"),
        "{notified}"
    );
}

#[test]
fn the_shipped_rules_are_well() {
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../rules");
    let output = output(dnswatch().arg("check").arg(rules));
    assert!(output.status.success(), "{}", said(&output));
    assert!(!said(&output).contains("warning"), "{}", said(&output));
}

/// One `dnswatch run --once` in a folder that has `rules.yml`; what it said.
#[track_caller]
fn run_once(prometheus: &Prometheus, folder: &Path) -> (bool, String) {
    let output = output(
        dnswatch()
            .args(["run", "--once", "--rules=rules.yml", "--state=state.json"])
            .args(["--group-wait=0s", "--group-interval=1s"])
            .arg(format!("--url={}", prometheus.url()))
            .current_dir(folder),
    );
    (output.status.success(), said(&output))
}

/// Runs once a tick until it says what is awaited; each run waits for the server, none sleeps.
#[track_caller]
fn run_until(prometheus: &Prometheus, folder: &Path, succeeds: bool, awaited: &str) -> String {
    let mut all = String::new();
    for _ in 0..10_000 {
        let (success, said) = run_once(prometheus, folder);
        assert_eq!(success, succeeds, "{said}");
        all.push_str(&said);
        if said.contains(awaited) {
            return all;
        }
    }
    panic!("{awaited:?} was never said, but\n{all}");
}

#[tokio::test]
async fn once_on_an_empty_state_only_sets_where_to_begin() -> Result<()> {
    let Some(tools) = parts::prometheus() else {
        return Ok(());
    };
    let prometheus = tools.server().start().await?;
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("rules.yml"), GOOD)?;

    let (success, said) = run_once(&prometheus, folder.path());
    assert!(
        success && said.contains("first run: recording the start time"),
        "{said}"
    );
    assert!(!said.contains("FIRING"), "{said}");

    let said = run_until(&prometheus, folder.path(), true, "FIRING");
    assert!(said.contains("[FIRING:1] Always"), "{said}");
    assert!(said.contains("the answer is 42"), "{said}");

    // A file that does not load leaves the last valid one in force, and that is reported.
    std::fs::write(folder.path().join("rules.yml"), BROKEN)?;
    let said = run_until(&prometheus, folder.path(), false, "DnswatchConfigRefused");
    assert!(said.contains("the last good ones stay in force"), "{said}");
    assert!(
        said.contains("rules.yml:7:5: unknown field `fro`"),
        "{said}"
    );
    assert!(!said.contains("RESOLVED"), "{said}");

    // Without its rule the alert ends, and is not called resolved.
    std::fs::write(
        folder.path().join("rules.yml"),
        GOOD.replace("Always", "Another"),
    )?;
    let said = run_until(&prometheus, folder.path(), true, "[ENDED] Always");
    assert!(said.contains("RULE REMOVED"), "{said}");
    Ok(())
}

#[tokio::test]
async fn a_first_run_without_good_rules_fails_with_the_place() -> Result<()> {
    let Some(tools) = parts::prometheus() else {
        return Ok(());
    };
    let prometheus = tools.server().start().await?;
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("rules.yml"), BROKEN)?;
    let (success, said) = run_once(&prometheus, folder.path());
    assert!(!success, "{said}");
    assert!(
        said.contains("rules.yml:7:5: unknown field `fro`"),
        "{said}"
    );
    Ok(())
}

#[tokio::test]
async fn check_asks_a_server_what_matches_and_what_it_costs() -> Result<()> {
    let Some(tools) = parts::prometheus() else {
        return Ok(());
    };
    let began = SystemClock.now().minus(Duration::from_secs(600));
    let values = std::iter::repeat_n(1.0, 41);
    let samples = Samples::new().series(
        "up{job=\"self\"}",
        began.align_down(Duration::from_secs(1)),
        Duration::from_secs(15),
        values,
    );
    let prometheus = tools.server().samples(samples).start().await?;
    let folder = tempfile::tempdir()?;
    let rules = "groups:\n- name: g\n  rules:\n  - {alert: Down, expr: up == 0}\n  \
                 - {alert: Typo, expr: 'upp{job=\"self\"} == 0'}\n";
    std::fs::write(folder.path().join("rules.yml"), rules)?;
    let check = |more: &[&str]| {
        output(
            dnswatch()
                .args(["check", "rules.yml", "--url", prometheus.url()])
                .args(more)
                .current_dir(folder.path()),
        )
    };
    let lenient = check(&[]);
    assert!(lenient.status.success(), "{}", said(&lenient));
    for expected in [
        "rules.yml:5:26: warning: upp{job=\"self\"} has matched no series in the last 1h",
        "rules.yml:4:13: Down reads ",
        "1 warning(s).",
    ] {
        assert!(
            said(&lenient).contains(expected),
            "{expected:?} is not in\n{}",
            said(&lenient)
        );
    }
    assert!(
        !said(&lenient).contains("warning: up has"),
        "{}",
        said(&lenient)
    );
    assert_eq!(check(&["--strict"]).status.code(), Some(1));
    let json = String::from_utf8(check(&["--format=json"]).stdout)?;
    let lines: Vec<serde_json::Value> = json
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;
    let cost = lines
        .iter()
        .find(|line| line["type"] == "cost" && line["alert"] == "Down");
    assert!(
        cost.is_some_and(|cost| cost["samples"].as_u64() >= Some(1)),
        "{json}"
    );
    let found = lines.iter().find(|line| line["type"] == "finding");
    assert!(
        found.is_some_and(|found| found["name"] == "promql/series"),
        "{json}"
    );
    Ok(())
}

#[test]
fn check_warns_of_what_loads_and_is_not_meant() {
    let rules = "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: up\n";
    let files = [("rules.yml", rules)];
    check(
        &files,
        0,
        &[
            "rules.yml:5:11: warning: ",
            "(alerts/comparison)",
            "1 warning(s).",
        ],
    );
    let refused = rules.replace("expr: up", "expr: up ==");
    check(
        &[("rules.yml", &refused)],
        1,
        &["rules.yml:5:16: unexpected end", "1 error(s)."],
    );
}

/// The preview answers the questions that the shipped rule asks before it resolves.
#[test]
fn a_preview_ends_as_its_scenario_says() {
    for (scenario, end) in [
        ("resolved", "[RESOLVED] "),
        ("gone", "[NO LONGER REPORTED] "),
        ("stopped", "[FIRING:1] DnswatchTelemetryStopped "),
    ] {
        let output = output(dnswatch().args(["preview", "--format=email", scenario]));
        let said = said(&output);
        assert!(output.status.success(), "{said}");
        let last = said.lines().rfind(|line| line.starts_with("Subject: "));
        let last = last.unwrap_or_default();
        assert!(last.contains(end), "{scenario}: {last}");
        assert!(!last.contains("9417"), "{scenario}: {last}");
    }
}
