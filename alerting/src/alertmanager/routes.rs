//! The routing tree, from what was typed to what runs.

use std::time::Duration;

use serde_saphyr::Spanned;

use super::file::{self, Mapping, Pairs, Text, Texts};
use super::known;
use super::load::Loader;
use crate::duration;
use crate::matchers::{MatchOp, Matcher, Matchers};
use crate::notify::{GROUP_BY_ALL, Receiver, Route, RouteLabels, TimeIntervals};
use crate::template::notification::NotificationTemplate;

/// What routes refer to.
pub(super) struct Named<'a> {
    pub(super) receivers: &'a [Receiver],
    pub(super) intervals: &'a TimeIntervals,
}

impl Loader<'_> {
    /// The root, which has no conditions of its own, and the tree below it.
    pub(super) fn root(&mut self, typed: Mapping<file::Route>, named: &Named<'_>) -> Route {
        let fields = &typed.fields;
        let conditions = [
            (
                "matchers",
                fields.matchers.as_ref().map(|it| {
                    (
                        it.defined,
                        it.value.as_ref().is_some_and(|it| !it.is_empty()),
                    )
                }),
            ),
            (
                "match",
                fields.match_equal.as_ref().map(|it| {
                    (
                        it.defined,
                        it.value.as_ref().is_some_and(|it| !it.0.is_empty()),
                    )
                }),
            ),
            (
                "match_re",
                fields.match_re.as_ref().map(|it| {
                    (
                        it.defined,
                        it.value.as_ref().is_some_and(|it| !it.0.is_empty()),
                    )
                }),
            ),
            (
                "mute_time_intervals",
                fields.mute_time_intervals.as_ref().map(|it| {
                    (
                        it.defined,
                        it.value.as_ref().is_some_and(|it| !it.is_empty()),
                    )
                }),
            ),
            (
                "active_time_intervals",
                fields.active_time_intervals.as_ref().map(|it| {
                    (
                        it.defined,
                        it.value.as_ref().is_some_and(|it| !it.is_empty()),
                    )
                }),
            ),
            (
                "continue",
                fields
                    .continue_matching
                    .as_ref()
                    .map(|it| (it.defined, it.value)),
            ),
        ];
        for (name, at) in conditions {
            if let Some((at, true)) = at {
                self.error(
                    Some(at),
                    format!("the root route takes every alert: write `{name}` in a route below it"),
                );
            }
        }
        if fields
            .receiver
            .as_ref()
            .is_none_or(|name| name.value.is_empty())
        {
            let at = fields.receiver.as_ref().map(|empty| empty.defined);
            self.error(at, "the route needs a `receiver`");
        }
        let above = Route {
            receiver: String::new(),
            group_by: Vec::new(),
            ..Route::default()
        };
        self.route(typed, &above, named)
    }

    fn route(&mut self, typed: Mapping<file::Route>, above: &Route, named: &Named<'_>) -> Route {
        self.refuse(&typed.others, &known::ROUTE);
        let typed = typed.fields;
        let matchers_at = [
            typed.matchers.as_ref().map(|it| it.defined),
            typed.match_equal.as_ref().map(|it| it.defined),
            typed.match_re.as_ref().map(|it| it.defined),
        ];
        let receiver = typed.receiver.filter(|name| !name.value.is_empty());
        if let Some(name) = &receiver
            && named.receivers.iter().all(|known| known.name != name.value)
        {
            self.error(
                Some(name.defined),
                format!("there is no receiver {:?} under `receivers`", name.value),
            );
        }
        let mut matchers = self.matchers(typed.matchers.and_then(|it| it.value));
        let equal = typed.match_equal.and_then(|it| it.value);
        matchers.extend(self.old_matchers(MatchOp::Equal, equal));
        let regexp = typed.match_re.and_then(|it| it.value);
        matchers.extend(self.old_matchers(MatchOp::Regexp, regexp));
        let at = matchers_at.into_iter().flatten().next();
        self.must_match(&matchers, at, "the matchers of a route");
        // An empty list is one: it takes the place of the parent's.
        let group_by = typed.group_by.map(|typed| self.group_by(typed));
        let intervals = |names: Option<Spanned<Option<Vec<Spanned<String>>>>>| {
            names.and_then(|names| names.value).unwrap_or_default()
        };
        let mute = intervals(typed.mute_time_intervals);
        let active = intervals(typed.active_time_intervals);
        let mut route = Route {
            receiver: receiver.map_or_else(|| above.receiver.clone(), |name| name.value),
            group_by: group_by.unwrap_or_else(|| above.group_by.clone()),
            group_wait: self.duration(typed.group_wait).unwrap_or(above.group_wait),
            group_interval: self
                .interval("group_interval", typed.group_interval)
                .unwrap_or(above.group_interval),
            repeat_interval: self
                .interval("repeat_interval", typed.repeat_interval)
                .unwrap_or(above.repeat_interval),
            matchers,
            continue_matching: typed
                .continue_matching
                .is_some_and(|continue_matching| continue_matching.value),
            mute_time_intervals: self.interval_names(mute, named.intervals),
            active_time_intervals: self.interval_names(active, named.intervals),
            labels: self.route_labels(typed.labels, &above.labels),
            routes: Vec::new(),
            key: String::new(),
        };
        for below in typed.routes.unwrap_or_default() {
            let Some(typed) = below.value else {
                self.error(
                    Some(below.defined),
                    "a route is empty: write `{}` for one that takes all",
                );
                continue;
            };
            let below = self.route(typed, &route, named);
            route.routes.push(below);
        }
        route
    }

    /// `labels`, over those of the parent.
    fn route_labels(&mut self, typed: Option<Pairs>, above: &RouteLabels) -> RouteLabels {
        let mut labels = above.clone();
        for (name, value) in typed.unwrap_or_default().0 {
            if name.value.is_empty() {
                self.error(
                    Some(name.defined),
                    "an empty text in `labels` is no label name",
                );
            }
            match NotificationTemplate::parse(&value.value) {
                Ok(template) => {
                    labels.insert(name.value, template);
                }
                Err(error) => {
                    // Alertmanager loads it, and logs an error at each notification.
                    self.error(
                        Some(value.defined),
                        format!(
                            "the label `{}` is no template: in its line and column {error}",
                            name.value
                        ),
                    );
                }
            }
        }
        labels
    }

    fn interval_names(
        &mut self,
        typed: Vec<Spanned<String>>,
        known: &TimeIntervals,
    ) -> Vec<String> {
        for name in &typed {
            if !known.contains_key(&name.value) {
                self.error(
                    Some(name.defined),
                    format!(
                        "there is no time interval {:?} under `time_intervals`",
                        name.value
                    ),
                );
            }
        }
        typed.into_iter().map(|name| name.value).collect()
    }

    /// `matchers`, in either syntax.
    pub(super) fn matchers(&mut self, typed: Texts) -> Matchers {
        let mut all = Matchers::default();
        for text in typed.unwrap_or_default() {
            match Matchers::parse(&text.value) {
                Ok(matchers) => all.extend(matchers.iter().cloned()),
                Err(error) => self.error(Some(text.defined), error.to_string()),
            }
        }
        all
    }

    /// `match` and `match_re`.
    pub(super) fn old_matchers(&mut self, op: MatchOp, typed: Option<Pairs>) -> Vec<Matcher> {
        let mut all = Vec::new();
        for (name, value) in typed.unwrap_or_default().0 {
            if !is_label_name(&name.value) {
                self.error(
                    Some(name.defined),
                    format!("{:?} is no label name", name.value),
                );
            }
            match Matcher::new(name.value, op, value.value) {
                Ok(matcher) => all.push(matcher),
                Err(error) => self.error(Some(value.defined), error.to_string()),
            }
        }
        all
    }

    fn group_by(&mut self, typed: Vec<Spanned<String>>) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        let is_all = |name: &Spanned<String>| name.value == GROUP_BY_ALL;
        let is_mixed = typed.iter().any(is_all) && !typed.iter().all(is_all);
        for name in typed {
            let at = Some(name.defined);
            if name.value == GROUP_BY_ALL {
                if is_mixed {
                    self.error(
                        at,
                        "`...` groups by all labels: it stands alone in `group_by`",
                    );
                }
            } else if name.value.is_empty() {
                self.error(at, "an empty text in `group_by` is no label name");
            } else if names.contains(&name.value) {
                self.error(at, format!("`{}` is in `group_by` twice", name.value));
            }
            names.push(name.value);
        }
        if !is_mixed && names.iter().any(|name| name == GROUP_BY_ALL) {
            names.truncate(1);
        }
        names
    }

    pub(super) fn duration(&mut self, typed: Text) -> Option<Duration> {
        let typed = typed?;
        duration::parse(&typed.value)
            .map_err(|error| self.error(Some(typed.defined), error.to_string()))
            .ok()
    }

    fn interval(&mut self, name: &str, typed: Text) -> Option<Duration> {
        let at = typed.as_ref().map(|typed| typed.defined);
        let interval = self.duration(typed)?;
        if interval.is_zero() {
            self.error(at, format!("`{name}` cannot be zero"));
        }
        Some(interval)
    }
}

/// `LabelNameRE` of prometheus/common, which `match` and `match_re` hold to.
fn is_label_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
