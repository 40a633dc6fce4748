//! What a run is configured with, ready to be used.

use crate::evaluation::EvaluationOptions;
use crate::notify::Route;
use crate::rules::{AlertingRule, Defaults, RuleFileError, RuleGroup, RuleKey, SourceFile, load};

/// What is configured beside the rule files.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// What notification ids are made unique by: the workspace, or the server's URL.
    pub workspace: String,
    /// What groups have that do not say otherwise.
    pub defaults: Defaults,
    /// Where alerts go.
    pub route: Route,
    /// How rules are evaluated.
    pub evaluation: EvaluationOptions,
}

impl Settings {
    /// The configuration with these rule files, or everything that is wrong with them.
    pub fn load(&self, files: &[SourceFile]) -> Result<Config, Vec<RuleFileError>> {
        Ok(Config {
            workspace: self.workspace.clone(),
            groups: load(files, self.defaults)?,
            route: self.route.clone(),
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
    /// How rules are evaluated.
    pub evaluation: EvaluationOptions,
}

impl Config {
    /// The rule behind a key, with its group.
    pub fn rule(&self, key: &RuleKey) -> Option<(&RuleGroup, &AlertingRule)> {
        self.groups.iter().find_map(|group| {
            let rule = group.rules.iter().find(|rule| rule.key == *key)?;
            Some((group, rule))
        })
    }
}
