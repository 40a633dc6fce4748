//! From what was typed to what runs, with every error that a file has, each at its place.
//!
//! What is refused is what Prometheus refuses (`model/rulefmt/rulefmt.go`), except the
//! expression: the parser at hand knows less than the server, so an expression that it cannot
//! read is the server's to judge.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_saphyr::{Location, Spanned};

use super::file::{Group, Pairs, Rule, RuleFile};
use super::{AlertingRule, RuleGroup, RuleId};
use crate::duration;
use crate::labels::{Labels, METRIC_NAME};
use crate::promql::Expression;
use crate::source::{FileError, Place, SourceFile, read_yaml};
use crate::template::Template;

/// What a group has that does not say otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Defaults {
    /// From one tick to the next; Prometheus's `evaluation_interval`, 1 minute there.
    pub interval: Duration,
    /// How far back of a tick its samples are asked for; 0 in Prometheus.
    pub query_offset: Duration,
}

impl Default for Defaults {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(60),
            query_offset: Duration::from_secs(60),
        }
    }
}

/// Validates rule files and makes them ready to run, or says everything that is wrong with them,
/// in the order of files and lines.
pub fn load(files: &[SourceFile], defaults: Defaults) -> Result<Vec<RuleGroup>, Vec<FileError>> {
    let mut groups = Vec::new();
    let mut errors = Vec::new();
    let mut taken = BTreeMap::new();
    for file in files {
        let namespace = namespace(&file.name);
        let mut loader = Loader {
            file: &file.name,
            namespace: &namespace,
            defaults,
            taken: &mut taken,
            errors: &mut errors,
        };
        let found = loader.errors.len();
        groups.extend(loader.file(&file.text));
        // A group is checked field by field, in any order.
        if let Some(found) = errors.get_mut(found..) {
            found.sort_by(|one, other| one.place.cmp(&other.place));
        }
    }
    if errors.is_empty() {
        Ok(groups)
    } else {
        Err(errors)
    }
}

/// What the file is, if it is not a rule file but a format that rule files often come in.
fn instead(text: &str, at: Option<Location>) -> Option<&'static str> {
    let line = at.and_then(|at| usize::try_from(at.line()).ok())?;
    let line = text.lines().nth(line.checked_sub(1)?)?.trim_start();
    if line.starts_with("{{") {
        return Some("this is a template of Helm: `helm template` makes YAML of it");
    }
    let is_resource = line.starts_with("apiVersion") || line.starts_with("kind");
    is_resource.then_some(
        "this is a resource of Kubernetes: what is under the `spec` of a PrometheusRule is a rule \
         file",
    )
}

/// The base name without `.yml` or `.yaml`.
fn namespace(path: &str) -> String {
    let base = path.rsplit('/').next().unwrap_or(path);
    base.strip_suffix(".yml")
        .or_else(|| base.strip_suffix(".yaml"))
        .unwrap_or(base)
        .to_owned()
}

struct Loader<'a> {
    file: &'a str,
    namespace: &'a str,
    defaults: Defaults,
    /// The groups of the files before, by namespace and name, each with its file.
    taken: &'a mut BTreeMap<(String, String), String>,
    errors: &'a mut Vec<FileError>,
}

