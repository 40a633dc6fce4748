//! Where alerts go and how they are grouped: one route for all, for now.

use std::time::Duration;

use crate::labels::Labels;

/// What stands in [`Route::group_by`], alone, where alerts are grouped by all their labels.
pub const GROUP_BY_ALL: &str = "...";

/// A route, with Alertmanager's words and defaults (`dispatch/route.go`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The receiver's name.
    pub receiver: String,
    /// The labels that alerts are grouped by; [`GROUP_BY_ALL`]: by all.
    pub group_by: Vec<String>,
    /// How long a new group waits for more alerts before it is told.
    pub group_wait: Duration,
    /// How long a group that was told waits before it tells of changes.
    pub group_interval: Duration,
    /// After what time a group that has not changed is told again.
    pub repeat_interval: Duration,
}

impl Default for Route {
    fn default() -> Self {
        Self {
            receiver: "default".to_owned(),
            group_by: vec!["alertname".to_owned(), "cluster".to_owned()],
            group_wait: Duration::from_secs(30),
            group_interval: Duration::from_secs(5 * 60),
            repeat_interval: Duration::from_secs(4 * 60 * 60),
        }
    }
}

impl Route {
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

    /// Whether two alerts belong to one group.
    pub(super) fn is_one_group(&self, one: &Labels, other: &Labels) -> bool {
        let mut names = self.group_by.iter();
        names.all(|name| name != GROUP_BY_ALL && one.get(name) == other.get(name)) || one == other
    }

    /// The group's key, as Alertmanager writes it: the route's matchers (the root has none) and
    /// the group's labels.
    pub fn group_key(group_labels: &Labels) -> String {
        format!("{{}}:{group_labels}")
    }
}
