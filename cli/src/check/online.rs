//! What only a server can say: which selectors match nothing, and what each rule costs.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::time::Duration;

use alerting::config::{Config, ConfigFiles};
use alerting::query::{Answer, Ask, At, QueryFailure};
use alerting::rules::lint::{self, Finding, Severity};
use alerting::rules::{AlertingRule, RuleGroup};
use alerting::timestamp::Timestamp;
use anyhow::{Context, Result};
use backends::clock::{Clock, SystemClock};
use backends::prometheus::Client;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::report::Report;

/// How long all answers together are waited for.
const PATIENCE: Duration = Duration::from_secs(5 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// How far back a selector may have matched.
const LOOK_BACK: &str = "1h";

/// What an alerting rule costs at one tick.
pub(super) struct Cost<'a> {
    pub(super) group: &'a RuleGroup,
    pub(super) rule: &'a AlertingRule,
    /// The samples that the server reads; none where it does not say.
    pub(super) samples: Option<u64>,
}

impl Cost<'_> {
    pub(super) fn samples_a_day(&self) -> Option<u64> {
        let ticks = DAY.as_millis() / self.group.interval.as_millis().max(1);
        self.samples?.checked_mul(u64::try_from(ticks).ok()?)
    }
}

type Answered = Result<(Answer, Option<u64>), QueryFailure>;

/// What every Prometheus API answers: whether the server can be asked at all.
const PROBE: &str = "vector(1)";

/// Queries the server, and reports what comes of it. A server that cannot be queried is one error, and
/// nothing else is reported of it: what is not known must not look well.
pub(super) fn check(
    client: &Client,
    files: &ConfigFiles,
    config: &Config,
    report: &mut Report<impl Write>,
) -> Result<()> {
    let now = SystemClock.now();
    let probe = instant(PROBE.to_owned(), now);
    let answered = ask_all(client, [probe.clone()].into())?;
    if let Some(Err(failure)) = answered.get(&probe) {
        return report.server(&format!(
            "the server cannot be queried, so nothing is known of it: {}",
            failure.message
        ));
    }
    let selectors = lint::selectors(&files.rules);
    let rules = || {
        config.groups.iter().flat_map(|group| {
            let rules = group.rules.iter();
            rules.map(move |rule| (group, rule, now.minus(group.query_offset)))
        })
    };
    let presence = selectors.iter().map(|found| matches(&found.selector, now));
    let costs = rules().map(|(_, rule, at)| instant(rule.expr.text().to_owned(), at));
    let answers = ask_all(client, presence.chain(costs).collect())?;

    for found in &selectors {
        let (severity, name, message) = match answers.get(&matches(&found.selector, now)) {
            Some(Ok((answer, _))) if answer.series.is_empty() => (
                Severity::Warning,
                "promql/series",
                format!(
                    "{} has matched no series in the last {LOOK_BACK}: check the name and the \
                     labels, and whether it is scraped",
                    found.selector
                ),
            ),
            Some(Err(failure)) => (Severity::Error, "server", failure.message.clone()),
            _ => continue,
        };
        report.finding(&Finding {
            place: found.place.clone(),
            severity,
            name,
            message,
        })?;
    }
    let mut a_day: Option<u64> = None;
    for (group, rule, at) in rules() {
        match answers.get(&instant(rule.expr.text().to_owned(), at)) {
            Some(Ok((_, samples))) => {
                let cost = Cost {
                    group,
                    rule,
                    samples: *samples,
                };
                report.cost(&cost)?;
                if let Some(day) = cost.samples_a_day() {
                    a_day = Some(a_day.unwrap_or_default().saturating_add(day));
                }
            }
            Some(Err(failure)) => report.finding(&Finding {
                place: rule.place.clone(),
                severity: Severity::Error,
                name: "server",
                message: format!("the server does not answer the rule: {}", failure.message),
            })?,
            None => {}
        }
    }
    match a_day {
        Some(day) => report.line(format!("All rules together read {day} samples a day.")),
        None => report.line("The server does not say how many samples a query reads."),
    }
}

fn instant(expr: String, at: Timestamp) -> Ask {
    Ask {
        expr,
        at: At::Instant(at),
    }
}

/// The question whether a selector has matched anything lately.
fn matches(selector: &str, now: Timestamp) -> Ask {
    instant(
        format!("count(last_over_time({selector}[{LOOK_BACK}]))"),
        now,
    )
}

/// Asks each question once, as many at a time as the client does.
fn ask_all(client: &Client, asks: BTreeSet<Ask>) -> Result<BTreeMap<Ask, Answered>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the runtime")?;
    runtime.block_on(async {
        let deadline = Instant::now() + PATIENCE;
        let mut underway = JoinSet::new();
        for ask in asks {
            let client = client.clone();
            underway.spawn(async move {
                let answered = client.query_with_cost(&ask, deadline).await;
                (ask, answered)
            });
        }
        Ok(underway.join_all().await.into_iter().collect())
    })
}
