//! The ruler's alerts about itself: the states in which it cannot do its work.
//!
//! They are routed, grouped and deduplicated like all other alerts.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::AlertEntry;
use super::DeadLetter;
use super::subscribers;
use super::text::clock;
use crate::alert::{Alert, AlertState, End};
use crate::clock_step::ClockStep;
use crate::config::Config;
use crate::duration;
use crate::labels::{ALERT_NAME, Labels};
use crate::rules::{RuleId, RuleKey};
use crate::state::{RuleState, State};
use crate::timestamp::Timestamp;

/// How long a rule may fail for transient reasons before an alert fires.
const FAILING_FOR: Duration = Duration::from_secs(5 * 60);
/// How long the workspace's silences may be unreadable before an alert fires.
const SILENCES_UNREAD_FOR: Duration = Duration::from_secs(15 * 60);
/// How long the alert about skipped ticks or a refused notification fires.
const FIRES_FOR: Duration = Duration::from_secs(15 * 60);

/// The alert of the telemetry that stopped.
const TELEMETRY_STOPPED: &str = "DnswatchTelemetryStopped";

/// Something that only the shell can know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// The configuration does not load; the last good one is in force.
    ConfigRefused {
        /// What is wrong, the first line of it.
        error: String,
    },
}

/// The ruler's alerts, all of them firing.
pub(super) fn active_alerts(
    state: &State,
    config: &Config,
    troubles: &[Trouble],
    now: Timestamp,
) -> Vec<Alert> {
    let mut alerts = Vec::new();
    for Trouble::ConfigRefused { error } in troubles {
        alerts.push(alert(
            "DnswatchConfigRefused",
            None,
            now,
            "The new configuration was rejected; the last valid one stays in force",
            format!("{error}. Fix it and deploy again; `dnswatch check` reports the same error."),
        ));
    }
    alerts.extend(queries_failing(state, config, now));
    if let Some(step) = state.clock_step
        && now.since(step.at) < FIRES_FOR
    {
        alerts.push(clock_stepped(step));
    }
    for rule in config.groups.iter().flat_map(|group| &group.rules) {
        let Some(rule) = state.rules.get(&rule.key) else {
            continue;
        };
        if let Some(failure) = &rule.health.failure
            && !state.is_the_servers(failure)
            && (failure.refused || now.since(failure.since) >= FAILING_FOR)
        {
            alerts.push(alert(
                "DnswatchRuleFailing",
                Some(&rule.id),
                failure.since,
                "A rule cannot be evaluated; its alerts keep their last state",
                format!("Since {}: {}", clock(failure.since), failure.error),
            ));
        }
        if let Some(skipped) = rule.health.skipped
            && now.since(skipped.at) < FIRES_FOR
        {
            alerts.push(alert(
                "DnswatchTicksSkipped",
                Some(&rule.id),
                skipped.at,
                "Rule evaluations were skipped: the outage was longer than the catch-up limit",
                format!(
                    "The rule was not evaluated from {} to {}. Alerts that began and ended in that time are unknown.",
                    clock(skipped.from),
                    clock(skipped.to)
                ),
            ));
        }
        let held = rule
            .active
            .values()
            .filter(|alert| alert.state == AlertState::Firing)
            .filter_map(|alert| alert.hold)
            .filter(|hold| hold.gone_since.is_none());
        let count = held.clone().count();
        if let Some(since) = held.map(|hold| hold.since).min() {
            alerts.push(alert(
                TELEMETRY_STOPPED,
                Some(&rule.id),
                since,
                "No data for a firing alert: it is kept open",
                format!(
                    "Since {} the series behind {count} firing alert(s) have no samples. The alerts stay open because their current state is unknown. Check the exporters, the collector and the workspace; the DNS failure itself may affect the collector.",
                    clock(since)
                ),
            ));
        }
    }
    if let Some(workspace) = &state.notify.workspace_silences
        && let Some((since, error)) = &workspace.failing
        && now.since(*since) >= SILENCES_UNREAD_FOR
        && workspace.read_at != Timestamp::default()
    {
        alerts.push(alert(
            "DnswatchSilencesUnread",
            None,
            *since,
            "The workspace's silences cannot be read; the last known silences stay in force",
            format!(
                "Since {}: {error}. Silences created since then have no effect here. Known silences stay in force until they end, for one day at most.",
                clock(*since)
            ),
        ));
    }
    let nodes = config.route.nodes();
    for receiver in &config.receivers {
        let is_used = nodes.iter().any(|node| node.receiver == receiver.name);
        if receiver.undelivered.is_empty() || !is_used {
            continue;
        }
        let kinds = receiver.undelivered.join(", ");
        let rest = match receiver.integrations().count() {
            0 => "nothing routed to it is delivered".to_owned(),
            count => format!("its {count} topic(s) receive everything routed to it"),
        };
        let mut alert = alert(
            "DnswatchReceiverNotDelivered",
            None,
            now,
            "Part of a receiver is not supported and gets no notifications",
            format!(
                "The receiver {} has {kinds}, which dnswatch does not deliver to; {rest}. Add an SNS topic to the receiver and subscribe the missing channel to it.",
                receiver.name
            ),
        );
        alert.labels = alert.labels.with([("receiver", receiver.name.as_str())]);
        alerts.push(alert);
    }
    let dead = state.notify.outbox.dead_letters();
    let recent = dead.iter().filter(|dead| now.since(dead.at) < FIRES_FOR);
    let mut by_receiver: BTreeMap<&str, (usize, &DeadLetter, Timestamp)> = BTreeMap::new();
    for dead in recent {
        let known = by_receiver
            .entry(&dead.receiver)
            .or_insert((0, dead, dead.at));
        known.0 += 1;
        known.1 = dead;
    }
    for (receiver, (count, last, since)) in by_receiver {
        let mut alert = alert(
            "DnswatchNotificationRefused",
            None,
            since,
            "Notifications were permanently rejected and dropped",
            format!(
                "{count} for receiver {receiver}. The last one, for its {}: {}",
                last.integration, last.error
            ),
        );
        alert.labels = alert.labels.with([("receiver", receiver)]);
        alerts.push(alert);
    }
    alerts.extend(subscribers::alerts(&state.notify, now));
    alerts
}

