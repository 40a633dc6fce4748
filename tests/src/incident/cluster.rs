//! Nodes on which the real CoreDNS and the real exporter run, as Kubernetes knows them, and the
//! collector as the shipped manifests run it.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::network::{Node, OUTSIDE, START, Vpc, node_resolv_conf, readable_folder};
use super::nic::Nic;
use super::workspace::{ACCESS_KEY, SECRET_KEY, TOKEN};
use crate::collect::api_server::{self, ApiServer};
use crate::collect::cluster::{pod, port, with};
use crate::collect::manifests::{built, deploy, documents, the};
use crate::collect::scraped::rights;
use crate::exporter::program::{UNPRIVILEGED, for_everyone};
use crate::leash::Leash;

const COREDNS: u16 = 9153;
const EXPORTER: u16 = 9417;
/// Where the collector is in its container.
const PROGRAM: &str = "/run/otelcol";
/// Puts up what a container finds: its account, its program, its `resolv.conf`.
const CONTAINER: &str = r#"
folder=$1 program=$2
shift 2
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/secrets/kubernetes.io/serviceaccount
cp "$folder/token" "$folder/ca.crt" /run/secrets/kubernetes.io/serviceaccount/
touch /run/otelcol
mount --bind "$program" /run/otelcol
mount --bind "$folder/resolv.conf" /etc/resolv.conf
exec "$@"
"#;
/// As EKS installs CoreDNS, but for the plugins that need a Kubernetes API (`kubernetes`) and for
/// the pod's own life (`lameduck`).
const COREFILE: &str = "\
.:53 {
    errors
    health
    ready
    prometheus :9153
    forward . /etc/resolv.conf
    cache 30
    loop
    reload
    loadbalance
}
";

/// A node at work.
pub(super) struct Worker {
    pub(super) node: Node,
    _coredns: Leash,
    _exporter: Leash,
    _nic: Nic,
    _folders: [TempDir; 2],
}

impl Worker {
    /// Starts CoreDNS and the exporter on a node.
    pub(super) async fn start(vpc: &Vpc, node: Node, coredns: &Path) -> Result<Self> {
        let folder = readable_folder()?;
        let corefile = folder.path().join("Corefile");
        std::fs::write(&corefile, COREFILE)?;
        let mut command = node.namespace.command();
        command.arg(coredns).arg("-conf").arg(&corefile);
        let coredns = Leash::start(&command)?;

        let nic = Nic::new(vpc.drop_counter(&node))?;
        let (program_folder, program) = for_everyone()?;
        let mut command = node.namespace.command();
        command
            .args(UNPRIVILEGED)
            .arg("env")
            .args(nic.environment());
        command.arg(program);
        // As in deploy/kubernetes/exporter/daemonset.yaml.
        command.arg(format!("--listen=0.0.0.0:{EXPORTER}"));
        let exporter = Leash::start(&command)?;
        coredns
            .says(START, |line| line.starts_with("CoreDNS-").then_some(()))
            .await?;
        exporter
            .says(START, |line| line.contains("listening on").then_some(()))
            .await?;
        Ok(Self {
            node,
            _coredns: coredns,
            _exporter: exporter,
            _nic: nic,
            _folders: [folder, program_folder],
        })
    }

    /// Where CoreDNS answers.
    pub(super) fn server(&self) -> String {
        format!("{}:53", self.node.ip)
    }

    /// A page of the node's, as it is now.
    fn page(&self, port: u16) -> Result<String> {
        use std::io::{Read as _, Write as _};
        let mut stream = self
            .node
            .namespace
            .connect(SocketAddr::from((self.node.ip, port)))?;
        write!(
            stream,
            "GET /metrics HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n"
        )?;
        let mut page = String::new();
        stream.read_to_string(&mut page)?;
        Ok(page)
    }

    /// The exporter's counter, as it is now.
    pub(super) fn exported(&self) -> Result<u64> {
        let page = self.page(EXPORTER)?;
        let line = "node_net_ethtool{device=\"ens5\",type=\"linklocal_allowance_exceeded\"} ";
        let value = page.lines().find_map(|it| it.strip_prefix(line));
        Ok(value.with_context(|| page.clone())?.trim().parse()?)
    }

    fn pods(&self, daemonset: &Value) -> [Value; 2] {
        let (name, ip) = (&self.node.name, self.node.ip.to_string());
        let template = &daemonset["spec"]["template"];
        let exporter = with(
            pod("dnswatch", &format!("exporter-{ip}"), name, &ip, "Running"),
            &template["metadata"]["labels"],
            &template["spec"]["containers"],
        );
        let coredns = with(
            pod(
                "kube-system",
                &format!("coredns-{ip}"),
                name,
                &ip,
                "Running",
            ),
            &json!({"k8s-app": "kube-dns", "eks.amazonaws.com/component": "coredns"}),
            &json!([{"name": "coredns", "ports": [
                {"name": "dns", "containerPort": 53, "protocol": "UDP"},
                port("dns-tcp", 53),
                port("metrics", COREDNS),
            ]}]),
        );
        [exporter, coredns]
    }
}

