//! The pages and the scrape configuration, judged by promtool and over HTTP.

#![cfg(test)]

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dnswatch_demo::pages::Target;
use dnswatch_demo::scenario::Scenario;
use dnswatch_demo::scrape_config::scrape_config;
use dnswatch_demo::server::PageServer;
use dnswatch_demo::simulation::Simulation;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

fn after(seconds: u64) -> Simulation {
    let mut simulation = Simulation::new(Scenario::dns_storm()).expect("a sound scenario");
    simulation.step(Duration::from_secs(seconds));
    simulation
}

/// The promtool of `make parts`, else the one on PATH.
fn promtool() -> Command {
    let set = |name: &str| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let cache = set("DNSWATCH_CACHE").unwrap_or_else(|| {
        set("XDG_CACHE_HOME")
            .unwrap_or_else(|| set("HOME").expect("HOME is set").join(".cache"))
            .join("dnswatch")
    });
    let part = cache.join("parts/prometheus/promtool");
    Command::new(if part.is_file() {
        part
    } else {
        PathBuf::from("promtool")
    })
}

#[track_caller]
fn run(mut command: Command, input: &str) {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool starts (run `make parts`)");
    child
        .stdin
        .take()
        .expect("its standard input")
        .write_all(input.as_bytes())
        .expect("promtool reads");
    let output = child.wait_with_output().expect("promtool ends");
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{}{}\n{input}",
        said(&output.stdout),
        said(&output.stderr)
    );
}

#[test]
fn promtool_finds_nothing_wrong_with_any_page() {
    for seconds in [0, 20, 60, 200] {
        let simulation = after(seconds);
        let cluster = simulation.cluster();
        let nodes = cluster.nodes().iter().map(|node| Target::Node(&node.name));
        let pods = cluster.pods().iter().map(|pod| Target::Pod(&pod.spec.name));
        for target in nodes.chain(pods) {
            let mut command = promtool();
            command.args(["check", "metrics"]);
            run(
                command,
                &target.page(cluster).expect("a page for each target"),
            );
        }
    }
}

#[test]
fn promtool_accepts_the_scrape_configuration() {
    let simulation = after(0);
    let address = "127.0.0.1:1".parse().expect("an address");
    let yaml = scrape_config(simulation.cluster(), address, 5);
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(yaml.as_bytes()).expect("written");
    let mut command = promtool();
    command.args(["check", "config"]).arg(file.path());
    run(command, "");
}

#[test]
fn an_exporter_page_reads_as_the_original_exporters() {
    let simulation = after(60);
    let page = Target::Node("ip-10-0-1-13.ec2.internal").page(simulation.cluster());
    assert_eq!(
        page.as_deref(),
        Some(
            r#"# HELP node_net_ethtool_info Link settings of the device
# TYPE node_net_ethtool_info gauge
node_net_ethtool_info{device="ens5",duplex="Unknown! (255)",link_detected="yes",port="Other",speed="Unknown!"} 1
# HELP node_net_ethtool Driver statistics of the device
# TYPE node_net_ethtool gauge
node_net_ethtool{device="ens5",type="bw_in_allowance_exceeded"} 0
node_net_ethtool{device="ens5",type="bw_out_allowance_exceeded"} 0
node_net_ethtool{device="ens5",type="conntrack_allowance_available"} 113094
node_net_ethtool{device="ens5",type="conntrack_allowance_exceeded"} 0
node_net_ethtool{device="ens5",type="interface_down"} 0
node_net_ethtool{device="ens5",type="interface_up"} 1
node_net_ethtool{device="ens5",type="linklocal_allowance_exceeded"} 0
node_net_ethtool{device="ens5",type="pps_allowance_exceeded"} 0
node_net_ethtool{device="ens5",type="total_resets"} 0
"#
        )
    );
}

#[tokio::test]
async fn each_target_has_its_path_and_nothing_else_has() {
    let simulation = after(60);
    let expected = Target::Pod("coredns-7f9c6d8b5d-hx7mt")
        .page(simulation.cluster())
        .expect("a page");
    let server = PageServer::bind().await.expect("a free port");
    let address = server.address();
    tokio::spawn(server.serve(Arc::new(Mutex::new(simulation))));

    for (path, status, body) in [
        (
            "/coredns/coredns-7f9c6d8b5d-hx7mt/metrics",
            "200 OK",
            expected.as_str(),
        ),
        (
            "/node/ip-10-0-1-99.ec2.internal/metrics",
            "404 Not Found",
            "no such target\n",
        ),
        (
            "/node/ip-10-0-1-11.ec2.internal",
            "404 Not Found",
            "no such target\n",
        ),
        ("/metrics", "404 Not Found", "no such target\n"),
    ] {
        let mut connection = TcpStream::connect(address).await.expect("connected");
        let request = format!("GET {path} HTTP/1.0\r\n\r\n");
        connection
            .write_all(request.as_bytes())
            .await
            .expect("asked");
        let mut response = String::new();
        connection
            .read_to_string(&mut response)
            .await
            .expect("answered");
        let (head, text) = response.split_once("\r\n\r\n").expect("a head and a body");
        assert!(
            head.lines()
                .next()
                .is_some_and(|line| line.ends_with(status)),
            "{path}: {head}"
        );
        assert_eq!(text, body, "{path}");
    }
}
