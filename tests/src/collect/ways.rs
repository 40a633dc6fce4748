//! The scrape configurations, lifted out of the files that a user applies.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::manifests::{built, deploy, documents, the, workspace_template};
use crate::parts;

/// The name of the cluster in the files as they are.
const CLUSTER: &str = "my-cluster";

/// A way of the samples.
#[derive(Debug, Clone)]
pub(super) struct Way {
    /// What it is called in messages.
    pub(super) name: &'static str,
    /// A Prometheus configuration.
    pub(super) config: Value,
    /// The value of the label `cluster` that its samples have.
    pub(super) cluster: &'static str,
    /// Its account may do only what the manifests allow; of the others the rights are not ours.
    pub(super) is_bound: bool,
}

/// The collector's: its receiver's configuration, and the labels that its exporter adds.
fn adot(kubectl: &Path) -> Result<Way> {
    let objects = documents(kubectl, &built(kubectl, &deploy("kubernetes/adot"))?)?;
    let collector = &the(&objects, "OpenTelemetryCollector")?["spec"]["config"];
    let mut config = collector["receivers"]["prometheus"]["config"].clone();
    ensure!(config["scrape_configs"].is_array(), "{config}");
    unescape(&mut config);
    let labels = &collector["exporters"]["prometheusremotewrite"]["external_labels"];
    config["global"]["external_labels"] = labels.clone();
    Ok(Way {
        name: "ADOT",
        config,
        cluster: CLUSTER,
        is_bound: true,
    })
}

/// AMP's scraper's, with the parameter that CloudFormation puts in.
fn scraper(sam: &Path, kubectl: &Path) -> Result<Way> {
    let template = workspace_template(sam)?;
    let scraper = &template["Resources"]["Scraper"]["Properties"];
    let blob = scraper["ScrapeConfiguration"]["ConfigurationBlob"]["Fn::Sub"].as_str();
    let blob = blob.context("a text to substitute in")?;
    let text = blob.replace("${ClusterName}", CLUSTER);
    ensure!(!text.contains("${"), "another parameter: {text}");
    Ok(Way {
        name: "AMP's scraper",
        config: documents(kubectl, &text)?.remove(0),
        cluster: CLUSTER,
        is_bound: false,
    })
}

/// A Prometheus's own, with the one exporter or the other.
fn plain(kubectl: &Path, name: &'static str, without: &str) -> Result<Way> {
    let text = std::fs::read_to_string(deploy("kubernetes/prometheus/prometheus.yml"))?;
    let mut config = documents(kubectl, &text)?.remove(0);
    let jobs = config["scrape_configs"].as_array_mut().context("jobs")?;
    let all = jobs.len();
    jobs.retain(|job| job["job_name"] != without);
    ensure!(jobs.len() + 1 == all, "{without} is no job");
    Ok(Way {
        name,
        config,
        cluster: CLUSTER,
        is_bound: false,
    })
}

/// All of them; none without the parts that read the files.
#[track_caller]
pub(super) fn every_way() -> Result<Option<Vec<Way>>> {
    let (Some(sam), Some(kubectl)) = (parts::sam(), parts::kubectl()) else {
        return Ok(None);
    };
    Ok(Some(vec![
        adot(&kubectl)?,
        scraper(&sam, &kubectl)?,
        plain(&kubectl, "Prometheus", "node-exporter")?,
        plain(
            &kubectl,
            "Prometheus with node_exporter",
            "ethtool-exporter",
        )?,
    ]))
}

/// `$$` is how the collector writes `$`.
fn unescape(value: &mut Value) {
    match value {
        Value::String(text) => *text = text.replace("$$", "$"),
        Value::Array(values) => values.iter_mut().for_each(unescape),
        Value::Object(object) => object.values_mut().for_each(unescape),
        _ => {}
    }
}

impl Way {
    /// The jobs.
    pub(super) fn jobs(&self) -> &[Value] {
        self.config["scrape_configs"]
            .as_array()
            .map_or(&[], Vec::as_slice)
    }

    /// The configuration for a Prometheus outside a pod, which writes to the receiver at `url`.
    /// JSON is YAML.
    pub(super) fn outside_a_pod(&self, url: &str) -> String {
        let mut config = self.config.clone();
        for job in config["scrape_configs"]
            .as_array_mut()
            .into_iter()
            .flatten()
        {
            for discovery in job["kubernetes_sd_configs"]
                .as_array_mut()
                .into_iter()
                .flatten()
            {
                discovery["kubeconfig_file"] = json!("kubeconfig.yml");
            }
        }
        config["remote_write"] = json!([{"url": format!("{url}/api/v1/write")}]);
        config.to_string()
    }

    /// From one scrape to the next.
    pub(super) fn interval(&self) -> Result<std::time::Duration> {
        let text = self.config["global"]["scrape_interval"]
            .as_str()
            .context("an interval")?;
        Ok(alerting::duration::parse(text)?)
    }
}
