//! Which labels an operation takes over from what it works on, as they are.

use super::tree::{Group, Grouping, MatchLabels, Matching, Names, Operator};
use crate::labels::METRIC_NAME;

/// A set of label names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Carried {
    Only(Names),
    Except(Names),
}

/// What the labels are followed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A sample with these labels needs a series with these labels.
    Presence,
    /// Leaving out the series with other labels leaves the samples with these labels as they
    /// are. This is less, where an operator looks at other series to choose.
    Narrowing,
}

impl Carried {
    /// All labels of the result but for the name, type and unit of a metric: most operations drop
    /// them, and none matches by them (with `type-and-unit-labels`, by Prometheus 3.16).
    pub(super) fn all() -> Self {
        Self::Except(Names::from(
            [METRIC_NAME, "__type__", "__unit__"].map(str::to_owned),
        ))
    }

    /// All labels that a result may have.
    pub(super) fn any() -> Self {
        Self::Except(Names::from([METRIC_NAME.to_owned()]))
    }

    pub(super) fn none() -> Self {
        Self::Only(Names::new())
    }

    pub(super) fn has(&self, label: &str) -> bool {
        match self {
            Self::Only(names) => names.contains(label),
            Self::Except(names) => !names.contains(label),
        }
    }

    pub(super) fn is_none(&self) -> bool {
        *self == Self::none()
    }

    pub(super) fn within(&self, names: &Names) -> Self {
        let common = names.iter().filter(|name| self.has(name));
        Self::Only(common.cloned().collect())
    }

    pub(super) fn without(&self, names: &Names) -> Self {
        match self {
            Self::Only(mine) => Self::Only(mine - names),
            Self::Except(mine) => Self::Except(mine | names),
        }
    }

    /// These labels without the others.
    pub(super) fn minus(&self, other: &Self) -> Self {
        match other {
            Self::Only(names) => self.without(names),
            Self::Except(names) => self.within(names),
        }
    }

    /// The labels of either.
    pub(super) fn or(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::Only(mine), Self::Only(others)) => Self::Only(mine | others),
            (Self::Except(mine), Self::Except(others)) => Self::Except(mine & others),
            (Self::Except(but), Self::Only(names)) | (Self::Only(names), Self::Except(but)) => {
                Self::Except(but - names)
            }
        }
    }

    pub(super) fn without_label(&self, name: &str) -> Self {
        self.without(&Names::from([name.to_owned()]))
    }

    pub(super) fn grouped(&self, grouping: &Grouping) -> Self {
        match grouping {
            Grouping::By(names) => self.within(names),
            Grouping::Without(names) => self.without(names),
        }
    }

    /// The labels that two sides must have in common to match.
    fn matched(&self, labels: &MatchLabels) -> Self {
        match labels {
            MatchLabels::On(names) => self.within(names),
            MatchLabels::Ignoring(names) => self.without(names),
        }
    }

    /// The side of the one: what it matches by, and what the many take over from it.
    fn matched_or(&self, labels: &MatchLabels, included: &Names) -> Self {
        match labels {
            MatchLabels::On(names) => self.within(&(names | included)),
            MatchLabels::Ignoring(names) => self.without(&(names - included)),
        }
    }

    /// What the left and the right side of an operator between two vectors carry.
    pub(super) fn sides(
        &self,
        op: Operator,
        matching: &Matching,
        purpose: Purpose,
    ) -> (Self, Self) {
        let matched = || self.matched(&matching.labels);
        // Without its like on the left, a series on the right would appear; without anything on
        // one side, it would be filled in.
        let fills = matching.fills_left || matching.fills_right;
        let strict = purpose == Purpose::Narrowing;
        match (op, &matching.group) {
            (Operator::Or, _) if strict => (matched(), self.clone()),
            (Operator::Or, _) => (self.clone(), self.clone()),
            (Operator::And | Operator::Unless, _) => (self.clone(), matched()),
            (_, Some(_)) if strict && fills => (matched(), matched()),
            (_, None) => (matched(), matched()),
            (_, Some(Group::Left(included))) => (
                self.without(included),
                self.matched_or(&matching.labels, included),
            ),
            (_, Some(Group::Right(included))) => (
                self.matched_or(&matching.labels, included),
                self.without(included),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &str) -> Names {
        list.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn operators_carry_what_prometheus_keeps() {
        let on = |labels| MatchLabels::On(names(labels));
        let ignoring = |labels| MatchLabels::Ignoring(names(labels));
        let left = |labels| Some(Group::Left(names(labels)));
        // Of the labels m (matched), i (included) and o (another): left, right.
        for (op, labels, group, purpose, expected) in [
            (Operator::Add, on("m"), None, Purpose::Presence, ("m", "m")),
            (
                Operator::Add,
                ignoring("o"),
                None,
                Purpose::Presence,
                ("m i", "m i"),
            ),
            (
                Operator::Add,
                on("m"),
                left("i"),
                Purpose::Presence,
                ("m o", "m i"),
            ),
            (
                Operator::Add,
                ignoring("o i"),
                left("i"),
                Purpose::Presence,
                ("m o", "m i"),
            ),
            (
                Operator::And,
                on("m"),
                None,
                Purpose::Presence,
                ("m i o", "m"),
            ),
            (
                Operator::Unless,
                ignoring("o"),
                None,
                Purpose::Narrowing,
                ("m i o", "m i"),
            ),
            (
                Operator::Or,
                on("m"),
                None,
                Purpose::Presence,
                ("m i o", "m i o"),
            ),
            (
                Operator::Or,
                on("m"),
                None,
                Purpose::Narrowing,
                ("m", "m i o"),
            ),
        ] {
            let matching = Matching {
                labels,
                group,
                ..Matching::default()
            };
            let (lhs, rhs) = Carried::all().sides(op, &matching, purpose);
            let of = |carried: Carried| names("m i o").into_iter().filter(move |l| carried.has(l));
            let found = (of(lhs).collect(), of(rhs).collect());
            assert_eq!(
                found,
                (names(expected.0), names(expected.1)),
                "{op:?} {matching:?}"
            );
        }
    }
}
