//! Templates of notifications: `subject`, `message` and the like of a receiver, and the files
//! that `templates` names, as Alertmanager expands them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use super::eval::{Evaluation, RouteLabelFn, World};
use super::functions::Dialect;
use super::limits::Allowance;
use super::notified::{Notified, NotifiedAlert};
use super::time::Time;
use super::tree::{Defined, Trees, is_empty};
use super::value::Value;
use super::{MAX_TEXT, ParseError, Stop, parse, position};
use crate::labels::Labels;
use crate::timestamp::Timestamp;

/// The templates that a user's may call, to the same text as those that come with Alertmanager.
const DEFAULT: &str = include_str!("default.tmpl");

/// The named templates of a configuration: the default ones, with those of the user's files over
/// them. Cheap to clone.
#[derive(Clone)]
pub struct NamedTemplates(Arc<Defined>);

/// A text with actions in it. Cheap to clone.
#[derive(Clone)]
pub struct NotificationTemplate(Arc<(String, Trees)>);

/// What a notification's template is expanded with.
#[derive(Debug, Clone)]
pub struct NotificationData<'a> {
    /// The receiver's name.
    pub receiver: &'a str,
    /// The alerts, those that fire first.
    pub alerts: Vec<AlertData<'a>>,
    /// The labels that the group was made by.
    pub group_labels: &'a Labels,
    /// The labels that all alerts share.
    pub common_labels: &'a Labels,
    /// The annotations that all alerts share.
    pub common_annotations: &'a BTreeMap<String, String>,
    /// Where the product is reached, or empty.
    pub external_url: &'a str,
    /// Why it is sent.
    pub reason: String,
    /// The labels of its route.
    pub route_labels: BTreeMap<String, String>,
    /// The time of sending.
    pub now: Timestamp,
}

/// One alert of a notification.
#[derive(Debug, Clone)]
pub struct AlertData<'a> {
    /// What identifies it.
    pub labels: &'a Labels,
    /// Its annotations.
    pub annotations: &'a BTreeMap<String, String>,
    /// When it fired.
    pub starts_at: Timestamp,
    /// When it ended; None while it fires.
    pub ends_at: Option<Timestamp>,
    /// The link to its expression, or empty.
    pub generator_url: String,
}

impl NamedTemplates {
    /// The default templates with those that `files` define; of two of one name the later counts.
    ///
    /// # Errors
    /// The number of the file that is no template, and why.
    pub fn new<'a>(files: impl IntoIterator<Item = &'a str>) -> Result<Self, (usize, ParseError)> {
        let mut defined = Defined::new();
        // The default text is ours, and parses: a test says so.
        let default = parse(DEFAULT).unwrap_or_else(|_| Trees {
            main: Vec::new(),
            defined: Defined::new(),
        });
        defined.extend(default.defined);
        for (at, text) in files.into_iter().enumerate() {
            let trees = parse(text).map_err(|error| (at, error))?;
            // As Go does it: what is empty takes nothing's place.
            let more = trees.defined.into_iter();
            let more = more.filter(|(name, list)| !is_empty(list) || !defined.contains_key(name));
            let more: Vec<_> = more.collect();
            defined.extend(more);
        }
        Ok(Self(Arc::new(defined)))
    }
}

impl Default for NamedTemplates {
    fn default() -> Self {
        Self::new([]).unwrap_or_else(|_| Self(Arc::new(Defined::new())))
    }
}

impl fmt::Debug for NamedTemplates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl NotificationTemplate {
    /// Parses a text.
    ///
    /// # Errors
    /// Where Go's parser refuses it, and where it is longer than a mebibyte.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        parse(text).map(|trees| Self(Arc::new((text.to_owned(), trees))))
    }

    /// The text that was parsed.
    pub fn source(&self) -> &str {
        &self.0.0
    }

    /// Expands the template.
    ///
    /// # Errors
    /// Where Go fails, or where it uses more than it may: the error's text.
    pub fn expand(&self, named: &NamedTemplates, data: &Dot<'_>) -> Result<String, String> {
        let rendered = |name: &str| Ok(data.route_labels.get(name).cloned().unwrap_or_default());
        self.expand_with(named, data, &rendered)
    }

    /// Expands the value of a route's label, which may name others of `data`'s.
    pub(crate) fn expand_label(
        &self,
        name: &str,
        named: &NamedTemplates,
        data: &Dot<'_>,
    ) -> Result<String, String> {
        let Some(labels) = data.label_templates else {
            return self.expand(named, data);
        };
        let resolver = Resolver {
            labels,
            named,
            data,
            known: RefCell::default(),
        };
        resolver.resolve(name, &[])
    }

    fn expand_with(
        &self,
        named: &NamedTemplates,
        data: &Dot<'_>,
        route_label: &RouteLabelFn<'_>,
    ) -> Result<String, String> {
        let (text, trees) = &*self.0;
        let world = World {
            dialect: Dialect::Alertmanager,
            name: "",
            defined: Some(&named.0),
            external_url: data.external_url,
            at: data.now,
            route_label,
        };
        let mut alone = Allowance::default();
        let evaluation = Evaluation::new(text, trees, world, &|_| None, &mut alone);
        let expanded = evaluation.run(&data.value);
        expanded.map_err(|stop| match stop {
            Stop::Failed(message) => message,
            needs @ Stop::Needs(_) => needs.to_string(),
        })
    }
}

