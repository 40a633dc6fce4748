//! From what the rules say to what is owed to receivers: Alertmanager's pipeline, one stage a
//! file, composed in [`plan`].
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
mod group;
mod outbox;
mod outgoing;
mod receiver;
mod route;
mod ruler_alerts;
mod size;
mod sms;
mod sparkline;
mod standing;
mod subject;
mod text;
mod webhook;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use alerts::AlertEntry;
pub use dedup::{NflogEntry, NotifyReason};
pub use detail::Details;
pub use explore::Grafana;
pub use group::AggrGroup;
pub use outbox::{Claim, DeadLetter, Notification, Outbox};
pub use outgoing::Outgoing;
pub use receiver::{Integration, Receiver, SnsConfig, TopicArn, TopicArnError};
pub use route::{GROUP_BY_ALL, Route};
pub use ruler_alerts::Trouble;
pub use size::SnsMessage;
pub use sparkline::sparkline;
pub use text::Message;
pub use webhook::{Webhook, WebhookAlert, WebhookHold};

use crate::config::Config;
use crate::labels::Labels;
use crate::state::{State, by_labels};
use crate::timestamp::Timestamp;

/// What is known of notifications.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct NotifyState {
    /// The alerts as the rules last told them: firing, or ended and not told yet.
    #[serde(
        default,
        with = "by_labels",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub alerts: BTreeMap<Labels, AlertEntry>,
    /// The aggregation groups, by group key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub groups: BTreeMap<String, AggrGroup>,
    /// What each channel of a receiver was told last of each group.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nflog: Vec<NflogEntry>,
    /// The highest sequence number of forgotten log entries: those to come go on from it.
    #[serde(default)]
    pub sequence_floor: u64,
    /// The notifications that are owed.
    #[serde(default)]
    pub outbox: Outbox,
}

/// Plans notifications: takes the news of the rules that are up to date, and puts into the
/// outbox what their groups owe by now. Rules that are still catching up stay as last told.
pub fn plan(state: &mut State, config: &Config, troubles: &[Trouble], now: Timestamp) {
    let own = ruler_alerts::of(state, config, troubles, now);
    alerts::collect(state, config, own, now);
    let notify = &mut state.notify;
    group::assign(notify, &config.route, now);
    for flushed in group::flush(notify, &config.route, now) {
        if let Some(receiver) = config.receiver(&config.route.receiver) {
            for notification in dedup::decide_all(notify, config, receiver, &flushed, now) {
                notify.outbox.put(notification, now);
            }
        }
        group::forget_resolved(notify, &flushed);
    }
    dedup::expire(notify, &config.route, now);
}
