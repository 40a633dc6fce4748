//! Pieces of an expression's text, with room for more matchers.

use super::lex::Span;
use super::narrowing::MAX_ADDED;
use super::tree::{Join, Slot};

/// A part of an expression's text that takes more matchers in one or more places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template {
    /// The text before each place.
    parts: Vec<(String, Join)>,
    /// The text behind the last.
    tail: String,
}

impl Template {
    /// The text at `span`, with the `slots` that lie in it.
    pub(super) fn cut(text: &str, span: Span, slots: &[Slot]) -> Self {
        let mut from = span.start;
        let mut parts = Vec::with_capacity(slots.len());
        for slot in slots {
            let part = text.get(from..slot.at).unwrap_or("");
            parts.push((part.to_owned(), slot.join));
            from = slot.at;
        }
        Self {
            parts,
            tail: text.get(from..span.end).unwrap_or("").to_owned(),
        }
    }

    pub(super) fn wrapped(mut self, before: &str, behind: &str) -> Self {
        match self.parts.first_mut() {
            Some((first, _)) => first.insert_str(0, before),
            None => self.tail.insert_str(0, before),
        }
        self.tail.push_str(behind);
        self
    }

    /// The text with these matchers in every place; as written where they are empty or too much.
    pub(super) fn with(&self, matchers: &str) -> String {
        let added = self.parts.len().saturating_mul(matchers.len());
        let matchers = if added > MAX_ADDED { "" } else { matchers };
        let mut text = String::new();
        for (part, join) in &self.parts {
            text.push_str(part);
            push_matchers(&mut text, *join, matchers);
        }
        text.push_str(&self.tail);
        text
    }
}

/// Writes matchers into one place, with what has to stand around them.
pub(super) fn push_matchers(text: &mut String, join: Join, matchers: &str) {
    if matchers.is_empty() {
        return;
    }
    let (before, behind) = match join {
        Join::Braces => ("{", "}"),
        Join::Plain => ("", ""),
        Join::Comma => (",", ""),
    };
    text.push_str(before);
    text.push_str(matchers);
    text.push_str(behind);
}
