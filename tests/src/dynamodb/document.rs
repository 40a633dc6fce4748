//! State documents of the sizes that matter.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use alerting::alert::{Alert, AlertState};
use alerting::labels::Labels;
use alerting::notify::AlertEntry;
use alerting::rules::RuleId;
use alerting::state::{RuleState, State};
use alerting::timestamp::Timestamp;
use anyhow::Result;

/// A cluster in a storm: `count` alerts fire, each with the labels that a node's DNS alert has.
pub(super) fn storm(count: usize, at: Timestamp) -> Result<Vec<u8>> {
    let id = RuleId {
        namespace: "link-local".to_owned(),
        group: "link-local".to_owned(),
        alert: "LinkLocalThrottling".to_owned(),
        labels: Labels::from_iter([("severity", "critical")]),
        ordinal: 0,
    };
    let key = id.key();
    let mut rule = RuleState::new(id, at);
    let mut state = State::default();
    let mut random = fastrand::Rng::with_seed(7);
    for n in 0..count {
        let (a, b) = (n / 250, n % 250);
        let node = format!("ip-10-{}-{a}-{b}.eu-central-1.compute.internal", n % 4);
        let instance = format!("i-0{:016x}", random.u64(..));
        let labels = Labels::from_iter([
            ("alertname", "LinkLocalThrottling"),
            ("cluster", "prod-eu-central-1"),
            ("device", if n % 3 == 0 { "ens5" } else { "eth0" }),
            ("instance", &format!("10.{}.{a}.{b}:9417", n % 4)),
            ("instance_id", &instance),
            ("job", "ethtool-exporter"),
            ("node", &node),
            ("severity", "critical"),
        ]);
        let annotations = Arc::new(BTreeMap::from([
            (
                "summary".to_owned(),
                format!("{node} drops DNS packets: {} in 2 minutes", random.u16(..)),
            ),
            (
                "runbook_url".to_owned(),
                "https://example.com/runbooks/LinkLocalThrottling".to_owned(),
            ),
        ]));
        let value = f64::from(random.u16(..)) / 7.0;
        state.notify.alerts.insert(
            labels.clone(),
            AlertEntry {
                labels: labels.clone(),
                annotations: Arc::clone(&annotations),
                value,
                starts_at: at,
                ends_at: None,
                end: None,
                hold: None,
                past: false,
                fired_by: BTreeSet::from([key.clone()]),
                rule: key.clone(),
            },
        );
        rule.active.insert(
            labels.clone(),
            Alert {
                labels,
                annotations,
                value,
                state: AlertState::Firing,
                active_at: at,
                fired_at: Some(at),
                resolved_at: None,
                keep_firing_since: None,
                hold: None,
                end: None,
                late: false,
            },
        );
    }
    state.rules.insert(key, rule);
    Ok(state.to_json()?)
}

/// Bytes that do not compress.
pub(super) fn noise(seed: u64, bytes: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    std::iter::repeat_with(|| random.u8(..))
        .take(bytes)
        .collect()
}
