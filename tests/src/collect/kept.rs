//! The scrape configurations as they are written: accepted by promtool, the same by every way, and
//! keeping what the shipped rules read.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use alerting::config::{ConfigFiles, Settings};
use alerting::rules::SourceFile;
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::manifests::deploy;
use super::ways::every_way;
use crate::parts;
use crate::ruler::starter_rules_folder;

#[test]
fn promtool_accepts_every_scrape_configuration() -> Result<()> {
    let (Some(tools), Some(ways)) = (parts::prometheus(), every_way()?) else {
        return Ok(());
    };
    let check = |file: &Path| -> Result<()> {
        let said = tools.promtool(["check".as_ref(), "config".as_ref(), file.as_os_str()])?;
        ensure!(said.status.success(), "{said:?}");
        Ok(())
    };
    let folder = tempfile::tempdir()?;
    for way in ways {
        let file = folder.path().join("prometheus.yml");
        std::fs::write(&file, way.config.to_string())?;
        check(&file).context(way.name)?;
    }
    check(&deploy("kubernetes/prometheus/prometheus.yml"))
}

/// The same jobs by every way: what one takes and how it names it, the others do too.
#[test]
fn every_way_has_the_same_jobs() -> Result<()> {
    let Some(ways) = every_way()? else {
        return Ok(());
    };
    let mut found: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for way in &ways {
        assert_eq!(way.jobs().len(), 4, "{}", way.name);
        for job in way.jobs() {
            let name = job["job_name"].as_str().context("a name")?;
            let (targets, series) = (&job["relabel_configs"], &job["metric_relabel_configs"]);
            ensure!(
                targets.is_array() && series.is_array(),
                "{}: {job}",
                way.name
            );
            found
                .entry(name)
                .or_default()
                .insert(format!("{targets} {series}"));
        }
    }
    assert_eq!(found.len(), 5, "{found:?}");
    for (name, kinds) in found {
        assert_eq!(kinds.len(), 1, "{name}: {kinds:#?}");
    }
    Ok(())
}

/// A series that a shipped rule reads and a keep-list drops would make the rule silent.
#[test]
fn the_keep_lists_let_through_what_the_shipped_rules_read() -> Result<()> {
    let Some(ways) = every_way()? else {
        return Ok(());
    };
    let names = names_in_rules()?;
    ensure!(names.len() >= 20, "{names:?}");
    for way in &ways {
        for (name, kind) in &names {
            let job = if name.starts_with("coredns_nodecache_") {
                "node-local-dns-setup"
            } else if name.starts_with("coredns_") {
                "coredns"
            } else if name.starts_with("node_ethtool_") {
                "node-exporter"
            } else if name.starts_with("node_net_ethtool") {
                "ethtool-exporter"
            } else {
                // `up` and the like are the scrape's own, which no relabelling drops.
                continue;
            };
            // Of the two exporters a way has one.
            let Some(job) = way.jobs().iter().find(|found| found["job_name"] == job) else {
                continue;
            };
            ensure!(
                keeps(job, name, kind)?,
                "{}: {name} {kind:?} is dropped",
                way.name
            );
        }
    }
    Ok(())
}

/// Metric names, with the `type` that is asked for, of all selectors of the shipped rules.
fn names_in_rules() -> Result<BTreeSet<(String, String)>> {
    let mut names = BTreeSet::new();
    for entry in std::fs::read_dir(starter_rules_folder())? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "yml") {
            continue;
        }
        let file = SourceFile {
            name: path.display().to_string(),
            text: std::fs::read_to_string(&path)?,
        };
        let config = Settings::default()
            .load(&ConfigFiles::from(vec![file]))
            .map_err(|errors| anyhow::anyhow!("{errors:?}"))?;
        for rule in config.groups.iter().flat_map(|group| &group.rules) {
            let text = rule.expr.text();
            for word in text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':')) {
                if word.starts_with("coredns_") {
                    names.insert((word.to_owned(), String::new()));
                }
            }
            // `{__name__=~"node_net_ethtool|(node_)?ethtool_X",type=~"|X"}`
            for rest in text.split("type=~\"|").skip(1) {
                let kind = rest.split('"').next().context("a type")?;
                names.insert(("node_net_ethtool".to_owned(), kind.to_owned()));
                names.insert((format!("node_ethtool_{kind}"), String::new()));
            }
        }
    }
    Ok(names)
}

/// Whether a job's metric_relabel_configs, `keep` and `drop` of whole names, let a series through.
fn keeps(job: &Value, name: &str, kind: &str) -> Result<bool> {
    for relabel in job["metric_relabel_configs"].as_array().context("a list")? {
        let sources = relabel["source_labels"].as_array().context("labels")?;
        let values: Vec<&str> = sources
            .iter()
            .map(|source| match source.as_str() {
                Some("__name__") => name,
                Some("type") => kind,
                _ => "",
            })
            .collect();
        let regex = relabel["regex"].as_str().context("a regex")?;
        let matches = regex::Regex::new(&format!("^(?s:{regex})$"))?.is_match(&values.join(";"));
        match relabel["action"].as_str() {
            Some("keep") if !matches => return Ok(false),
            Some("drop") if matches => return Ok(false),
            Some("keep" | "drop") => {}
            action => anyhow::bail!("{action:?}"),
        }
    }
    Ok(true)
}
