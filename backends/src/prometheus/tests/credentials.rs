//! Who asks: said in the request, and nowhere else.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::{self, ProvideCredentials, future};

use super::http;
use super::server::{Reply, Server, ok, reply};
use super::{client, far, instant, options};
use crate::prometheus::{Auth, Client, SigV4};

const EMPTY: &str = r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#;

/// Sends one request with `auth` to a server that throws all of it back in an error, and returns
/// the request's head and all that the client shows of itself.
async fn echoed(auth: Auth) -> (String, String) {
    let server = Server::start(|_, request| {
        let body = serde_json::json!({"message": request.head});
        Reply::Bytes(reply("403 Forbidden", "", body.to_string().as_bytes()))
    })
    .await;
    let mut options = options(&server.url);
    options.headers = vec![("X-Api-Key".to_owned(), "key-hunter2".to_owned())];
    options.auth = auth;
    let shown = format!("{options:?}");
    let client = Client::new(http(), options).unwrap();
    let failure = client.query(&instant(), far()).await.unwrap_err();
    let shown = format!("{shown}\n{client:?}\n{failure}\n{failure:?}");
    (server.seen()[0].head.clone(), shown)
}

#[tokio::test]
async fn secrets_are_sent_and_not_shown() {
    let (head, shown) = echoed(Auth::Bearer("token-hunter2".into())).await;
    assert!(head.contains("\r\nauthorization: Bearer token-hunter2\r\n"));
    assert!(head.contains("\r\nx-api-key: key-hunter2\r\n"));
    assert!(
        shown.contains("***") && !shown.contains("hunter2"),
        "{shown}"
    );

    let (head, shown) = echoed(Auth::Basic {
        user: "us".to_owned(),
        password: "pass-hunter2".into(),
    })
    .await;
    assert!(
        head.contains("\r\nauthorization: Basic dXM6cGFzcy1odW50ZXIy\r\n"),
        "{head}"
    );
    assert!(
        !shown.contains("hunter2") && !shown.contains("dXM6"),
        "{shown}"
    );

    let keys = Credentials::new(
        "AKID",
        "secret-hunter2",
        Some("st-hunter2".into()),
        None,
        "t",
    );
    let (head, shown) = echoed(Auth::SigV4(SigV4::amp("eu-west-1", keys))).await;
    let (_, signature) = head.split_once("Signature=").unwrap();
    assert!(head.contains("Credential=AKID/"), "{head}");
    assert!(head.contains("/eu-west-1/aps/aws4_request"), "{head}");
    assert!(
        head.contains("SignedHeaders=content-type;host;x-amz-date;x-amz-security-token"),
        "{head}"
    );
    assert!(
        head.contains("\r\nx-amz-security-token: st-hunter2\r\n"),
        "{head}"
    );
    assert!(
        !shown.contains("hunter2") && !shown.contains(&signature[..64]),
        "{shown}"
    );
}

#[test]
fn a_header_of_our_own_is_refused() {
    for name in [
        "Authorization",
        "host",
        "Content-Type",
        "Accept-Encoding",
        "a b",
        "",
    ] {
        let mut options = options("http://localhost");
        options.headers = vec![(name.to_owned(), "hunter2".to_owned())];
        let error = Client::new(http(), options).unwrap_err().to_string();
        assert!(
            error.contains(&format!("{name:?}")) && !error.contains("hunter2"),
            "{error}"
        );
    }
    let mut options = options("http://localhost");
    options.auth = Auth::Bearer("hunter2\n".into());
    let error = format!("{:?}", Client::new(http(), options).unwrap_err());
    assert!(!error.contains("hunter2"), "{error}");
}

const NOW: SystemTime = SystemTime::UNIX_EPOCH;

/// Gives credentials good for so long, and counts.
#[derive(Debug)]
struct Provider(Option<Duration>, Arc<AtomicUsize>);

impl ProvideCredentials for Provider {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        self.1.fetch_add(1, Ordering::SeqCst);
        let expiry = self.0.map(|good_for| NOW + good_for);
        future::ProvideCredentials::ready(Ok(Credentials::new("AKID", "s", None, expiry, "test")))
    }
}

/// Asks three times, answered with `statuses` in turn.
async fn check(good_for: Option<u64>, statuses: [&'static str; 3], expected: usize) {
    let asked = Arc::new(AtomicUsize::new(0));
    let provider = Provider(good_for.map(Duration::from_secs), Arc::clone(&asked));
    let server =
        Server::start(move |n, _| Reply::Bytes(reply(statuses[n], "", EMPTY.as_bytes()))).await;
    let mut options = options(&server.url);
    options.auth = Auth::SigV4(SigV4::amp("eu-west-1", provider));
    options.clock = Arc::new(|| NOW);
    let client = Client::new(http(), options).unwrap();
    for _ in statuses {
        let _ = client.query(&instant(), far()).await;
    }
    assert_eq!(server.seen().len(), 3);
    assert!(
        server.seen()[0]
            .head
            .contains("\r\nx-amz-date: 19700101T000000Z\r\n")
    );
    assert_eq!(
        asked.load(Ordering::SeqCst),
        expected,
        "{good_for:?} {statuses:?}"
    );
}

#[tokio::test]
async fn credentials_are_asked_for_when_they_may_have_changed() {
    let fine = ["200 OK"; 3];
    check(Some(3600), fine, 1).await;
    check(Some(301), fine, 1).await;
    check(Some(300), fine, 3).await;
    check(None, fine, 3).await;
    check(Some(3600), ["200 OK", "403 Forbidden", "200 OK"], 2).await;
}

/// A provider that fails.
#[derive(Debug)]
struct Nothing;

impl ProvideCredentials for Nothing {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let error = provider::error::CredentialsError::not_loaded("no profile 'x'");
        future::ProvideCredentials::ready(Err(error))
    }
}

#[tokio::test]
async fn without_credentials_nothing_is_sent() {
    let server = Server::start(|_, _| ok(EMPTY)).await;
    let mut options = options(&server.url);
    options.auth = Auth::SigV4(SigV4::amp("eu-west-1", Nothing));
    let client = Client::new(http(), options).unwrap();
    let failure = client.query(&instant(), far()).await.unwrap_err();
    assert!(failure.message.contains("no profile 'x'"), "{failure}");
    assert_eq!(failure.kind, alerting::query::FailureKind::Transient);
    assert_eq!(server.seen().len(), 0);
}

/// The credentials must not go where a redirect points.
#[tokio::test]
async fn redirects_are_not_followed() {
    let elsewhere = Server::start(|_, _| ok(EMPTY)).await;
    let location = format!("Location: {}/api/v1/query\r\n", elsewhere.url);
    let server = Server::start(move |_, _| Reply::Bytes(reply("307 Moved", &location, b""))).await;
    assert!(client(&server.url).query(&instant(), far()).await.is_err());
    assert_eq!((server.seen().len(), elsewhere.seen().len()), (1, 0));
}
