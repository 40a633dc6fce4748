//! What is at which path.

use std::io::Write as _;
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http_body_util::Full;
use hyper::header::{ALLOW, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, VARY};
use hyper::{HeaderMap, Method, Request, Response, StatusCode};

use super::negotiate;
use crate::scrapes::Scrapes;

/// How long a collection may take: a little less than the 10 seconds that Prometheus waits unless
/// set otherwise, so that the answer says what is wrong.
const PATIENCE: Duration = Duration::from_secs(8);

/// A page that goes into one packet is not packed: that would save nothing.
const ONE_PACKET: usize = 1200;

const HTML: &str = "text/html; charset=utf-8";
const PLAIN: &str = "text/plain; charset=utf-8";

const LANDING_PAGE: &str = concat!(
    "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>ethtool-exporter</title></head>\n",
    "<body><h1>ethtool-exporter ",
    env!("CARGO_PKG_VERSION"),
    "</h1>\n<p>Statistics of network drivers, for Prometheus: <a href=\"/metrics\">/metrics</a>.</p>\n",
    "<p>Probes: <a href=\"/healthz\">/healthz</a>, <a href=\"/readyz\">/readyz</a>.</p></body></html>\n",
);

/// Answers a request.
pub async fn respond<B>(request: Request<B>, scrapes: Scrapes) -> Response<Full<Bytes>> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut answer = answer(StatusCode::METHOD_NOT_ALLOWED, PLAIN, "only GET and HEAD\n");
        answer
            .headers_mut()
            .insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return answer;
    }
    match request.uri().path() {
        "/metrics" => metrics(request.headers(), &scrapes).await,
        // Liveness only: a restart does not fix a driver.
        "/healthz" => answer(StatusCode::OK, PLAIN, "ok\n"),
        "/readyz" => ready(&scrapes).await,
        "/" => answer(StatusCode::OK, HTML, LANDING_PAGE),
        _ => answer(StatusCode::NOT_FOUND, PLAIN, "not here: see /metrics\n"),
    }
}

async fn metrics(headers: &HeaderMap, scrapes: &Scrapes) -> Response<Full<Bytes>> {
    let snapshot = match tokio::time::timeout(PATIENCE, scrapes.snapshot()).await {
        Ok(Some(snapshot)) => snapshot,
        Ok(None) => return unavailable("the collector has ended\n"),
        Err(_) => return unavailable("the kernel does not answer; a driver holds it up\n"),
    };
    if let Some(failure) = snapshot.failure() {
        return unavailable(format!("{failure}\n"));
    }
    let format = negotiate::format(headers);
    let page = snapshot.page(format);
    let is_packed = page.len() > ONE_PACKET && negotiate::takes_gzip(headers);
    let body = match is_packed {
        true => snapshot.packed(format, gzip),
        false => page,
    };
    let mut answer = answer(StatusCode::OK, format.content_type(), body);
    let headers = answer.headers_mut();
    headers.insert(VARY, HeaderValue::from_static("Accept, Accept-Encoding"));
    if is_packed {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    answer
}

/// Ready is who could list the devices last time. It asks for no collection of its own, as drivers
/// need not be asked each time that a probe comes by.
async fn ready(scrapes: &Scrapes) -> Response<Full<Bytes>> {
    match scrapes.last_failure() {
        None => answer(StatusCode::OK, PLAIN, "ready\n"),
        Some(failure) => unavailable(format!("{failure}\n")),
    }
}

fn unavailable(why: impl Into<Bytes>) -> Response<Full<Bytes>> {
    answer(StatusCode::SERVICE_UNAVAILABLE, PLAIN, why)
}

fn answer(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Bytes>,
) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let content_type = HeaderValue::from_static(content_type);
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

fn gzip(page: &[u8]) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    // Writing to a Vec cannot fail.
    let _ = packer.write_all(page);
    packer.finish().unwrap_or_default()
}