/// How many labels of a route may name each other in a row.
const MAX_LABELS: usize = 16;

/// Expands labels of a route that may name each other: each once, and none by way of itself.
struct Resolver<'a> {
    labels: &'a BTreeMap<String, NotificationTemplate>,
    named: &'a NamedTemplates,
    data: &'a Dot<'a>,
    known: RefCell<BTreeMap<String, String>>,
}

impl Resolver<'_> {
    fn resolve(&self, name: &str, outer: &[&str]) -> Result<String, String> {
        let Some(template) = self.labels.get(name) else {
            return Ok(String::new());
        };
        if let Some(known) = self.known.borrow().get(name) {
            return Ok(known.clone());
        }
        let way = [outer, &[name]].concat();
        if outer.contains(&name) {
            return Err(format!("route label cycle detected: {}", way.join(" -> ")));
        }
        if way.len() > MAX_LABELS {
            return Err(format!(
                "more than {MAX_LABELS} route labels name each other in a row"
            ));
        }
        let others = |other: &str| self.resolve(other, &way);
        let expanded = template.expand_with(self.named, self.data, &others)?;
        let mut known = self.known.borrow_mut();
        known.insert(name.to_owned(), expanded.clone());
        Ok(expanded)
    }
}

impl PartialEq for NotificationTemplate {
    fn eq(&self, other: &Self) -> bool {
        self.source() == other.source()
    }
}

impl Eq for NotificationTemplate {}

impl fmt::Debug for NotificationTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source().fmt(f)
    }
}

/// A notification's data as templates see them: made once for all templates of a message.
pub struct Dot<'a> {
    value: Value,
    external_url: &'a str,
    now: Timestamp,
    route_labels: BTreeMap<String, String>,
    /// The labels' own templates, while these are expanded.
    label_templates: Option<&'a BTreeMap<String, NotificationTemplate>>,
}

impl<'a> Dot<'a> {
    /// The data of a notification.
    pub fn new(data: &NotificationData<'a>) -> Self {
        Self::with(data, None)
    }

    /// The data that a route's labels are expanded with, which are not expanded yet.
    pub(crate) fn with_route_labels(
        data: &NotificationData<'a>,
        labels: &'a BTreeMap<String, NotificationTemplate>,
    ) -> Self {
        Self::with(data, Some(labels))
    }

    fn with(
        data: &NotificationData<'a>,
        label_templates: Option<&'a BTreeMap<String, NotificationTemplate>>,
    ) -> Self {
        let pairs = |labels: &Labels| {
            let pairs = labels.iter();
            Rc::new(
                pairs
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .collect::<BTreeMap<_, _>>(),
            )
        };
        let moment = |at: Timestamp| Time::from_millis(at.as_millis());
        let alerts = data.alerts.iter().map(|alert| {
            Rc::new(NotifiedAlert {
                is_firing: alert.ends_at.is_none(),
                labels: pairs(alert.labels),
                annotations: Rc::new(alert.annotations.clone()),
                starts_at: moment(alert.starts_at),
                ends_at: alert.ends_at.map_or_else(Time::zero, moment),
                generator_url: alert.generator_url.clone(),
                fingerprint: alert.labels.fingerprint().to_string(),
            })
        });
        let is_firing = data.alerts.iter().any(|alert| alert.ends_at.is_none());
        let notified = Notified {
            receiver: data.receiver.to_owned(),
            status: if is_firing { "firing" } else { "resolved" },
            alerts: alerts.collect(),
            group_labels: pairs(data.group_labels),
            common_labels: pairs(data.common_labels),
            common_annotations: Rc::new(data.common_annotations.clone()),
            external_url: data.external_url.to_owned(),
            reason: data.reason.clone(),
            route_labels: Rc::new(data.route_labels.clone()),
            is_rendered: label_templates.is_none(),
        };
        Self {
            value: Value::Notified(Rc::new(notified)),
            external_url: data.external_url,
            now: data.now,
            route_labels: data.route_labels.clone(),
            label_templates,
        }
    }
}

fn parse(text: &str) -> Result<Trees, ParseError> {
    if text.len() > MAX_TEXT {
        return Err(ParseError {
            line: 1,
            column: 1,
            message: format!("template is longer than {MAX_TEXT} bytes"),
        });
    }
    parse::parse(Dialect::Alertmanager, text).map_err(|complaint| position("", text, complaint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_templates_parse() {
        let trees = parse(DEFAULT).expect("it parses");
        assert!(trees.defined.contains_key("sns.default.message"));
    }
}
