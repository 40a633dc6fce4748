//! The part of a Kubernetes API that discovery asks: lists of pods, and watches of them.
//!
//! It lets its client do what the manifests' roles allow and nothing else, and keeps which of
//! that was used.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use anyhow::{Context as _, Result};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::front;

pub(crate) const TOKEN: &str = "the-collectors-token";

/// `list pods in kube-system`: a verb, what, and where; no namespace is all of them.
pub(crate) type Right = (String, String, Option<String>);

/// The server, until it is dropped.
pub(crate) struct ApiServer {
    url: String,
    /// Its certificate, in PEM.
    pub(crate) certificate: String,
    used: Arc<Mutex<BTreeSet<Right>>>,
    refused: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

struct State {
    pods: Vec<Value>,
    /// None: any right.
    rights: Option<BTreeSet<Right>>,
    used: Arc<Mutex<BTreeSet<Right>>>,
    refused: Arc<Mutex<Vec<String>>>,
}

impl ApiServer {
    pub(crate) async fn start(pods: Vec<Value>, rights: Option<BTreeSet<Right>>) -> Result<Self> {
        Self::on(TcpListener::bind("127.0.0.1:0").await?, pods, rights)
    }

    /// Starts it where `listener` is.
    pub(crate) fn on(
        listener: TcpListener,
        pods: Vec<Value>,
        rights: Option<BTreeSet<Right>>,
    ) -> Result<Self> {
        let address = listener.local_addr()?;
        let url = format!("https://{address}");
        // A client sends no credentials to a server that it cannot trust.
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed([address.ip().to_string()])?;
        let key = PrivateKeyDer::try_from(signing_key.serialize_der())
            .map_err(|error| anyhow::anyhow!(error))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)?;
        let acceptor = TlsAcceptor::from(Arc::new(tls));
        let (used, refused) = (Arc::default(), Arc::default());
        let state = Arc::new(State {
            pods,
            rights,
            used: Arc::clone(&used),
            refused: Arc::clone(&refused),
        });
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (state, acceptor) = (Arc::clone(&state), acceptor.clone());
                tokio::spawn(async move {
                    // A client that hangs up has what it wanted, or reports it itself.
                    if let Ok(stream) = acceptor.accept(stream).await {
                        let _ = serve(stream, &state).await;
                    }
                });
            }
        });
        Ok(Self {
            url,
            certificate: cert.pem(),
            used,
            refused,
            task,
        })
    }

    /// How the client finds it and who the client is, in place of a pod's own account. The
    /// certificate is to be in a file `ca.pem` beside it.
    pub(crate) fn kubeconfig(&self) -> String {
        json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{"name": "test", "cluster": {
                "server": self.url, "certificate-authority": "ca.pem",
            }}],
            "users": [{"name": "test", "user": {"token": TOKEN}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        })
        .to_string()
    }

    /// The rights that were used so far.
    pub(crate) fn used(&self) -> BTreeSet<Right> {
        self.used.lock().unwrap().clone()
    }

    /// The requests that were not allowed.
    pub(crate) fn refused(&self) -> Vec<String> {
        self.refused.lock().unwrap().clone()
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, state: &State) -> Result<()> {
    let Some((head, _)) = front::read(&mut stream).await? else {
        return Ok(());
    };
    let target = head.split(' ').nth(1).context("a request line")?;
    let url = reqwest::Url::parse(&format!("http://api{target}"))?;
    let parameter = |name: &str| {
        let value = |(key, value): (std::borrow::Cow<'_, str>, std::borrow::Cow<'_, str>)| {
            (key == name).then(|| value.into_owned())
        };
        url.query_pairs().find_map(value)
    };
    let watches = parameter("watch").is_some_and(|watch| watch != "false" && watch != "0");
    let namespace = match url.path() {
        "/api/v1/pods" => Some(None),
        path => path
            .strip_prefix("/api/v1/namespaces/")
            .and_then(|rest| rest.strip_suffix("/pods"))
            .map(|namespace| Some(namespace.to_owned())),
    };
    let is_known = head
        .lines()
        .any(|line| line.eq_ignore_ascii_case(&format!("authorization: bearer {TOKEN}")));
    let verb = if watches { "watch" } else { "list" };
    let right = namespace
        .clone()
        .map(|namespace| (verb.to_owned(), "pods".to_owned(), namespace))
        .filter(|right| {
            is_known
                && state
                    .rights
                    .as_ref()
                    .is_none_or(|rights| rights.contains(right))
        });
    let Some(right) = right else {
        state.refused.lock().unwrap().push(head.clone());
        return answer(
            &mut stream,
            403,
            &json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 403,
                    "reason": "Forbidden", "message": "not allowed"}),
        )
        .await;
    };
    state.used.lock().unwrap().insert(right);
    let selector = parameter("labelSelector").unwrap_or_default();
    let items: Vec<&Value> = state
        .pods
        .iter()
        .filter(|pod| {
            let there = &pod["metadata"]["namespace"];
            namespace
                .iter()
                .flatten()
                .all(|namespace| there == namespace.as_str())
        })
        .filter(|pod| selects(&selector, &pod["metadata"]["labels"]))
        .collect();
    if watches {
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\
                    Transfer-Encoding: chunked\r\n\r\n";
        stream.write_all(head.as_bytes()).await?;
        // Newer clients ask for the list as the watch's beginning, up to a bookmark.
        if parameter("sendInitialEvents").is_some_and(|send| send == "true") {
            let added = items
                .iter()
                .map(|pod| json!({"type": "ADDED", "object": pod}));
            let bookmark = json!({"type": "BOOKMARK", "object": {
                "kind": "Pod", "apiVersion": "v1",
                "metadata": {"resourceVersion": "1",
                             "annotations": {"k8s.io/initial-events-end": "true"}},
            }});
            for event in added.chain([bookmark]) {
                let line = format!("{event}\n");
                let chunk = format!("{:x}\r\n{line}\r\n", line.len());
                stream.write_all(chunk.as_bytes()).await?;
            }
        }
        // Nothing changes while a test looks: the watch is open, and silent, until it is left.
        stream.flush().await?;
        front::read(&mut stream).await?;
        return Ok(());
    }
    answer(
        &mut stream,
        200,
        &json!({"kind": "PodList", "apiVersion": "v1",
                "metadata": {"resourceVersion": "1"}, "items": items}),
    )
    .await
}

/// A selector of equalities, all of which must hold.
fn selects(selector: &str, labels: &Value) -> bool {
    selector
        .split(',')
        .filter(|part| !part.is_empty())
        .all(|part| match part.split_once('=') {
            Some((name, value)) => labels[name] == value.trim_start_matches('='),
            None => false,
        })
}

async fn answer(stream: &mut (impl AsyncWrite + Unpin), status: u16, body: &Value) -> Result<()> {
    let body = body.to_string();
    let head = format!(
        "HTTP/1.1 {status} Answer\r\nContent-Type: application/json\r\nConnection: close\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.shutdown().await?;
    Ok(())
}
