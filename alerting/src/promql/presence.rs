//! Reading the answers: which alerts' series still have samples.

use std::collections::{BTreeMap, BTreeSet};

use super::inputs::Inputs;
use super::narrowing::Narrowing;
use super::provenance::Provenance;
use crate::labels::Labels;

/// The series that answered, for each question's text.
pub type Answers = BTreeMap<String, Vec<Labels>>;

/// The answers to the questions of one expression, ready to be looked up for many alerts.
#[derive(Debug)]
pub struct Presence(Found);

#[derive(Debug)]
enum Found {
    Series(Sources),
    All(Vec<Found>),
    Any(Vec<Found>),
}

/// What the series of one input give to the alerts that come from them.
#[derive(Debug)]
struct Sources {
    /// The labels that are known to come from here.
    labels: Vec<String>,
    /// For each series, the values of `labels`.
    known: BTreeSet<Vec<String>>,
    /// The same for series of which some value is not known.
    partly_known: BTreeSet<Vec<Option<String>>>,
}

impl Inputs {
    /// Reads the answers to [`Inputs::questions`] with the same narrowing. A question that is
    /// not among them counts as not answered.
    pub fn presence(&self, narrowing: &Narrowing, answers: &Answers) -> Presence {
        Presence(self.found(narrowing, answers))
    }

    fn found(&self, narrowing: &Narrowing, answers: &Answers) -> Found {
        let each = |inputs: &[Self]| {
            let found = inputs.iter().map(|input| input.found(narrowing, answers));
            found.collect()
        };
        match self {
            Self::Ask(input) => {
                let series = answers.get(&input.presence(narrowing));
                let series = series.map_or(&[][..], Vec::as_slice);
                Found::Series(Sources::new(&input.provenance, narrowing, series))
            }
            Self::Given(given) => {
                let series = std::slice::from_ref(&given.labels);
                Found::Series(Sources::new(&given.provenance, narrowing, series))
            }
            Self::All(inputs) => Found::All(each(inputs)),
            Self::Any(inputs) => Found::Any(each(inputs)),
        }
    }
}

impl Presence {
    /// Whether what this alert came from still has samples.
    ///
    /// A series counts where each label that it is known to give to the alert has the alert's
    /// value; a label that both lack is equal. Without narrowing, any series counts.
    pub fn covers(&self, alert: &Labels) -> bool {
        self.0.covers(alert)
    }
}

impl Found {
    fn covers(&self, alert: &Labels) -> bool {
        match self {
            Self::Series(sources) => sources.cover(alert),
            Self::All(found) => found.iter().all(|one| one.covers(alert)),
            Self::Any(found) => found.iter().any(|one| one.covers(alert)),
        }
    }
}

impl Sources {
    fn new(provenance: &Provenance, narrowing: &Narrowing, series: &[Labels]) -> Self {
        let known = narrowing
            .labels()
            .filter(|label| provenance.sources(label).is_some());
        let mut sources = Self {
            labels: known.map(str::to_owned).collect(),
            known: BTreeSet::new(),
            partly_known: BTreeSet::new(),
        };
        for one in series {
            let values = sources.labels.iter();
            let values: Vec<_> = values.map(|label| provenance.value(label, one)).collect();
            match values.iter().cloned().collect() {
                Some(known) => sources.known.insert(known),
                None => sources.partly_known.insert(values),
            };
        }
        sources
    }

    fn cover(&self, alert: &Labels) -> bool {
        let values = self.labels.iter().map(|label| alert.get(label).to_owned());
        let values: Vec<String> = values.collect();
        let agrees = |partly: &Vec<Option<String>>| {
            let mut pairs = partly.iter().zip(&values);
            pairs.all(|(part, value)| part.as_ref().is_none_or(|part| part == value))
        };
        self.known.contains(&values) || self.partly_known.iter().any(agrees)
    }
}
