//! Bounds on what one expansion may use, so that no template can stop the rule it belongs to.

use super::Stop;

/// Bytes of text that a template may give out.
pub(super) const MAX_OUTPUT: usize = 1 << 20;
/// Bytes of text that all its functions together may make or read.
const MAX_WORK: usize = 64 << 20;
/// Nodes and loop turns that it may pass.
const MAX_STEPS: usize = 1_000_000;

/// What is left of the bounds.
#[derive(Debug)]
pub(super) struct Limits {
    work: usize,
    steps: usize,
}

impl Limits {
    pub(super) fn new() -> Self {
        Self {
            work: MAX_WORK,
            steps: MAX_STEPS,
        }
    }

    /// Takes the cost of handling `bytes` bytes of text.
    pub(super) fn work(&mut self, bytes: usize) -> Result<(), Stop> {
        match self.work.checked_sub(bytes) {
            Some(left) => {
                self.work = left;
                Ok(())
            }
            None => Err(Stop::Failed(format!(
                "template handles more than {} MiB of text",
                MAX_WORK >> 20
            ))),
        }
    }

    /// Takes the cost of `steps` steps.
    pub(super) fn steps(&mut self, steps: usize) -> Result<(), Stop> {
        match self.steps.checked_sub(steps) {
            Some(left) => {
                self.steps = left;
                Ok(())
            }
            None => Err(Stop::Failed(format!(
                "template takes more than {MAX_STEPS} steps"
            ))),
        }
    }
}
