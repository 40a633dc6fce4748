//! What we say of each tick, put to `promtool test rules` on the same history: it evaluates the
//! same rules by Prometheus's own code and compares.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::process::Output;
use std::time::Duration;

use alerting::alert::AlertState;
use alerting::labels::Labels;
use alerting::rules::{Defaults, SourceFile, load};
use alerting::timestamp::Timestamp;
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::history::History;
use crate::prometheus::PrometheusTools;
use crate::ruler::Active;

/// How many lines of a long diff are shown.
const SHOWN: usize = 40;

/// The pending and firing alerts at one tick.
pub(crate) type AtTick = (Timestamp, Vec<Active>);

/// The rules and the history of one comparison.
pub(crate) struct Comparison<'a> {
    pub(crate) tools: &'a PrometheusTools,
    pub(crate) files: &'a [SourceFile],
    pub(crate) history: &'a History,
    /// The first tick, and the time of the first sample: promtool's time 0.
    pub(crate) start: Timestamp,
    /// That of all groups, since promtool has one for all.
    pub(crate) interval: Duration,
}

impl Comparison<'_> {
    /// Whether promtool has the same alerts at all of `ticks`: their labels and states, since
    /// when they are active, and for those that fire the annotations. The error shows its diff.
    pub(crate) fn agrees(&self, ticks: &[AtTick]) -> Result<()> {
        let said = self.ask(ticks)?;
        let text = String::from_utf8_lossy(&said.stdout) + String::from_utf8_lossy(&said.stderr);
        ensure!(
            said.status.success(),
            "promtool (+) does not agree with us (-):\n{}",
            differences(&text)
        );
        Ok(())
    }

    /// What promtool says to `ticks`. It evaluates up to the last of them.
    pub(crate) fn ask(&self, ticks: &[AtTick]) -> Result<Output> {
        let folder = tempfile::tempdir()?;
        for file in self.files {
            std::fs::write(folder.path().join(base_name(file)), &file.text)?;
        }
        let test = folder.path().join("test.yml");
        std::fs::write(&test, serde_json::to_vec(&self.test(ticks)?)?)?;
        self.tools.promtool(
            ["test", "rules"]
                .map(OsStr::new)
                .into_iter()
                .chain([test.as_os_str()]),
        )
    }

    /// The test file. JSON is YAML.
    fn test(&self, ticks: &[AtTick]) -> Result<Value> {
        let groups = load(self.files, Defaults::default())
            .ok()
            .context("rule files that load")?;
        ensure!(groups.iter().all(|group| group.interval == self.interval));
        let names: BTreeSet<&str> = groups
            .iter()
            .flat_map(|group| &group.rules)
            .map(|rule| rule.id.alert.as_str())
            .collect();
        let mut expressions = Vec::new();
        let mut alerts = Vec::new();
        for (tick, active) in ticks {
            let at = in_go(tick.since(self.start));
            expressions.extend(self::expressions(&at, active, self.start));
            alerts.extend(names.iter().map(|name| self::alerts(&at, active, name)));
        }
        Ok(json!({
            "rule_files": self.files.iter().map(base_name).collect::<Value>(),
            "evaluation_interval": in_go(self.interval),
            "tests": [{
                "interval": in_go(self.history.step),
                "input_series": self.history.input_series(),
                "promql_expr_test": expressions,
                "alert_rule_test": alerts,
            }],
        }))
    }
}

/// promtool's words, and of the lists that it shows of samples, which are long, only in what they
/// differ.
pub(crate) fn differences(said: &str) -> String {
    let mut shown = Vec::new();
    let mut ours = BTreeSet::new();
    let samples = |list: &str| {
        list.split(", {")
            .map(str::to_owned)
            .collect::<BTreeSet<_>>()
    };
    for line in said.lines().filter(|line| !line.trim().is_empty()) {
        if let Some(list) = line.trim().strip_prefix("exp: {") {
            ours = samples(list);
        } else if let Some(list) = line.trim().strip_prefix("got: {") {
            let theirs = samples(list);
            shown.extend(
                ours.difference(&theirs)
                    .map(|sample| format!("  - {sample}")),
            );
            shown.extend(
                theirs
                    .difference(&ours)
                    .map(|sample| format!("  + {sample}")),
            );
        } else {
            shown.push(line.to_owned());
        }
    }
    shown.truncate(SHOWN);
    shown.join("\n")
}

fn base_name(file: &SourceFile) -> &str {
    file.name.rsplit('/').next().unwrap_or_default()
}

fn in_go(duration: Duration) -> String {
    format!("{}s", duration.as_secs())
}

/// What promtool is to find of `active` at a tick that is `at` after its time 0: the samples of
/// `ALERTS` and `ALERTS_FOR_STATE`.
pub(crate) fn expressions(at: &str, active: &[Active], start: Timestamp) -> [Value; 2] {
    [
        json!({
            "expr": "ALERTS",
            "eval_time": at,
            "exp_samples": active.iter().map(alerts_sample).collect::<Value>(),
        }),
        json!({
            "expr": "ALERTS_FOR_STATE",
            "eval_time": at,
            "exp_samples": active
                .iter()
                .map(|alert| for_state_sample(alert, start))
                .collect::<Value>(),
        }),
    ]
}

/// What promtool is to find of `active` at a tick: the alerts called `name` that fire, with their
/// annotations.
pub(crate) fn alerts(at: &str, active: &[Active], name: &str) -> Value {
    json!({
        "eval_time": at,
        "alertname": name,
        "exp_alerts": active
            .iter()
            .filter(|alert| alert.name() == name)
            .filter(|alert| alert.state == AlertState::Firing)
            .map(expected_alert)
            .collect::<Value>(),
    })
}

fn alerts_sample(alert: &Active) -> Value {
    let state = match alert.state {
        AlertState::Inactive => "inactive",
        AlertState::Pending => "pending",
        AlertState::Firing => "firing",
    };
    let labels = alert.in_series.with([("alertstate", state)]);
    json!({"labels": selector("ALERTS", &labels), "value": 1})
}

fn for_state_sample(alert: &Active, start: Timestamp) -> Value {
    json!({
        "labels": selector("ALERTS_FOR_STATE", &alert.in_series),
        "value": alert.active_at.since(start).as_secs(),
    })
}

/// A series in PromQL, whose texts are escaped as JSON's are; a name that is no word is in quotes,
/// which only Prometheus 3 reads.
fn selector(metric: &str, labels: &Labels) -> String {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let matchers: Vec<String> = labels
        .iter()
        .map(|(name, value)| {
            let value = json!(value);
            if name.chars().all(is_word) {
                format!("{name}={value}")
            } else {
                format!("{}={value}", json!(name))
            }
        })
        .collect();
    format!("{metric}{{{}}}", matchers.join(","))
}

fn expected_alert(alert: &Active) -> Value {
    let labels = alert.labels.without(|name| name == "alertname");
    json!({
        "exp_labels": labels.iter().map(|(name, value)| (name.to_owned(), json!(value))).collect::<serde_json::Map<_, _>>(),
        "exp_annotations": alert
            .annotations
            .iter()
            .map(|(name, text)| (name.clone(), json!(text)))
            .collect::<serde_json::Map<_, _>>(),
    })
}
