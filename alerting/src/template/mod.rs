//! Templates in labels and annotations: Go's `text/template`, as Prometheus uses it.
//!
//! The language is that of Go 1.24 and later, the functions those of Prometheus 3. Text and
//! errors are what Prometheus gives, down to the position in an error, which counts the
//! definitions of `$labels`, `$externalLabels`, `$externalURL` and `$value` that Prometheus puts
//! before the user's text. [`ParseError`] counts in the user's text alone.
//!
//! Where Go would run out of memory or time, expansion fails instead: see `limits.rs`.

use std::rc::Rc;
use std::sync::Arc;

use self::functions::Dialect;
use crate::labels::Labels;
use crate::query::SampleValue;
use crate::timestamp::Timestamp;

mod alertmanager;
mod builtins;
mod call;
mod compare;
mod escape;
mod eval;
mod float;
mod functions;
mod humanize;
mod json;
mod lex;
mod limits;
mod methods;
pub mod notification;
mod notified;
mod number;
mod parse;
mod parse_pipeline;
mod parse_time;
mod path;
mod print;
mod print_number;
mod printf;
mod prometheus;
pub(crate) mod quote;
mod range;
mod reads;
pub(crate) mod regexp;
mod time;
mod token;
mod tree;
mod unicode;
mod value;

#[cfg(test)]
mod tests;

pub use limits::Allowance;
pub use reads::Reads;
pub(crate) use unicode::is_letter;

/// What Prometheus puts before each template (`rules/alerting.go`).
const PREFIX: &str = "{{$labels := .Labels}}{{$externalLabels := .ExternalLabels}}\
                      {{$externalURL := .ExternalURL}}{{$value := .Value}}";

/// How many nodes of the tree are the prefix's.
fn prefix_nodes() -> usize {
    PREFIX.matches("{{").count()
}

/// Bytes that a template may have.
const MAX_TEXT: usize = 1 << 20;

/// A template that has been parsed. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Template(Arc<Parsed>);

#[derive(Debug)]
struct Parsed {
    /// The prefix and the user's text.
    text: String,
    trees: tree::Trees,
    /// What every expansion gives, where there is no action.
    constant: Option<String>,
}

/// Why a text is no template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: {message}")]
pub struct ParseError {
    /// The line in the user's text, from 1.
    pub line: usize,
    /// The character in that line, from 1.
    pub column: usize,
    /// Go's words.
    pub message: String,
}

/// What a template is expanded with.
#[derive(Debug, Clone)]
pub struct Data<'a> {
    /// The name of the alerting rule, which stands in error texts.
    pub alert: &'a str,
    /// `$labels`: the labels of the query's sample, `__name__` among them where it has one.
    pub labels: &'a Labels,
    /// `$externalLabels`.
    pub external_labels: &'a Labels,
    /// `$externalURL`, and what `externalURL` and `pathPrefix` are taken from.
    pub external_url: &'a str,
    /// `$value`.
    pub value: SampleValue,
    /// The evaluation's tick: `now`.
    pub at: Timestamp,
}

/// What a `query` in a template got: samples in the order of the answer, or the error's text.
pub type Answer = Result<Vec<(Labels, SampleValue)>, String>;

/// Looks an answer up; `None` where the expression has not been asked yet.
pub type AnswerFn<'a> = dyn Fn(&str) -> Option<Answer> + 'a;

/// Why an expansion gives no text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Stop {
    /// It failed, with the text that Prometheus's error has: see [`failed_text`].
    #[error("{0}")]
    Failed(String),
    /// It calls `query` with these expressions, whose answers at [`Data::at`] are missing. At
    /// least one; with its answer the next expansion may come to need another.
    #[error("needs the answers of {0:?}")]
    Needs(Vec<String>),
}

