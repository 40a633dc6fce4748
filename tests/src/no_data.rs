//! No data is not peace: a server that cannot be queried, or that has no samples, never looks well to
//! `check --url`, `backtest` and `doctor`.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::dnswatch::{dnswatch, output, said};
use crate::history::{History, START};
use crate::parts;

/// Words that claim that nothing is wrong.
const PEACE: [&str; 4] = ["all well", "All well", "No notifications", "notified"];

const RULES: &str = "groups:\n- name: g\n  interval: 30s\n  rules:\n  \
    - {alert: Known, expr: 'm > 5', for: 1m}\n  - {alert: Unknown, expr: 'renamed_m > 5'}\n";

/// A server that gives one answer to every request.
fn server(answer: &'static str) -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}", listener.local_addr()?);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            std::thread::spawn(move || {
                let mut request = [0; 16 << 10];
                // The client may have gone already.
                let _ = stream.read(&mut request);
                let _ = stream.write_all(answer.as_bytes());
            });
        }
    });
    Ok(url)
}

/// The three commands with what they need beside a URL.
fn commands(url: &str, rules: &Path) -> Vec<(&'static str, std::process::Command)> {
    let rules = rules.as_os_str();
    let mut check = dnswatch();
    check.arg("check").arg(rules).args(["--url", url]);
    let mut backtest = dnswatch();
    backtest.args(["backtest", "--start=2h", "--url", url, "--rules"]);
    backtest.arg(rules);
    let mut doctor = dnswatch();
    doctor.args(["doctor", "--url", url]);
    vec![("check", check), ("backtest", backtest), ("doctor", doctor)]
}

#[test]
fn a_server_that_cannot_be_queried_never_looks_well() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let rules = folder.path().join("rules.yml");
    std::fs::write(&rules, RULES)?;
    let page =
        "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 15\r\n\r\n<html>hi</html>";
    let cut = "HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{\"status\":\"succ";
    let faults = [
        ("refused", "http://127.0.0.1:9".to_owned(), ""),
        ("no host", "http://dnswatch.invalid".to_owned(), ""),
        (
            "401",
            server("HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n")?,
            "credentials",
        ),
        (
            "403",
            server("HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n")?,
            "credentials",
        ),
        (
            "404",
            server("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")?,
            "URL",
        ),
        (
            "400",
            server("HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")?,
            "400",
        ),
        ("a web page", server(page)?, "web page"),
        (
            "an empty body",
            server("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")?,
            "",
        ),
    ];
    for (fault, url, words) in &faults {
        for (name, mut command) in commands(url, &rules) {
            let output = output(&mut command);
            let said = said(&output);
            ensure!(output.status.code() == Some(1), "{name}, {fault}: {said}");
            ensure!(
                said.contains(words),
                "{name}, {fault}: {words} is not in {said}"
            );
            let claims: Vec<_> = PEACE
                .iter()
                .filter(|words| said.contains(**words))
                .collect();
            ensure!(claims.is_empty(), "{name}, {fault}: {claims:?} in {said}");
            let lines = said.lines().filter(|line| !line.trim().is_empty()).count();
            ensure!(
                lines <= 4,
                "{name}, {fault}: {lines} lines for one cause: {said}"
            );
        }
    }
    // A truncated body, and servers that ask to be queried again, cost attempts: one command is enough.
    for (fault, answer) in [
        ("truncated", cut),
        ("500", "HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n"),
        (
            "429",
            "HTTP/1.1 429 Slow down\r\nretry-after: 3600\r\ncontent-length: 0\r\n\r\n",
        ),
    ] {
        let url = server(answer)?;
        let (_, mut doctor) = commands(&url, &rules).pop().context("a command")?;
        let output = output(&mut doctor);
        ensure!(
            output.status.code() == Some(1),
            "{fault}: {}",
            said(&output)
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_backtest_says_which_rules_never_had_data() -> Result<()> {
    let Some(tools) = parts::prometheus() else {
        return Ok(());
    };
    let folder = tempfile::tempdir()?;
    let rules = folder.path().join("rules.yml");
    std::fs::write(&rules, RULES)?;
    // Quiet, and without samples from the 60th to the 120th minute.
    let mut history = History::new(Duration::from_secs(30));
    let values = (0..=360).map(|n| (!(120..240).contains(&n)).then_some(1.0));
    history.push("m{node=\"a\"}", values.collect());
    let server = tools
        .server()
        .samples(history.samples(START))
        .start()
        .await?;
    let end = START.plus(Duration::from_secs(3 * 60 * 60));
    let run = |format: &str| {
        output(
            dnswatch()
                .args(["backtest", "--query-offset=0s", "--format", format])
                .arg(format!("--url={}", server.url()))
                .arg(format!("--start={START}"))
                .arg(format!("--end={end}"))
                .arg("--rules")
                .arg(&rules),
        )
    };
    let text = run("text");
    ensure!(text.status.code() == Some(1), "{}", said(&text));
    for words in [
        "NO DATA: these rules never had data in this span, so nothing is known of them: Unknown",
        "renamed_m (Unknown)",
        "m (Known)",
        "Rules that never became pending: Known (g)",
        "No notifications from the rules that had data.",
        "one that was already pending fires up to 1m late (Known)",
    ] {
        ensure!(said(&text).contains(words), "{words:?}: {}", said(&text));
    }
    let lines: Vec<serde_json::Value> = said(&run("json"))
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    let of = |kind: &str| {
        lines
            .iter()
            .filter(|line| line["type"] == kind)
            .collect::<Vec<_>>()
    };
    ensure!(
        of("no_data").len() == 1 && of("no_data")[0]["rule"] == "Unknown",
        "{lines:#?}"
    );
    let gap = of("no_samples");
    let known = gap
        .iter()
        .find(|line| line["selector"] == "m")
        .context("m's gap")?;
    let at = |minutes: u64| START.plus(Duration::from_secs(minutes * 60)).to_string();
    ensure!(
        known["from"] == at(60) && known["to"] == at(115),
        "{known:#}"
    );
    Ok(())
}

#[test]
fn check_reads_standard_input() -> Result<()> {
    let mut command = dnswatch();
    command.args(["check", "-"]);
    command.stdin(std::process::Stdio::piped());
    command.stdout(std::process::Stdio::piped());
    let mut child = command.spawn()?;
    child
        .stdin
        .take()
        .context("its input")?
        .write_all(RULES.replace("m > 5", "m >").as_bytes())?;
    let output = child.wait_with_output()?;
    let text = String::from_utf8(output.stdout)?;
    ensure!(
        output.status.code() == Some(1) && text.contains("stdin:5:"),
        "{text}"
    );
    Ok(())
}

#[test]
fn a_reader_that_ends_early_is_no_error() -> Result<()> {
    let mut command = dnswatch();
    command.args(["preview", "--format=webhook", "flood"]);
    command.stdout(std::process::Stdio::piped());
    command.stderr(std::process::Stdio::piped());
    let mut child = command.spawn()?;
    drop(child.stdout.take());
    let output = child.wait_with_output()?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(
        !text.contains("roken pipe") && !text.contains("panicked"),
        "{text}"
    );
    Ok(())
}
