//! Slow clients, many connections, huge heads, wrong methods: it stays small, and scrapes continue.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use ethtool_exporter::http::connections::MOST;
use ethtool_exporter::scrapes::REUSED_FOR;
use futures_util::future::try_join_all;
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::program::Exporter;

/// What the process may have open besides connections: its listener, signals, epoll, devices.
const OTHER_FILES: usize = 24;

/// What it may take more than at rest, in KiB: [`MOST`] connections, each with a head of 8 KiB
/// being read, and what allocators round up.
const MORE_MEMORY: u64 = 6 << 10;

/// Far longer than any answer takes on a busy machine; only one that hangs meets it.
const PATIENCE: Duration = Duration::from_secs(30);

/// All that comes until the connection ends.
async fn answer(exporter: &Exporter, request: &[u8]) -> Result<String> {
    let mut connection = TcpStream::connect(exporter.address).await?;
    // It may be refused before it is sent whole.
    let _ = connection.write_all(request).await;
    let mut answer = Vec::new();
    let read = connection.read_to_end(&mut answer);
    match tokio::time::timeout(PATIENCE, read)
        .await
        .context("no end")?
    {
        Ok(_) => {}
        // Cut off while it was still sending.
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {}
        Err(error) => return Err(error.into()),
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// A thousand clients that send their heads byte by byte, or nothing, or do not read the answer:
/// 64 of them are served, a scrape is always answered, memory and descriptors stay bounded.
#[tokio::test]
async fn a_thousand_slow_clients_keep_no_scrape_out() -> Result<()> {
    const CLIENTS: usize = 1000;
    // Where tests share a process, the usual 1,024 files are too few for all of them.
    let mut files = getrlimit(Resource::Nofile);
    files.current = files.maximum;
    setrlimit(Resource::Nofile, files)?;
    let exporter = Exporter::start(&["--all-metrics"]).await?;
    exporter.page().await?;
    let at_rest = exporter.status("VmHWM")?;
    let mut clients = Vec::new();
    for client in 0..CLIENTS {
        let mut connection = TcpStream::connect(exporter.address).await?;
        let head = match client % 3 {
            0 => "",
            1 => "GET /metrics HTTP/1.1\r\nHost: x\r\nX-Slow: ",
            _ => "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n",
        };
        // The oldest are cut off meanwhile.
        let _ = connection.write_all(head.as_bytes()).await;
        clients.push(connection);
        if client % 100 == 99 {
            // Another byte of each head that is not at its end yet.
            for slow in clients.iter_mut().skip(1).step_by(3) {
                let _ = slow.write_all(b"a").await;
            }
            let page = tokio::time::timeout(PATIENCE, exporter.page()).await;
            page.with_context(|| format!("with {client} clients"))??;
            let files = exporter.open_files()?;
            ensure!(files <= MOST + OTHER_FILES, "{files} open files");
        }
    }
    let peak = exporter.status("VmHWM")?;
    ensure!(
        peak < at_rest + MORE_MEMORY,
        "{at_rest} KiB, then {peak} KiB"
    );
    drop(clients);
    exporter.page().await?;
    Ok(())
}

/// A bad request is answered with an error or cut off; nothing of it is kept.
#[tokio::test]
async fn bad_requests_are_refused_and_forgotten() -> Result<()> {
    let exporter = Exporter::start(&[]).await?;
    let at_rest = exporter.status("VmHWM")?;
    let many = "X-Header: 0123456789\r\n".repeat(5000);
    let long = "a".repeat(1 << 20);
    for (request, expected) in [
        (
            format!("GET /metrics HTTP/1.1\r\nHost: x\r\n{many}\r\n"),
            "431",
        ),
        (format!("GET /{long} HTTP/1.1\r\nHost: x\r\n\r\n"), "4"),
        (
            format!(
                "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{long}",
                1_u64 << 40
            ),
            "405",
        ),
        (
            "DELETE / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".to_owned(),
            "405",
        ),
        (
            "GET /metrics/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".to_owned(),
            "404",
        ),
        ("\x16\x03\x01\x02\x00\x01\x00\x01\r\n\r\n".to_owned(), "400"),
        ("GET /metrics HTTP/9.9\r\n\r\n".to_owned(), ""),
    ] {
        let start: String = request.chars().take(40).collect();
        let answer = answer(&exporter, request.as_bytes()).await?;
        let expected = format!("HTTP/1.1 {expected}");
        // One that is cut off while it sends may never see why.
        ensure!(
            answer.is_empty() || answer.starts_with(&expected),
            "{start:?}: {answer}"
        );
    }
    let refused = answer(
        &exporter,
        b"PUT /metrics HTTP/1.1\r\nConnection: close\r\n\r\n",
    )
    .await?;
    ensure!(
        refused.to_lowercase().contains("\r\nallow: get, head\r\n"),
        "{refused}"
    );
    let head = answer(
        &exporter,
        b"HEAD /metrics HTTP/1.1\r\nConnection: close\r\n\r\n",
    )
    .await?;
    ensure!(
        head.starts_with("HTTP/1.1 200") && head.ends_with("\r\n\r\n"),
        "{head}"
    );
    exporter.page().await?;
    let peak = exporter.status("VmHWM")?;
    ensure!(
        peak < at_rest + MORE_MEMORY,
        "{at_rest} KiB, then {peak} KiB"
    );
    Ok(())
}

/// Scrapes that come together get the same collection.
#[tokio::test]
async fn scrapes_that_come_together_are_served_by_one_collection() -> Result<()> {
    const SCRAPES: usize = 40;
    let exporter = Exporter::start(&["--all-metrics"]).await?;
    // The snapshot that it makes at its start serves no scrape here.
    tokio::time::sleep(REUSED_FOR).await;
    let began = Instant::now();
    let pages = try_join_all((0..SCRAPES).map(|_| exporter.page())).await?;
    let took = began.elapsed();
    let mut texts: Vec<_> = pages.into_iter().map(|page| page.text).collect();
    texts.sort();
    texts.dedup();
    // On a machine that is busy they take longer than a collection is good for.
    let most = 2 + took.as_millis() / REUSED_FOR.as_millis();
    ensure!(texts.len() as u128 <= most, "{} in {took:?}", texts.len());
    Ok(())
}

/// `SIGTERM` ends it, after the answers in hand.
#[tokio::test]
async fn it_stops_on_a_signal() -> Result<()> {
    let exporter = Exporter::start(&[]).await?;
    for (path, expected) in [("/healthz", "ok\n"), ("/readyz", "ready\n")] {
        let (status, _, body) = exporter.get(path, Default::default()).await?;
        ensure!(
            (status, &*body) == (200, expected.as_bytes()),
            "{path}: {status}"
        );
    }
    let (_, headers, body) = exporter.get("/", Default::default()).await?;
    ensure!(headers["content-type"] == "text/html; charset=utf-8");
    ensure!(String::from_utf8(body)?.contains("href=\"/metrics\""));
    // One that is idle, and one in the middle of its head, do not hold it up.
    let _idle = TcpStream::connect(exporter.address).await?;
    let mut slow = TcpStream::connect(exporter.address).await?;
    slow.write_all(b"GET / HTTP/1.1\r\n").await?;
    let pid = exporter.process.pid().to_string();
    // What other daemons reload by does not end it.
    let hangup = std::process::Command::new("kill")
        .args(["-HUP", &pid])
        .status()?;
    ensure!(hangup.success());
    let (status, ..) = exporter.get("/healthz", Default::default()).await?;
    ensure!(status == 200, "after SIGHUP: {status}");
    let killed = std::process::Command::new("kill").arg(&pid).status()?;
    ensure!(killed.success());
    tokio::time::timeout(PATIENCE, exporter.process.ends()).await??;
    ensure!(
        exporter.process.log().ends_with("stopping"),
        "{}",
        exporter.process.log()
    );
    Ok(())
}
