//! A server that does not answer is one fact: `run --once` fails, the log has one line and people get
//! one alert, however many rules there are; what only some rules fail of stays with those rules.

use std::path::Path;
use std::process::Output;
use std::time::Duration;

use alerting::config::Settings;
use alerting::rules::SourceFile;
use alerting::server::ServerTrouble;
use anyhow::{Context as _, Result, ensure};

use crate::dnswatch::{dnswatch, output, said};
use crate::front::{Answer, Front};
use crate::history::{History, START};
use crate::parts;
use crate::ruler::{Bench, impatient, story};

const ONE_RULE: &str = "
groups:
- name: g
  interval: 1s
  query_offset: 0s
  rules:
  - {alert: Quiet, expr: vector(1) > 2}
";

/// How many rules there are where many are meant: as many as the catalogue has, or so.
const RULES: usize = 24;
const MINUTE: Duration = Duration::from_secs(60);

#[track_caller]
fn run_once(url: &str, folder: &Path) -> Output {
    output(
        dnswatch()
            .args(["run", "--once", "--rules=rules.yml", "--state=state.json"])
            .arg(format!("--url={url}"))
            .current_dir(folder),
    )
}

fn folder() -> Result<tempfile::TempDir> {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("rules.yml"), ONE_RULE)?;
    Ok(folder)
}

fn page(status: u16, kind: &'static str, body: &str) -> Answer {
    (status, kind, body.to_owned())
}

