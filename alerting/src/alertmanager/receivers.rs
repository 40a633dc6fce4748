//! `receivers`, and what becomes of those that dnswatch cannot deliver to.
//!
//! In a file of the user's own a kind of receiver that is not delivered is refused. AMP's own alert
//! manager takes `pagerduty_configs` beside `sns_configs`, so in a definition of AMP such a
//! receiver loads without it: [`Receiver::undelivered`] names what is missing, `check` warns, and
//! the ruler raises an alert about it.

use std::collections::{BTreeMap, BTreeSet};

use serde_saphyr::{Location, Spanned};

use super::file::{self, List, Pairs, Shape};
use super::known;
use super::load::Loader;
use crate::matchers::{MatchOp, Matcher};
use crate::notify::{Receiver, Route};

/// What the ruler's alerts about itself are called.
const OWN_ALERTS: &str = "Dnswatch.+";

impl Loader<'_> {
    pub(super) fn receivers(&mut self, typed: List<file::Receiver>) -> Vec<Receiver> {
        let mut names = BTreeSet::new();
        let mut receivers = Vec::new();
        for receiver in typed.unwrap_or_default() {
            let at = receiver.defined;
            let receiver = receiver.value.unwrap_or_default();
            let name = match receiver.fields.name {
                Some(name) if !name.value.is_empty() => {
                    if !names.insert(name.value.clone()) {
                        self.error(
                            Some(name.defined),
                            format!("two receivers are named {:?}", name.value),
                        );
                    }
                    name.value
                }
                _ => {
                    self.error(Some(at), "a receiver needs a `name`");
                    String::new()
                }
            };
            let labels = self.receiver_labels(&name, receiver.fields.labels);
            let undelivered =
                self.undelivered(&name, receiver.others, receiver.fields.pagerduty_configs);
            let sns = receiver.fields.sns_configs.unwrap_or_default();
            let sns = sns.into_iter().filter_map(|sns| self.sns(sns)).collect();
            receivers.push(Receiver {
                name,
                labels,
                sns,
                terminal: false,
                undelivered,
            });
        }
        receivers
    }

    /// The labels that Alertmanager's API knows a receiver by: its name is one of them.
    fn receiver_labels(&mut self, name: &str, typed: Option<Pairs>) -> BTreeMap<String, String> {
        let mut labels = BTreeMap::new();
        for (label, value) in typed.unwrap_or_default().0 {
            if label.value == "name" && value.value != name {
                self.error(
                    Some(value.defined),
                    format!(
                        "the label `name` of a receiver is its name: write {name:?}, or leave it out"
                    ),
                );
            }
            labels.insert(label.value, value.value);
        }
        labels
    }

    /// The kinds of a receiver that are not delivered to, by the names of their fields.
    fn undelivered(
        &mut self,
        receiver: &str,
        others: Vec<Spanned<String>>,
        pagerduty: Option<Spanned<Shape>>,
    ) -> Vec<String> {
        let mut kinds: Vec<(Location, String, String)> = Vec::new();
        if let Some(pagerduty) = pagerduty
            && pagerduty.value.is_set()
        {
            let problem = pagerduty_problem(&pagerduty.value);
            let problem = problem.map_or_else(String::new, |it| format!(" (and {it})"));
            kinds.push((pagerduty.defined, "pagerduty_configs".to_owned(), problem));
        }
        for other in others {
            if known::RECEIVER.knows(&other.value) {
                kinds.push((other.defined, other.value, String::new()));
            } else {
                self.error(Some(other.defined), known::RECEIVER.refusal(&other.value));
            }
        }
        for (at, kind, problem) in &kinds {
            if self.is_of_amp() {
                self.warning(
                    Some(*at),
                    format!(
                        "`{kind}` of the receiver {receiver:?} is not delivered by \
                         dnswatch{problem}: subscribe to a topic of `sns_configs` instead, as the \
                         stack's own functions for PagerDuty and Slack do"
                    ),
                );
            } else {
                self.error(Some(*at), known::RECEIVER.refusal(kind));
            }
        }
        kinds.into_iter().map(|(_, kind, _)| kind).collect()
    }

    /// Where the default receiver delivers nothing, the ruler's alerts about itself go to the
    /// first receiver that does: otherwise no one would learn that something is not delivered.
    pub(super) fn reach_somebody(&mut self, root: &mut Route, receivers: &[Receiver]) {
        let is_silent = |receiver: &Receiver| {
            !receiver.undelivered.is_empty() && receiver.integrations().next().is_none()
        };
        let default = receivers.iter().find(|it| it.name == root.receiver);
        if !self.is_of_amp() || !default.is_some_and(is_silent) {
            return;
        }
        let reached = root
            .nodes()
            .into_iter()
            .filter_map(|node| receivers.iter().find(|it| it.name == node.receiver))
            .find(|receiver| receiver.integrations().next().is_some());
        let Some(reached) = reached else {
            self.error(
                None,
                "no route leads to a receiver that dnswatch delivers to: add `sns_configs` to one",
            );
            return;
        };
        let Ok(own) = Matcher::new("alertname", MatchOp::Regexp, OWN_ALERTS) else {
            return;
        };
        self.warning(
            None,
            format!(
                "the default receiver {:?} delivers nothing here: alerts that no other route takes \
                 are not delivered; what dnswatch has to say of itself goes to {:?}",
                root.receiver, reached.name
            ),
        );
        let own = Route {
            receiver: reached.name.clone(),
            matchers: [own].into_iter().collect(),
            continue_matching: true,
            mute_time_intervals: Vec::new(),
            active_time_intervals: Vec::new(),
            routes: Vec::new(),
            ..root.clone()
        };
        root.routes.insert(0, own);
    }
}

/// What is wrong with `pagerduty_configs` as AMP has them, if anything is.
fn pagerduty_problem(typed: &Shape) -> Option<&'static str> {
    let Shape::List(entries) = typed else {
        return Some("it is no list");
    };
    entries.iter().find_map(|entry| {
        let keys = ["routing_key", "service_key"];
        let mut keys = keys.iter().filter_map(|key| entry.get(key));
        let Some(key) = keys.next() else {
            return Some("an entry has neither a `routing_key` nor a `service_key`");
        };
        if keys.next().is_some() {
            return Some("an entry has both a `routing_key` and a `service_key`");
        }
        let Some(secret) = key.get("aws_secrets_manager") else {
            return Some("a key is not under `aws_secrets_manager`, where AMP takes it from");
        };
        let is_whole = ["secret_arn", "secret_key"]
            .iter()
            .all(|name| secret.get(name).is_some_and(Shape::is_set));
        (!is_whole).then_some("`aws_secrets_manager` needs a `secret_arn` and a `secret_key`")
    })
}
