//! The cluster's pages over HTTP, on loopback, one path a target.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use crate::pages::Target;
use crate::simulation::Simulation;

/// A simulation that pages are read from while it moves on.
pub type Shared = Arc<Mutex<Simulation>>;

/// The pages' server, bound but not yet serving.
#[derive(Debug)]
pub struct PageServer {
    listener: TcpListener,
    address: SocketAddr,
}

impl PageServer {
    /// Binds a free port of 127.0.0.1.
    ///
    /// # Errors
    /// Where none can be bound.
    pub async fn bind() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves `simulation` until dropped, or until no connection can be
    /// accepted any more, which it returns.
    pub async fn serve(self, simulation: Shared) -> io::Error {
        loop {
            let connection = match self.listener.accept().await {
                Ok((connection, _)) => connection,
                Err(error) => return error,
            };
            let simulation = Arc::clone(&simulation);
            tokio::spawn(async move {
                let service = service_fn(|request| {
                    let response = respond(&request, &simulation);
                    async { Ok::<_, Infallible>(response) }
                });
                // The peer hung up or sent no HTTP: nothing to tell anyone.
                let _ = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(connection), service)
                    .await;
            });
        }
    }
}

fn respond(request: &Request<Incoming>, simulation: &Shared) -> Response<Full<Bytes>> {
    let simulation = simulation.lock().unwrap_or_else(PoisonError::into_inner);
    let page =
        Target::of_path(request.uri().path()).and_then(|target| target.page(simulation.cluster()));
    let (status, text) = match page {
        Some(page) => (StatusCode::OK, page),
        None => (StatusCode::NOT_FOUND, "no such target\n".to_owned()),
    };
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"),
    );
    response
}
