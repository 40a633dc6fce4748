//! How often, how long and how many at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use alerting::query::{FailureKind, ResultType};
use tokio::sync::Barrier;
use tokio::time::Instant;

use super::http;
use super::server::{Reply, Server, gzip, ok, reply};
use super::{client, far, instant, options, range};
use crate::prometheus::{Client, Usage};

const EMPTY_VECTOR: &str = r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#;
const EMPTY_MATRIX: &str = r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#;

#[tokio::test]
async fn asks_with_a_form_at_the_right_place() {
    let server = Server::start(|_, request| {
        ok(if request.head.contains("query_range") {
            EMPTY_MATRIX
        } else {
            EMPTY_VECTOR
        })
    })
    .await;
    let mut options = options(&format!("{}/prom/", server.url));
    options.headers = vec![("X-Scope-OrgID".to_owned(), "tenant".to_owned())];
    let client = Client::new(http(), options).unwrap();
    let vector = client.query(&instant(), far()).await.unwrap();
    assert_eq!(
        (vector.result_type, vector.series),
        (ResultType::Vector, vec![])
    );
    let matrix = client.query(&range(), far()).await.unwrap();
    assert_eq!(
        (matrix.result_type, matrix.series),
        (ResultType::Matrix, vec![])
    );
    let seen = server.seen();
    assert!(
        seen[0]
            .head
            .starts_with("POST /prom/api/v1/query HTTP/1.1\r\n")
    );
    assert!(seen[0].head.contains("\r\nx-scope-orgid: tenant\r\n"));
    assert!(seen[0].head.contains("\r\naccept-encoding: gzip\r\n"));
    assert_eq!(
        seen[0].body,
        "query=up%20%3D%3D%200&time=1700000000&timeout=29"
    );
    assert!(
        seen[1]
            .head
            .starts_with("POST /prom/api/v1/query_range HTTP/1.1\r\n")
    );
    assert_eq!(
        seen[1].body,
        "query=up%20%3D%3D%200&start=1699999940&end=1700000000&step=15&timeout=29"
    );
}

/// Each script fails in its own way until the third request.
#[tokio::test]
async fn asks_again_until_it_is_answered() {
    let truncated = {
        let mut whole = reply("200 OK", "", EMPTY_VECTOR.as_bytes());
        whole.truncate(whole.len() - 10);
        whole
    };
    let partial = EMPTY_VECTOR.replacen('{', r#"{"warnings":["a store is away"],"#, 1);
    for failing in [
        Vec::new(),
        b"HTTP/1.1 200".to_vec(),
        truncated,
        reply("200 OK", "", b""),
        reply("200 OK", "", b"null"),
        reply("200 OK", "", b"{}"),
        reply(
            "200 OK",
            "Content-Encoding: gzip\r\n",
            EMPTY_VECTOR.as_bytes(),
        ),
        reply("200 OK", "", partial.as_bytes()),
        reply("429 Too Many Requests", "Retry-After: 0\r\n", b""),
        reply("500 Internal Server Error", "", b""),
        reply("502 Bad Gateway", "", b"<html>"),
        reply("503 Service Unavailable", "", b""),
        reply("504 Gateway Timeout", "", b""),
    ] {
        let shown = String::from_utf8_lossy(&failing).into_owned();
        let server = Server::start(move |n, _| match n {
            0 | 1 => Reply::Bytes(failing.clone()),
            _ => ok(EMPTY_VECTOR),
        })
        .await;
        let client = client(&server.url);
        let answer = client.query(&instant(), far()).await;
        assert!(answer.is_ok(), "{shown}: {answer:?}");
        assert_eq!(client.usage().requests, 3, "{shown}");
        assert_eq!(client.usage().retries, 2, "{shown}");
    }
}

#[tokio::test]
async fn gives_up_after_its_attempts_and_says_so() {
    let server = Server::start(|_, _| Reply::Bytes(Vec::new())).await;
    let client = client(&server.url);
    let failure = client.query(&instant(), far()).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Transient);
    let start = format!("POST {}/api/v1/query: ", server.url);
    assert!(failure.message.starts_with(&start), "{failure}");
    assert!(failure.message.ends_with(" (3 attempts)"), "{failure}");
    assert_eq!(server.seen().len(), 3);
}

#[tokio::test]
async fn a_closed_port_is_a_transient_failure() {
    let server = Server::start(|_, _| Reply::Bytes(Vec::new())).await;
    let url = server.url.clone();
    drop(server);
    let failure = client(&url).query(&instant(), far()).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Transient);
    assert!(failure.message.contains("refused"), "{failure}");
}

