//! The labels of vanished alerts, as matchers.

use std::collections::{BTreeMap, BTreeSet};

use crate::labels::Labels;

/// With more values than this, a label gets no matcher.
const MAX_VALUES: usize = 100;
/// With a longer matcher than this, in bytes, a label gets none.
const MAX_MATCHER: usize = 8 * 1024;
/// More text than this, in bytes, is not added to a query; it is asked without matchers then.
pub(super) const MAX_ADDED: usize = 256 * 1024;

/// Of each label to narrow by, the values that alerts have. An alert without the label has the
/// empty value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Narrowing(BTreeMap<String, BTreeSet<String>>);

impl Narrowing {
    /// Nothing to narrow by.
    pub fn none() -> Self {
        Self::default()
    }

    /// The values that these alerts' labels have. Pass only labels that came with the query's
    /// result, not those that the rule set.
    pub fn of<'a>(alerts: impl IntoIterator<Item = &'a Labels>) -> Self {
        let mut narrowing = Self::none();
        for alert in alerts {
            for (label, value) in alert.iter() {
                narrowing.add(label, value);
            }
        }
        narrowing
    }

    /// One more value of `label`.
    pub fn add(&mut self, label: &str, value: &str) {
        let values = self.0.entry(label.to_owned()).or_default();
        values.insert(value.to_owned());
    }

    /// Whether there is nothing to narrow by.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The names of the labels, sorted.
    pub fn labels(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// `label=~"value|value|"` for each label for which `wanted` holds. The empty alternative
    /// lets series without the label through: some alerts may have none.
    pub(super) fn matchers(&self, wanted: impl Fn(&str) -> bool) -> String {
        let matchers: Vec<String> = self
            .0
            .iter()
            .filter(|(label, values)| values.len() <= MAX_VALUES && wanted(label))
            .map(|(label, values)| matcher(label, values))
            .filter(|matcher| matcher.len() <= MAX_MATCHER)
            .collect();
        matchers.join(",")
    }
}

fn matcher(label: &str, values: &BTreeSet<String>) -> String {
    let mut text = format!("{}=~\"", label_name(label));
    for value in values.iter().filter(|value| !value.is_empty()) {
        for character in value.chars() {
            if r"\.+*?()|[]{}^$".contains(character) {
                // A backslash of the regular expression, escaped in the string.
                text.push_str(r"\\");
            }
            push_escaped(&mut text, character);
        }
        text.push('|');
    }
    text.push('"');
    text
}

/// A label's name as PromQL takes it: quoted, where it is no identifier.
pub(super) fn label_name(name: &str) -> String {
    let mut characters = name.chars();
    let identifier = characters
        .next()
        .is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && characters.all(|c| c.is_ascii_alphanumeric() || c == '_');
    if identifier {
        return name.to_owned();
    }
    let mut quoted = String::from("\"");
    for character in name.chars() {
        push_escaped(&mut quoted, character);
    }
    quoted.push('"');
    quoted
}

/// Writes one character of a string between double quotes.
fn push_escaped(text: &mut String, character: char) {
    match character {
        '\\' => text.push_str(r"\\"),
        '"' => text.push_str("\\\""),
        '\n' => text.push_str(r"\n"),
        control if control.is_ascii_control() => {
            text.push_str(&format!("\\x{:02x}", u32::from(control)));
        }
        // Prometheus's lexer takes the character itself for a broken one.
        '\u{fffd}' => text.push_str(r"\ufffd"),
        other => text.push(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(values: &[&str], expected: &str) {
        let mut narrowing = Narrowing::none();
        for value in values {
            narrowing.add("l", value);
        }
        assert_eq!(narrowing.matchers(|_| true), expected);
    }

    #[test]
    fn values_match_themselves_and_nothing_else() {
        check(&["a"], r#"l=~"a|""#);
        check(&["b", "a", ""], r#"l=~"a|b|""#);
        check(&[""], r#"l=~"""#);
        check(&["a.b|c"], r#"l=~"a\\.b\\|c|""#);
        check(&["q\"\\\n\té\u{fffd}"], r#"l=~"q\"\\\\\n\x09é\ufffd|""#);
        assert_eq!(label_name("a.\"b"), r#""a.\"b""#);
    }

    #[test]
    fn too_many_or_too_long_values_are_no_matcher() {
        let many: Vec<String> = (0..101).map(|n| n.to_string()).collect();
        check(&many.iter().map(String::as_str).collect::<Vec<_>>(), "");
        check(&["x".repeat(MAX_MATCHER).as_str()], "");
    }
}
