//! Every signature that the client sends is the one that botocore computes for what arrives.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use alerting::query::{Ask, At};
use alerting::timestamp::Timestamp;
use anyhow::{Context as _, Result, ensure};
use aws_credential_types::Credentials;
use backends::http::HttpOptions;
use backends::prometheus::{Auth, Client, ClientOptions, SigV4};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::parts;

const VERIFY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/oracles/sigv4/verify.py");
const ACCESS_KEY: &str = "AKIDEXAMPLE";
const SECRET_KEY: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const REGION: &str = "eu-central-1";
const TOKEN: &str = "IQoJb3JpZ2luX2VjE/+==";
const EMPTY_VECTOR: &str = r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#;
const EMPTY_MATRIX: &str = r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#;

#[tokio::test]
async fn every_signature_is_botocores() -> Result<()> {
    let Some(python) = parts::python() else {
        return Ok(());
    };
    for token in [None, Some(TOKEN)] {
        let mut all = Vec::new();
        for base in ["", "/workspaces/ws-1d2c", "/a%20b/%C3%A9/~x+y@z"] {
            all.extend(received(base, token).await?);
        }
        ensure!(all.len() >= 300, "only {} requests", all.len());
        let said = verify(&python, token, &all)?;
        ensure!(said.status.success(), "{said:?}");
        let expected = format!("{} requests, 0 wrong", all.len());
        ensure!(String::from_utf8(said.stdout)?.trim() == expected);
    }
    Ok(())
}

/// The judge sees what it is there to see.
#[tokio::test]
async fn a_request_that_was_changed_is_found() -> Result<()> {
    let Some(python) = parts::python() else {
        return Ok(());
    };
    let all = received("/workspaces/ws-1", Some(TOKEN)).await?;
    let request = all.first().context("a request")?;
    ensure!(
        verify(&python, Some(TOKEN), std::slice::from_ref(request))?
            .status
            .success()
    );
    for (field, value) in [
        ("method", json!("PUT")),
        ("path", json!("/workspaces/ws-2/api/v1/query")),
        ("body", json!("query=1")),
        ("query", json!("down")),
    ] {
        let mut changed = request.clone();
        changed[field] = value;
        let said = verify(&python, Some(TOKEN), &[changed])?;
        ensure!(said.status.code() == Some(1), "{field}: {said:?}");
    }
    let headers = request["headers"].as_array().context("headers")?;
    for name in [
        "host",
        "content-type",
        "x-amz-date",
        "x-amz-security-token",
        "authorization",
    ] {
        let at = headers
            .iter()
            .position(|header| header[0] == name)
            .with_context(|| format!("no {name}"))?;
        let mut changed = request.clone();
        // A date stays a date.
        let value = headers[at][1]
            .as_str()
            .context("a value")?
            .replace('1', "2");
        let value = if name == "x-amz-date" {
            value
        } else {
            format!("{value}0")
        };
        changed["headers"][at][1] = json!(value);
        let said = verify(&python, Some(TOKEN), &[changed])?;
        ensure!(said.status.code() == Some(1), "{name}: {said:?}");
    }
    Ok(())
}

/// Runs the judge on requests.
fn verify(python: &std::path::Path, token: Option<&str>, requests: &[Value]) -> Result<Output> {
    let given = json!({
        "access_key": ACCESS_KEY,
        "secret_key": SECRET_KEY,
        "token": token,
        "region": REGION,
        "service": "aps",
    });
    let mut lines = Vec::new();
    for line in std::iter::once(&given).chain(requests) {
        writeln!(lines, "{line}")?;
    }
    let mut child = Command::new(python)
        .arg(VERIFY)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("running {}", python.display()))?;
    // It reads all of it before it writes.
    child.stdin.take().context("stdin")?.write_all(&lines)?;
    Ok(child.wait_with_output()?)
}

