//! A stretch of time as a row of characters.

use std::time::Duration;

use alerting::timestamp::Timestamp;

/// Which stretch it is, and into how many columns it is divided.
pub(super) struct Scale {
    start: Timestamp,
    end: Timestamp,
    columns: usize,
}

impl Scale {
    pub(super) fn new(start: Timestamp, end: Timestamp, columns: usize) -> Self {
        Self {
            start,
            end,
            columns: columns.max(1),
        }
    }

    pub(super) fn start(&self) -> Timestamp {
        self.start
    }

    /// How much time a column stands for.
    pub(super) fn column(&self) -> Duration {
        let columns = u32::try_from(self.columns).unwrap_or(u32::MAX);
        (self.end.since(self.start) / columns).max(Duration::from_millis(1))
    }

    /// A bar without anything in it.
    pub(super) fn bar(&self) -> Bar {
        Bar {
            cells: vec![Cell::default(); self.columns],
        }
    }

    /// Beginning and end, and the middle where there is room.
    pub(super) fn axis(&self, write: impl Fn(Timestamp) -> String) -> String {
        let middle = self.start.plus(self.end.since(self.start) / 2);
        let (first, middle, last) = (write(self.start), write(middle), write(self.end));
        let length = |text: &str| text.chars().count();
        let free = self.columns.saturating_sub(length(&first) + length(&last));
        if free < length(&middle) + 4 {
            return format!("{first}{:free$}{last}", "");
        }
        let left = (self.columns / 2).saturating_sub(length(&first) + length(&middle) / 2);
        let right = free - length(&middle) - left;
        format!("{first}{:left$}{middle}{:right$}{last}", "", "")
    }
}

/// One alert's row.
pub(super) struct Bar {
    cells: Vec<Cell>,
}

#[derive(Clone, Copy, Default)]
struct Cell {
    firing: Duration,
    pending: bool,
}

impl Bar {
    /// The alert fires from `from` to `to`.
    pub(super) fn fires(&mut self, from: Timestamp, to: Timestamp, scale: &Scale) {
        self.within(from, to, scale, |cell, time| cell.firing += time);
    }

    /// The alert is pending from `from` to `to`.
    pub(super) fn is_pending(&mut self, from: Timestamp, to: Timestamp, scale: &Scale) {
        self.within(from, to, scale, |cell, _| cell.pending = true);
    }

    /// Another bar is drawn over this one.
    pub(super) fn lay_over(&mut self, other: &Self) {
        for (cell, other) in self.cells.iter_mut().zip(&other.cells) {
            cell.firing = cell.firing.max(other.firing);
            cell.pending |= other.pending;
        }
    }

    fn within(
        &mut self,
        from: Timestamp,
        to: Timestamp,
        scale: &Scale,
        mut mark: impl FnMut(&mut Cell, Duration),
    ) {
        let column = scale.column();
        let at = |moment: Timestamp| {
            let columns = moment.since(scale.start).as_millis() / column.as_millis().max(1);
            usize::try_from(columns).unwrap_or(usize::MAX)
        };
        let first = at(from).min(self.cells.len().saturating_sub(1));
        let mut begins = scale
            .start
            .plus(column.saturating_mul(u32::try_from(first).unwrap_or(u32::MAX)));
        for cell in self.cells.iter_mut().skip(first) {
            let ends = begins.plus(column);
            mark(cell, to.min(ends).since(from.max(begins)));
            if ends >= to {
                break;
            }
            begins = ends;
        }
    }

    pub(super) fn draw(&self, scale: &Scale) -> String {
        let half = scale.column() / 2;
        self.cells
            .iter()
            .map(|cell| match cell {
                Cell { firing, .. } if *firing >= half => '█',
                Cell { firing, .. } if !firing.is_zero() => '▄',
                Cell { pending: true, .. } => '░',
                Cell { .. } => '·',
            })
            .collect()
    }
}
