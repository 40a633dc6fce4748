//! Where the collector writes: an endpoint of AMP's that takes nothing without a good signature,
//! before real Prometheus servers.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::IpAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use anyhow::{Context as _, Result, ensure};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use super::network::{Vpc, WORKSPACE};
use crate::front;

const VERIFY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/oracles/sigv4/remote_write.py");
pub(super) const ACCESS_KEY: &str = "AKIDEXAMPLE";
pub(super) const SECRET_KEY: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
pub(super) const TOKEN: &str = "IQoJb3JpZ2luX2VjE/+==";
/// As the shipped settings have them.
const REGION: &str = "eu-west-1";
const PATH: &str = "/workspaces/ws-00000000-0000-0000-0000-000000000000/api/v1/remote_write";

/// The endpoint, until it is dropped.
pub(super) struct Workspace {
    /// Its certificate, in PEM.
    pub(super) certificate: String,
    seen: Arc<Mutex<Seen>>,
    task: JoinHandle<()>,
}

/// What came.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    /// When writes of a collector were stored, by its address.
    pub(super) stored: BTreeMap<IpAddr, Vec<SystemTime>>,
    /// Why others were refused.
    pub(super) refused: Vec<String>,
}

struct State {
    judge: Mutex<Judge>,
    /// The Prometheus of each collector, by the collector's address.
    servers: BTreeMap<IpAddr, String>,
    http: reqwest::Client,
    seen: Arc<Mutex<Seen>>,
}

impl Workspace {
    /// Starts it in the VPC, at the address and with the certificate of its name.
    pub(super) async fn start(
        vpc: &Vpc,
        python: &std::path::Path,
        servers: BTreeMap<IpAddr, String>,
    ) -> Result<Self> {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed([WORKSPACE.to_owned()])?;
        let key = PrivateKeyDer::try_from(signing_key.serialize_der())
            .map_err(|error| anyhow::anyhow!(error))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)?;
        let acceptor = TlsAcceptor::from(Arc::new(tls));
        let listener = vpc.listen(443)?;
        let seen: Arc<Mutex<Seen>> = Arc::default();
        let state = Arc::new(State {
            judge: Mutex::new(Judge::start(python)?),
            servers,
            http: reqwest::Client::builder().no_proxy().build()?,
            seen: Arc::clone(&seen),
        });
        let task = tokio::spawn(async move {
            while let Ok((stream, peer)) = listener.accept().await {
                let (state, acceptor) = (Arc::clone(&state), acceptor.clone());
                tokio::spawn(async move {
                    let Ok(mut stream) = acceptor.accept(stream).await else {
                        return;
                    };
                    if let Err(error) = serve(&mut stream, peer.ip(), &state).await {
                        eprintln!("workspace: {error:#}");
                    }
                });
            }
        });
        Ok(Self {
            certificate: cert.pem(),
            seen,
            task,
        })
    }

    /// What came so far.
    pub(super) fn seen(&self) -> Seen {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One request a connection: each write looks the name up again, as it does behind a load balancer
/// that ends idle connections.
async fn serve(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    peer: IpAddr,
    state: &Arc<State>,
) -> Result<()> {
    let Some((head, body)) = front::read(stream).await? else {
        return Ok(());
    };
    let request = request(&head, &body)?;
    let judged = {
        let (state, request) = (Arc::clone(state), request.clone());
        tokio::task::spawn_blocking(move || state.judge.lock().unwrap().says(&request)).await??
    };
    let is_right = judged == "right" && request["method"] == "POST" && request["path"] == PATH;
    let server = state.servers.get(&peer);
    let (status, text) = match server {
        Some(server) if is_right => {
            let mut write = state.http.post(format!("{server}/api/v1/write"));
            for header in request["headers"].as_array().into_iter().flatten() {
                let (name, value) = (text(&header[0]), text(&header[1]));
                let is_passed = ["content-type", "content-encoding"].contains(&&*name)
                    || name.starts_with("x-prometheus-");
                if is_passed {
                    write = write.header(name, value);
                }
            }
            let answer = write.body(body).send().await?;
            let status = answer.status().as_u16();
            let said = answer.text().await?;
            let mut seen = state.seen.lock().unwrap();
            if status < 300 {
                seen.stored.entry(peer).or_default().push(SystemTime::now());
            } else {
                seen.refused.push(format!("{status}: {said}"));
            }
            (status, said)
        }
        _ => {
            let why = format!("{peer}: {}: {judged}", request["path"]);
            state.seen.lock().unwrap().refused.push(why);
            (403, "forbidden".to_owned())
        }
    };
    let answer = format!(
        "HTTP/1.1 {status} Answer\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{text}",
        text.len()
    );
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await?;
    Ok(())
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_ascii_lowercase()
}

/// A request as the judge reads it.
fn request(head: &str, body: &[u8]) -> Result<Value> {
    let mut lines = head.lines();
    let mut line = lines.next().context("a request line")?.split(' ');
    let headers: Vec<Value> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| json!([name.to_ascii_lowercase(), value.trim()]))
        .collect();
    let hex: String = body.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(json!({
        "method": line.next(), "path": line.next(), "headers": headers, "body": hex,
    }))
}

/// botocore, which computes each signature again.
struct Judge {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Judge {
    fn start(python: &std::path::Path) -> Result<Self> {
        let mut child = Command::new(python)
            .arg(VERIFY)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut input = child.stdin.take().context("a pipe")?;
        let given = json!({
            "access_key": ACCESS_KEY, "secret_key": SECRET_KEY, "token": TOKEN,
            "region": REGION, "service": "aps",
        });
        writeln!(input, "{given}")?;
        let output = BufReader::new(child.stdout.take().context("a pipe")?);
        Ok(Self {
            child,
            input,
            output,
        })
    }

    fn says(&mut self, request: &Value) -> Result<String> {
        writeln!(self.input, "{request}")?;
        let mut line = String::new();
        ensure!(self.output.read_line(&mut line)? > 0, "the judge has gone");
        Ok(line.trim_end().to_owned())
    }
}

impl Drop for Judge {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
