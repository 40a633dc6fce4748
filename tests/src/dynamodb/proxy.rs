//! A connection that breaks where a test wants it to.

use std::pin::pin;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

/// What becomes of a request.
#[derive(Debug, Clone)]
pub(super) enum Fate {
    /// It goes through, and so does its answer.
    Pass,
    /// It does not reach the server, and the connection breaks.
    Lost,
    /// The server does it, but the connection breaks before the answer.
    AnswerLost,
    /// The server never sees it; this status and body are the answer.
    Answered(u16, String),
    /// The server does it, but this status and body are the answer.
    DoneButAnswered(u16, String),
    /// It does not reach the server, and the sender is dead.
    KilledBefore,
    /// The server does it, and the sender is dead.
    KilledAfter,
}

/// One request.
pub(super) struct Request {
    /// The operation's name, `PutItem` for example.
    pub(super) operation: String,
    pub(super) body: Value,
    fate: oneshot::Sender<Fate>,
    done: oneshot::Receiver<()>,
}

impl Request {
    /// Whether this is the write of a head.
    pub(super) fn is_commit(&self) -> bool {
        self.operation == "PutItem" && self.body["Item"]["part"]["S"] == "state"
    }
}

/// A proxy before one server.
pub(super) struct Proxy {
    pub(super) url: String,
    requests: mpsc::UnboundedReceiver<Request>,
    task: JoinHandle<()>,
}

impl Proxy {
    pub(super) async fn before(server: &str) -> Result<Self> {
        let upstream = server.strip_prefix("http://").context("http")?.to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let (sender, requests) = mpsc::unbounded_channel();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (sender, upstream) = (sender.clone(), upstream.clone());
                // A connection that fails is one that broke: its client sees that.
                tokio::spawn(async move { serve(stream, &upstream, &sender).await });
            }
        });
        Ok(Self {
            url,
            requests,
            task,
        })
    }

    /// Does `work`, and asks `decide` what becomes of each of its requests. None if it was
    /// killed.
    pub(super) async fn during<T>(
        &mut self,
        work: impl Future<Output = T>,
        mut decide: impl AsyncFnMut(&Request) -> Result<Fate>,
    ) -> Result<Option<T>> {
        let mut work = pin!(work);
        loop {
            let request = tokio::select! {
                done = &mut work => return Ok(Some(done)),
                request = self.requests.recv() => request.context("the proxy runs")?,
            };
            let fate = decide(&request).await?;
            let is_killed = matches!(fate, Fate::KilledBefore | Fate::KilledAfter);
            let _ = request.fate.send(fate);
            // What the server is to do it has done when this returns.
            let _ = request.done.await;
            if is_killed {
                return Ok(None);
            }
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One request and its answer; the connection ends with it.
async fn serve(
    mut client: TcpStream,
    upstream: &str,
    requests: &mpsc::UnboundedSender<Request>,
) -> Result<()> {
    let (head, body) = message(&mut client).await?;
    let target = header(&head, "x-amz-target").context("a target")?;
    let (fate, decided) = oneshot::channel();
    let (done, is_done) = oneshot::channel();
    requests.send(Request {
        operation: target.rsplit('.').next().unwrap_or_default().to_owned(),
        body: serde_json::from_slice(&body)?,
        fate,
        done: is_done,
    })?;
    let forward = async || -> Result<Vec<u8>> {
        let mut server = TcpStream::connect(upstream).await?;
        let head = head.replacen("\r\n", "\r\nconnection: close\r\n", 1);
        server.write_all(head.as_bytes()).await?;
        server.write_all(&body).await?;
        let mut answer = Vec::new();
        server.read_to_end(&mut answer).await?;
        Ok(answer)
    };
    let said = |status: u16, body: &str| {
        let length = body.len();
        format!(
            "HTTP/1.1 {status} Said\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
        )
        .into_bytes()
    };
    let answer = match decided.await? {
        Fate::Pass => Some(forward().await?),
        Fate::Lost | Fate::KilledBefore => None,
        Fate::AnswerLost | Fate::KilledAfter => {
            let answer = forward().await?;
            ensure!(answer.starts_with(b"HTTP/1.1 "), "the server answered");
            None
        }
        Fate::Answered(status, body) => Some(said(status, &body)),
        Fate::DoneButAnswered(status, body) => {
            forward().await?;
            Some(said(status, &body))
        }
    };
    let _ = done.send(());
    if let Some(answer) = answer {
        client.write_all(&answer).await?;
        client.shutdown().await?;
    }
    Ok(())
}

/// Reads one request: its head, to the empty line, and its body.
async fn message(stream: &mut TcpStream) -> Result<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        ensure!(stream.read_buf(&mut bytes).await? > 0, "no whole head");
    };
    let mut body = bytes.split_off(end);
    let head = String::from_utf8(bytes)?;
    let length: usize = header(&head, "content-length")
        .context("a length")?
        .parse()?;
    while body.len() < length {
        ensure!(stream.read_buf(&mut body).await? > 0, "no whole body");
    }
    Ok((head, body))
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (candidate, value) = line.split_once(": ")?;
        candidate.eq_ignore_ascii_case(name).then_some(value)
    })
}
