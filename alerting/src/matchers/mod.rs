//! Label matchers: `severity="critical"`, `node=~"a|b"`, as Alertmanager reads, sorts, matches
//! and writes them (`pkg/labels` and `matcher` of Alertmanager 0.35).

mod classic;
mod contradiction;
mod utf8;

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::labels::Labels;
use crate::template::quote::quote;
use crate::template::regexp::{self, Compiled};

/// How a matcher compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum MatchOp {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`
    Regexp,
    /// `!~`
    NotRegexp,
}

impl MatchOp {
    /// The operator.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Regexp => "=~",
            Self::NotRegexp => "!~",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Equal, Self::NotEqual, Self::Regexp, Self::NotRegexp]
            .into_iter()
            .find(|op| op.as_str() == text)
    }
}

/// A condition on one label. A label that is missing counts as empty.
#[derive(Clone)]
pub struct Matcher {
    name: String,
    op: MatchOp,
    value: String,
    pattern: Option<Arc<Compiled>>,
}

/// Why a text is no matcher.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}: write for example `severity=\"critical\"` or `node=~\"a|b\"`")]
pub struct MatcherError(String);

impl Matcher {
    /// A matcher; a regular expression matches whole values.
    ///
    /// # Errors
    /// If the regular expression is invalid.
    pub fn new(
        name: impl Into<String>,
        op: MatchOp,
        value: impl Into<String>,
    ) -> Result<Self, MatcherError> {
        let value = value.into();
        let pattern = match op {
            MatchOp::Equal | MatchOp::NotEqual => None,
            MatchOp::Regexp | MatchOp::NotRegexp => {
                let whole = regexp::compile(&format!("^(?:{value})$"));
                Some(Arc::new(whole.map_err(MatcherError)?))
            }
        };
        Ok(Self {
            name: name.into(),
            op,
            value,
            pattern,
        })
    }

    /// Reads one matcher, without braces, in either syntax: a comma in its value is part of it.
    /// Where both take a text and disagree, the classic meaning counts, as in Alertmanager.
    ///
    /// # Errors
    /// Where neither syntax takes it.
    pub fn parse(text: &str) -> Result<Self, MatcherError> {
        if text.starts_with('{') || text.ends_with('}') {
            let brace = "a brace belongs to a list of matchers";
            return Err(MatcherError(format!("{text}: {brace}")));
        }
        let newer = || -> Option<Self> {
            let mut read = utf8::parse(text).ok()?;
            let (name, op, value) = read.pop().filter(|_| read.is_empty())?;
            Self::new(name, op, value).ok()
        };
        let classic = classic::parse_one(text).map_err(MatcherError);
        classic
            .and_then(|(name, op, value)| Self::new(name, op, value))
            .or_else(|error| newer().ok_or(error))
    }

    /// The label's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How it compares.
    pub fn op(&self) -> MatchOp {
        self.op
    }

    /// What it compares with.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Whether a value of the label meets the condition.
    pub fn matches(&self, value: &str) -> bool {
        let fits = |pattern: &Option<Arc<Compiled>>| {
            let pattern = pattern.as_ref();
            pattern.is_some_and(|pattern| pattern.is_match(value.as_bytes()))
        };
        match self.op {
            MatchOp::Equal => value == self.value,
            MatchOp::NotEqual => value != self.value,
            MatchOp::Regexp => fits(&self.pattern),
            MatchOp::NotRegexp => !fits(&self.pattern),
        }
    }

    /// Whether it asks for nothing more than an absent or empty label has (`matchesEmpty` in
    /// `silence/validation.go`): `!=` and `!~` always ask for something.
    pub fn matches_empty(&self) -> bool {
        match self.op {
            MatchOp::Equal | MatchOp::Regexp => self.matches(""),
            MatchOp::NotEqual | MatchOp::NotRegexp => false,
        }
    }

    fn key(&self) -> (&str, &str, MatchOp) {
        (&self.name, &self.value, self.op)
    }
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Matcher {}

impl PartialOrd for Matcher {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// By name, value and operator, the order in which Alertmanager writes them.
impl Ord for Matcher {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl fmt::Debug for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// As Alertmanager writes it: a name that is no plain word is quoted.
impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let op = self.op.as_str();
        if self.name.contains(utf8::is_reserved) {
            let (name, value) = (quote(self.name.as_bytes()), quote(self.value.as_bytes()));
            return write!(f, "{name}{op}{value}");
        }
        let value = self
            .value
            .replace('\\', r"\\")
            .replace('\n', r"\n")
            .replace('"', "\\\"");
        write!(f, "{}{op}\"{value}\"", self.name)
    }
}

/// Matchers that must all match, in Alertmanager's order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Matchers(Vec<Matcher>);

impl Matchers {
    /// Reads matchers, separated by commas and with or without braces around them, in the newer
    /// syntax, which takes any UTF-8, or else in the classic one. Where both take a text and
    /// disagree, the classic meaning counts, as in Alertmanager.
    ///
    /// # Errors
    /// Where neither syntax takes it.
    pub fn parse(text: &str) -> Result<Self, MatcherError> {
        Self::from_triples(classic::parse(text))
            .or_else(|error| Self::from_triples(utf8::parse(text)).or(Err(error)))
    }

