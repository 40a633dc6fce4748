//! Nodes that drop packets on request, on a page that a Prometheus scrapes.
//!
//! Each time is a series of its own, and so an alert of its own: it fires once and ends once, and
//! no other can be taken for it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use alerting::fingerprint::Fingerprint;
use anyhow::Result;

use super::ledger::Alert;
use crate::front::Front;

const ALERT: &str = "LinkLocalThrottling";

/// The rule: a tick a second, on samples that are surely there: a machine that is busy may miss a
/// scrape, and the series is stale then, but still has its last sample.
pub(super) const RULES: &str = "groups:
  - name: dns
    interval: 1s
    rules:
      - alert: LinkLocalThrottling
        expr: sum by (node, time) (last_over_time(drops[5m])) > 0
        annotations: {summary: '{{ $labels.node }} drops packets, time {{ $labels.time }}'}
";

/// The alert of the rule for one time of a node.
pub(super) fn alert(node: &str, time: usize) -> Alert {
    let labels = [
        ("alertname", ALERT.to_owned()),
        ("node", node.to_owned()),
        ("time", time.to_string()),
    ];
    labels.map(|(name, value)| (name.to_owned(), value)).into()
}

/// What Prometheus and Alertmanager show for it.
pub(super) fn fingerprint(alert: &Alert) -> Fingerprint {
    let labels = alert.iter();
    Fingerprint::of(labels.map(|(name, value)| (name.as_str(), value.as_str())))
}

/// The nodes and their page, until they are dropped.
pub(super) struct Cast {
    front: Front,
    /// The alerts that were ever to fire, and whether they still are.
    fires: Arc<Mutex<BTreeMap<Alert, bool>>>,
}

impl Cast {
    pub(super) async fn start() -> Result<Self> {
        let fires: Arc<Mutex<BTreeMap<Alert, bool>>> = Arc::default();
        let page = Arc::clone(&fires);
        let nowhere = "http://127.0.0.1:9";
        let front = Front::start(nowhere, move |_| {
            // One that never drops any: there is telemetry before the first one does.
            let mut text = "drops{node=\"well\",time=\"0\"} 0\n".to_owned();
            for (alert, fires) in &*page.lock().unwrap() {
                let (node, time, value) = (&alert["node"], &alert["time"], u8::from(*fires));
                writeln!(text, "drops{{node=\"{node}\",time=\"{time}\"}} {value}").unwrap();
            }
            Some((200, "text/plain; version=0.0.4", text))
        });
        Ok(Self {
            front: front.await?,
            fires,
        })
    }

    /// Prometheus's configuration.
    pub(super) fn scraped(&self) -> String {
        let target = self.front.url.trim_start_matches("http://");
        format!(
            "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\n\
             scrape_configs: [{{job_name: nodes, static_configs: [{{targets: ['{target}']}}]}}]\n"
        )
    }

    /// Lets an alert's node drop packets, or no more.
    pub(super) fn set(&self, alert: &Alert, fires: bool) {
        self.fires.lock().unwrap().insert(alert.clone(), fires);
    }

    /// Every alert that was ever to fire.
    pub(super) fn begun(&self) -> BTreeSet<Alert> {
        self.fires.lock().unwrap().keys().cloned().collect()
    }
}
