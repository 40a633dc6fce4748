//! Settings of the collector and its network policy that no scrape reads: each against what it is
//! for.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::manifests::{deploy, documents, of_kind, the};
use crate::parts;

/// Ports of what the collector reaches beside its targets: DNS, the Kubernetes API and AWS, and the
/// agent of EKS Pod Identity (its addresses are in the documentation of EKS).
const BESIDES: [(&str, u64); 4] = [("UDP", 53), ("TCP", 53), ("TCP", 443), ("TCP", 80)];

/// What is wrong with the collector and the policy that its pod is held to.
fn wrong(collector: &Value, policy: &Value) -> Vec<&'static str> {
    let mut wrong = Vec::new();
    let mut check = |holds: bool, what| {
        if !holds {
            wrong.push(what);
        }
    };
    let config = &collector["spec"]["config"];
    let write = &config["exporters"]["prometheusremotewrite"];
    check(
        write["add_metric_suffixes"] == false,
        "counters get names that no rule reads",
    );
    check(
        write["target_info"]["enabled"] == false,
        "each target costs a series that nothing reads",
    );
    check(
        write["remote_write_queue"]["enabled"] == true
            && write["remote_write_queue"]["num_consumers"] == 1,
        "samples of a series do not arrive in their order",
    );
    let retry = &write["retry_on_failure"];
    let minutes = |text: &Value| -> Option<u64> { text.as_str()?.strip_suffix('m')?.parse().ok() };
    check(
        retry["enabled"] == true && minutes(&retry["max_elapsed_time"]) >= Some(30),
        "what was scraped while DNS was down is lost",
    );
    check(
        write["auth"]["authenticator"] == "sigv4auth"
            && config["extensions"]["sigv4auth"]["service"] == "aps",
        "what is written is not signed for the workspace",
    );
    let extensions = config["service"]["extensions"].as_array();
    let extensions: BTreeSet<&str> = extensions
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let configured = config["extensions"].as_object();
    let configured: BTreeSet<&str> = configured
        .into_iter()
        .flatten()
        .map(|(name, _)| name.as_str())
        .collect();
    check(
        extensions == configured,
        "an extension is configured and not in use",
    );
    let pipeline = &config["service"]["pipelines"]["metrics"];
    check(
        pipeline["receivers"] == json!(["prometheus"])
            && pipeline["processors"] == json!(["memory_limiter", "batch"])
            && pipeline["exporters"] == json!(["prometheusremotewrite"]),
        "a part of the pipeline is left out",
    );
    check(
        collector["spec"]["replicas"] == 1
            && collector["spec"]["deploymentUpdateStrategy"]["type"] == "Recreate",
        "two collectors write the same series",
    );
    let dns = json!([{"name": "ndots", "value": "1"}]);
    check(
        collector["spec"]["podDnsConfig"]["options"] == dns,
        "the collector asks DNS for names that are none",
    );

    // The ports of the targets, from the relabelling that keeps them: `namespace;app;PORT;Running`.
    let jobs = &config["receivers"]["prometheus"]["config"]["scrape_configs"];
    let mut expected: BTreeSet<(String, u64)> = BESIDES
        .iter()
        .map(|(protocol, port)| ((*protocol).to_owned(), *port))
        .collect();
    for job in jobs.as_array().into_iter().flatten() {
        let rules = job["relabel_configs"].as_array();
        let kept = rules
            .into_iter()
            .flatten()
            .filter(|rule| rule["action"] == "keep");
        for rule in kept {
            let parts = rule["regex"].as_str().unwrap_or_default().split(';');
            let ports = parts.filter_map(|part| part.parse().ok());
            expected.extend(ports.map(|port| ("TCP".to_owned(), port)));
        }
        // A job that asks at another port than the one that it finds.
        let asked = rules.into_iter().flatten();
        let addresses = asked.filter(|rule| rule["target_label"] == "__address__");
        let ports = addresses.filter_map(|rule| {
            let port = rule["replacement"].as_str()?.rsplit(':').next()?;
            port.parse().ok()
        });
        expected.extend(ports.map(|port| ("TCP".to_owned(), port)));
    }
    let rules = policy["spec"]["egress"].as_array();
    let mut reached = BTreeSet::new();
    for rule in rules.into_iter().flatten() {
        for port in rule["ports"].as_array().into_iter().flatten() {
            let protocol = port["protocol"].as_str().unwrap_or("TCP");
            let number = port["port"].as_u64().unwrap_or_default();
            check(
                rule["to"].is_null() != (number == 80),
                "only the agent of Pod Identity has an address of its own",
            );
            reached.insert((protocol.to_owned(), number));
        }
    }
    check(reached == expected, "the policy and what is reached differ");
    check(
        policy["spec"]["policyTypes"] == json!(["Egress"]),
        "the policy is not about what the collector reaches",
    );
    let name = format!(
        "{}-collector",
        collector["metadata"]["name"].as_str().unwrap_or_default()
    );
    check(
        policy["spec"]["podSelector"]["matchLabels"]["app.kubernetes.io/name"] == name.as_str()
            && policy["metadata"]["namespace"] == collector["metadata"]["namespace"],
        "the policy is about another pod",
    );
    wrong
}

