//! A server before another one: it answers some requests itself and hands the others on.

use std::sync::{Arc, Mutex};

use anyhow::{Context as _, Result, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A request as it came.
#[derive(Debug, Clone)]
pub(super) struct Request {
    /// The request line and the headers.
    pub(super) head: String,
    /// The body.
    pub(super) body: Vec<u8>,
}

impl Request {
    /// What is asked for: `GET /workspaces/ws-1`.
    pub(super) fn line(&self) -> &str {
        self.head.split(" HTTP/").next().unwrap_or_default()
    }
}

/// An answer: the status, the content type, the body.
pub(super) type Answer = (u16, &'static str, String);

/// The server, until it is dropped.
pub(super) struct Front {
    /// Where it is.
    pub(super) url: String,
    /// The requests that it answered itself.
    pub(super) answered: Arc<Mutex<Vec<Request>>>,
    task: JoinHandle<()>,
}

impl Front {
    /// Starts one that answers what `answer` answers, and asks `behind` for all else.
    pub(super) async fn start(
        behind: &str,
        answer: impl Fn(&Request) -> Option<Answer> + Send + Sync + 'static,
    ) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let behind = behind.trim_start_matches("http://").to_owned();
        let answer = Arc::new(answer);
        let answered = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&answered);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (answer, seen, behind) =
                    (Arc::clone(&answer), Arc::clone(&seen), behind.clone());
                tokio::spawn(async move {
                    if let Err(error) = serve(stream, &behind, &*answer, &seen).await {
                        eprintln!("front: {error:#}");
                    }
                });
            }
        });
        Ok(Self {
            url,
            answered,
            task,
        })
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    mut stream: TcpStream,
    behind: &str,
    answer: &(impl Fn(&Request) -> Option<Answer> + ?Sized),
    seen: &Mutex<Vec<Request>>,
) -> Result<()> {
    let Some(request) = read(&mut stream).await? else {
        return Ok(());
    };
    match answer(&request) {
        Some((status, kind, body)) => {
            let head = format!(
                "HTTP/1.1 {status} Answer\r\nContent-Type: {kind}\r\nConnection: close\r\n\
                 Content-Length: {}\r\n\r\n",
                body.len()
            );
            seen.lock().unwrap().push(request);
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(body.as_bytes()).await?;
        }
        None => {
            let mut to = TcpStream::connect(behind).await?;
            // One request a connection, so that its end is the answer's.
            let head = request
                .head
                .lines()
                .filter(|line| !line.to_ascii_lowercase().starts_with("connection:"))
                .chain(["Connection: close", "", ""])
                .collect::<Vec<_>>()
                .join("\r\n");
            to.write_all(head.as_bytes()).await?;
            to.write_all(&request.body).await?;
            tokio::io::copy(&mut to, &mut stream).await?;
        }
    }
    stream.shutdown().await?;
    Ok(())
}

/// One request; None if the connection ended before it began.
async fn read(stream: &mut TcpStream) -> Result<Option<Request>> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at;
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            ensure!(bytes.is_empty(), "half a head");
            return Ok(None);
        }
    };
    let mut body = bytes.split_off(end + 4);
    bytes.truncate(end);
    let head = String::from_utf8(bytes)?;
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse::<usize>())
    });
    let length = length.transpose().context("a length")?.unwrap_or(0);
    while body.len() < length {
        ensure!(stream.read_buf(&mut body).await? > 0, "half a body");
    }
    Ok(Some(Request { head, body }))
}