/// What arrives when the client asks all the questions of an API below `base`.
async fn received(base: &str, token: Option<&str>) -> Result<Vec<Value>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let mut options = ClientOptions::new(format!("http://{}{base}", listener.local_addr()?));
    options.concurrency = 1;
    options.auth = Auth::SigV4(SigV4::amp(
        REGION,
        Credentials::new(
            ACCESS_KEY,
            SECRET_KEY,
            token.map(str::to_owned),
            None,
            "test",
        ),
    ));
    options.headers = vec![("X-Tenant".to_owned(), "not signed".to_owned())];
    // Another moment for each signature, over midnights and years.
    let clock = std::sync::atomic::AtomicU64::new(1_700_000_000);
    options.clock = Arc::new(move || {
        let now = clock.fetch_add(40_000, std::sync::atomic::Ordering::SeqCst);
        SystemTime::UNIX_EPOCH + Duration::from_secs(now)
    });
    let client = Client::new(backends::http::client(&HttpOptions::default())?, options)?;
    let asks = asks();
    let count = asks.len();
    let server: JoinHandle<Result<Vec<Value>>> = tokio::spawn(async move {
        let mut requests = Vec::with_capacity(count);
        while requests.len() < count {
            let (stream, _) = listener.accept().await?;
            requests.push(record(stream).await?);
        }
        Ok(requests)
    });
    for ask in &asks {
        let deadline = Instant::now() + Duration::from_secs(60);
        client.query(ask, deadline).await?;
    }
    let mut requests = server.await??;
    for (request, ask) in requests.iter_mut().zip(asks) {
        request["query"] = json!(ask.expr);
    }
    Ok(requests)
}

/// Reads one request as it is on the wire, and answers that there is nothing.
async fn record(mut stream: TcpStream) -> Result<Value> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at;
        }
        ensure!(stream.read_buf(&mut bytes).await? > 0, "no whole head");
    };
    let mut body = bytes.split_off(head_end + 4);
    let head = String::from_utf8(bytes)?;
    let mut lines = head.trim_end().split("\r\n");
    let start = lines.next().context("a request line")?;
    let [method, path, _] = start.split(' ').collect::<Vec<_>>()[..] else {
        anyhow::bail!("{start:?} is no request line");
    };
    let headers: Vec<(&str, &str)> = lines.filter_map(|line| line.split_once(": ")).collect();
    let length: usize = headers
        .iter()
        .find(|(name, _)| *name == "content-length")
        .context("a length")?
        .1
        .parse()?;
    while body.len() < length {
        ensure!(stream.read_buf(&mut body).await? > 0, "no whole body");
    }
    let answer = if path.ends_with("query_range") {
        EMPTY_MATRIX
    } else {
        EMPTY_VECTOR
    };
    let length = answer.len();
    let reply = format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n");
    stream.write_all(reply.as_bytes()).await?;
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await?;
    Ok(json!({
        "method": method,
        "path": path,
        "headers": headers,
        "body": String::from_utf8(body)?,
    }))
}

/// A hundred expressions and more, each at an instant or over a range. That they are no PromQL is
/// none of the client's business.
fn asks() -> Vec<Ask> {
    let mut exprs: Vec<String> = [
        "up",
        "",
        " ",
        "up{job=\"a b\"} == 0",
        "rate(node_net_ethtool{type='linklocal_allowance_exceeded'}[5m]) > 0",
        "a + b - c * d / e % f ^ g",
        "a=~\".+|^$\"",
        "~*+%20%2B&time=0&query=x#?/\\",
        "sum by (node) (\n  up\r\n\t)",
        "\u{0}\u{1b}\u{7f}",
        "é ü 日本語 🦀 \u{200b}\u{feff}",
        "AWS4-HMAC-SHA256",
    ]
    .map(str::to_owned)
    .into();
    exprs.push("x+~* \"é\"\n".repeat(2000));
    // Each printable ASCII character by itself, and doubled in a context.
    exprs.extend((' '..='~').map(|c| format!("{c}a{c}{c}")));
    exprs
        .into_iter()
        .enumerate()
        .map(|(n, expr)| {
            let end = Timestamp::from_millis(1_700_000_000_007);
            let at = match n % 3 {
                0 => At::Instant(end),
                1 => At::Instant(Timestamp::from_secs(1_700_000_000)),
                _ => At::Range {
                    start: end.minus(Duration::from_millis(60_015)),
                    end,
                    step: Duration::from_millis(15_005),
                },
            };
            Ask { expr, at }
        })
        .collect()
}
