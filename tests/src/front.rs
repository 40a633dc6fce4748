//! A server before another one, which decides request by request: it hands one on, answers it
//! itself, or loses it or its answer.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use anyhow::{Context as _, Result, ensure};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// The client's end of the connection.
    pub(crate) peer: SocketAddr,
    /// The request line and the headers.
    pub(crate) head: String,
    /// The body.
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// What is asked for: `GET /workspaces/ws-1`.
    pub(crate) fn line(&self) -> &str {
        self.head.split(" HTTP/").next().unwrap_or_default()
    }
}

/// An answer: the status, the content type, the body.
pub(crate) type Answer = (u16, &'static str, String);

/// The bytes of an answer, head and all, a piece at a time.
pub(crate) type Pieces = Box<dyn Iterator<Item = Arc<[u8]>> + Send>;

/// What becomes of a request.
pub(crate) enum Fate {
    /// It goes through, and so does its answer.
    Pass,
    /// The same; and when the whole answer is there, and so is the client still, this is done.
    PassThen(Box<dyn FnOnce() + Send>),
    /// The server behind never sees it; this is the answer.
    Answered(Answer),
    /// The server behind never sees it; this is sent, as long as the client takes it.
    Sent(Pieces),
    /// The server behind never sees it, and the connection ends.
    Lost,
    /// The server behind does it; then this is done, and the connection ends without the answer.
    AnswerLost(Box<dyn FnOnce() + Send>),
}

impl From<Option<Answer>> for Fate {
    fn from(answer: Option<Answer>) -> Self {
        answer.map_or(Self::Pass, Self::Answered)
    }
}

/// The server, until it is dropped.
pub(crate) struct Front {
    /// Where it is.
    pub(crate) url: String,
    /// The requests that it answered itself.
    pub(crate) answered: Arc<Mutex<Vec<Request>>>,
    task: JoinHandle<()>,
}

impl Front {
    /// Starts one that does with a request what `decide` says; what passes goes to `behind`.
    pub(crate) async fn start<F: Into<Fate>>(
        behind: &str,
        decide: impl Fn(&Request) -> F + Send + Sync + 'static,
    ) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let behind = behind.trim_start_matches("http://").to_owned();
        let decide = Arc::new(move |request: &Request| decide(request).into());
        let answered = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&answered);
        let task = tokio::spawn(async move {
            while let Ok((stream, peer)) = listener.accept().await {
                let (decide, seen, behind) =
                    (Arc::clone(&decide), Arc::clone(&seen), behind.clone());
                tokio::spawn(async move {
                    if let Err(error) = serve(stream, peer, &behind, &*decide, &seen).await {
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
    peer: SocketAddr,
    behind: &str,
    decide: &(impl Fn(&Request) -> Fate + ?Sized),
    seen: &Mutex<Vec<Request>>,
) -> Result<()> {
    let Some((head, body)) = read(&mut stream).await? else {
        return Ok(());
    };
    let request = Request { peer, head, body };
    match decide(&request) {
        Fate::Answered((status, kind, body)) => {
            let head = format!(
                "HTTP/1.1 {status} Answer\r\nContent-Type: {kind}\r\nConnection: close\r\n\
                 Content-Length: {}\r\n\r\n",
                body.len()
            );
            seen.lock().unwrap().push(request);
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(body.as_bytes()).await?;
        }
        Fate::Sent(pieces) => {
            seen.lock().unwrap().push(request);
            for piece in pieces {
                if stream.write_all(&piece).await.is_err() {
                    return Ok(());
                }
            }
        }
        Fate::Pass => {
            let mut server = forward(&request, behind).await?;
            tokio::io::copy(&mut server, &mut stream).await?;
        }
        Fate::PassThen(then) => {
            let answer = answer(&request, behind).await?;
            // A client that gave up has ended the connection.
            if stream
                .try_read(&mut [0])
                .is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
            {
                then();
            }
            stream.write_all(&answer).await?;
        }
        Fate::Lost => return Ok(()),
        Fate::AnswerLost(then) => {
            answer(&request, behind).await?;
            then();
            return Ok(());
        }
    }
    stream.shutdown().await?;
    Ok(())
}

/// The whole answer of the server behind.
async fn answer(request: &Request, behind: &str) -> Result<Vec<u8>> {
    let mut answer = Vec::new();
    let mut server = forward(request, behind).await?;
    server.read_to_end(&mut answer).await?;
    ensure!(answer.starts_with(b"HTTP/1.1 "), "the server answered");
    Ok(answer)
}

/// Sends a request on, one a connection, so that the connection's end is the answer's.
async fn forward(request: &Request, behind: &str) -> Result<TcpStream> {
    let mut server = TcpStream::connect(behind).await?;
    let head = request
        .head
        .lines()
        .filter(|line| !line.to_ascii_lowercase().starts_with("connection:"))
        .chain(["Connection: close", "", ""])
        .collect::<Vec<_>>()
        .join("\r\n");
    server.write_all(head.as_bytes()).await?;
    server.write_all(&request.body).await?;
    Ok(server)
}

/// The head and the body of one request; None if the connection ended before it began.
pub(crate) async fn read(
    stream: &mut (impl AsyncRead + Unpin),
) -> Result<Option<(String, Vec<u8>)>> {
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
    Ok(Some((head, body)))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn a_request_meets_its_fate() -> Result<()> {
        let behind = Front::start("http://127.0.0.1:9", |_| {
            Some((200, "text/plain", "done".to_owned()))
        })
        .await?;
        let notified = Arc::new(AtomicUsize::new(0));
        let then = Arc::clone(&notified);
        let front = Front::start(&behind.url, move |request| match request.line() {
            "POST /pass" => Fate::Pass,
            "POST /answered" => Fate::Answered((503, "text/plain", "away".to_owned())),
            "POST /lost" => Fate::Lost,
            line => {
                let then = Arc::clone(&then);
                let then = Box::new(move || {
                    then.fetch_add(1, Ordering::SeqCst);
                });
                match line {
                    "POST /pass-then" => Fate::PassThen(then),
                    _ => Fate::AnswerLost(then),
                }
            }
        })
        .await?;
        let http = backends::http::client(&backends::http::HttpOptions::default())?;
        let mut reached = 0;
        for (path, expected, is_done) in [
            ("/pass", Some((200, "done")), true),
            ("/pass-then", Some((200, "done")), true),
            ("/answered", Some((503, "away")), false),
            ("/lost", None, false),
            ("/answer-lost", None, true),
        ] {
            let sent = http.post(format!("{}{path}", front.url)).body("?").send();
            let answer = match sent.await {
                Ok(answer) => Some((answer.status().as_u16(), answer.text().await?)),
                Err(_) => None,
            };
            let answer = answer.as_ref().map(|(status, text)| (*status, &**text));
            assert_eq!(answer, expected, "{path}");
            reached += usize::from(is_done);
            assert_eq!(behind.answered.lock().unwrap().len(), reached, "{path}");
        }
        assert_eq!(notified.load(Ordering::SeqCst), 2);
        Ok(())
    }
}
