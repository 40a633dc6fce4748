//! A histogram with CoreDNS's time buckets.

/// How many buckets CoreDNS's durations have, `+Inf` not counted.
const BUCKETS: usize = 16;

/// Durations in the buckets of CoreDNS's `plugin.TimeBuckets`: 16 of them,
/// doubling from 0.25 ms to 8.192 s, and `+Inf`.
#[derive(Clone, Debug, Default)]
pub struct Histogram {
    counts: [u64; BUCKETS],
    count: u64,
    sum_micros: u64,
}

impl Histogram {
    /// The upper bounds in microseconds.
    pub fn bounds_micros() -> impl Iterator<Item = u64> {
        (0..BUCKETS).map(|doublings| 250 << doublings)
    }

    /// Adds `count` observations of `micros` microseconds each.
    pub fn observe(&mut self, micros: u64, count: u64) {
        self.count += count;
        self.sum_micros += micros * count;
        let bucket = Self::bounds_micros()
            .zip(&mut self.counts)
            .find(|(bound, _)| micros <= *bound);
        if let Some((_, bucket)) = bucket {
            *bucket += count;
        }
    }

    /// Upper bound in microseconds and cumulative count of each bucket, without
    /// `+Inf`, whose count is [`Histogram::count`].
    pub fn cumulative(&self) -> impl Iterator<Item = (u64, u64)> {
        Self::bounds_micros().zip(self.counts.iter().scan(0, |seen, count| {
            *seen += count;
            Some(*seen)
        }))
    }

    /// How many observations there were.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Their sum in microseconds.
    pub fn sum_micros(&self) -> u64 {
        self.sum_micros
    }
}
