//! What series do: hold a level, jump, count, fall back to nothing, go missing.

use fastrand::Rng;

use super::timeline::Point;

/// What may befall a series beside its values.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Mishaps {
    /// Samples are missing, here one, there for longer than a look-back.
    pub(super) gaps: bool,
    /// The target goes away, with a staleness marker.
    pub(super) stale: bool,
    pub(super) nan: bool,
    pub(super) infinite: bool,
}

impl Mishaps {
    pub(super) fn any(rng: &mut Rng) -> Self {
        Self {
            gaps: rng.u8(0..10) < 4,
            stale: rng.u8(0..10) < 4,
            nan: rng.u8(0..10) < 2,
            infinite: rng.u8(0..10) < 2,
        }
    }

    /// Lays them over a series.
    fn strike(self, rng: &mut Rng, points: &mut [Point]) {
        let mut at = 0;
        while at < points.len() {
            at += rng.usize(2..16);
            let mut kinds = Vec::new();
            let mut may = |is: bool, kind: Point| {
                if is {
                    kinds.push(kind);
                }
            };
            may(self.gaps, Point::Gap);
            may(self.stale, Point::Stale);
            may(self.nan, Point::Value(f64::NAN));
            may(self.infinite, Point::Value(f64::INFINITY));
            may(self.infinite, Point::Value(f64::NEG_INFINITY));
            let Some(kind) = rng.choice(kinds) else {
                return;
            };
            let longest = if kind == Point::Gap { 40 } else { 6 };
            let mut length = rng.usize(1..=longest);
            if rng.bool() {
                length = length.min(2);
            }
            for n in at..(at + length).min(points.len()) {
                points[n] = match kind {
                    // One marker, and nothing after it.
                    Point::Stale if n > at => Point::Gap,
                    kind => kind,
                };
            }
            at += length;
        }
    }
}

/// Levels from 0 to 10, held for a while each.
pub(super) fn gauge(rng: &mut Rng, length: usize, mishaps: Mishaps) -> Vec<Point> {
    let mut points = Vec::new();
    let is_calm = rng.bool();
    while points.len() < length {
        let level = rng.f64() * 10.0;
        let level = if rng.bool() { level.round() } else { level };
        let hold = rng.usize(1..=if is_calm { 24 } else { 5 });
        points.extend(std::iter::repeat_n(Point::Value(level), hold));
    }
    points.truncate(length);
    mishaps.strike(rng, &mut points);
    points
}

/// A count that stands still or goes up, and is reset now and then.
pub(super) fn counter(rng: &mut Rng, length: usize, resets: bool, mishaps: Mishaps) -> Vec<Point> {
    let mut points = Vec::new();
    let mut count = f64::from(rng.u16(0..1000));
    while points.len() < length {
        let rate = if rng.bool() { 0 } else { rng.u8(1..30) };
        for _ in 0..rng.usize(1..=20) {
            count += f64::from(rng.u8(0..=rate));
            points.push(Point::Value(count));
        }
        if resets && rng.u8(0..3) == 0 {
            count = 0.0;
        }
    }
    points.truncate(length);
    mishaps.strike(rng, &mut points);
    points
}

/// 0 or 1, each for a while.
pub(super) fn switch(rng: &mut Rng, length: usize) -> Vec<Point> {
    let mut points = Vec::new();
    let mut is_on = rng.bool();
    while points.len() < length {
        let value = Point::Value(f64::from(u8::from(is_on)));
        points.extend(std::iter::repeat_n(value, rng.usize(1..=20)));
        is_on = !is_on;
    }
    points.truncate(length);
    points
}

/// 1 where it is there, which is for a while and then not, with or without a marker.
pub(super) fn presence(rng: &mut Rng, length: usize) -> Vec<Point> {
    let mut points = vec![Point::Value(1.0); rng.usize(5..40)];
    while points.len() < length {
        let gone = rng.usize(1..30);
        points.push(Point::Stale);
        points.extend(std::iter::repeat_n(Point::Gap, gone));
        points.extend(std::iter::repeat_n(Point::Value(1.0), rng.usize(5..40)));
    }
    points.truncate(length);
    points
}