/// Each with what is to be read in the log; the first run on an empty state is enough to see it.
#[tokio::test(flavor = "multi_thread")]
async fn once_fails_whatever_keeps_the_server_from_answering() -> Result<()> {
    const LOGIN: &str = "<!doctype html><title>Sign in</title>";
    let json = "application/json";
    let answers = [
        (
            page(200, "text/html", LOGIN),
            "not answering as a Prometheus API",
            "check the URL",
        ),
        (
            page(404, "text/plain", "404 page not found"),
            "not answering as a Prometheus API",
            "404",
        ),
        (
            page(401, "text/plain", "Unauthorized"),
            "not accessible",
            "check the credentials",
        ),
        (
            page(403, json, r#"{"message": "not authorized"}"#),
            "not accessible",
            "aps:QueryMetrics",
        ),
        (
            page(429, json, "{}"),
            "throttling queries",
            "Service Quotas",
        ),
        (
            page(502, "text/html", "<html>Bad Gateway"),
            "answering with errors",
            "502",
        ),
    ];
    // Nothing listens on the port of a listener that is gone.
    let gone = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await?
        .local_addr()?;
    let mut cases = vec![(format!("http://{gone}"), "unreachable", "onnection refused")];
    let mut fronts = Vec::new();
    for (answer, is, why) in answers {
        let front = Front::start("", move |_| Some(answer.clone())).await?;
        cases.push((format!("{}/prom", front.url), is, why));
        fronts.push(front);
    }
    // A refused connection is tried again for some seconds: all cases at once.
    std::thread::scope(|scope| {
        for (url, is, why) in &cases {
            scope.spawn(move || {
                let folder = folder().expect("a folder");
                let host = url.trim_start_matches("http://");
                // The second one may have ticks that are due.
                for first in [true, false] {
                    let output = run_once(url, folder.path());
                    let said = said(&output);
                    assert_eq!(output.status.code(), Some(1), "{url}: {said}");
                    let line = format!("Prometheus at {host} {is} since ");
                    assert_eq!(said.matches(&line).count(), 1, "{line}: {said}");
                    assert!(said.contains(why), "{why}: {said}");
                    assert_eq!(said.matches(" WARN ").count(), 1, "{said}");
                    assert!(!said.contains("failing:"), "{said}");
                    assert_eq!(said.contains("first run"), first, "{said}");
                    assert_eq!(number(&said, "failed"), number(&said, "due"), "{said}");
                }
            });
        }
    });
    Ok(())
}

/// The number behind ` NAME=`.
#[track_caller]
fn number(said: &str, name: &str) -> usize {
    let (_, rest) = said
        .split_once(&format!(" {name}="))
        .expect("it is in the log");
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next();
    digits
        .and_then(|digits| digits.parse().ok())
        .expect("a number")
}

/// It answers again: the same state continues.
#[tokio::test]
async fn once_succeeds_when_the_server_is_back() -> Result<()> {
    let Some(tools) = parts::prometheus() else {
        return Ok(());
    };
    let prometheus = tools.server().start().await?;
    let folder = folder()?;
    let away = Front::start("", |_| Some(page(401, "text/plain", ""))).await?;
    ensure!(!run_once(&away.url, folder.path()).status.success());
    let back = run_once(prometheus.url(), folder.path());
    ensure!(back.status.success(), "{}", said(&back));
    ensure!(!said(&back).contains("WARN"), "{}", said(&back));
    Ok(())
}

fn rules() -> Vec<SourceFile> {
    let rules: String = (0..RULES)
        .map(|n| format!("  - {{alert: A{n}, expr: 'drops{{n=\"{n}\"}} > 5'}}\n"))
        .collect();
    vec![SourceFile {
        name: "many.yml".to_owned(),
        text: format!("groups:\n- name: many\n  rules:\n{rules}"),
    }]
}

/// Runs once a minute for ten minutes, in front of a server whose answers `decide` takes over from
/// the third minute to the eighth.
async fn drive(
    decide: impl Fn(&str) -> Option<Answer> + Send + Sync + 'static,
) -> Result<Option<Bench>> {
    let Some(tools) = parts::prometheus() else {
        return Ok(None);
    };
    let mut history = History::new(MINUTE);
    for n in 0..RULES {
        history.push(&format!("drops{{n=\"{n}\"}}"), vec![Some(1.0); 20]);
    }
    let samples = history.samples(START);
    let server = tools.server().samples(samples).start().await?;
    let front = Front::start(server.url(), move |request| {
        decide(&String::from_utf8_lossy(&request.body))
    })
    .await?;
    let settings = Settings {
        workspace: "test".to_owned(),
        ..Settings::default()
    };
    let mut bench = Bench::with_client(impatient(server.url()), rules(), settings)?;
    for minute in 0..12 {
        let is_bad = (3..9).contains(&minute);
        bench.ask_by(impatient(if is_bad { &front.url } else { server.url() }))?;
        let now = START.plus(MINUTE * minute).plus(Duration::from_secs(7));
        let report = bench.run_at(now).await?;
        ensure!(report.is_success() != is_bad, "{minute}: {report:#?}");
    }
    Ok(Some(bench))
}

#[tokio::test]
async fn one_alert_reports_a_throttling_server() -> Result<()> {
    let answer = |_: &str| Some(page(429, "application/json", "{}"));
    let Some(bench) = drive(answer).await? else {
        return Ok(());
    };
    let notified = bench.notified();
    let expected = [
        "8 [FIRING:1] DnswatchQueriesFailing (warning), first notification",
        "14 [RESOLVED] DnswatchQueriesFailing (warning), all alerts resolved",
    ];
    let story = story(&notified, START);
    ensure!(story == expected[..1], "{story:#?}");
    let body = &notified[0].message.body;
    for text in [
        "is throttling queries",
        &format!("{RULES} of {RULES} rules are not evaluated"),
        "429",
        "Raise its query limits",
        "Missed evaluations of the last 1h are caught up",
    ] {
        ensure!(body.contains(text), "{text:?} is not in\n{body}");
    }
    ensure!(bench.state().await?.server.is_none());
    Ok(())
}

/// Half of the rules are throttled: that is the server's, and says how many.
#[tokio::test]
async fn a_server_that_throttles_some_queries_is_named_with_their_number() -> Result<()> {
    let some = |body: &str| {
        let is_one = body.contains("n%3D%221");
        is_one.then(|| page(429, "application/json", "{}"))
    };
    let Some(bench) = drive(some).await? else {
        return Ok(());
    };
    let notified = bench.notified();
    let story = story(&notified, START);
    ensure!(story.len() == 1, "{story:#?}");
    ensure!(story[0].contains("DnswatchQueriesFailing"), "{story:#?}");
    let body = &notified[0].message.body;
    // 1 and 10 to 19.
    ensure!(body.contains("11 of 24 rules are not evaluated"), "{body}");
    Ok(())
}

/// Only a heavy rule's query times out, while the server answers the others: the rule's own.
#[tokio::test]
async fn what_only_some_rules_fail_of_is_theirs() -> Result<()> {
    const TIMEOUT: &str = r#"{"status":"error","errorType":"timeout","error":"query timed out"}"#;
    let heavy = |body: &str| {
        let is_one = body.contains("n%3D%227%22");
        is_one.then(|| page(503, "application/json", TIMEOUT))
    };
    let Some(bench) = drive(heavy).await? else {
        return Ok(());
    };
    let notified = bench.notified();
    let story = story(&notified, START);
    ensure!(story.len() == 1, "{story:#?}");
    ensure!(
        story[0].contains("DnswatchRuleFailing (A7 many many warning)"),
        "{story:#?}"
    );
    Ok(())
}

/// All of them time out: the server's.
#[tokio::test]
async fn what_all_rules_fail_of_is_the_servers() -> Result<()> {
    const TIMEOUT: &str = r#"{"status":"error","errorType":"timeout","error":"query timed out"}"#;
    let all = |_: &str| Some(page(503, "application/json", TIMEOUT));
    let Some(bench) = drive(all).await? else {
        return Ok(());
    };
    let notified = bench.notified();
    let story = story(&notified, START);
    ensure!(story.len() == 1, "{story:#?}");
    let body = &notified.first().context("one")?.message.body;
    ensure!(body.contains(ServerTrouble::TimedOut.as_str()), "{body}");
    Ok(())
}
