//! The answer to a range, read tick after tick.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::labels::Labels;
use crate::query::Answer;
use crate::timestamp::Timestamp;

/// A range's answer, and how far each series was read.
pub(super) struct Matrix {
    answer: Arc<Answer>,
    /// Of each series, the first sample that is not before the moment last asked for.
    next: Vec<usize>,
    /// The moments at which other series have a sample than at the moment before.
    changes: BTreeSet<Timestamp>,
}

impl Matrix {
    /// Nothing of it is read yet; `step` is from moment to moment.
    pub(super) fn new(answer: Arc<Answer>, step: Duration) -> Self {
        let next = vec![0; answer.series.len()];
        let mut changes = BTreeSet::new();
        for series in &answer.series {
            let mut expected = None;
            for sample in &series.samples {
                if expected != Some(sample.at) {
                    changes.insert(sample.at);
                    changes.extend(expected);
                }
                expected = Some(sample.at.plus(step));
            }
            changes.extend(expected);
        }
        Self {
            answer,
            next,
            changes,
        }
    }

    /// The whole answer.
    pub(super) fn answer(&self) -> Arc<Answer> {
        self.answer.clone()
    }

    /// The first moment from `moment` on at which other series have a sample than just before.
    pub(super) fn next_change(&self, moment: Timestamp) -> Option<Timestamp> {
        self.changes.range(moment..).next().copied()
    }

    /// The vector at `moment`, which is not before the one asked for last.
    pub(super) fn at(&mut self, moment: Timestamp) -> Vec<(Labels, f64)> {
        let mut vector = Vec::new();
        for (series, next) in self.answer.series.iter().zip(&mut self.next) {
            while let Some(sample) = series.samples.get(*next) {
                if sample.at < moment {
                    *next += 1;
                    continue;
                }
                if sample.at == moment {
                    vector.push((series.labels.clone(), sample.value));
                }
                break;
            }
        }
        vector
    }
}
