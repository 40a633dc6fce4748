//! A small HTTP server: whole requests in, whole answers out.

use std::convert::Infallible;
use std::io;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// More than anything that is sent to the demo.
const LARGEST_BODY: usize = 16 << 20;

/// Answers every request by `respond` until dropped, or until no connection
/// can be accepted any more, which it returns.
pub async fn serve<F, A>(listener: TcpListener, respond: F) -> io::Error
where
    F: Fn(Request<Bytes>) -> A + Clone + Send + 'static,
    A: Future<Output = Response<Full<Bytes>>> + Send + 'static,
{
    loop {
        let connection = match listener.accept().await {
            Ok((connection, _)) => connection,
            Err(error) => return error,
        };
        let respond = respond.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request: Request<Incoming>| {
                let respond = respond.clone();
                async move {
                    let (head, body) = request.into_parts();
                    Ok::<_, Infallible>(match Limited::new(body, LARGEST_BODY).collect().await {
                        Ok(body) => respond(Request::from_parts(head, body.to_bytes())).await,
                        Err(_) => answer(StatusCode::PAYLOAD_TOO_LARGE, ""),
                    })
                }
            });
            // The peer hung up or sent no HTTP: nothing to report.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(connection), service)
                .await;
        });
    }
}

/// An answer of text.
pub fn answer(status: StatusCode, text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = status;
    response
}
