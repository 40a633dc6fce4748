//! An answer that ends early is no answer, wherever it ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use alerting::query::FailureKind;

use super::http;
use super::server::{Reply, Server, gzip};
use super::{far, options, range};
use crate::prometheus::{Backoff, Client, answer};

/// An answer to a range query, as Prometheus writes it.
const ANSWER: &str = r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"__name__":"up","instance":"a:9100","note":"say \"é\"\n"},"values":[[1699999940,"1"],[1699999955,"NaN"],[1699999970,"+Inf"]]},{"metric":{},"values":[[1700000000,"0.25"]]}]}}"#;

#[test]
fn every_prefix_is_unreadable() {
    for end in 0..ANSWER.len() {
        let read = answer::read(&ANSWER.as_bytes()[..end], &range(), &[]);
        assert_eq!(
            read.unwrap_err().kind,
            FailureKind::Transient,
            "cut at {end}"
        );
    }
    assert!(answer::read(ANSWER.as_bytes(), &range(), &[]).is_ok());
}

/// Sends `head` and then every beginning of `body`; only the whole of it may be an answer.
async fn check(head: &str, body: &[u8]) {
    let end = Arc::new(AtomicUsize::new(0));
    let (head, sent, at) = (head.to_owned(), body.to_vec(), Arc::clone(&end));
    let server = Server::start(move |_, _| {
        let mut bytes = head.clone().into_bytes();
        bytes.extend_from_slice(&sent[..at.load(Ordering::SeqCst)]);
        Reply::Bytes(bytes)
    })
    .await;
    let mut options = options(&server.url);
    options.backoff = Backoff {
        attempts: 1,
        ..options.backoff
    };
    let client = Client::new(http(), options).unwrap();
    for cut in 0..=body.len() {
        end.store(cut, Ordering::SeqCst);
        let answered = client.query(&range(), far()).await;
        if cut == body.len() {
            assert_eq!(answered.unwrap().series.len(), 2);
        } else {
            let failure = answered.expect_err(&format!("an answer, though cut at {cut}"));
            assert_eq!(
                failure.kind,
                FailureKind::Transient,
                "cut at {cut}: {failure}"
            );
        }
    }
}

#[tokio::test]
async fn plain_with_a_length() {
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n",
        ANSWER.len()
    );
    check(&head, ANSWER.as_bytes()).await;
}

#[tokio::test]
async fn plain_to_the_end_of_the_connection() {
    check(
        "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n",
        ANSWER.as_bytes(),
    )
    .await;
}

#[tokio::test]
async fn plain_in_chunks() {
    let body = format!("{:x}\r\n{ANSWER}\r\n0\r\n\r\n", ANSWER.len());
    check(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        body.as_bytes(),
    )
    .await;
}

#[tokio::test]
async fn gzip_with_a_length() {
    let body = gzip(ANSWER.as_bytes());
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    check(&head, &body).await;
}

#[tokio::test]
async fn gzip_to_the_end_of_the_connection() {
    let head = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nConnection: close\r\n\r\n";
    check(head, &gzip(ANSWER.as_bytes())).await;
}

/// A byte changed, one left out, one put in, at every place: read or refused, never a panic, and what
/// is read is no more than what was sent.
#[test]
fn every_damaged_answer_is_read_or_refused() {
    let bytes = ANSWER.as_bytes();
    let mut readable = 0;
    for at in 0..bytes.len() {
        for with in [b'"', b'{', b']', b',', b'9', b'e', b'-', b'\\', 0, 0xff] {
            let (before, after) = bytes.split_at(at);
            let changed = [before, &[with], &after[1..]].concat();
            let longer = [before, &[with], after].concat();
            let shorter = [before, &after[1..]].concat();
            for damaged in [changed, longer, shorter] {
                if let Ok(answer) = answer::read(&damaged, &range(), &[]) {
                    readable += 1;
                    assert!(answer.series.len() <= 2, "{answer:?}");
                }
            }
        }
    }
    assert!(readable > 0);
}
