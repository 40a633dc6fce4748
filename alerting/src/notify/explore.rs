//! A link into Grafana: the expression in Explore, around the time of the alert.

use std::time::Duration;

use serde::Serialize;

use super::AlertEntry;
use crate::timestamp::Timestamp;

/// How much is shown from before the alert fired, and from after it ended.
const BEFORE: Duration = Duration::from_secs(30 * 60);
const AFTER: Duration = Duration::from_secs(10 * 60);

/// The Grafana that people look at graphs in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grafana {
    /// Its address, up to before `/explore`.
    pub url: String,
    /// The UID or the name of the data source that has what the rules ask for; empty: Grafana's
    /// default one.
    pub datasource: String,
}

/// What Explore takes as `panes` (grafana.com, "Explore", "Generate Explore URLs from external
/// tools"): a JSON object with a pane.
#[derive(Serialize)]
struct Panes<'a> {
    dnswatch: Pane<'a>,
}

#[derive(Serialize)]
struct Pane<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    datasource: &'a str,
    queries: [Query<'a>; 1],
    range: Range,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Query<'a> {
    ref_id: &'static str,
    expr: &'a str,
}

/// In milliseconds since the epoch.
#[derive(Serialize)]
struct Range {
    from: String,
    to: String,
}

impl Grafana {
    /// The link to an alert's expression; `now` is where the range of one that fires ends.
    pub(super) fn explore(&self, expr: &str, alert: &AlertEntry, now: Timestamp) -> String {
        let to = alert.ends_at.map_or(now, |end| end.plus(AFTER).min(now));
        let panes = Panes {
            dnswatch: Pane {
                datasource: &self.datasource,
                queries: [Query { ref_id: "A", expr }],
                range: Range {
                    from: alert.starts_at.minus(BEFORE).as_millis().to_string(),
                    to: to.as_millis().to_string(),
                },
            },
        };
        // Texts are always JSON.
        let panes = serde_json::to_string(&panes).unwrap_or_default();
        format!(
            "{}/explore?schemaVersion=1&panes={}",
            self.url.trim_end_matches('/'),
            super::outgoing::query_escaped(&panes)
        )
    }
}