/// What `kubectl apply -k deploy/kubernetes/adot` applies.
pub(super) struct Applied {
    objects: Vec<Value>,
}

impl Applied {
    pub(super) fn read(kubectl: &Path) -> Result<Self> {
        let objects = documents(kubectl, &built(kubectl, &deploy("kubernetes/adot"))?)?;
        Ok(Self { objects })
    }

    /// A Kubernetes API that knows these nodes, and lets the collector do what its account may.
    pub(super) fn api(&self, vpc: &Vpc, port: u16, workers: &[&Worker]) -> Result<ApiServer> {
        let daemonset = the(&self.objects, "DaemonSet")?;
        let pods = workers.iter().flat_map(|worker| worker.pods(daemonset));
        ApiServer::on(
            vpc.listen(port)?,
            pods.collect(),
            Some(rights(&self.objects)?),
        )
    }

    /// The `spec` of the collector.
    pub(super) fn collector(&self) -> Result<Value> {
        Ok(the(&self.objects, "OpenTelemetryCollector")?["spec"].clone())
    }
}

/// The `resolv.conf` that the kubelet writes for a pod of this `spec`, where `cluster_dns` is the
/// cluster's (`kuberuntime` of Kubernetes, `pkg/kubelet/network/dns`): by `Default` the node's, by
/// `ClusterFirst`, which is what a pod has that says nothing, CoreDNS; options come on top.
pub(super) fn resolv_conf(spec: &Value, cluster_dns: &str) -> Result<String> {
    let mut text = match spec["dnsPolicy"].as_str() {
        Some("Default") => node_resolv_conf(),
        None | Some("ClusterFirst") => format!(
            "search dnswatch.svc.cluster.local svc.cluster.local cluster.local \
             eu-west-1.compute.internal\nnameserver {cluster_dns}\n"
        ),
        Some(other) => anyhow::bail!("dnsPolicy {other}"),
    };
    for option in spec["podDnsConfig"]["options"]
        .as_array()
        .into_iter()
        .flatten()
    {
        let (name, value) = (&option["name"], &option["value"]);
        let (name, value) = (
            name.as_str().context("a name")?,
            value.as_str().context("a value")?,
        );
        text.push_str(&format!("options {name}:{value}\n"));
    }
    Ok(text)
}

/// A collector, running.
pub(super) struct Collector {
    pub(super) process: Leash,
    api: ApiServer,
    _node: Node,
    _folder: TempDir,
}

impl Collector {
    /// Starts the collector of `spec` on a node, in a pod as its `spec` has it: with its account,
    /// unprivileged, and with `resolv_conf` to resolve names by.
    pub(super) async fn start(
        node: Node,
        program: &Path,
        spec: &Value,
        resolv_conf: &str,
        (api, api_port): (ApiServer, u16),
        certificate: &str,
    ) -> Result<Self> {
        let folder = readable_folder()?;
        let write = |name: &str, text: &str| -> Result<PathBuf> {
            let file = folder.path().join(name);
            std::fs::write(&file, text)?;
            std::fs::set_permissions(&file, PermissionsExt::from_mode(0o644))?;
            Ok(file)
        };
        let config = write("config.yaml", &spec["config"].to_string())?;
        let certificate = write("ca.pem", certificate)?;
        write("token", api_server::TOKEN)?;
        write("ca.crt", &api.certificate)?;
        write("resolv.conf", resolv_conf)?;
        // A mount namespace as a container's, but that it sees the test's own cgroup.
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/proc/{}/ns/net", node.namespace.pid()));
        command.args(["unshare", "--mount", "--propagation", "private"]);
        command.args(["sh", "-euc", CONTAINER, "container"]);
        // Where the program lies, its user may not look.
        command.arg(folder.path()).arg(program);
        command.args(UNPRIVILEGED).args(["env", "-i"]);
        command.arg(format!("KUBERNETES_SERVICE_HOST={OUTSIDE}"));
        command.arg(format!("KUBERNETES_SERVICE_PORT={api_port}"));
        command.arg(format!("AWS_ACCESS_KEY_ID={ACCESS_KEY}"));
        command.arg(format!("AWS_SECRET_ACCESS_KEY={SECRET_KEY}"));
        command.arg(format!("AWS_SESSION_TOKEN={TOKEN}"));
        command.arg("AWS_EC2_METADATA_DISABLED=true");
        // The workspace's certificate is of an authority of the test's own.
        command.arg(format!("SSL_CERT_FILE={}", certificate.display()));
        command.args([PROGRAM, "--config"]).arg(&config);
        let process = Leash::start(&command)?;
        process
            .says(START, |line| {
                line.contains("Everything is ready").then_some(())
            })
            .await?;
        Ok(Self {
            process,
            api,
            _node: node,
            _folder: folder,
        })
    }

    /// What its account was refused.
    pub(super) fn refused(&self) -> Vec<String> {
        self.api.refused()
    }
}