/// Faults, planted one at a time: in the collector, or in the policy.
fn planted() -> Vec<(bool, &'static str, Value)> {
    const WRITE: &str = "/spec/config/exporters/prometheusremotewrite";
    let at = |path: &str| -> &'static str { Box::leak(format!("{WRITE}/{path}").into_boxed_str()) };
    vec![
        (true, at("add_metric_suffixes"), json!(true)),
        (true, at("add_metric_suffixes"), Value::Null),
        (true, at("target_info/enabled"), json!(true)),
        (true, at("remote_write_queue/num_consumers"), json!(5)),
        (true, at("retry_on_failure/max_elapsed_time"), json!("5m")),
        (true, at("retry_on_failure/max_elapsed_time"), Value::Null),
        (true, at("retry_on_failure/enabled"), json!(false)),
        (true, at("auth"), Value::Null),
        (
            true,
            "/spec/config/extensions/sigv4auth/service",
            json!("aps-workspaces"),
        ),
        (
            true,
            "/spec/config/service/extensions",
            json!(["health_check"]),
        ),
        (
            true,
            "/spec/config/service/pipelines/metrics/processors",
            json!(["batch"]),
        ),
        (true, "/spec/replicas", json!(2)),
        (
            true,
            "/spec/deploymentUpdateStrategy/type",
            json!("RollingUpdate"),
        ),
        (true, "/spec/podDnsConfig/options", json!([])),
        (false, "/spec/egress/0/ports/0/port", json!(9100)),
        (false, "/spec/egress/0/ports/1", Value::Null),
        (false, "/spec/egress/1", Value::Null),
        (false, "/spec/egress/2/to", Value::Null),
        (false, "/spec/egress/3", Value::Null),
        (false, "/spec/egress/3/ports/0", Value::Null),
        (false, "/spec/egress/3/ports/1/protocol", json!("UDP")),
        (false, "/spec/policyTypes", json!(["Ingress"])),
        (
            false,
            "/spec/podSelector/matchLabels/app.kubernetes.io~1name",
            json!("dnswatch"),
        ),
    ]
}

#[test]
fn each_setting_is_what_it_is_for() -> Result<()> {
    let Some(kubectl) = parts::kubectl() else {
        return Ok(());
    };
    let read = |file: &str| -> Result<Vec<Value>> {
        let text = std::fs::read_to_string(deploy("kubernetes/adot").join(file))?;
        documents(&kubectl, &text)
    };
    let collector = the(&read("collector.yaml")?, "OpenTelemetryCollector")?.clone();
    let policies = read("networkpolicy.yaml")?;
    let policies = of_kind(&policies, "NetworkPolicy");
    let [policy] = policies.as_slice() else {
        anyhow::bail!("one policy");
    };
    let found = wrong(&collector, policy);
    ensure!(found.is_empty(), "{found:#?}");

    let planted = planted();
    let count = planted.len();
    let mut survivors = Vec::new();
    for (in_collector, at, instead) in planted {
        let (mut collector, mut policy) = (collector.clone(), (*policy).clone());
        let document = if in_collector {
            &mut collector
        } else {
            &mut policy
        };
        let place = document
            .pointer_mut(at)
            .with_context(|| format!("{at} is not there"))?;
        ensure!(*place != instead, "{at} is so already");
        *place = instead.clone();
        if wrong(&collector, &policy).is_empty() {
            survivors.push(format!("{at}: {instead}"));
        }
    }
    eprintln!(
        "collect: {count} faults planted in the manifests, {} survive",
        survivors.len()
    );
    ensure!(survivors.is_empty(), "{survivors:#?}");
    Ok(())
}
