//! What a run is configured with, ready to be used.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::alertmanager::{self, AlertmanagerConfig};
use crate::evaluation::EvaluationOptions;
use crate::notify::{Grafana, InhibitRule, Receiver, Route, SnsConfig, TimeIntervals, TopicArn};
use crate::rules::{AlertingRule, Defaults, RuleGroup, RuleKey, SourceFile, load};
use crate::source::{FileError, Place};
use crate::template::notification::NamedTemplates;

/// The receiver that has the alarm topic, beside the user's own.
const ALARM_RECEIVER: &str = "dnswatch alarm topic";

/// The files that users write, together: as they are loaded, refused, and kept as the last good
/// ones.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigFiles {
    /// The rule files.
    pub rules: Vec<SourceFile>,
    /// `alertmanager.yml`, if there is one: it takes the place of [`Settings::route`] and
    /// [`Settings::receivers`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alertmanager: Option<SourceFile>,
    /// The template files beside it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub templates: Vec<SourceFile>,
}

impl From<Vec<SourceFile>> for ConfigFiles {
    /// Rule files alone.
    fn from(rules: Vec<SourceFile>) -> Self {
        Self {
            rules,
            alertmanager: None,
            templates: Vec::new(),
        }
    }
}

/// What is configured beside the files.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What notification ids are made unique by: the workspace, or the server's URL.
    pub workspace: String,
    /// What groups have that do not say otherwise.
    pub defaults: Defaults,
    /// Where alerts go, where no file says it.
    pub route: Route,
    /// The receivers to use if no file defines any; the route's receiver is among them.
    pub receivers: Vec<Receiver>,
    /// How rules are evaluated.
    pub evaluation: EvaluationOptions,
    /// Where people look at graphs.
    pub grafana: Option<Grafana>,
    /// The topics that get what Amazon Q Developer in chat applications reads.
    pub amazon_q: BTreeSet<TopicArn>,
    /// The topic of the alarms about the ruler itself: the first other way for alerts that say that
    /// notifications have no recipient.
    pub alarm_topic: Option<TopicArn>,
    /// Topics that have no subscriber on purpose.
    pub unsubscribed_topics: BTreeSet<TopicArn>,
}

impl Default for Settings {
    /// One receiver, named as the default route's, that prints to the terminal.
    fn default() -> Self {
        let route = Route::default();
        Self {
            workspace: String::new(),
            defaults: Defaults::default(),
            receivers: vec![Receiver::terminal(&route.receiver)],
            route,
            evaluation: EvaluationOptions::default(),
            grafana: None,
            amazon_q: BTreeSet::new(),
            alarm_topic: None,
            unsubscribed_topics: BTreeSet::new(),
        }
    }
}

impl Settings {
    /// The routing that is configured beside the files. A route whose receiver is unknown is
    /// refused: alerts would be lost without notice.
    fn own_routing(&self) -> Result<AlertmanagerConfig, FileError> {
        let receiver = &self.route.receiver;
        if self.receivers.iter().any(|known| known.name == *receiver) {
            return Ok(AlertmanagerConfig {
                route: self.route.clone(),
                receivers: self.receivers.clone(),
                inhibit_rules: Vec::new(),
                time_intervals: TimeIntervals::new(),
                templates: NamedTemplates::default(),
                warnings: Vec::new(),
            });
        }
        Err(FileError {
            place: Place {
                file: "route".to_owned(),
                line: 0,
                column: 0,
            },
            message: format!("there is no receiver {receiver:?}"),
        })
    }

    /// The receivers, with the alarm topic's among them, if there is one.
    fn with_alarm_topic(&self, mut receivers: Vec<Receiver>) -> Vec<Receiver> {
        if let Some(topic) = &self.alarm_topic {
            // Should the user have one of that name, the routes still mean that one.
            receivers.push(Receiver {
                name: ALARM_RECEIVER.to_owned(),
                labels: BTreeMap::new(),
                undelivered: Vec::new(),
                sns: vec![SnsConfig::from_topic(topic.clone())],
                terminal: false,
            });
        }
        receivers
    }

    /// The configuration with these files, or everything that is wrong with them.
    pub fn load(&self, files: &ConfigFiles) -> Result<Config, Vec<FileError>> {
        let routing = match &files.alertmanager {
            Some(file) => alertmanager::load(file, &files.templates),
            None => self.own_routing().map_err(|error| vec![error]),
        };
        match (load(&files.rules, self.defaults), routing) {
            (Ok(groups), Ok(routing)) => Ok(Config {
                workspace: self.workspace.clone(),
                groups,
                route: routing.route,
                receivers: self.with_alarm_topic(routing.receivers),
                alarm_receiver: self.alarm_topic.as_ref().map(|_| ALARM_RECEIVER.to_owned()),
                unsubscribed_topics: self.unsubscribed_topics.clone(),
                inhibit_rules: routing.inhibit_rules,
                time_intervals: routing.time_intervals,
                templates: routing.templates,
                warnings: routing.warnings,
                evaluation: self.evaluation.clone(),
                grafana: self.grafana.clone(),
                amazon_q: self.amazon_q.clone(),
            }),
            (groups, routing) => {
                let mut errors = groups.err().unwrap_or_default();
                errors.extend(routing.err().unwrap_or_default());
                Err(errors)
            }
        }
    }
}

/// The configuration of a run.
#[derive(Debug, Clone)]
pub struct Config {
    /// What notification ids are made unique by: the workspace, or the server's URL.
    pub workspace: String,
    /// The rule groups.
    pub groups: Vec<RuleGroup>,
    /// Where alerts go.
    pub route: Route,
    /// All receivers; the routes' receivers are among them.
    pub receivers: Vec<Receiver>,
    /// The receiver that has the alarm topic, if there is one.
    pub alarm_receiver: Option<String>,
    /// Topics that have no subscriber on purpose.
    pub unsubscribed_topics: BTreeSet<TopicArn>,
    /// Which alerts keep others quiet.
    pub inhibit_rules: Vec<InhibitRule>,
    /// The times that routes name.
    pub time_intervals: TimeIntervals,
    /// The templates that messages may call.
    pub templates: NamedTemplates,
    /// What of the routing loads and is without effect here.
    pub warnings: Vec<FileError>,
    /// How rules are evaluated.
    pub evaluation: EvaluationOptions,
    /// Where people look at graphs.
    pub grafana: Option<Grafana>,
    /// The topics that get what Amazon Q Developer in chat applications reads.
    pub amazon_q: BTreeSet<TopicArn>,
}

impl Config {
    /// The receiver of that name, if there is one.
    pub fn receiver(&self, name: &str) -> Option<&Receiver> {
        self.receivers.iter().find(|receiver| receiver.name == name)
    }

    /// The rule behind a key, with its group.
    pub fn rule(&self, key: &RuleKey) -> Option<(&RuleGroup, &AlertingRule)> {
        self.groups.iter().find_map(|group| {
            let rule = group.rules.iter().find(|rule| rule.key == *key)?;
            Some((group, rule))
        })
    }
}
