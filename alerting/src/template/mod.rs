//! Stub.
use crate::labels::Labels;
use crate::timestamp::Timestamp;

/// A template.
#[derive(Debug, Clone)]
pub struct Template(String);
/// Error.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct ParseError {
    /// Line.
    pub line: usize,
    /// Column.
    pub column: usize,
    /// Message.
    pub message: String,
}
/// Data.
#[derive(Debug, Clone, Copy)]
pub struct Data<'a> {
    /// Labels.
    pub labels: &'a Labels,
    /// External labels.
    pub external_labels: &'a Labels,
    /// URL.
    pub external_url: &'a str,
    /// Value.
    pub value: f64,
    /// At.
    pub at: Timestamp,
}
/// Stop.
#[derive(Debug, Clone)]
pub enum Stop {
    /// Failed.
    Failed(String),
    /// Needs.
    Needs(Vec<String>),
}
/// Answers.
pub type QueryAnswer = Option<Result<Vec<(Labels, f64)>, String>>;
impl Template {
    /// Parse.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        Ok(Self(text.to_owned()))
    }
    /// Expand.
    pub fn expand(
        &self,
        data: &Data<'_>,
        _answers: &dyn Fn(&str) -> QueryAnswer,
    ) -> Result<String, Stop> {
        Ok(self.0.replace("{{ $value }}", &data.value.to_string()))
    }
    /// Source.
    pub fn source(&self) -> &str {
        &self.0
    }
}
/// Failed.
pub fn failed_text(message: &str) -> String {
    format!("<error expanding template: {message}>")
}
