//! What `alerting::promql` makes of an expression, held against the real Prometheus: it reads
//! what Prometheus reads, a narrowed expression has the same samples, and the series that an
//! alert came from are found, while there are any.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use alerting::labels::{Labels, METRIC_NAME};
use alerting::promql::{Answers, Expression, Narrowing, Part};
use alerting::timestamp::Timestamp;
use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::parts;
use crate::prometheus::Prometheus;
use crate::samples::Samples;

const EXPRESSIONS: &str = include_str!("../data/expressions.txt");
const START: i64 = 1_700_000_000;
/// When everything has samples.
const ALL_THERE: i64 = START + 600;
/// When the series of node `n1` have been gone for longer than any window looks back.
const N1_GONE: i64 = START + 2400;
const STEPS: usize = 81;
const STEPS_OF_N1: usize = 31;

type Vector = BTreeMap<Labels, String>;

fn series(samples: Samples, name: &str, labels: &str, slope: f64) -> Samples {
    let gone = labels.contains("n1\"") || labels.contains("n1:");
    let steps = if gone { STEPS_OF_N1 } else { STEPS };
    #[expect(clippy::cast_precision_loss, reason = "at most 81")]
    let values = (0..steps).map(|step| 1.0 + slope * step as f64);
    let start = Timestamp::from_secs(START);
    samples.series(
        &format!("{name}{{{labels}}}"),
        start,
        Duration::from_secs(30),
        values,
    )
}