/// One alert for a server that does not answer, however many rules that stops.
fn queries_failing(state: &State, config: &Config, now: Timestamp) -> Option<Alert> {
    let down = state.server.as_ref()?;
    if now.since(down.since) < FAILING_FOR {
        return None;
    }
    let all: usize = config.groups.iter().map(|group| group.rules.len()).sum();
    let stopped = state.rules_without_answer(config);
    let which = match stopped {
        0 => "No rule is due before the server answers".to_owned(),
        _ => format!(
            "{stopped} of {all} rules are not evaluated; their alerts keep their last state"
        ),
    };
    let most = config.evaluation.max_catch_up;
    let later = match most.is_zero() {
        true => String::new(),
        false => format!(
            " Missed evaluations of the last {} are caught up when the server answers.",
            duration::format(most)
        ),
    };
    Some(alert(
        "DnswatchQueriesFailing",
        None,
        down.since,
        &format!("Prometheus at {} is {}", down.host, down.trouble.as_str()),
        format!(
            "Prometheus at {} {} since {}: {}. {which}. {}{later}",
            down.host,
            down.trouble.as_str(),
            clock(down.since),
            down.cause.trim_end_matches('.'),
            down.trouble.advice(),
        ),
    ))
}

/// State was written under a clock that was ahead.
fn clock_stepped(step: ClockStep) -> Alert {
    alert(
        "DnswatchClockStepped",
        None,
        step.at,
        "The state was written under a clock that was ahead; evaluation continues from the right time",
        format!(
            "At {} the state held times up to {}, {} seconds ahead. Alerts evaluated under the wrong \
             clock may have ended too early or fired too early, and such an alert is notified again \
             where it still fires. Check the time synchronisation of every host that runs dnswatch \
             on this state.",
            clock(step.at),
            clock(step.until),
            step.until.since(step.at).as_secs()
        ),
    )
}

/// How an alert of the ruler ended that it no longer raises. Telemetry that stopped is not back
/// when the alerts that were held for it are given up.
pub(super) fn how_it_ended(entry: &AlertEntry, rules: &BTreeMap<RuleKey, RuleState>) -> End {
    let label = |name| entry.labels.get(name);
    let given_up = label(ALERT_NAME) == TELEMETRY_STOPPED
        && rules
            .values()
            .filter(|rule| {
                rule.id.alert == label("rule")
                    && rule.id.group == label("rule_group")
                    && rule.id.namespace == label("rule_namespace")
            })
            .flat_map(|rule| rule.active.values())
            .any(|alert| {
                alert.end == Some(End::NoLongerReported)
                    && alert.resolved_at.is_some_and(|at| at >= entry.starts_at)
            });
    if given_up {
        End::NoLongerReported
    } else {
        End::Cleared
    }
}

/// An alert of the ruler's own, about a rule if there is one.
pub(super) fn alert(
    name: &str,
    rule: Option<&RuleId>,
    since: Timestamp,
    summary: &str,
    description: String,
) -> Alert {
    let mut labels = vec![(ALERT_NAME, name), ("severity", "warning")];
    let ordinal;
    if let Some(rule) = rule {
        labels.extend([
            ("rule_namespace", rule.namespace.as_str()),
            ("rule_group", &rule.group),
            ("rule", &rule.alert),
        ]);
        // Rules of one name are distinguished by their labels here, too.
        labels.extend(
            rule.labels
                .iter()
                .filter(|(name, value)| *name != "severity" && !value.contains("{{")),
        );
        if rule.ordinal > 0 {
            ordinal = rule.ordinal.to_string();
            labels.push(("rule_ordinal", &ordinal));
        }
    }
    Alert {
        labels: Labels::from_iter(labels),
        annotations: Arc::new(BTreeMap::from([
            ("summary".to_owned(), summary.to_owned()),
            ("description".to_owned(), description),
        ])),
        value: 1.0,
        state: AlertState::Firing,
        active_at: since,
        fired_at: Some(since),
        resolved_at: None,
        keep_firing_since: None,
        hold: None,
        end: None,
        late: false,
    }
}