impl Loader<'_> {
    fn place(&self, at: Option<Location>) -> Place {
        Place::new(self.file, at)
    }

    fn error(&mut self, at: Option<Location>, message: impl Into<String>) {
        let place = self.place(at);
        self.errors.push(FileError {
            place,
            message: message.into(),
        });
    }

    fn parse(&mut self, text: &str) -> Option<RuleFile> {
        match read_yaml(text) {
            Ok(file) => Some(file.unwrap_or_default()),
            Err((at, message)) => {
                self.error(at, instead(text, at).map_or(message, str::to_owned));
                None
            }
        }
    }

    fn file(&mut self, text: &str) -> Vec<RuleGroup> {
        let Some(file) = self.parse(text) else {
            return Vec::new();
        };
        let mut names = BTreeSet::new();
        let mut groups = Vec::new();
        for group in file.groups.unwrap_or_default() {
            let at = group.defined;
            let group = group.value;
            match &group.name {
                Some(name) if !name.value.is_empty() => {
                    if !names.insert(name.value.clone()) {
                        self.error(
                            Some(name.defined),
                            format!("group name {:?} is used twice in this file", name.value),
                        );
                    } else if let Some(other) = self.taken.insert(
                        (self.namespace.to_owned(), name.value.clone()),
                        self.file.to_owned(),
                    ) {
                        self.error(
                            Some(name.defined),
                            format!(
                                "there is a group {:?} in {other}, too: groups are identified by their name and their file's base name, so rename one",
                                name.value
                            ),
                        );
                    }
                }
                _ => self.error(Some(at), "a group needs a `name`"),
            }
            groups.push(self.group(group));
        }
        groups
    }

    fn group(&mut self, group: Group) -> RuleGroup {
        let name = group.name.map(|name| name.value).unwrap_or_default();
        let interval = self
            .duration(group.interval.as_ref())
            .filter(|interval| !interval.is_zero())
            .unwrap_or(self.defaults.interval);
        let query_offset = self
            .duration(group.query_offset.as_ref())
            .unwrap_or(self.defaults.query_offset);
        let rules = group.rules.unwrap_or_default();
        let group_labels = group.labels.unwrap_or_default();
        self.label_names(&group_labels);
        // Labels are templates of alerting rules alone.
        let group_labels = match rules.iter().any(|rule| rule.value.alert.is_some()) {
            true => self.templates(group_labels),
            false => Vec::new(),
        };
        let mut made = RuleGroup {
            namespace: self.namespace.to_owned(),
            name,
            interval,
            query_offset,
            limit: group.limit.map_or(0, |limit| limit.0),
            rules: Vec::new(),
            records: Vec::new(),
        };
        let mut ordinals: BTreeMap<(String, Labels), usize> = BTreeMap::new();
        for rule in rules {
            self.rule(rule, &group_labels, &mut ordinals, &mut made);
        }
        made
    }

    fn rule(
        &mut self,
        rule: Spanned<Rule>,
        group_labels: &[(String, Template)],
        ordinals: &mut BTreeMap<(String, Labels), usize>,
        into: &mut RuleGroup,
    ) {
        let at = rule.defined;
        let rule = rule.value;
        let set = |field: Option<Spanned<String>>| field.filter(|field| !field.value.is_empty());
        let record = set(rule.record);
        let alert = set(rule.alert);
        let expr = set(rule.expr);
        if expr.is_none() {
            self.error(Some(at), "a rule needs an `expr`");
        }
        let hold_for = self.duration(rule.hold_for.as_ref()).unwrap_or_default();
        let keep_firing_for = self
            .duration(rule.keep_firing_for.as_ref())
            .unwrap_or_default();
        let own_labels = rule.labels.unwrap_or_default();
        self.label_names(&own_labels);
        let annotations = rule.annotations.unwrap_or_default();
        self.names(&annotations);
        match (record, alert) {
            (Some(record), Some(_)) => {
                self.error(
                    Some(record.defined),
                    "a rule has either `record` or `alert`, not both",
                );
            }
            (None, None) => self.error(Some(at), "a rule needs an `alert` (or a `record`) name"),
            (Some(record), None) => {
                for (name, present) in [
                    ("annotations", !annotations.0.is_empty()),
                    ("for", !hold_for.is_zero()),
                    ("keep_firing_for", !keep_firing_for.is_zero()),
                ] {
                    if present {
                        self.error(Some(at), format!("a recording rule cannot have `{name}`"));
                    }
                }
                if record.value.contains(['{', '}']) {
                    self.error(
                        Some(record.defined),
                        format!("{:?} is no metric name", record.value),
                    );
                }
                into.records.push(record.value);
            }
            (None, Some(alert)) => {
                let own_labels = self.templates(own_labels);
                let annotations = self.templates(annotations);
                let labels = merge(group_labels, own_labels);
                let raw: Labels = labels
                    .iter()
                    .map(|(name, template)| (name.clone(), template.source()))
                    .collect();
                let ordinal = ordinals
                    .entry((alert.value.clone(), raw.clone()))
                    .and_modify(|ordinal| *ordinal += 1)
                    .or_insert(0);
                let id = RuleId {
                    namespace: into.namespace.clone(),
                    group: into.name.clone(),
                    alert: alert.value,
                    labels: raw,
                    ordinal: *ordinal,
                };
                into.rules.push(AlertingRule {
                    key: id.key(),
                    id,
                    expr: Expression::parse(&expr.map(|expr| expr.value).unwrap_or_default()),
                    hold_for,
                    keep_firing_for,
                    labels,
                    annotations,
                    place: self.place(Some(alert.defined)),
                });
            }
        }
    }

    fn duration(&mut self, text: Option<&Spanned<String>>) -> Option<Duration> {
        let text = text?;
        match duration::parse(&text.value) {
            Ok(duration) => Some(duration),
            Err(error) => {
                self.error(Some(text.defined), error.to_string());
                None
            }
        }
    }

    fn label_names(&mut self, pairs: &Pairs) {
        for (name, _) in &pairs.0 {
            if name.value == METRIC_NAME {
                self.error(Some(name.defined), "a rule cannot set the label `__name__`");
            }
        }
        self.names(pairs);
    }

    /// Names may be any UTF-8 text but the empty one, as Prometheus 3 has it.
    fn names(&mut self, pairs: &Pairs) {
        for (name, _) in &pairs.0 {
            if name.value.is_empty() {
                self.error(Some(name.defined), "a name cannot be empty");
            }
        }
    }

    fn templates(&mut self, pairs: Pairs) -> Vec<(String, Template)> {
        let mut templates = Vec::new();
        for (name, text) in pairs.0 {
            let (text, at) = text.map_or_else(
                || (String::new(), name.defined),
                |text| (text.value, text.defined),
            );
            match Template::parse(&text) {
                Ok(template) => templates.push((name.value, template)),
                Err(error) => self.error(
                    Some(at),
                    format!(
                        "the template of `{}` cannot be read, at its line {}, column {}: {}",
                        name.value, error.line, error.column, error.message
                    ),
                ),
            }
        }
        templates
    }
}

/// The group's labels, those that the rule sets replaced by it (`rules/group.go`).
fn merge(group: &[(String, Template)], own: Vec<(String, Template)>) -> Vec<(String, Template)> {
    let mut merged: BTreeMap<String, Template> = group.iter().cloned().collect();
    merged.extend(own);
    merged.into_iter().collect()
}