/// The server wants an hour's peace, and there is no hour: waiting would be in vain.
#[tokio::test]
async fn retry_after_beyond_the_deadline_ends_it_at_once() {
    let busy = reply(
        "429 Too Many Requests",
        "Retry-After: 3600\r\n",
        b"slow down",
    );
    let server = Server::start(move |_, _| Reply::Bytes(busy.clone())).await;
    let client = client(&server.url);
    let deadline = Instant::now() + Duration::from_secs(600);
    let failure = client.query(&instant(), deadline).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Transient);
    assert!(failure.message.contains("slow down"), "{failure}");
    assert_eq!(client.usage().requests, 1);
}

/// A server that falls silent, anywhere, holds the run up no longer than it may.
#[tokio::test]
async fn silence_is_bounded_by_the_deadline() {
    let whole = reply("200 OK", "", EMPTY_VECTOR.as_bytes());
    for sent in [0, 5, whole.len() / 2, whole.len() - 1] {
        let start = whole[..sent].to_vec();
        let server = Server::start(move |_, _| Reply::Stall(start.clone())).await;
        let client = client(&server.url);
        // A busy machine may need a while before it has sent anything.
        let deadline = Instant::now() + Duration::from_millis(600);
        let failure = client.query(&instant(), deadline).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Transient, "{failure}");
        assert_eq!(client.usage().requests, 1, "{failure}");
    }
}

#[tokio::test]
async fn silence_is_bounded_by_the_request_timeout() {
    let server = Server::start(|n, _| match n {
        0 => Reply::Stall(Vec::new()),
        _ => ok(EMPTY_VECTOR),
    })
    .await;
    let mut options = options(&server.url);
    // The second is to be answered in time on a busy machine, too.
    options.request_timeout = Duration::from_millis(600);
    let client = Client::new(http(), options).unwrap();
    assert!(client.query(&instant(), far()).await.is_ok());
    assert_eq!(client.usage().requests, 2);
}

#[tokio::test]
async fn nothing_is_sent_after_the_deadline() {
    let server = Server::start(|_, _| ok(EMPTY_VECTOR)).await;
    let client = client(&server.url);
    let failure = client.query(&instant(), Instant::now()).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Transient);
    assert_eq!(client.usage(), Usage::default());
}

/// 32 MiB that come as 32 kB: what is read is bounded, not what is sent.
#[tokio::test]
async fn a_bomb_does_not_go_off() {
    let bomb = reply(
        "200 OK",
        "Content-Encoding: gzip\r\n",
        &gzip(&vec![b' '; 32 << 20]),
    );
    let sent = bomb.len();
    let server = Server::start(move |_, _| Reply::Bytes(bomb.clone())).await;
    let mut options = options(&server.url);
    options.max_answer_bytes = 1 << 20;
    let client = Client::new(http(), options).unwrap();
    let failure = client.query(&range(), far()).await.unwrap_err();
    // Refused, so that a range is asked for in smaller parts.
    assert_eq!(failure.kind, FailureKind::Refused);
    assert!(
        failure.message.contains("larger than 1048576 bytes"),
        "{failure}"
    );
    let usage = client.usage();
    assert_eq!(usage.requests, 1);
    assert!(sent < 1 << 20, "{sent} is no bomb");
    assert!(usage.answer_bytes < 2 << 20, "{usage:?}");
}

/// Pairs of requests wait for each other at the server: with less than two at once this ends in
/// a failure, and more than two would be seen.
#[tokio::test]
async fn no_more_at_once_than_allowed() {
    let barrier = Arc::new(Barrier::new(2));
    let server = Server::start(move |_, _| {
        let answer = reply("200 OK", "Connection: close\r\n", EMPTY_VECTOR.as_bytes());
        Reply::Together(Arc::clone(&barrier), answer)
    })
    .await;
    let mut options = options(&server.url);
    options.concurrency = 2;
    let client = Client::new(http(), options).unwrap();
    let answered = Arc::new(AtomicU64::new(0));
    let tasks: Vec<_> = (0..6)
        .map(|_| {
            let (client, answered) = (client.clone(), Arc::clone(&answered));
            tokio::spawn(async move {
                let deadline = Instant::now() + Duration::from_secs(60);
                let result = client.query(&instant(), deadline).await;
                let before = answered.fetch_add(1, Ordering::SeqCst);
                // Requests seen are those answered and at most two more.
                let most = client.usage().requests;
                assert!(most <= before + 1 + 2, "{most} requests, {before} answered");
                result
            })
        })
        .collect();
    for task in tasks {
        assert!(task.await.unwrap().is_ok());
    }
    assert_eq!(client.usage().requests, 6);
}
