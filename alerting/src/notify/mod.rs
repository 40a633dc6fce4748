//! From alerts to pending notifications: Alertmanager's pipeline, one stage a file, composed in
//! [`plan`].
//!
//! Evaluation uses the tick's time, this half uses the run's: its deadlines are kept in the
//! state and met by the first run after them.

mod alerts;
mod amazon_q;
mod common;
mod dedup;
mod detail;
mod email;
mod explore;
mod fallback;
mod flood;
mod group;
mod inhibit;
mod mute;
mod nflog;
mod outbox;
mod outgoing;
mod plain;
pub mod quiet;
mod receiver;
mod route;
mod route_labels;
mod ruler_alerts;
pub mod silence;
mod size;
mod sms;
mod sparkline;
mod standing;
mod subject;
pub mod subscribers;
mod text;
mod time_interval;
mod webhook;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use alerts::{AlertEntry, sent_labels};
pub use dedup::NotifyReason;
pub use detail::Details;
pub use explore::Grafana;
pub use flood::{MAX_MESSAGES, digest};
pub use group::AggrGroup;
pub use inhibit::InhibitRule;
pub use mute::TimeIntervals;
pub use nflog::{Nflog, NflogEntry};
pub use outbox::{Claim, DeadLetter, Notification, Outbox};
pub use outgoing::Outgoing;
pub use receiver::{
    Integration, PublishRole, Receiver, SnsConfig, SnsText, TopicArn, TopicArnError,
};
pub use route::{GROUP_BY_ALL, Route, RouteLabels};
pub use ruler_alerts::Trouble;
pub use silence::{Silence, SilenceState, WorkspaceSilences};
pub use size::SnsMessage;
pub use sparkline::sparkline;
pub use subscribers::{Found, QueueFault, Subscribers, TopicCheck, Undelivered};
pub use text::Message;
pub use time_interval::{TimeInterval, location};
pub use webhook::{Number, Webhook, WebhookAlert, WebhookHold};

use self::fallback::Fallback;
use self::inhibit::Inhibitor;
use crate::config::Config;
use crate::labels::Labels;
use crate::state::{State, by_labels};
use crate::timestamp::Timestamp;

/// What is known of notifications.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct NotifyState {
    /// The alerts as the rules last reported them: firing, or resolved and not notified yet.
    #[serde(
        default,
        with = "by_labels",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub alerts: BTreeMap<Labels, AlertEntry>,
    /// The aggregation groups, by group key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub groups: BTreeMap<String, AggrGroup>,
    /// The last notification of each group to each integration of a receiver.
    #[serde(default, skip_serializing_if = "Nflog::is_empty")]
    pub nflog: Nflog,
    /// The highest sequence number of forgotten log entries: new ones continue from it.
    #[serde(default)]
    pub sequence_floor: u64,
    /// The pending notifications.
    #[serde(default)]
    pub outbox: Outbox,
    /// The silences that are kept here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub silences: Vec<Silence>,
    /// Those of the workspace's own alert manager, as they were last read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace_silences: Option<WorkspaceSilences>,
    /// What is known of the topics' subscribers, by the topic's ARN.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub subscribers: BTreeMap<String, TopicCheck>,
}

/// Plans notifications: takes the news of the rules that are up to date, and puts into the
/// outbox what is due for their groups. Rules that are still catching up keep their last reported
/// alerts.
///
/// The stages are Alertmanager's: inhibited, muted and silenced alerts are left out of a flushed
/// group; each integration of the receiver is notified of the rest if something is new.
pub fn plan(state: &mut State, config: &Config, troubles: &[Trouble], now: Timestamp) {
    let own = ruler_alerts::active_alerts(state, config, troubles, now);
    alerts::collect(state, config, own, now);
    let notify = &mut state.notify;
    silence::forget_old(notify, now);
    let fallback = Fallback::new(notify, config);
    let mut membership = group::assign(notify, &config.route, Some(&fallback), now);
    let inhibitor = Inhibitor::new(&config.inhibit_rules, &notify.alerts);
    let mut pending = Vec::new();
    for flushed in group::flush(notify, &mut membership, now) {
        let notified = flushed.clone().without(|alert| inhibitor.mutes(alert));
        let is_mute = mute::mutes(flushed.route, &config.time_intervals, now);
        let notified = notified.without(|_| is_mute);
        let notified = notified.without(|alert| silence::mutes(notify, alert, now));
        if let Some(receiver) = config.receiver(&flushed.route.receiver)
            && !notified.is_empty()
        {
            pending.extend(dedup::decide_all(notify, config, receiver, &notified, now));
        }
        dedup::forget_muted(notify, &flushed, &notified);
        group::forget_resolved(notify, &membership, &flushed);
    }
    notify.outbox.put_all(pending, now);
    dedup::expire(notify, &config.route, now);
}