    fn from_triples(read: Result<Vec<Triple>, String>) -> Result<Self, MatcherError> {
        let triples = read.map_err(MatcherError)?.into_iter();
        triples
            .map(|(name, op, value)| Matcher::new(name, op, value))
            .collect()
    }

    /// Whether all of them match. Without any, everything does.
    pub fn matches(&self, labels: &Labels) -> bool {
        self.0
            .iter()
            .all(|matcher| matcher.matches(labels.get(&matcher.name)))
    }

    /// The matchers.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Matcher> {
        self.0.iter()
    }

    /// Whether there are no matchers.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<Matcher> for Matchers {
    fn from_iter<I: IntoIterator<Item = Matcher>>(matchers: I) -> Self {
        let mut matchers: Vec<Matcher> = matchers.into_iter().collect();
        matchers.sort();
        Self(matchers)
    }
}

impl Extend<Matcher> for Matchers {
    fn extend<I: IntoIterator<Item = Matcher>>(&mut self, more: I) {
        self.0.extend(more);
        self.0.sort();
    }
}

/// `{a="b",c=~"d"}`.
impl fmt::Display for Matchers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (at, matcher) in self.0.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            write!(f, "{comma}{matcher}")?;
        }
        f.write_str("}")
    }
}

/// One matcher as Alertmanager's API has it.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stored {
    name: String,
    value: String,
    is_regex: bool,
    #[serde(default = "yes")]
    is_equal: bool,
}

fn yes() -> bool {
    true
}

impl Serialize for Matchers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|matcher| Stored {
            name: matcher.name.clone(),
            value: matcher.value.clone(),
            is_regex: matcher.pattern.is_some(),
            is_equal: matches!(matcher.op, MatchOp::Equal | MatchOp::Regexp),
        }))
    }
}

impl<'de> Deserialize<'de> for Matchers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let stored = Vec::<Stored>::deserialize(deserializer)?;
        stored
            .into_iter()
            .map(|stored| {
                let op = match (stored.is_regex, stored.is_equal) {
                    (false, true) => MatchOp::Equal,
                    (false, false) => MatchOp::NotEqual,
                    (true, true) => MatchOp::Regexp,
                    (true, false) => MatchOp::NotRegexp,
                };
                Matcher::new(stored.name, op, stored.value).map_err(serde::de::Error::custom)
            })
            .collect()
    }
}

/// What either syntax reads: name, operator, value.
type Triple = (String, MatchOp, String);

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let shown = match Matchers::parse(text) {
            Ok(matchers) => matchers.to_string(),
            Err(error) => error.0,
        };
        assert_eq!(shown, expected, "of {text}");
    }

    #[test]
    fn both_syntaxes_are_read() {
        check(r#"a="b", c=~d"#, r#"{a="b",c=~"d"}"#);
        check("{b!=2,a!~1}", r#"{a!~"1",b!="2"}"#);
        check("", "{}");
        check("{}", "{}");
        check("a=", r#"{a=""}"#);
        check("a=b=c", r#"{a="b=c"}"#);
        check(r#"a="x\"y""#, r#"{a="x\"y"}"#);
        check(r#"a=x\d"#, r#"{a="x\\d"}"#);
        check("ü=1", r#"{ü="1"}"#);
        check(r#""a b"="c""#, r#"{"a b"="c"}"#);
        check(r#""a,b"="c""#, r#"{"a,b"="c"}"#);
        check("a", "bad matcher format: a");
        check("a=~(", "error parsing regexp: missing closing ): `^(?:()$`");
    }

    #[test]
    fn whole_values_are_matched_and_a_missing_label_is_empty() {
        let labels = Labels::from_iter([("a", "foo"), ("b", "bar")]);
        for (text, expected) in [
            ("a=~fo", false),
            ("a=~fo|foo", true),
            ("a!~fo", true),
            ("c=", true),
            ("c!=", false),
            ("c=~.*", true),
            ("c=~.+", false),
            ("a=foo,b=baz", false),
        ] {
            let matchers = Matchers::parse(text).expect("matchers");
            assert_eq!(matchers.matches(&labels), expected, "{text}");
        }
    }
}
