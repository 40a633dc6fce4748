//! Which labels of an expression's result are, value for value, labels of the series that a
//! part of it reads. Followed from the result down to each selector.

use super::carried::Carried;
use super::rewriting::Rewriting;
use super::tree::Names;
use crate::labels::Labels;

/// More `label_replace` and `label_join` above one another are not followed: the labels that
/// they set count as unknown.
const MAX_REWRITINGS: usize = 3;

/// What is known of the labels between two rewritings.
#[derive(Debug, Clone)]
struct Stretch {
    /// They are the same above and below.
    carried: Carried,
    /// Whatever they are below, an aggregation leaves nothing of them above.
    empty: Carried,
}

impl Stretch {
    fn whole() -> Self {
        Self {
            carried: Carried::all(),
            empty: Carried::none(),
        }
    }
}

/// How the labels of one input's series become labels of the result.
#[derive(Debug, Clone)]
pub(super) struct Provenance {
    /// From the result downwards: the way to the next rewriting, and that.
    above: Vec<(Stretch, Rewriting)>,
    /// The way from the last rewriting to the input.
    last: Stretch,
}

impl Provenance {
    pub(super) fn all() -> Self {
        Self {
            above: Vec::new(),
            last: Stretch::whole(),
        }
    }

    /// No label of the result is known from here.
    pub(super) fn none() -> Self {
        let mut none = Self::all();
        none.last.carried = Carried::none();
        none
    }

    /// Whether no label of the result is known from here.
    pub(super) fn is_none(&self) -> bool {
        self.last.carried.is_none() && self.last.empty.is_none()
    }

    /// One operation further down. Labels that are carried no more may come from elsewhere.
    pub(super) fn through(&self, step: impl FnOnce(&Carried) -> Carried) -> Self {
        let mut below = self.clone();
        below.last.carried = step(&self.last.carried);
        below
    }

    /// One operation further down. Labels that are carried no more end here.
    pub(super) fn dropping(&self, step: impl FnOnce(&Carried) -> Carried) -> Self {
        let mut below = self.through(step);
        let dropped = self.last.carried.minus(&below.last.carried);
        below.last.empty = self.last.empty.or(&dropped);
        below
    }

    /// Below a `label_replace` or `label_join` that sets `label`.
    pub(super) fn below(&self, label: &str, rewriting: Option<Rewriting>) -> Self {
        match rewriting {
            Some(rewriting)
                if self.last.carried.has(label) && self.above.len() < MAX_REWRITINGS =>
            {
                let mut above = self.above.clone();
                above.push((self.last.clone(), rewriting));
                Self {
                    above,
                    last: Stretch::whole(),
                }
            }
            _ => self.through(|carried| carried.without_label(label)),
        }
    }

    /// Whether `label` of the result is the label of that name of the series.
    pub(super) fn is_own(&self, label: &str) -> bool {
        self.last.carried.has(label)
            && self
                .above
                .iter()
                .all(|(way, rewriting)| way.carried.has(label) && rewriting.sets() != label)
    }

    /// The labels of the series that `label` of the result is made of, if any; none where it
    /// may come from elsewhere.
    pub(super) fn sources(&self, label: &str) -> Option<Names> {
        self.sources_from(label, 0)
    }

    fn sources_from(&self, label: &str, level: usize) -> Option<Names> {
        let next = self.above.get(level);
        let way = next.map_or(&self.last, |(way, _)| way);
        if !way.carried.has(label) {
            return way.empty.has(label).then(Names::new);
        }
        let Some((_, rewriting)) = next else {
            return Some(Names::from([label.to_owned()]));
        };
        if rewriting.sets() != label {
            return self.sources_from(label, level + 1);
        }
        let mut sources = Names::new();
        for name in rewriting.reads() {
            sources.extend(self.sources_from(name, level + 1)?);
        }
        // What stays where a label_replace does not match.
        sources.extend(self.sources_from(label, level + 1).unwrap_or_default());
        Some(sources)
    }

    /// What `label` of the result is, for a series with these labels; none where that is not
    /// known.
    pub(super) fn value(&self, label: &str, series: &Labels) -> Option<String> {
        self.value_from(label, series, 0)
    }

    fn value_from(&self, label: &str, series: &Labels, level: usize) -> Option<String> {
        let next = self.above.get(level);
        let way = next.map_or(&self.last, |(way, _)| way);
        if !way.carried.has(label) {
            return way.empty.has(label).then(String::new);
        }
        let below = |name: &str| self.value_from(name, series, level + 1);
        match next {
            None => Some(series.get(label).to_owned()),
            Some((_, rewriting)) if rewriting.sets() == label => rewriting.value(below),
            Some(_) => below(label),
        }
    }
}
