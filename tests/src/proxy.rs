//! A network that fails on request: between a client and a server on this machine.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use anyhow::{Context as _, Result};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::front;

/// What becomes of connections, those that are open included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weather {
    /// They go through.
    Fair,
    /// They end as soon as they are made.
    Refuse,
    /// They are made, and nothing ever comes.
    Hang,
    /// They go through, but end after so many bytes of an answer.
    Cut(usize),
    /// What is asked is answered with 503 in the server's place.
    Unavailable,
    /// What is asked reaches the server, but the connection ends when the answer begins.
    AnswerLost,
}

/// A proxy in front of one server, until it is dropped.
#[derive(Debug)]
pub(crate) struct Proxy {
    url: String,
    weather: watch::Sender<Weather>,
    met: Arc<Mutex<Vec<Weather>>>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// A proxy in front of the server at `url`; the weather is fair.
    pub(crate) async fn start(url: &str) -> Result<Self> {
        let server: SocketAddr = url.strip_prefix("http://").context("http")?.parse()?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let (weather, seen) = watch::channel(Weather::Fair);
        let met = Arc::new(Mutex::new(Vec::new()));
        let meets = Arc::clone(&met);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (seen, meets) = (seen.clone(), Arc::clone(&meets));
                tokio::spawn(async move {
                    // However a connection ends, the client sees it.
                    let _ = connect(client, server, seen, &meets).await;
                });
            }
        });
        Ok(Self {
            url,
            weather,
            met,
            task,
        })
    }

    /// Where it answers.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Changes the weather.
    pub(crate) fn set(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }

    /// The bad weather that connections have met so far, once for each.
    pub(crate) fn met(&self) -> Vec<Weather> {
        self.met.lock().unwrap().clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn connect(
    mut client: TcpStream,
    server: SocketAddr,
    mut seen: watch::Receiver<Weather>,
    met: &Mutex<Vec<Weather>>,
) -> Result<()> {
    let weather = *seen.borrow_and_update();
    let meet = || met.lock().unwrap().push(weather);
    let exchange = async {
        match weather {
            Weather::Refuse => meet(),
            Weather::Hang => {
                meet();
                std::future::pending::<()>().await;
            }
            Weather::Unavailable => {
                if front::read(&mut client).await?.is_some() {
                    meet();
                    let answer = "HTTP/1.1 503 As Notified\r\nConnection: close\r\n\
                                  Content-Length: 0\r\n\r\n";
                    client.write_all(answer.as_bytes()).await?;
                    client.shutdown().await?;
                }
            }
            Weather::AnswerLost => {
                let mut server = TcpStream::connect(server).await?;
                let (mut from_server, mut to_server) = server.split();
                let mut first = [0];
                tokio::select! {
                    read = from_server.read(&mut first) => if read? > 0 { meet() },
                    done = tokio::io::copy(&mut client, &mut to_server) => { done?; }
                }
            }
            Weather::Fair => {
                let mut server = TcpStream::connect(server).await?;
                copy_bidirectional(&mut client, &mut server).await?;
            }
            Weather::Cut(bytes) => {
                let mut server = TcpStream::connect(server).await?;
                let (mut from_client, mut to_client) = client.split();
                let (from_server, mut to_server) = server.split();
                let answer = async {
                    let mut start = from_server.take(u64::try_from(bytes)?);
                    if tokio::io::copy(&mut start, &mut to_client).await? == u64::try_from(bytes)? {
                        meet();
                    }
                    to_client.shutdown().await?;
                    anyhow::Ok(())
                };
                tokio::select! {
                    done = answer => done?,
                    done = tokio::io::copy(&mut from_client, &mut to_server) => { done?; }
                }
            }
        }
        anyhow::Ok(())
    };
    tokio::select! {
        done = exchange => done,
        _ = seen.changed() => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use anyhow::ensure;

    use super::*;
    use crate::front::Front;

    #[tokio::test]
    async fn connections_meet_the_weather() -> Result<()> {
        let server = Front::start("http://127.0.0.1:9", |_| {
            Some((200, "text/plain", "done".to_owned()))
        })
        .await?;
        let proxy = Proxy::start(&server.url).await?;
        let http = backends::http::client(&backends::http::HttpOptions::default())?;
        let mut met = Vec::new();
        for (weather, expected, reaches) in [
            (Weather::Fair, Some((200, "done")), true),
            (Weather::Refuse, None, false),
            (Weather::Unavailable, Some((503, "")), false),
            (Weather::AnswerLost, None, true),
            (Weather::Cut(20), None, true),
        ] {
            let before = server.answered.lock().unwrap().len();
            proxy.set(weather);
            let sent = http.post(proxy.url()).body("?").send();
            let answer = match sent.await {
                Ok(answer) => Some((answer.status().as_u16(), answer.text().await?)),
                Err(_) => None,
            };
            let answer = answer.as_ref().map(|(status, text)| (*status, &**text));
            ensure!(answer == expected, "{weather:?}: {answer:?}");
            let after = server.answered.lock().unwrap().len();
            ensure!(after - before == usize::from(reaches), "{weather:?}");
            met.extend((weather != Weather::Fair).then_some(weather));
        }
        ensure!(proxy.met() == met, "{:?}", proxy.met());
        Ok(())
    }
}
