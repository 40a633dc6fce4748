//! Another way for the alerts that say that notifications do not arrive: the user's routing may
//! send them to the very topic that they are about.

use super::subscribers::{NO_SUBSCRIBERS, QUEUE_FAILING, reaches};
use super::{AggrGroup, NotifyState, Route};
use crate::config::Config;
use crate::labels::{ALERT_NAME, Labels};
use crate::matchers::Matchers;
use std::collections::BTreeMap;
use std::time::Duration;

/// The ways that there are: a route to each receiver, the alarm topic's first.
pub(super) struct Fallback {
    ways: Vec<Way>,
    /// The receivers that are known to reach somebody.
    reached: Vec<String>,
}

struct Way {
    route: Route,
    /// None where it is unknown.
    reaches: Option<bool>,
}

impl Fallback {
    /// The ways of a configuration, by what is known of the topics' subscribers.
    pub(super) fn new(notify: &NotifyState, config: &Config) -> Self {
        let alarm = config.alarm_receiver.as_deref();
        let mut receivers: Vec<_> = config.receivers.iter().collect();
        receivers.sort_by_key(|receiver| Some(receiver.name.as_str()) != alarm);
        let ways = receivers.into_iter().map(|receiver| Way {
            reaches: reaches(notify, receiver),
            route: Route {
                receiver: receiver.name.clone(),
                group_by: vec![super::GROUP_BY_ALL.to_owned()],
                group_wait: Duration::ZERO,
                matchers: Matchers::default(),
                continue_matching: false,
                mute_time_intervals: Vec::new(),
                active_time_intervals: Vec::new(),
                routes: Vec::new(),
                key: format!("{{dnswatch fallback to {}}}", receiver.name),
                ..config.route.clone()
            },
        });
        let ways: Vec<Way> = ways.collect();
        let reached = ways
            .iter()
            .filter(|way| way.reaches == Some(true))
            .map(|way| way.route.receiver.clone())
            .collect();
        Self { ways, reached }
    }

    /// Adds the way that the alert takes beside `routes`, if it needs one: the first that is known
    /// to reach somebody, else the first that may. One that is under way is kept, so that
    /// who was notified is notified of the end.
    pub(super) fn collect<'a>(
        &'a self,
        alert: &Labels,
        groups: &BTreeMap<String, AggrGroup>,
        routes: &mut Vec<&'a Route>,
    ) {
        if !matches!(alert.get(ALERT_NAME), NO_SUBSCRIBERS | QUEUE_FAILING) {
            return;
        }
        let before = routes.len();
        for way in &self.ways {
            let is_known = groups.contains_key(&way.route.group_key(alert));
            if is_known && way.reaches != Some(false) {
                routes.push(&way.route);
            }
        }
        let is_reached = |route: &&Route| self.reached.contains(&route.receiver);
        if routes.iter().any(is_reached) {
            return;
        }
        let reaching = |reaches| self.ways.iter().find(|way| way.reaches == reaches);
        let better = reaching(Some(true));
        let way = better.or_else(|| (routes.len() == before).then(|| reaching(None))?);
        let is_new = |way: &&Way| {
            let mut known = routes.iter();
            known.all(|route| route.receiver != way.route.receiver)
        };
        if let Some(way) = way.filter(is_new) {
            routes.push(&way.route);
        }
    }
}
