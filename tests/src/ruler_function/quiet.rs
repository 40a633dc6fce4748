//! What keeps the function quiet: silences, of the stack's table and of the workspace's own alert
//! manager; and a storm, which is combined into a few messages.

use std::sync::{Arc, Mutex};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::ground::{self, Ground, invoke, next_second, run_until};
use super::sent;
use crate::dnswatch::{dnswatch, said};
use crate::front::{Answer, Front, Request};

/// As many runs as a notification takes without a silence, and more.
const RUNS: usize = 5;

/// Runs that send nothing, though the alert fires; the last one's report.
async fn quiet(function: &ruler::function::Function) -> Result<Value> {
    let mut last = Value::Null;
    for _ in 0..RUNS {
        next_second().await;
        last = invoke(function).await?;
        ensure!(last["sent"] == 0 && last["pending"] == 0, "{last}");
    }
    Ok(last)
}

#[tokio::test]
async fn a_silence_in_the_table_keeps_the_function_quiet_until_it_is_expired() -> Result<()> {
    let Some(ground) = Ground::prepare().await? else {
        return Ok(());
    };
    let workspace = "ws-00000000-0000-0000-0000-0000000000aa";
    let function = ground.function(&[("AMP_WORKSPACE", workspace)])?;
    invoke(&function).await?;
    let silence = |args: &[&str]| -> Result<String> {
        let mut command = dnswatch();
        command.arg("silence").arg(args[0]);
        command.args(["--table", ground::TABLE, "--workspace", workspace]);
        command.args(&args[1..]);
        command
            .env("AWS_REGION", ground::REGION)
            .env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
            .env("AWS_SECRET_ACCESS_KEY", ground::SECRET)
            .env("AWS_ENDPOINT_URL", ground.aws_url());
        let output = command.output()?;
        ensure!(output.status.success(), "{}", said(&output));
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    };
    let why = ["add", "--author", "ana", "--comment", "maintenance"];
    let id = silence(&[&why[..], &["node=~\"a|b\""]].concat())?;
    quiet(&function).await?;
    let list = silence(&["list"])?;
    ensure!(
        list.contains(&id) && list.contains("active") && list.contains("by ana: maintenance"),
        "{list}"
    );
    silence(&["expire", &id])?;
    run_until(&function, sent).await?;
    let list = silence(&["list"])?;
    ensure!(!list.contains(&id), "{list}");
    let list = silence(&["list", "--expired"])?;
    ensure!(list.contains(&id) && list.contains("expired"), "{list}");
    Ok(())
}

/// 26 groups at once make ten messages, and nothing is lost of them.
#[tokio::test]
async fn a_storm_is_sent_in_ten_messages() -> Result<()> {
    let Some(ground) = Ground::prepare().await? else {
        return Ok(());
    };
    let rules = (0..25).map(|at| format!("  - {{alert: Flood{at:02}, expr: drops > 0}}\n"));
    let rules: String = rules.collect();
    ground.write(
        "rules/flood.yml",
        &format!("groups:\n- name: flood\n  interval: 1s\n  rules:\n{rules}"),
    )?;
    let function = ground.function(&[])?;
    let report = run_until(&function, sent).await?;
    ensure!(report["sent"] == 26 && report["pending"] == 0, "{report}");
    let (mut messages, mut alerts, mut floods) = (0, 0, 0);
    while let Some(webhook) = ground.webhook().await? {
        messages += 1;
        alerts += webhook["alerts"].as_array().context("alerts")?.len();
        floods += usize::from(webhook["groupKey"] == "flood:{}");
    }
    ensure!(
        (messages, alerts, floods) == (10, 26, 1),
        "{messages} {alerts} {floods}"
    );
    Ok(())
}

/// As Alertmanager 0.28 answers `GET /api/v2/silences`.
const SILENCES: &str = r#"[{"id":"9c0e6a1e-1d2f-4b58-9a55-3c1f6f0b7a01","status":{"state":"active"},
    "updatedAt":"2026-01-01T00:00:00.000Z","comment":"maintenance","createdBy":"ana",
    "endsAt":"2100-01-01T00:00:00.000Z","startsAt":"2026-01-01T00:00:00.000Z",
    "matchers":[{"isEqual":true,"isRegex":true,"name":"node","value":"a|b"}]}]"#;

#[tokio::test]
async fn silences_of_the_workspace_hold_and_a_failure_to_read_them_ends_none() -> Result<()> {
    let Some(ground) = Ground::prepare().await? else {
        return Ok(());
    };
    let answer: Arc<Mutex<Answer>> =
        Arc::new(Mutex::new((200, "application/json", SILENCES.to_owned())));
    let current = Arc::clone(&answer);
    let front = Front::start(ground.prometheus_url(), move |request: &Request| {
        let is_silences = request.line() == "GET /alertmanager/api/v2/silences";
        is_silences.then(|| current.lock().unwrap().clone())
    })
    .await?;
    let workspace = "ws-00000000-0000-0000-0000-0000000000bb";
    let function = ground.function(&[
        ("AMP_WORKSPACE", workspace),
        ("PROMETHEUS_URL", front.url.as_str()),
    ])?;
    let report = quiet(&function).await?;
    ensure!(report.get("silences_unread").is_none(), "{report}");
    for (status, body) in [(503, "down"), (403, "no"), (200, "{}"), (200, "[{")] {
        *answer.lock().unwrap() = (status, "application/json", body.to_owned());
        next_second().await;
        let report = invoke(&function).await?;
        ensure!(report["sent"] == 0, "{report}");
        let why = report["silences_unread"].as_str().context("a reason")?;
        ensure!(
            why.contains("/alertmanager/api/v2/silences") || why.contains("cannot be read"),
            "{why}"
        );
    }
    *answer.lock().unwrap() = (200, "application/json", "[]".to_owned());
    run_until(&function, sent).await?;
    let asked = front.answered.lock().unwrap().len();
    ensure!(asked > RUNS + 4, "{asked}");
    Ok(())
}
