//! The cluster's pages over HTTP, on loopback, one path a target.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use tokio::net::TcpListener;

use crate::listen;
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
        listen::serve(self.listener, move |request| {
            std::future::ready(respond(request.uri().path(), &simulation))
        })
        .await
    }
}

fn respond(path: &str, simulation: &Shared) -> Response<Full<Bytes>> {
    let simulation = simulation.lock().unwrap_or_else(PoisonError::into_inner);
    let page = Target::of_path(path).and_then(|target| target.page(simulation.cluster()));
    let mut response = match page {
        Some(page) => listen::answer(StatusCode::OK, page),
        None => listen::answer(StatusCode::NOT_FOUND, "no such target\n"),
    };
    response.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"),
    );
    response
}
