//! What each way of saying no means.

use alerting::query::FailureKind::{self, Refused, Transient};

use super::server::{Reply, Server, reply};
use super::{client, far, instant};

/// Replies with `status` and `body` to all requests, and sees what becomes of the question.
async fn check(status: &str, body: &str, kind: FailureKind, requests: u64, notified: &str) {
    let bytes = reply(
        status,
        "Location: http://elsewhere/login?token=hunter2\r\n",
        body.as_bytes(),
    );
    let server = Server::start(move |_, _| Reply::Bytes(bytes.clone())).await;
    let client = client(&server.url);
    let failure = client.query(&instant(), far()).await.unwrap_err();
    let case = format!("{status} {body:.80}: {failure}");
    assert_eq!(failure.kind, kind, "{case}");
    assert_eq!(client.usage().requests, requests, "{case}");
    assert!(failure.message.contains(notified), "{case}");
    assert!(
        !failure.message.contains('\n') && failure.message.len() < 700,
        "{case}"
    );
    assert!(!failure.message.contains("hunter2"), "{case}");
}

/// An error as Prometheus writes it.
fn error(kind: &str, text: &str) -> String {
    format!(r#"{{"status":"error","errorType":"{kind}","error":"{text}"}}"#)
}

#[tokio::test]
async fn the_expression_is_at_fault() {
    let parse = error("bad_data", "parse error: unexpected end of input");
    check(
        "400 Bad Request",
        &parse,
        Refused,
        1,
        "bad_data: parse error",
    )
    .await;
    let many = error("execution", "found duplicate series for the match group");
    check(
        "422 Unprocessable Entity",
        &many,
        Refused,
        1,
        "duplicate series",
    )
    .await;
    let samples = "query processing would load too many samples into memory in query execution";
    check(
        "422 Unprocessable Entity",
        &error("execution", samples),
        Refused,
        1,
        samples,
    )
    .await;
    let cost = "query would load too many series into memory in expression evaluation";
    check(
        "422 Unprocessable Entity",
        &error("cost_limit", cost),
        Refused,
        1,
        cost,
    )
    .await;
    let limit = "expanding series: the query hit the max number of series limit (limit: 100)";
    check(
        "422 Unprocessable Entity",
        &error("execution", limit),
        Refused,
        1,
        "limit: 100",
    )
    .await;
    // VictoriaMetrics.
    check(
        "422 Unprocessable Entity",
        &error("422", "cannot parse"),
        Refused,
        1,
        "cannot",
    )
    .await;
    // An error in a 200.
    check("200 OK", &parse, Refused, 1, "parse error").await;
    let with_data = parse.replacen('{', r#"{"data":"","#, 1);
    check("200 OK", &with_data, Refused, 1, "parse error").await;
}

#[tokio::test]
async fn time_ran_out_at_the_server() {
    let timeout = error("timeout", "query timed out in expression evaluation");
    check(
        "503 Service Unavailable",
        &timeout,
        Transient,
        1,
        "timed out",
    )
    .await;
    check(
        "422 Unprocessable Entity",
        &timeout,
        Transient,
        1,
        "timed out",
    )
    .await;
    for text in [
        "query timed out in query execution",
        "expanding series: context deadline exceeded",
        "context canceled",
    ] {
        check(
            "422 Unprocessable Entity",
            &error("execution", text),
            Transient,
            1,
            text,
        )
        .await;
    }
}

#[tokio::test]
async fn the_server_is_at_fault() {
    let store = "expanding series: proxy Series(): rpc error: code = Unavailable";
    check(
        "422 Unprocessable Entity",
        &error("execution", store),
        Transient,
        3,
        "rpc",
    )
    .await;
    for kind in ["canceled", "unavailable", "internal"] {
        let body = error(kind, "oh no");
        check("500 Internal Server Error", &body, Transient, 3, "oh no").await;
        check("200 OK", &body, Transient, 3, "oh no").await;
    }
    check("499 ", &error("canceled", "bye"), Transient, 3, "bye").await;
    // The status says that it is not the expression.
    check(
        "500 Internal Server Error",
        &error("execution", "?"),
        Transient,
        3,
        "?",
    )
    .await;
    check(
        "429 Too Many Requests",
        &error("bad_data", "?"),
        Transient,
        3,
        "(3 attempts)",
    )
    .await;
    check(
        "429 Too Many Requests",
        r#"{"message":"Rate exceeded"}"#,
        Transient,
        3,
        "Rate",
    )
    .await;
}

#[tokio::test]
async fn the_configuration_is_at_fault() {
    let aws = r#"{"Message":"User is not authorized to perform: aps:QueryMetrics"}"#;
    check("403 Forbidden", aws, Transient, 1, "check the credentials").await;
    check(
        "403 Forbidden",
        &error("bad_data", "x"),
        Transient,
        1,
        "check the cred",
    )
    .await;
    check(
        "401 Unauthorized",
        "",
        Transient,
        1,
        "check the credentials",
    )
    .await;
    check(
        "404 Not Found",
        "404 page not found",
        Transient,
        1,
        "check the URL",
    )
    .await;
    check(
        "404 Not Found",
        &error("not_found", "x"),
        Transient,
        1,
        "check the URL",
    )
    .await;
    check("405 Method Not Allowed", "", Transient, 1, "check the URL").await;
    check(
        "407 Proxy Authentication Required",
        "",
        Transient,
        1,
        "the proxy",
    )
    .await;
    for status in [
        "301 Moved Permanently",
        "302 Found",
        "307 Temporary Redirect",
    ] {
        check(
            status,
            "",
            Transient,
            1,
            "to http://elsewhere/login, and that is not",
        )
        .await;
    }
    check(
        "200 OK",
        "\n<!doctype html><html>",
        Transient,
        1,
        "a web page",
    )
    .await;
}

#[tokio::test]
async fn is_unknown() {
    // Not Prometheus's words: a gateway's 400 says nothing about the expression.
    check(
        "400 Bad Request",
        "plain HTTP to an HTTPS port",
        Transient,
        1,
        "plain HTTP",
    )
    .await;
    check(
        "400 Bad Request",
        r#"{"message":"bad"}"#,
        Transient,
        1,
        "400 Bad Request: bad",
    )
    .await;
    check(
        "400 Bad Request",
        &error("new_kind", "x"),
        Transient,
        1,
        "new_kind: x",
    )
    .await;
    check("204 No Content", "", Transient, 1, "204 No Content").await;
    check("206 Partial Content", "{}", Transient, 1, "206").await;
    let page = format!("<html>{}", "é\r\n".repeat(1 << 20));
    check("418 I'm a teapot", &page, Transient, 1, "a web page").await;
    let text = "é\r\n".repeat(1 << 20);
    check("418 I'm a teapot", &text, Transient, 1, "é é é").await;
}
