//! So many connections at a time, each for so long.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Enough for some Prometheus servers and the kubelet's probes, many times over.
pub const MOST: usize = 64;

/// The longest request's head, in bytes; what a client may make us keep.
const LONGEST_HEAD: usize = 8 << 10;

/// How long a connection may take to ask, or be silent between two questions. Longer than the
/// minute that many scrapers wait.
const SILENCE: Duration = Duration::from_secs(75);

/// How long an answer may wait to be taken.
const UNREAD: Duration = Duration::from_secs(10);

/// How long answers in hand may take when the exporter stops.
const LAST_ANSWERS: Duration = Duration::from_secs(3);

/// How long to wait where the kernel has no connection to give, for example because no descriptors
/// are left.
const PAUSE: Duration = Duration::from_millis(100);

/// A connection being served.
#[derive(Debug)]
struct Connection {
    task: JoinHandle<()>,
    is_answering: Arc<AtomicBool>,
}

/// Serves every connection until `stop`, and then ends those that are open, after their answer.
///
/// At the limit a new connection takes the place of the oldest one for which no answer is being
/// made: who only holds connections open keeps no scrape out.
pub async fn serve<F, A>(listener: TcpListener, respond: F, stop: impl Future<Output = ()>)
where
    F: Fn(Request<Incoming>) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Response<Full<Bytes>>> + Send + 'static,
{
    let (stopping, stopped) = watch::channel(());
    let mut connections = Vec::with_capacity(MOST);
    let mut stop = pin!(stop);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stop => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            // That client is gone already.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
            Err(_) => {
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        if !has_room(&mut connections) {
            continue;
        }
        let is_answering = Arc::new(AtomicBool::new(false));
        let serving = serve_one(
            stream,
            respond.clone(),
            Arc::clone(&is_answering),
            stopped.clone(),
        );
        connections.push(Connection {
            task: tokio::spawn(serving),
            is_answering,
        });
    }
    drop((listener, stopping));
    let ended = async {
        for connection in connections {
            // One that was ended for another has ended too.
            let _ = connection.task.await;
        }
    };
    let _ = tokio::time::timeout(LAST_ANSWERS, ended).await;
}

/// Whether one more connection may be served; makes room for it if it must and can.
fn has_room(connections: &mut Vec<Connection>) -> bool {
    connections.retain(|connection| !connection.task.is_finished());
    if connections.len() < MOST {
        return true;
    }
    let is_idle = |it: &Connection| !it.is_answering.load(Ordering::Relaxed);
    let Some(oldest) = connections.iter().position(is_idle) else {
        return false;
    };
    connections.remove(oldest).task.abort();
    true
}

async fn serve_one<F, A>(
    stream: TcpStream,
    respond: F,
    is_answering: Arc<AtomicBool>,
    mut stopped: watch::Receiver<()>,
) where
    F: Fn(Request<Incoming>) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Response<Full<Bytes>>> + Send + 'static,
{
    // Without it a client that does not read is kept until the eldest makes way.
    let _ = SockRef::from(&stream).set_tcp_user_timeout(Some(UNREAD));
    let service = service_fn(move |request| {
        is_answering.store(true, Ordering::Relaxed);
        let answer = respond(request);
        let is_answering = Arc::clone(&is_answering);
        async move {
            let answer = answer.await;
            is_answering.store(false, Ordering::Relaxed);
            Ok::<_, std::convert::Infallible>(answer)
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(SILENCE)
        .max_buf_size(LONGEST_HEAD)
        .half_close(false)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    // Errors are the client's: it hung up, was too slow, or spoke no HTTP.
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = stopped.changed() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}
