//! A rule file as its author typed it: every field optional, every value with its place.
//!
//! The fields are those of `RuleGroups`, `RuleGroup` and `Rule` in Prometheus's
//! `model/rulefmt/rulefmt.go`; an unknown one is an error, and so is one that comes twice.

use std::fmt;

use serde::de::{Error, MapAccess, Visitor};
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
    pub(super) limit: Option<Limit>,
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

/// How many alerts a rule may have. Of a number with a fraction its whole part counts, as Go's YAML
/// parser has it, and a text is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limit(pub(super) usize);

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Whole;

        impl Visitor<'_> for Whole {
            type Value = Limit;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number")
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Limit, E> {
                usize::try_from(number).map(Limit).map_err(E::custom)
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Limit, E> {
                // Less than nothing is no limit, too.
                Ok(Limit(usize::try_from(number).unwrap_or(0)))
            }

            fn visit_f64<E: Error>(self, number: f64) -> Result<Limit, E> {
                if number.is_nan() || number >= 9_223_372_036_854_775_808.0 {
                    return Err(E::custom("a limit out of range"));
                }
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "the fraction does not count"
                )]
                self.visit_i64(number as i64)
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Limit, E> {
                Err(E::custom(format!(
                    "`limit` must be a number, not the text {text:?}"
                )))
            }
        }

        deserializer.deserialize_any(Whole)
    }
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
