//! Bounds on what one expansion may use, and on what all of one evaluation may use together, so
//! that no template can stop the rule it belongs to, nor a rule of many alerts the others.

use super::Stop;

/// Bytes of text that a template may give out.
pub(super) const MAX_OUTPUT: usize = 1 << 20;
/// Bytes of text that all its functions together may make or read.
const MAX_WORK: usize = 64 << 20;
/// Nodes and loop turns that it may pass.
const MAX_STEPS: usize = 1_000_000;

/// What templates of one evaluation of a rule may use together: far more than those of twenty
/// thousand alerts do, and little enough that the other rules have their turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowance {
    output: usize,
    work: usize,
    steps: usize,
    spent: Option<String>,
}

/// The bytes and steps of an [`Allowance`].
const ALL_OUTPUT: usize = 32 << 20;
const ALL_WORK: usize = 512 << 20;
const ALL_STEPS: usize = 20_000_000;

impl Default for Allowance {
    fn default() -> Self {
        Self {
            output: ALL_OUTPUT,
            work: ALL_WORK,
            steps: ALL_STEPS,
            spent: None,
        }
    }
}

impl Allowance {
    /// What was asked for beyond it, if anything was.
    pub fn spent(&self) -> Option<&str> {
        self.spent.as_deref()
    }

    /// Takes `bytes` bytes of text that are kept.
    pub(super) fn output(&mut self, bytes: usize) -> Result<(), Stop> {
        match self.output.checked_sub(bytes) {
            Some(left) => {
                self.output = left;
                Ok(())
            }
            None => self.used_up(&format!("give out more than {} MiB", ALL_OUTPUT >> 20)),
        }
    }

    fn work(&mut self, bytes: usize) -> Result<(), Stop> {
        match self.work.checked_sub(bytes) {
            Some(left) => {
                self.work = left;
                Ok(())
            }
            None => self.used_up(&format!("handle more than {} MiB of text", ALL_WORK >> 20)),
        }
    }

    fn steps(&mut self, steps: usize) -> Result<(), Stop> {
        match self.steps.checked_sub(steps) {
            Some(left) => {
                self.steps = left;
                Ok(())
            }
            None => self.used_up(&format!("take more than {ALL_STEPS} steps")),
        }
    }

    /// From here on there is nothing more of anything.
    fn used_up(&mut self, what: &str) -> Result<(), Stop> {
        let what = self
            .spent
            .get_or_insert_with(|| format!("the templates of all alerts together {what}"));
        let notified = what.clone();
        (self.output, self.work, self.steps) = (0, 0, 0);
        Err(Stop::Failed(notified))
    }
}

/// What is left of the bounds.
#[derive(Debug)]
pub(super) struct Limits<'a> {
    work: usize,
    steps: usize,
    together: &'a mut Allowance,
}

impl<'a> Limits<'a> {
    pub(super) fn new(together: &'a mut Allowance) -> Self {
        Self {
            work: MAX_WORK,
            steps: MAX_STEPS,
            together,
        }
    }

    /// Takes the cost of handling `bytes` bytes of text.
    pub(super) fn work(&mut self, bytes: usize) -> Result<(), Stop> {
        self.together.work(bytes)?;
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
        self.together.steps(steps)?;
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