impl Template {
    /// Parses `text`.
    ///
    /// # Errors
    /// Where Go's parser refuses it, and where it is nested 100 levels deep or longer than a
    /// mebibyte.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        if text.len() > MAX_TEXT {
            return Err(ParseError {
                line: 1,
                column: 1,
                message: format!("template is longer than {MAX_TEXT} bytes"),
            });
        }
        let text = format!("{PREFIX}{text}");
        match parse::parse(Dialect::Prometheus, &text) {
            Ok(trees) => {
                let own = trees.main.iter().skip(prefix_nodes());
                let constant = own
                    .map(|node| match node {
                        tree::Node::Text(text) => Some(text.as_str()),
                        _ => None,
                    })
                    .collect();
                Ok(Self(Arc::new(Parsed {
                    text,
                    trees,
                    constant,
                })))
            }
            Err(complaint) => Err(position(PREFIX, &text, complaint)),
        }
    }

    /// The text that was parsed.
    pub fn source(&self) -> &str {
        self.0.text.get(PREFIX.len()..).unwrap_or("")
    }

    /// Whether every expansion gives the same text: there is no action, only text and comments.
    pub fn is_constant(&self) -> bool {
        self.0.constant.is_some()
    }

    /// What the template reads, as far as its text shows.
    pub fn reads(&self) -> Reads {
        Reads::new(&self.0.trees, prefix_nodes())
    }

    /// Expands the template. `answers` gives what `query` asks for.
    ///
    /// # Errors
    /// [`Stop::Failed`] where Prometheus would put an error text in place of the template's, or
    /// where the template uses more than it may; [`Stop::Needs`] where an answer is missing.
    pub fn expand(&self, data: &Data<'_>, answers: &AnswerFn<'_>) -> Result<String, Stop> {
        self.expand_within(data, answers, &mut Allowance::default())
    }

    /// The same, and no more than what is left of `together`, which other expansions take from as
    /// well.
    ///
    /// # Errors
    /// As [`Template::expand`]'s, and where nothing is left.
    pub fn expand_within(
        &self,
        data: &Data<'_>,
        answers: &AnswerFn<'_>,
        together: &mut Allowance,
    ) -> Result<String, Stop> {
        let expanded = match &self.0.constant {
            Some(text) => Ok(text.clone()),
            None => self.expand_alone(data, answers, together),
        };
        match &expanded {
            // An error quotes the template, and is kept as well.
            Ok(text) | Err(Stop::Failed(text)) => together.output(text.len())?,
            Err(Stop::Needs(_)) => {}
        }
        expanded
    }

    fn expand_alone(
        &self,
        data: &Data<'_>,
        answers: &AnswerFn<'_>,
        together: &mut Allowance,
    ) -> Result<String, Stop> {
        let dot = value::Value::Alert(Rc::new(value::Alert {
            labels: data.labels.clone(),
            external_labels: data.external_labels.clone(),
            external_url: Rc::from(data.external_url.as_bytes()),
            value: value::Value::from_sample(data.value.clone()),
        }));
        let name = data.template_name();
        let world = eval::World {
            dialect: Dialect::Prometheus,
            name: &name,
            defined: None,
            external_url: data.external_url,
            at: data.at,
            // Rules' templates do not know it.
            route_label: &|_| Ok(String::new()),
        };
        eval::Evaluation::new(&self.0.text, &self.0.trees, world, answers, together)
            .run(&dot)
            .map_err(|stop| match stop {
                Stop::Failed(message) => {
                    Stop::Failed(format!("error executing template {name}: {message}"))
                }
                needs @ Stop::Needs(_) => needs,
            })
    }
}

impl Data<'_> {
    /// What Prometheus calls the templates of an alerting rule.
    fn template_name(&self) -> String {
        format!("__alert_{}", self.alert)
    }
}

/// A float as Go prints it with `%g` and `%v`.
pub(crate) fn shortest_float(value: f64) -> String {
    float::format(value, 'g', None)
}

/// What stands in place of a label's or annotation's value whose template failed
/// (`rules/alerting.go`).
pub fn failed_text(message: &str) -> String {
    format!("<error expanding template: {message}>")
}

/// A complaint's position, counted in the user's text, which stands after `prefix`.
fn position(prefix: &str, text: &str, complaint: parse::Complaint) -> ParseError {
    let at = complaint.pos.clamp(prefix.len(), text.len());
    let before = text.get(prefix.len()..at).unwrap_or("");
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let in_line = before.get(line_start..).unwrap_or("");
    ParseError {
        line: 1 + before.matches('\n').count(),
        column: 1 + in_line.chars().count(),
        message: complaint.message,
    }
}
