//! Label sets: what identifies a series and an alert. Annotations have the same shape.

use std::cmp::Ordering;
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
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Labels(Arc<Pairs>);

/// All names and values in one text: label sets are compared more often than anything else, and
/// so comparing them touches two allocations, however many labels they have.
#[derive(PartialEq, Eq, Hash, Default)]
struct Pairs {
    /// Name, value, name, value, ….
    text: Box<str>,
    /// Of each pair, where in `text` its name ends, and its value.
    ends: Box<[[usize; 2]]>,
}

impl Pairs {
    /// The name or value `at`, all of them counted in the order in which they stand in `text`.
    fn part(&self, at: usize) -> Option<&str> {
        let ends = self.ends.as_flattened();
        let before = at.checked_sub(1).and_then(|before| ends.get(before));
        self.text
            .get(before.copied().unwrap_or_default()..*ends.get(at)?)
    }
}

impl Ord for Pairs {
    /// By the first name or value that is another; if all are equal, fewer labels come first.
    fn cmp(&self, other: &Self) -> Ordering {
        if std::ptr::eq(self, other) {
            return Ordering::Equal;
        }
        let (left, right) = (self.ends.as_flattened(), other.ends.as_flattened());
        // As long as names and values are as long as the other's they stand at the same places, and
        // they compare as that part of the texts does.
        let alike = left
            .iter()
            .zip(right)
            .take_while(|(left, right)| left == right);
        let alike = alike.count();
        let last = alike.checked_sub(1).and_then(|last| left.get(last));
        let before = ..last.copied().unwrap_or_default();
        let (text, others) = (self.text.as_bytes(), other.text.as_bytes());
        text.get(before)
            .cmp(&others.get(before))
            .then_with(|| self.part(alike).cmp(&other.part(alike)))
    }
}

impl PartialOrd for Pairs {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Labels {
    /// The value of `name`, or the empty string.
    pub fn get(&self, name: &str) -> &str {
        let Pairs { text, ends } = &*self.0;
        let mut start = 0;
        for [name_end, value_end] in ends {
            if text.as_bytes().get(start..*name_end) == Some(name.as_bytes()) {
                return text.get(*name_end..*value_end).unwrap_or_default();
            }
            start = *value_end;
        }
        ""
    }

    /// Whether there is a label called `name`.
    pub fn has(&self, name: &str) -> bool {
        !self.get(name).is_empty()
    }

    /// Name and value of each label, sorted by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        let text = &self.0.text;
        let mut start = 0;
        self.0.ends.iter().map(move |[name_end, value_end]| {
            let name = text.get(start..*name_end).unwrap_or_default();
            let value = text.get(*name_end..*value_end).unwrap_or_default();
            start = *value_end;
            (name, value)
        })
    }

    /// How many labels there are.
    pub fn len(&self) -> usize {
        self.0.ends.len()
    }

    /// Whether there is no label.
    pub fn is_empty(&self) -> bool {
        self.0.ends.is_empty()
    }

    /// These labels without those for which `drop` holds.
    #[must_use]
    pub fn without(&self, mut drop: impl FnMut(&str) -> bool) -> Self {
        self.iter().filter(|(name, _)| !drop(name)).collect()
    }

    /// These labels with those of `over` laid over them: `over` wins, and its empty values
    /// delete.
    #[must_use]
    pub fn with<N: AsRef<str>, V: AsRef<str>>(
        &self,
        over: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        let over: Vec<(N, V)> = over.into_iter().collect();
        let over = over.iter();
        let over = over.map(|(name, value)| (name.as_ref(), value.as_ref()));
        self.iter().chain(over).collect()
    }

    /// What Prometheus and Alertmanager show for this set.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(self.iter())
    }
}

impl<N: AsRef<str>, V: AsRef<str>> FromIterator<(N, V)> for Labels {
    /// Of a name that comes twice, the last value counts.
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        let mut pairs: Vec<(N, V)> = pairs.into_iter().collect();
        pairs.sort_by(|(left, _), (right, _)| left.as_ref().cmp(right.as_ref()));
        // Of equals the sort leaves the last one last, and this keeps the first of two.
        pairs.dedup_by(|(later, value), (earlier, kept)| {
            let is_same = (*later).as_ref() == (*earlier).as_ref();
            if is_same {
                std::mem::swap(kept, value);
            }
            is_same
        });
        pairs.retain(|(_, value)| !value.as_ref().is_empty());
        let parts = pairs
            .iter()
            .map(|(name, value)| (name.as_ref(), value.as_ref()));
        let length = parts.clone().map(|(name, value)| name.len() + value.len());
        let mut text = String::with_capacity(length.sum());
        let ends = parts.map(|(name, value)| {
            text.push_str(name);
            let name_end = text.len();
            text.push_str(value);
            [name_end, text.len()]
        });
        let ends = ends.collect();
        Self(Arc::new(Pairs {
            text: text.into(),
            ends,
        }))
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
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
    use proptest::prelude::*;

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

    #[test]
    fn they_are_in_the_order_of_their_pairs() {
        // Few characters, so that names and values are often alike, or begin so.
        let pairs = || proptest::collection::btree_map("[a\0é]{1,2}", "[a\0é]{1,2}", 0..4);
        proptest!(ProptestConfig::with_cases(5_000), |(left in pairs(), right in pairs())| {
            let labels = |pairs: &BTreeMap<String, String>| Labels::from_iter(pairs);
            prop_assert_eq!(labels(&left).cmp(&labels(&right)), left.iter().cmp(&right));
            prop_assert!(labels(&left).iter().eq(left.iter().map(|(n, v)| (n.as_str(), v.as_str()))));
        });
    }
}