fn history() -> Samples {
    let mut all = Samples::new();
    for cluster in ["c1", "c.2|x"] {
        for number in [1_u8, 2, 3] {
            let node = format!("n{number}{}", if cluster == "c1" { "" } else { "b" });
            let at = format!("cluster=\"{cluster}\",node=\"{node}\"");
            let slope = f64::from(number);
            for job in ["node", "dns"] {
                let labels = format!("{at},job=\"{job}\",instance=\"{node}:9100\"");
                all = series(all, "up", &labels, 0.0);
            }
            for kind in ["linklocal_allowance_exceeded", "bw_in_allowance_exceeded"] {
                let labels = format!("{at},device=\"eth0\",type=\"{kind}\"");
                all = series(all, "node_net_ethtool", &labels, slope);
            }
            let other = "node_ethtool_linklocal_allowance_exceeded";
            all = series(all, other, &format!("{at},device=\"eth0\""), slope);
            let size = if number < 3 { "a.large" } else { r#"b\"x\\"# };
            all = series(
                all,
                "kube_node_info",
                &format!("{at},instance_type=\"{size}\""),
                0.0,
            );
            for pod in ["p0", "p1"] {
                let pod = format!("cluster=\"{cluster}\",pod=\"{pod}-{node}\"");
                let info = format!("{pod},namespace=\"kube-system\",node=\"{node}\"");
                all = series(all, "kube_pod_info", &info, 0.0);
                all = series(all, "pod_requests_total", &pod, slope * 7.0);
                for (le, part) in [("0.1", 1.0), ("1", 2.0), ("+Inf", 3.0)] {
                    let labels = format!("{pod},le=\"{le}\"");
                    all = series(all, "dns_duration_bucket", &labels, part);
                }
            }
        }
    }
    for (kind, value) in [
        ("quote", r#"a\"b"#),
        ("backslash", r"a\\b"),
        ("newline", r"line1\nline2"),
        ("regex", "a.b|c"),
        ("like regex", "aXb"),
        ("regex", "$^()[]{}*+?"),
        ("part", "a"),
        ("part", "c"),
        ("unicode", "é世"),
        ("replacement", "\u{fffd}"),
        ("control", "\t\u{1}"),
        ("escape", r"\\x41"),
        ("escape", r"\\"),
        ("none", ""),
    ] {
        all = series(
            all,
            "odd",
            &format!("label=\"{value}\",kind=\"{kind}\""),
            0.0,
        );
    }
    series(all, "sum", "a=\"b\"", 0.0)
}

/// The vector that an expression gives, without metric names as in an alert; a scalar is one
/// sample without labels.
async fn query(prometheus: &Prometheus, expr: &str, time: i64) -> Result<Vector> {
    let parameters = [("query", expr), ("time", &time.to_string())];
    let data = prometheus.api("query", &parameters).await?;
    let text = |value: &Value| value[1].as_str().unwrap_or_default().to_owned();
    if data["resultType"] == "scalar" {
        return Ok(Vector::from([(Labels::default(), text(&data["result"]))]));
    }
    let samples = data["result"]
        .as_array()
        .with_context(|| data.to_string())?;
    let mut vector = Vector::new();
    for sample in samples {
        let labels: Labels = serde_json::from_value(sample["metric"].clone())?;
        vector.insert(
            labels.without(|name| name == METRIC_NAME),
            text(&sample["value"]),
        );
    }
    Ok(vector)
}

async fn ask(prometheus: &Prometheus, questions: BTreeSet<String>, time: i64) -> Result<Answers> {
    let mut answers = Answers::new();
    for question in questions {
        let found = query(prometheus, &question, time).await?;
        answers.insert(question, found.into_keys().collect());
    }
    Ok(answers)
}

/// A few alerts, one by one and all together.
fn choices(alerts: &Vector) -> Vec<Vec<Labels>> {
    let all: Vec<Labels> = alerts.keys().cloned().collect();
    let mut choices: Vec<Vec<Labels>> = all.iter().take(4).map(|one| vec![one.clone()]).collect();
    choices.push(all);
    choices
}

/// Of a vector, what has for each label one of the alerts' values, or none.
fn chosen(vector: &Vector, alerts: &[Labels]) -> Vector {
    let mut allowed: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (name, value) in alerts.iter().flat_map(Labels::iter) {
        allowed
            .entry(name)
            .or_insert_with(|| BTreeSet::from([""]))
            .insert(value);
    }
    let fits = |labels: &Labels| {
        let mut allowed = allowed.iter();
        allowed.all(|(name, values)| values.contains(labels.get(name)))
    };
    let vector = vector.iter().filter(|(labels, _)| fits(labels));
    vector
        .map(|(labels, value)| (labels.clone(), value.clone()))
        .collect()
}

/// Sums may be added up in another order.
fn same(one: &Vector, other: &Vector) -> bool {
    one.keys().eq(other.keys())
        && one.values().zip(other.values()).all(|(one, other)| {
            let numbers = (one.parse::<f64>(), other.parse::<f64>());
            one == other
                || matches!(numbers, (Ok(a), Ok(b)) if (a - b).abs() <= 1e-9 * a.abs().max(1.0))
        })
}

#[tokio::test]
async fn a_narrowed_expression_has_the_same_samples() -> Result<()> {
    let Some(tools) = parts::prometheus() else {
        return Ok(());
    };
    let prometheus = tools.server().samples(history()).start().await?;
    let mut compared = 0;
    for expr in EXPRESSIONS
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        let expression = Expression::parse(expr);
        assert_eq!(expression.parse_error(), None, "{expr}");
        for part in [Part::Whole, Part::Compared] {
            let Some(text) = expression.narrowed(part, &Narrowing::none()) else {
                continue;
            };
            let whole = query(&prometheus, &text, ALL_THERE).await.context(expr)?;
            for alerts in choices(&whole) {
                let narrowing = Narrowing::of(&alerts);
                let text = expression
                    .narrowed(part, &narrowing)
                    .context("no such part")?;
                let narrowed = query(&prometheus, &text, ALL_THERE).await.context(expr)?;
                let (expected, found) = (chosen(&whole, &alerts), chosen(&narrowed, &alerts));
                assert!(
                    same(&expected, &found),
                    "{expr}\n{text}\n{expected:?}\n{found:?}"
                );
                compared += expected.len();
            }
        }
    }
    assert!(compared > 1000, "only {compared} samples were compared");
    Ok(())
}

#[tokio::test]
async fn an_alert_is_covered_while_its_series_have_samples() -> Result<()> {
    let Some(tools) = parts::prometheus() else {
        return Ok(());
    };
    let prometheus = tools.server().samples(history()).start().await?;
    let (mut covered, mut gone) = (0, 0);
    for expr in EXPRESSIONS
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        let expression = Expression::parse(expr);
        let Some(inputs) = expression.inputs() else {
            continue;
        };
        let nothing = Narrowing::none();
        ask(&prometheus, inputs.questions(&nothing), ALL_THERE)
            .await
            .context(expr)?;
        let firing = query(&prometheus, expr, ALL_THERE).await.context(expr)?;
        for alerts in choices(&firing) {
            let narrowing = Narrowing::of(&alerts);
            let answers = ask(&prometheus, inputs.questions(&narrowing), ALL_THERE).await?;
            let presence = inputs.presence(&narrowing, &answers);
            for alert in &alerts {
                assert!(presence.covers(alert), "{expr} {alert} {answers:?}");
                covered += 1;
            }
        }
        // The node's alerts may stay only where they still come out of the expression.
        let of_n1 = |alert: &&Labels| {
            alert
                .iter()
                .any(|(_, value)| value == "n1" || value.ends_with("-n1"))
        };
        let alerts: Vec<Labels> = firing.keys().filter(of_n1).cloned().collect();
        let narrowing = Narrowing::of(&alerts);
        let answers = ask(&prometheus, inputs.questions(&narrowing), N1_GONE).await?;
        let presence = inputs.presence(&narrowing, &answers);
        let still_firing = query(&prometheus, expr, N1_GONE).await.context(expr)?;
        for alert in alerts {
            let stays = still_firing.contains_key(&alert);
            assert!(
                stays || !presence.covers(&alert),
                "{expr} {alert} {answers:?}"
            );
            gone += usize::from(!stays);
        }
    }
    assert!(
        covered > 1000 && gone > 200,
        "{covered} covered, {gone} gone"
    );
    Ok(())
}
