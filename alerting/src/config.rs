//! What a run is configured with, ready to be used.

use crate::evaluation::EvaluationOptions;
use crate::notify::{Receiver, Route};
use crate::rules::{AlertingRule, Defaults, RuleGroup, RuleKey, SourceFile, load};
use crate::source::{FileError, Place};

/// What is configured beside the rule files.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What notification ids are made unique by: the workspace, or the server's URL.
    pub workspace: String,
    /// What groups have that do not say otherwise.
    pub defaults: Defaults,
    /// Where alerts go.
    pub route: Route,
    /// Who can be told; the route's receiver is among them.
    pub receivers: Vec<Receiver>,
    /// How rules are evaluated.
    pub evaluation: EvaluationOptions,
}

impl Default for Settings {
    /// One receiver, named as the default route's, that is told in the terminal.
    fn default() -> Self {
        let route = Route::default();
        Self {
            workspace: String::new(),
            defaults: Defaults::default(),
            receivers: vec![Receiver::terminal(&route.receiver)],
            route,
            evaluation: EvaluationOptions::default(),
        }
    }
}

impl Settings {
    /// The configuration with these rule files, or everything that is wrong with them. A route whose
    /// receiver is unknown is refused, too.
    pub fn load(&self, files: &[SourceFile]) -> Result<Config, Vec<FileError>> {
        let receiver = &self.route.receiver;
        if self.receivers.iter().all(|known| known.name != *receiver) {
            // Alerts would go nowhere, and nobody would know.
            let place = Place {
                file: "route".to_owned(),
                line: 0,
                column: 0,
            };
            let message = format!("there is no receiver {receiver:?}");
            return Err(vec![FileError { place, message }]);
        }
        Ok(Config {
            workspace: self.workspace.clone(),
            groups: load(files, self.defaults)?,
            route: self.route.clone(),
            receivers: self.receivers.clone(),
            evaluation: self.evaluation.clone(),
        })
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
    /// Who can be told; the route's receiver is among them.
    pub receivers: Vec<Receiver>,
    /// How rules are evaluated.
    pub evaluation: EvaluationOptions,
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
