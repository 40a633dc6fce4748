//! Label sets: what identifies a series and an alert. Annotations have the same shape.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::fingerprint::Fingerprint;

/// The label that holds a series' metric name.
pub const METRIC_NAME: &str = "__name__";
/// The label that holds an alert's rule name; set last, always wins.
pub const ALERT_NAME: &str = "alertname";

/// Pairs of name and value, sorted by name, each name once, no value empty: an empty label and
/// a missing one are the same thing to Prometheus. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Labels(Arc<[(String, String)]>);

impl Labels {
    /// The value of `name`, or the empty string.
    pub fn get(&self, name: &str) -> &str {
        self.0
            .binary_search_by(|(candidate, _)| candidate.as_str().cmp(name))
            .ok()
            .and_then(|at| self.0.get(at))
            .map_or("", |(_, value)| value.as_str())
    }

    /// Whether there is a label called `name`.
    pub fn has(&self, name: &str) -> bool {
        !self.get(name).is_empty()
    }

    /// Name and value of each label, sorted by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// How many labels there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no label.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// These labels without those for which `drop` holds.
    #[must_use]
    pub fn without(&self, mut drop: impl FnMut(&str) -> bool) -> Self {
        self.iter().filter(|(name, _)| !drop(name)).collect()
    }

    /// These labels with those of `over` laid over them: `over` wins, and its empty values
    /// delete.
    #[must_use]
    pub fn with<N: Into<String>, V: Into<String>>(
        &self,
        over: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        let over = over.into_iter();
        let over = over.map(|(name, value)| (name.into(), value.into()));
        self.0.iter().cloned().chain(over).collect()
    }

    /// What Prometheus and Alertmanager show for this set.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(self.iter())
    }
}

impl Default for Labels {
    fn default() -> Self {
        Self(Arc::from([]))
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Labels {
    /// Of a name that comes twice, the last value counts.
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        let pairs = pairs.into_iter();
        let mut pairs: Vec<(String, String)> = pairs
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        pairs.sort_by(|(left, _), (right, _)| left.cmp(right));
        // Of equals the sort leaves the last one last, and this keeps the first of two.
        pairs.dedup_by(|(later, value), (earlier, kept)| {
            let is_same = later == earlier;
            if is_same {
                std::mem::swap(kept, value);
            }
            is_same
        });
        pairs.retain(|(_, value)| !value.is_empty());
        Self(pairs.into())
    }
}

/// As PromQL writes a selector: `{cluster="prod", node="a"}`.
impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (at, (name, value)) in self.iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            write!(f, "{comma}{name}={value:?}")?;
        }
        f.write_str("}")
    }
}

impl Serialize for Labels {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        BTreeMap::<String, String>::deserialize(deserializer).map(Self::from_iter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_value_is_no_label() {
        let labels = Labels::from_iter([("b", "2"), ("a", ""), ("c", "3")]);
        assert_eq!(labels.to_string(), r#"{b="2", c="3"}"#);
        assert_eq!(
            labels.with([("b", ""), ("d", "4")]).to_string(),
            r#"{c="3", d="4"}"#
        );
    }

    #[test]
    fn of_a_name_that_comes_again_the_last_value_counts() {
        let labels = Labels::from_iter([("b", "1"), ("a", "1"), ("b", "2"), ("b", "3"), ("a", "")]);
        assert_eq!(labels.to_string(), r#"{b="3"}"#);
    }
}
