//! A rule file as its author typed it: every field optional, every value with its place.
//!
//! The fields are those of `RuleGroups`, `RuleGroup` and `Rule` in Prometheus's
//! `model/rulefmt/rulefmt.go`; an unknown one is an error, and so is one that comes twice.

use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_saphyr::Spanned;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RuleFile {
    #[serde(default)]
    pub(super) groups: Option<Vec<Spanned<Group>>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Group {
    pub(super) name: Option<Spanned<String>>,
    pub(super) interval: Option<Spanned<String>>,
    pub(super) query_offset: Option<Spanned<String>>,
    pub(super) limit: Option<i64>,
    pub(super) labels: Option<Pairs>,
    pub(super) rules: Option<Vec<Spanned<Rule>>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rule {
    pub(super) record: Option<Spanned<String>>,
    pub(super) alert: Option<Spanned<String>>,
    pub(super) expr: Option<Spanned<String>>,
    #[serde(rename = "for")]
    pub(super) hold_for: Option<Spanned<String>>,
    pub(super) keep_firing_for: Option<Spanned<String>>,
    pub(super) labels: Option<Pairs>,
    pub(super) annotations: Option<Pairs>,
}

/// A mapping of text to text in the order it was typed, each with its place. A value left out
/// (`team:` or `team: ~`) is the empty text, as in Prometheus.
#[derive(Debug, Default)]
pub(super) struct Pairs(pub(super) Vec<(Spanned<String>, Option<Spanned<String>>)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Pairs;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a mapping of names to texts")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }

        deserializer.deserialize_map(InOrder)
    }
}
