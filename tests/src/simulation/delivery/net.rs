//! What the delivery functions ask for, held until the simulation lets it happen.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Poll;

use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::http::{Response, StatusCode};
use aws_smithy_types::body::SdkBody;
use delivery::message::Message;
use delivery::{Budget, Channel, Note, Received, SendError, Sent};
use jiff::Timestamp;
use serde_json::{Value, json};

/// Status, body, `Date`; none where the answer is lost or nothing was done.
pub(super) type Answer = Option<(u16, Value, Option<String>)>;

/// A request of a run.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) run: usize,
    /// The service's operation, or `send`.
    pub(super) target: String,
    pub(super) body: Value,
    pub(super) outcome: Option<Answer>,
    pub(super) answer: Option<Answer>,
}

/// All requests under way, and the time in milliseconds.
#[derive(Debug, Default)]
pub(super) struct Net {
    pub(super) now: i64,
    pub(super) hosts: [i64; 2],
    pub(super) calls: BTreeMap<u64, Call>,
    pub(super) next: u64,
}

/// One run's end.
#[derive(Clone)]
pub(super) struct Line {
    pub(super) net: Arc<Mutex<Net>>,
    pub(super) run: usize,
    pub(super) host: usize,
}

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the line of run {}", self.run)
    }
}

impl Line {
    pub(super) fn net(&self) -> MutexGuard<'_, Net> {
        self.net.lock().expect("no run panics")
    }

    pub(super) fn now(&self) -> i64 {
        let net = self.net();
        net.now + net.hosts[self.host]
    }

    async fn call(self, target: String, body: Value) -> Answer {
        let mut request = Some((target, body));
        let mut id = 0;
        poll_fn(|_| {
            let mut net = self.net();
            if let Some((target, body)) = request.take() {
                net.next += 1;
                id = net.next;
                let call = Call {
                    run: self.run,
                    target,
                    body,
                    outcome: None,
                    answer: None,
                };
                net.calls.insert(id, call);
                return Poll::Pending;
            }
            let Some(answer) = net.calls.get_mut(&id).and_then(|call| call.answer.take()) else {
                return Poll::Pending;
            };
            net.calls.remove(&id);
            Poll::Ready(answer)
        })
        .await
    }

    /// Connections over this line.
    pub(super) fn sdk(&self) -> aws_types::SdkConfig {
        let connector = SharedHttpConnector::new(self.clone());
        let client = http_client_fn(move |_, _| connector.clone());
        let credentials =
            aws_credential_types::Credentials::new("AKIDEXAMPLE", "none", None, None, "sim");
        aws_types::SdkConfig::builder()
            .behavior_version(
                aws_smithy_runtime_api::client::behavior_version::BehaviorVersion::latest(),
            )
            .region(aws_types::region::Region::new("eu-central-1"))
            .credentials_provider(
                aws_credential_types::provider::SharedCredentialsProvider::new(credentials),
            )
            .http_client(client)
            .build()
    }
}

impl HttpConnector for Line {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request
            .headers()
            .get("x-amz-target")
            .unwrap_or_default()
            .to_owned();
        let body = request.body().bytes().unwrap_or_default();
        let body = serde_json::from_slice(body).expect("the SDK sends JSON");
        let line = self.clone();
        HttpConnectorFuture::new(async move {
            let Some((status, body, date)) = line.call(target, body).await else {
                return Err(ConnectorError::io("no answer".into()));
            };
            let status = StatusCode::try_from(status).expect("a status");
            let mut response = Response::new(status, SdkBody::from(body.to_string()));
            if let Some(date) = date {
                response.headers_mut().insert("date", date);
            }
            Ok(response)
        })
    }
}

impl Channel for Line {
    const NAME: &'static str = "sim";

    async fn ready(&self, _now: Timestamp) -> Result<(), SendError> {
        Ok(())
    }

    async fn send(&self, received: &Received<'_>, _budget: Budget) -> Result<Sent, SendError> {
        let Message::Alerts(webhook) = received.message else {
            panic!("only alerts are sent");
        };
        let body = json!({
            "id": received.id,
            "group": webhook.group_key,
            "sequence": webhook.sequence,
            "late": received.is_late,
        });
        match self.clone().call("send".to_owned(), body).await {
            Some((200, ..)) => Ok(Sent {
                how: "sent",
                note: Note::Keep,
            }),
            _ => Err(SendError::Transient("no answer".to_owned())),
        }
    }
}
