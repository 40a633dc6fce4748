//! A simulated EKS cluster on addresses of the loopback network, so that the ports which the
//! configurations name are free on each of them.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use dnswatch_demo::cluster::Cluster as Model;
use dnswatch_demo::listen;
use dnswatch_demo::pages::Target;
use dnswatch_demo::scenario::Scenario;
use dnswatch_demo::simulation::Simulation;
use hyper::StatusCode;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

const EXPORTER: u16 = 9417;
const NODE_EXPORTER: u16 = 9100;
const COREDNS: u16 = 9153;

/// What real pages have besides and no rule reads.
const EXPORTER_BESIDES: &str = "\
go_goroutines 8
node_net_ethtool{device=\"ens5\",type=\"queue_0_tx_cnt\"} 5
";
const COREDNS_BESIDES: &str = "\
process_open_fds 9
coredns_dns_request_size_bytes_bucket{server=\"dns://:53\",le=\"100\"} 1
coredns_dns_request_size_bytes_count{server=\"dns://:53\"} 1
coredns_kubernetes_rest_client_request_duration_seconds_bucket{verb=\"GET\",le=\"1\"} 1
";

/// The cluster in the middle of a DNS storm, its pages served until it is dropped.
pub(super) struct Cluster {
    model: Model,
    tasks: Vec<JoinHandle<()>>,
}

impl Cluster {
    pub(super) async fn start() -> Result<Self> {
        // Other tests, or others on this machine, may have taken a network.
        for _ in 0..20 {
            let network = [127, fastrand::u8(1..255), fastrand::u8(1..255)];
            let model = model(network)?;
            match listeners(&model).await {
                Ok(listeners) => {
                    let tasks = listeners
                        .into_iter()
                        .map(|(listener, page)| tokio::spawn(serve(listener, page)))
                        .collect();
                    return Ok(Self { model, tasks });
                }
                Err(error) if error.kind() == ErrorKind::AddrInUse => {}
                Err(error) => return Err(error.into()),
            }
        }
        bail!("every network of the loopback that was tried is taken")
    }

    /// The node by the address of a target on it.
    pub(super) fn nodes(&self) -> BTreeMap<String, String> {
        let nodes = self.model.nodes().iter();
        let pods = self.model.pods().iter();
        nodes
            .flat_map(|node| {
                [EXPORTER, NODE_EXPORTER]
                    .map(|port| (format!("{}:{port}", node.ip), node.name.clone()))
            })
            .chain(pods.map(|pod| (format!("{}:{COREDNS}", pod.spec.ip), pod.spec.node.clone())))
            .collect()
    }

    /// How many targets a way has: an exporter a node, and the CoreDNS pods.
    pub(super) fn targets(&self) -> usize {
        self.model.nodes().len() + self.model.pods().len()
    }

    /// Node and device of each network interface.
    pub(super) fn devices(&self) -> Vec<(String, String)> {
        let of = |eni: &dnswatch_demo::eni::Eni| {
            (
                self.model.nodes()[eni.node].name.clone(),
                eni.device.clone(),
            )
        };
        self.model.enis().iter().map(of).collect()
    }

    /// How many CoreDNS pods there are.
    pub(super) fn coredns(&self) -> usize {
        self.model.pods().len()
    }

    /// The pods as the Kubernetes API returns them: the exporters' made of the DaemonSet that is
    /// applied, and others that must not be scraped.
    pub(super) fn pods(&self, daemonset: &Value) -> Result<Vec<Value>> {
        let template = &daemonset["spec"]["template"];
        let namespace = daemonset["metadata"]["namespace"]
            .as_str()
            .context("a namespace")?;
        let exporter = |name: &str, node: &str, ip: &str, phase: &str| {
            let pod = pod(namespace, name, node, ip, phase);
            let mut pod = with(
                pod,
                &template["metadata"]["labels"],
                &template["spec"]["containers"],
            );
            pod["metadata"]["annotations"] = template["metadata"]["annotations"].clone();
            pod
        };
        let mut pods = Vec::new();
        for (number, node) in self.model.nodes().iter().enumerate() {
            let (name, ip) = (&node.name, &node.ip);
            pods.push(exporter(
                &format!("ethtool-exporter-{number}"),
                name,
                ip,
                "Running",
            ));
            pods.push(with(
                pod(
                    "monitoring",
                    &format!("node-exporter-{number}"),
                    name,
                    ip,
                    "Running",
                ),
                &json!({"app.kubernetes.io/name": "prometheus-node-exporter"}),
                &json!([{"name": "node-exporter", "ports": [port("metrics", NODE_EXPORTER)]}]),
            ));
            pods.push(with(
                pod(
                    "kube-system",
                    &format!("aws-node-{number}"),
                    name,
                    ip,
                    "Running",
                ),
                &json!({"k8s-app": "aws-node", "app.kubernetes.io/name": "aws-node"}),
                &json!([{"name": "aws-node", "ports": [port("metrics", 61678)]}]),
            ));
        }
        let first = self.model.nodes().first().context("a node")?;
        // Evicted, with the node's address, as it was; and one that is not there yet.
        pods.push(exporter(
            "ethtool-exporter-evicted",
            &first.name,
            &first.ip,
            "Failed",
        ));
        pods.push(exporter(
            "ethtool-exporter-pending",
            &first.name,
            "",
            "Pending",
        ));
        // Somebody else's pod that looks alike.
        let mut foreign = exporter("foreign", &first.name, "127.0.0.200", "Running");
        foreign["metadata"]["namespace"] = json!("default");
        pods.push(foreign);
        for coredns in self.model.pods() {
            let spec = &coredns.spec;
            pods.push(with(
                pod("kube-system", &spec.name, &spec.node, &spec.ip, "Running"),
                &json!({"k8s-app": "kube-dns", "eks.amazonaws.com/component": "coredns"}),
                // As the EKS add-on declares them.
                &json!([{"name": "coredns", "ports": [
                    {"name": "dns", "containerPort": 53, "protocol": "UDP"},
                    port("dns-tcp", 53),
                    port("metrics", COREDNS),
                ]}]),
            ));
        }
        Ok(pods)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// The demo's cluster, each address the same in `network`, after a minute: in the storm.
fn model(network: [u8; 3]) -> Result<Model> {
    let [a, b, c] = network;
    let mut scenario = Scenario::dns_storm();
    let moved = |ip: &str| {
        let host = ip.rsplit('.').next().unwrap_or_default();
        format!("{a}.{b}.{c}.{host}")
    };
    for node in &mut scenario.topology.nodes {
        node.ip = moved(&node.ip);
    }
    for pod in &mut scenario.topology.pods {
        pod.ip = moved(&pod.ip);
    }
    let mut simulation = Simulation::new(scenario)?;
    simulation.step(Duration::from_secs(60));
    Ok(simulation.cluster().clone())
}

async fn listeners(model: &Model) -> std::io::Result<Vec<(TcpListener, String)>> {
    let mut listeners = Vec::new();
    for (index, node) in model.nodes().iter().enumerate() {
        let page = Target::Node(&node.name).page(model).unwrap_or_default() + EXPORTER_BESIDES;
        listeners.push((bind(&node.ip, EXPORTER).await?, page));
        listeners.push((
            bind(&node.ip, NODE_EXPORTER).await?,
            node_exporter(model, index),
        ));
    }
    for pod in model.pods() {
        let page = Target::Pod(&pod.spec.name).page(model).unwrap_or_default() + COREDNS_BESIDES;
        listeners.push((bind(&pod.spec.ip, COREDNS).await?, page));
    }
    Ok(listeners)
}

async fn bind(ip: &str, port: u16) -> std::io::Result<TcpListener> {
    let ip: Ipv4Addr = ip.parse().map_err(std::io::Error::other)?;
    TcpListener::bind(SocketAddr::from((ip, port))).await
}

/// node_exporter's names for the same counters (`collector/ethtool_linux.go`).
fn node_exporter(model: &Model, node: usize) -> String {
    let mut page = "go_goroutines 9\nnode_ethtool_align_errors 0\n".to_owned();
    for eni in model.enis().iter().filter(|eni| eni.node == node) {
        let device = &eni.device;
        for (name, value) in [
            ("linklocal_allowance_exceeded", eni.dropped),
            ("conntrack_allowance_available", 113_094),
            ("queue_0_tx_cnt", 5),
        ] {
            page.push_str(&format!(
                "node_ethtool_{name}{{device=\"{device}\"}} {value}\n"
            ));
        }
    }
    page
}

async fn serve(listener: TcpListener, page: String) {
    listen::serve(listener, move |request| {
        let mut response = match request.uri().path() {
            "/metrics" => listen::answer(StatusCode::OK, page.clone()),
            _ => listen::answer(StatusCode::NOT_FOUND, ""),
        };
        let kind = HeaderValue::from_static("text/plain; version=0.0.4");
        response.headers_mut().insert(CONTENT_TYPE, kind);
        std::future::ready(response)
    })
    .await;
}

pub(crate) fn pod(namespace: &str, name: &str, node: &str, ip: &str, phase: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"namespace": namespace, "name": name, "uid": format!("{namespace}-{name}"),
                     "resourceVersion": "1"},
        "spec": {"nodeName": node},
        "status": {"phase": phase, "podIP": ip, "hostIP": ip},
    })
}

pub(crate) fn with(mut pod: Value, labels: &Value, containers: &Value) -> Value {
    pod["metadata"]["labels"] = labels.clone();
    pod["spec"]["containers"] = containers.clone();
    pod
}

pub(crate) fn port(name: &str, number: u16) -> Value {
    json!({"name": name, "containerPort": number, "protocol": "TCP"})
}
