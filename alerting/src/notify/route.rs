//! Where alerts go and how they are grouped: Alertmanager's routing tree (`dispatch/route.go`).

use std::collections::BTreeMap;
use std::time::Duration;

use crate::labels::Labels;
use crate::matchers::Matchers;
use crate::template::notification::NotificationTemplate;

/// What stands in [`Route::group_by`], alone, where alerts are grouped by all their labels.
pub const GROUP_BY_ALL: &str = "...";

/// The labels of a route, which notifications' templates see; their values may be templates
/// themselves, expanded with the data of the group.
pub type RouteLabels = BTreeMap<String, NotificationTemplate>;

/// A node of the routing tree, with what it has from its parent already in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The receiver's name.
    pub receiver: String,
    /// The labels that alerts are grouped by; [`GROUP_BY_ALL`]: by all.
    pub group_by: Vec<String>,
    /// How long a new group waits for more alerts before its first notification.
    pub group_wait: Duration,
    /// The minimum time between two notifications of a group.
    pub group_interval: Duration,
    /// The time after which an unchanged group is notified again.
    pub repeat_interval: Duration,
    /// What an alert must meet to be here; the root takes all.
    pub matchers: Matchers,
    /// Whether an alert that matches here is also matched against the next sibling (`continue`).
    pub continue_matching: bool,
    /// The time intervals in which the route is muted.
    pub mute_time_intervals: Vec<String>,
    /// The only time intervals in which the route notifies; empty: always.
    pub active_time_intervals: Vec<String>,
    /// Its labels, those of its parents among them.
    pub labels: RouteLabels,
    /// The nodes below, in the order in which they are tried.
    pub routes: Vec<Route>,
    /// What the keys of its groups begin with: the matchers from the root to here, as
    /// Alertmanager writes them. Where it gives several nodes one key, a number distinguishes them
    /// here, so that they are tracked separately. Set by [`Route::name_nodes`].
    pub key: String,
}

impl Default for Route {
    fn default() -> Self {
        Self {
            receiver: "default".to_owned(),
            group_by: vec!["alertname".to_owned(), "cluster".to_owned()],
            group_wait: Duration::from_secs(30),
            group_interval: Duration::from_secs(5 * 60),
            repeat_interval: Duration::from_secs(4 * 60 * 60),
            matchers: Matchers::default(),
            continue_matching: false,
            mute_time_intervals: Vec::new(),
            active_time_intervals: Vec::new(),
            labels: RouteLabels::new(),
            routes: Vec::new(),
            key: "{}".to_owned(),
        }
    }
}

impl Route {
    /// Gives every node of the tree its key.
    pub fn name_nodes(&mut self) {
        self.name("", &mut BTreeMap::new());
    }

    fn name(&mut self, parent: &str, known: &mut BTreeMap<String, usize>) {
        let slash = if parent.is_empty() { "" } else { "/" };
        let key = format!("{parent}{slash}{}", self.matchers);
        let count = known.entry(key.clone()).or_default();
        *count += 1;
        self.key = match *count {
            1 => key,
            count => format!("{key}#{count}"),
        };
        for route in &mut self.routes {
            route.name(&self.key, known);
        }
    }

    /// The nodes that an alert ends up in, in their order: of each branch the deepest.
    pub fn matching(&self, alert: &Labels) -> Vec<&Self> {
        let mut found = Vec::new();
        self.collect(alert, &mut found);
        found
    }

    /// Adds those nodes to `found`, and says whether the alert is here or below.
    pub(super) fn collect<'a>(&'a self, alert: &Labels, found: &mut Vec<&'a Self>) -> bool {
        if !self.matchers.matches(alert) {
            return false;
        }
        let before = found.len();
        for route in &self.routes {
            if route.collect(alert, found) && !route.continue_matching {
                break;
            }
        }
        if found.len() == before {
            found.push(self);
        }
        true
    }

    /// The node that a group is of, if there still is one.
    pub(super) fn of_group(&self, group_key: &str, group_labels: &Labels) -> Option<&Self> {
        let mut nodes = self.nodes().into_iter();
        nodes.find(|node| node.group_key(group_labels) == group_key)
    }

    /// The node and all below it.
    pub fn nodes(&self) -> Vec<&Self> {
        let below = self.routes.iter().flat_map(Self::nodes);
        std::iter::once(self).chain(below).collect()
    }

    /// The labels of the group that an alert belongs to.
    pub fn group_labels(&self, alert: &Labels) -> Labels {
        if self.group_by.iter().any(|name| name == GROUP_BY_ALL) {
            return alert.clone();
        }
        self.group_by
            .iter()
            .map(|name| (name.as_str(), alert.get(name)))
            .collect()
    }

    /// Whether an alert belongs to the group with these labels.
    pub(super) fn is_in_group(&self, alert: &Labels, group_labels: &Labels) -> bool {
        self.group_by.iter().all(|name| {
            if name == GROUP_BY_ALL {
                alert == group_labels
            } else {
                alert.get(name) == group_labels.get(name)
            }
        })
    }

    /// The group's key, as Alertmanager writes it: the node's and the group's labels.
    pub fn group_key(&self, group_labels: &Labels) -> String {
        format!("{}:{group_labels}", self.key)
    }
}
