//! A server on loopback that sends exactly the given bytes.

use std::io::Write;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::Barrier;
use tokio::task::{JoinHandle, JoinSet};

/// A request as it came.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    /// Request line and headers.
    pub(super) head: String,
    /// The form.
    pub(super) body: String,
}

/// What to do with a request; the connection is closed afterwards.
#[derive(Clone)]
pub(super) enum Reply {
    /// Send these bytes.
    Bytes(Vec<u8>),
    /// Send these bytes and then nothing, until the client leaves.
    Stall(Vec<u8>),
    /// Wait for the others, then send these bytes.
    Together(Arc<Barrier>, Vec<u8>),
}

/// A whole reply: status line, headers, body.
pub(super) fn reply(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let mut bytes =
        format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\n\r\n").into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

pub(super) fn ok(body: &str) -> Reply {
    Reply::Bytes(reply("200 OK", "", body.as_bytes()))
}

pub(super) fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

/// A server; it ends when this is dropped.
pub(super) struct Server {
    pub(super) url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: JoinHandle<()>,
}

impl Server {
    /// Answers the `n`th request (from 0) with `script(n, request)`.
    pub(super) async fn start<F>(script: F) -> Self
    where
        F: Fn(usize, &Seen) -> Reply + Send + Sync + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (script, log) = (Arc::new(script), Arc::clone(&seen));
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (script, log) = (Arc::clone(&script), Arc::clone(&log));
                connections.spawn(async move {
                    serve(stream, |request| {
                        let mut log = log.lock().unwrap();
                        log.push(request.clone());
                        script(log.len() - 1, request)
                    })
                    .await;
                });
            }
        });
        Self { url, seen, task }
    }

    /// The requests so far.
    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Reads one request and replies.
pub(super) async fn serve<S, F>(mut stream: S, script: F)
where
    S: AsyncRead + AsyncWrite + Unpin,
    F: FnOnce(&Seen) -> Reply,
{
    let Some(request) = read(&mut stream).await else {
        return;
    };
    let (bytes, stall) = match script(&request) {
        Reply::Bytes(bytes) => (bytes, false),
        Reply::Stall(bytes) => (bytes, true),
        Reply::Together(barrier, bytes) => {
            barrier.wait().await;
            (bytes, false)
        }
    };
    // The client may have left already, as it should where a bound is met.
    if stream.write_all(&bytes).await.is_err() {
        return;
    }
    if stall {
        let _ = stream.read_u8().await;
    }
    let _ = stream.shutdown().await;
}

async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<Seen> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..head_end].to_vec()).unwrap();
    let mut body = bytes.split_off(head_end + 4);
    let length: usize = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map_or(0, |length| length.parse().unwrap());
    while body.len() < length {
        if stream.read_buf(&mut body).await.ok()? == 0 {
            return None;
        }
    }
    Some(Seen {
        head,
        body: String::from_utf8(body).unwrap(),
    })
}
