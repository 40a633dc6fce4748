//! Where an untidy cluster has other alerts than the tidy one, and why that is so.

use super::mutations::Cell;
use super::stories::Story;

/// Cells that differ for one reason.
#[derive(Debug)]
pub(super) struct Exception {
    /// The rules.
    alerts: &'static [&'static str],
    /// The end of what was changed.
    change: &'static str,
    pub(super) why: &'static str,
}

impl Exception {
    pub(super) fn covers(&self, story: &Story, cell: &Cell) -> bool {
        self.alerts.contains(&story.alert) && cell.change.ends_with(self.change)
    }
}

pub(super) const EXCEPTIONS: &[Exception] = &[];
