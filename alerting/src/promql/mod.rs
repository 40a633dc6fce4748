//! What an alerting expression reads: for asking, when alerts vanish, whether their series still
//! have samples, and for asking again for one alert only.
//!
//! `lex`, `parse`, `clauses`, `selector` and `lengths` read the text into a `tree`. `provenance` follows
//! labels from the result down to the selectors. `inputs` makes questions of that, `presence`
//! reads their answers. `narrow` makes a narrower expression, and `labels` says which labels a
//! result can have at all.

mod carried;
mod checks;
mod clauses;
mod expression;
mod features;
mod functions;
mod inputs;
mod labels;
mod lengths;
mod lex;
mod narrow;
mod narrowing;
mod parse;
mod presence;
mod provenance;
mod question;
mod rewriting;
mod selector;
pub(crate) mod tree;

#[cfg(test)]
mod tests;

pub(crate) use expression::is_number;
pub use expression::{Expression, Part};
pub(crate) use features::{Feature, Known};
pub use inputs::{Given, Input, Inputs};
pub use narrowing::Narrowing;
pub use presence::{Answers, Presence};

/// Why an expression was not understood, and where, within its text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: {message}")]
pub struct ParseError {
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
}

impl ParseError {
    pub(crate) fn new(text: &str, at: usize, message: impl Into<String>) -> Self {
        let before = text.get(..at).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let on_line = before.get(line_start..).unwrap_or("");
        Self {
            line: before.matches('\n').count() + 1,
            column: on_line.chars().count() + 1,
            message: message.into(),
        }
    }
}
