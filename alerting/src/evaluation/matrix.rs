//! The answer to a range, read tick after tick.

use std::sync::Arc;

use crate::labels::Labels;
use crate::query::Answer;
use crate::timestamp::Timestamp;

/// A range's answer, and how far each series was read.
pub(super) struct Matrix {
    answer: Arc<Answer>,
    /// Of each series, the first sample that is not before the moment last asked for.
    next: Vec<usize>,
}

impl Matrix {
    /// Nothing of it is read yet.
    pub(super) fn new(answer: Arc<Answer>) -> Self {
        let next = vec![0; answer.series.len()];
        Self { answer, next }
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
