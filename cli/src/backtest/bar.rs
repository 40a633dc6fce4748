//! A stretch of time as a row of characters.

use std::time::Duration;

use alerting::timestamp::Timestamp;

/// How many seconds a column may stand for; below and above, any number of seconds or days.
const COLUMNS: [u32; 15] = [
    5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 14_400, 28_800, 43_200,
];
const DAY: u32 = 86_400;

/// Which stretch it is, and into what columns it is divided.
pub(super) struct Scale {
    start: Timestamp,
    end: Timestamp,
    column: Duration,
    columns: usize,
}

impl Scale {
    /// At most `most` columns, each of a length of time that is easy to count in.
    pub(super) fn new(start: Timestamp, end: Timestamp, most: usize) -> Self {
        let most = u32::try_from(most.max(1)).unwrap_or(u32::MAX);
        let length = end.since(start);
        let exact = u32::try_from((length / most).as_secs()).unwrap_or(u32::MAX);
        let fits = |seconds: &u32| Duration::from_secs(u64::from(*seconds)) * most >= length;
        let seconds = match COLUMNS.into_iter().find(fits) {
            Some(seconds) if exact >= 5 => seconds,
            Some(_) => exact + 1,
            None => (exact / DAY + 1) * DAY,
        };
        let column = Duration::from_secs(u64::from(seconds));
        let columns = length.as_millis().div_ceil(column.as_millis().max(1));
        Self {
            start,
            end,
            column,
            columns: usize::try_from(columns).unwrap_or(1).max(1),
        }
    }

    pub(super) fn start(&self) -> Timestamp {
        self.start
    }

    /// How much time a column stands for.
    pub(super) fn column(&self) -> Duration {
        self.column
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

    /// A character a column.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_secs(seconds)
    }

    #[test]
    fn a_column_is_a_length_that_is_easy_to_count_in() {
        for (length, column, columns) in [
            (1, 1, 1),
            (90, 2, 45),
            (900, 30, 30),
            (86_400, 1_800, 48),
            (7 * 86_400, 14_400, 42),
            (30 * 86_400, 86_400, 30),
            (365 * 86_400, 8 * 86_400, 46),
        ] {
            let scale = Scale::new(at(0), at(length), 48);
            let found = (scale.column().as_secs(), scale.columns);
            assert_eq!(found, (column, columns), "{length}");
        }
    }

    #[test]
    fn what_fires_for_a_moment_is_seen() {
        let scale = Scale::new(at(0), at(600), 10);
        let mut bar = scale.bar();
        bar.is_pending(at(55), at(121), &scale);
        bar.fires(at(130), at(131), &scale);
        bar.fires(at(200), at(420), &scale);
        assert_eq!(bar.draw(&scale), "░░▄████···");
    }
}
