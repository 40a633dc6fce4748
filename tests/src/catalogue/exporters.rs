//! The exporters whose metrics the rules read, each by a page recorded from its source
//! (`tests/data/pages`): a rule that such a page is enough for fires on it, once.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::{folder, rules};
use crate::parts;

/// The series of a page as promtool's input, with the labels of a scrape. A page of an exporter that
/// reports changes repeats its value, the counters of another grow by that value.
pub(super) fn input_series(page: &str, scrape: &str) -> Vec<Value> {
    let tells_changes = page.contains("what\n# changed since");
    let lines = page.lines().filter(|line| !line.starts_with('#'));
    let series = lines
        .filter_map(|line| line.rsplit_once(' '))
        .map(|(series, value)| {
            let series = match series.split_once('{') {
                Some((name, labels)) => format!("{name}{{{scrape},{labels}"),
                None => format!("{series}{{{scrape}}}"),
            };
            let values = if tells_changes {
                format!("{value}x60")
            } else {
                format!("0+{value}x60")
            };
            json!({"series": series, "values": values})
        });
    series.collect()
}

#[test]
fn rules_fire_on_the_page_of_each_exporter() -> Result<()> {
    let Some(tools) = parts::prometheus() else {
        return Ok(());
    };
    let work = tempfile::tempdir()?;
    let drivers: &[&str] = &[
        "LinkLocalThrottling",
        "LinkLocalThrottlingSevere",
        "ConntrackAllowanceExceeded",
        "PacketRateAllowanceExceeded",
        "InboundBandwidthAllowanceExceeded",
        "OutboundBandwidthAllowanceExceeded",
    ];
    let caches: &[&str] = &[
        "NodeLocalDNSUpstreamFailing",
        "NodeLocalDNSLatencyHigh",
        "NodeLocalDNSSetupErrors",
    ];
    let flow = include_str!("../../data/pages/network-flow-monitor.txt");
    let agent = include_str!("../../data/pages/cloudwatch-agent.txt");
    let cache = include_str!("../../data/pages/node-local-dns.txt");
    let node = "ip-10-0-1-11.ec2.internal";
    for (page, scrape, alerts, node, device) in [
        (
            flow,
            r#"cluster="c",instance="10.0.1.11:9109""#,
            drivers,
            node,
            "eni-0a1b2c3d4e5f60718",
        ),
        (
            agent,
            r#"cluster="c""#,
            drivers,
            "i-0123456789abcdef0",
            "ens5",
        ),
        (
            cache,
            r#"cluster="c",instance="10.0.1.11:9253""#,
            caches,
            "10.0.1.11",
            "",
        ),
    ] {
        let device = match device {
            "" => String::new(),
            device => format!(",device=\"{device}\""),
        };
        let asked = alerts.iter().map(|alert| {
            json!({
                "expr": format!("count by (node, device) (ALERTS{{alertname=\"{alert}\",alertstate=\"firing\"}})"),
                "eval_time": "25m",
                "exp_samples": [{"labels": format!("{{node=\"{node}\"{device}}}"), "value": 1}],
            })
        });
        let files: Vec<_> = rules()?
            .into_iter()
            .map(|rule| folder().join(rule.file))
            .collect();
        let test = json!({
            "rule_files": files,
            "evaluation_interval": "30s",
            "tests": [{
                "interval": "30s",
                "input_series": input_series(page, scrape),
                "promql_expr_test": asked.collect::<Vec<_>>(),
            }],
        });
        let path = work.path().join("page.yml");
        std::fs::write(&path, test.to_string())?;
        let said = tools.promtool(["test".as_ref(), "rules".as_ref(), path.as_os_str()])?;
        ensure!(
            said.status.success(),
            "{}",
            String::from_utf8_lossy(&said.stdout)
        );
    }
    Ok(())
}
