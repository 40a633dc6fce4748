//! What is probably not meant in rule files that load: each lint one file, each finding with its
//! place, a name, and what to do.
//!
//! A lint is silent where it is not sure: it sees neither what is stored nor what a user is after.

mod always;
mod counter;
mod dropped;
mod empty;
mod experimental;
mod or;
mod pinned;
mod rate;
mod recorded;
mod syntax;
mod value;

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use serde_saphyr::{Location, Spanned};

use super::file::{Pairs, RuleFile};
use crate::promql::Expression;
use crate::source::{self, Lines, Place, SourceFile, read_yaml};
use crate::template::Template;

/// The names of all lints. `docs/lints.md` has a row for each.
pub const NAMES: [&str; 13] = [
    always::NAME,
    dropped::NAME,
    value::NAME,
    pinned::NAME,
    empty::NAME,
    counter::NAME,
    experimental::EXPERIMENTAL,
    or::NAME,
    rate::NAME,
    experimental::RELEASE,
    syntax::NAME,
    syntax::TYPE,
    recorded::NAME,
];

/// What a lint found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// Where.
    pub place: Place,
    /// How bad it is.
    pub severity: Severity,
    /// The lint's name.
    pub name: &'static str,
    /// What is wrong, and what to do.
    pub message: String,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Prometheus refuses it.
    Error,
    /// It is probably not what is meant.
    Warning,
    /// It is right where everything is of the current release.
    Note,
}

impl std::fmt::Display for Severity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        })
    }
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            place,
            severity,
            name,
            message,
        } = self;
        match severity {
            Severity::Error => write!(f, "{place}: {message}"),
            Severity::Warning | Severity::Note => {
                write!(f, "{place}: {severity}: {message} ({name})")
            }
        }
    }
}

/// What the lints know beyond the rule file.
#[derive(Debug, Clone, Copy)]
pub struct Surroundings {
    /// From one sample of a series to the next.
    pub scrape_interval: Duration,
}

/// A selector of an alerting rule, for asking whether it matches anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selects {
    /// Where it stands.
    pub place: Place,
    /// Without range and `offset`.
    pub selector: String,
}

/// An alerting or a recording rule as it was typed.
struct Rule<'a> {
    file: &'a SourceFile,
    lines: Rc<Lines<'a>>,
    kind: Kind,
    /// The alert's or the series' name.
    name: Spanned<String>,
    expr: Expression,
    expr_at: Location,
    labels: Vec<Text>,
    annotations: Vec<Text>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Alerting,
    Recording,
}

/// A label or annotation whose text is a template.
struct Text {
    name: String,
    at: Location,
    template: Template,
}

/// The recording rules of all files: each series' name, with where it is recorded and by what.
type Records<'a> = BTreeMap<String, &'a Rule<'a>>;

/// The findings so far, each once.
struct Report(BTreeSet<Finding>);

impl Report {
    fn warn(&mut self, place: Place, name: &'static str, message: impl Into<String>) {
        self.push(Severity::Warning, place, name, message.into());
    }

    fn note(&mut self, place: Place, name: &'static str, message: impl Into<String>) {
        self.push(Severity::Note, place, name, message.into());
    }

    fn error(&mut self, place: Place, name: &'static str, message: impl Into<String>) {
        self.push(Severity::Error, place, name, message.into());
    }

    fn push(&mut self, severity: Severity, place: Place, name: &'static str, message: String) {
        self.0.insert(Finding {
            place,
            severity,
            name,
            message,
        });
    }
}

impl Rule<'_> {
    fn at(&self, location: Location) -> Place {
        Place::new(&self.file.name, Some(location))
    }

    /// The place of a byte of the expression.
    fn at_expr(&self, byte: usize) -> Place {
        let file = &self.file.name;
        source::within(file, &self.lines, self.expr_at, self.expr.text(), byte)
    }
}

/// Everything that the lints find, in the order of files and lines. Files that cannot be read are
/// left out: [`super::load`] says why.
pub fn lint(files: &[SourceFile], surroundings: Surroundings) -> Vec<Finding> {
    let rules: Vec<Rule<'_>> = files.iter().flat_map(rules).collect();
    let recording = rules.iter().filter(|rule| rule.kind == Kind::Recording);
    let records: Records<'_> = recording
        .map(|rule| (rule.name.value.clone(), rule))
        .collect();
    let mut report = Report(BTreeSet::new());
    for file in files {
        empty::check(file, &mut report);
    }
    for rule in &rules {
        syntax::check(rule, &mut report);
        experimental::check(rule, &mut report);
        rate::check(rule, surroundings, &mut report);
        or::check(rule, &mut report);
        pinned::check(rule, &mut report);
        if rule.kind == Kind::Alerting {
            always::check(rule, &records, &mut report);
            counter::check(rule, &mut report);
            value::check(rule, &mut report);
            dropped::check(rule, &mut report);
            recorded::check(rule, &records, &mut report);
        }
    }
    let mut findings: Vec<Finding> = report.0.into_iter().collect();
    let order = |finding: &Finding| files.iter().position(|f| f.name == finding.place.file);
    findings.sort_by_key(order);
    findings
}

/// The selectors of all alerting rules, each with its place.
pub fn selectors(files: &[SourceFile]) -> Vec<Selects> {
    let rules = files.iter().flat_map(rules);
    let alerting = rules.filter(|rule| rule.kind == Kind::Alerting);
    alerting
        .flat_map(|rule| {
            let selectors = rule.expr.selectors().into_iter();
            let found = selectors.map(|(at, selector)| Selects {
                place: rule.at_expr(at),
                selector: selector.to_owned(),
            });
            found.collect::<Vec<_>>()
        })
        .collect()
}

fn rules(file: &SourceFile) -> Vec<Rule<'_>> {
    let Ok(Some(typed)) = read_yaml::<RuleFile>(&file.text) else {
        return Vec::new();
    };
    let groups = typed.groups.unwrap_or_default().into_iter();
    let lines = Rc::new(Lines::new(&file.text));
    let mut rules = Vec::new();
    for group in groups.map(|group| group.value) {
        for typed in group.rules.unwrap_or_default() {
            let typed = typed.value;
            let (kind, name) = match (typed.record, typed.alert) {
                (Some(name), None) => (Kind::Recording, name),
                (None, Some(name)) => (Kind::Alerting, name),
                _ => continue,
            };
            let Some(expr) = typed.expr else { continue };
            rules.push(Rule {
                file,
                lines: Rc::clone(&lines),
                kind,
                name,
                expr: Expression::parse(&expr.value),
                expr_at: expr.defined,
                labels: texts(typed.labels),
                annotations: texts(typed.annotations),
            });
        }
    }
    rules
}

fn texts(pairs: Option<Pairs>) -> Vec<Text> {
    let pairs = pairs.unwrap_or_default().0.into_iter();
    pairs
        .filter_map(|(name, text)| {
            let text = text?;
            Some(Text {
                template: Template::parse(&text.value).ok()?,
                at: text.defined,
                name: name.value,
            })
        })
        .collect()
}
