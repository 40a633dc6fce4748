//! A history for rules that are hard to evaluate, in which everything that can happen to a series
//! does.

use std::time::Duration;

use fastrand::Rng;

use crate::history::History;

/// From sample to sample.
const STEP: Duration = Duration::from_secs(10);
/// How many samples: an hour.
const LENGTH: usize = 360;

/// Gauges `m` of three nodes and two jobs, counters `c`, a gauge `gappy` with long gaps, NaN and
/// infinities, histograms `b_bucket`, and `info` and `silenced` to join with. Where
/// `ambiguous`, a node is in two zones from time to time.
pub(crate) fn hour(seed: u64, ambiguous: bool) -> History {
    let mut rng = Rng::with_seed(seed);
    let mut history = History::new(STEP);
    for (node, job) in [("a", "x"), ("a", "y"), ("b", "x"), ("b", "y"), ("c", "x")] {
        let mut value = 5.0;
        let mut there = Stretches::new(if node == "c" { 90 } else { 200 });
        let values = (0..LENGTH).map(|_| {
            value = f64::clamp(value + rng.f64() * 3.0 - 1.5, 0.0, 9.0);
            there.next(&mut rng).then_some(value)
        });
        let values = values.collect();
        history.push(&format!("m{{node=\"{node}\",job=\"{job}\"}}"), values);
    }
    for node in ["a", "b"] {
        let mut count = 0.0;
        let mut running = Stretches::new(40);
        let values = (0..LENGTH).map(|_| {
            if rng.u8(..) == 0 {
                count = 0.0;
            }
            if running.next(&mut rng) {
                count += f64::from(rng.u8(0..15));
            }
            (rng.u8(0..20) > 0).then_some(count)
        });
        let values = values.collect();
        history.push(&format!("c{{node=\"{node}\"}}"), values);
    }
    let mut there = Stretches::new(40);
    let values = (0..LENGTH).map(|_| {
        let value = match rng.u8(0..12) {
            0 => f64::NAN,
            1 => f64::INFINITY,
            2 => f64::NEG_INFINITY,
            n => f64::from(n),
        };
        there.next(&mut rng).then_some(value)
    });
    let values = values.collect();
    history.push("gappy", values);
    buckets(&mut rng, &mut history);
    let everywhere = |there: bool| vec![there.then_some(1.0); LENGTH];
    history.push("info{node=\"a\",zone=\"1\"}", everywhere(true));
    history.push("info{node=\"b\",zone=\"1\"}", everywhere(true));
    if ambiguous {
        // Twice, each time seen for the look-back longer; late, so that there is something to
        // compare before.
        let values = (0..LENGTH).map(|n| matches!(n, 180..200 | 260..275).then_some(1.0));
        history.push("info{node=\"b\",zone=\"2\"}", values.collect());
    }
    let mut silenced = Stretches::new(20);
    let values = (0..LENGTH).map(|_| Some(f64::from(u8::from(silenced.next(&mut rng)))));
    history.push("silenced{node=\"b\"}", values.collect());
    history
}

/// Latencies that are sometimes short and sometimes long, and at times not there at all.
fn buckets(rng: &mut Rng, history: &mut History) {
    for node in ["a", "b"] {
        let mut counts = [0.0, 0.0, 0.0];
        let mut slow = Stretches::new(40);
        let mut busy = Stretches::new(60);
        let mut series = [Vec::new(), Vec::new(), Vec::new()];
        for _ in 0..LENGTH {
            let is_slow = slow.next(rng);
            if busy.next(rng) {
                let all = f64::from(rng.u8(0..50));
                let fast = if is_slow { 0.2 } else { 0.99 };
                counts[0] += (all * fast).floor();
                counts[1] += (all * (1.0 + fast) / 2.0).floor();
                counts[2] += all;
            }
            for (series, count) in series.iter_mut().zip(counts) {
                series.push(Some(count));
            }
        }
        for (le, values) in ["0.1", "0.5", "+Inf"].into_iter().zip(series) {
            history.push(&format!("b_bucket{{node=\"{node}\",le=\"{le}\"}}"), values);
        }
    }
}

/// Now so, now otherwise, each time for a while.
struct Stretches {
    longest: usize,
    is_on: bool,
    left: usize,
}

impl Stretches {
    /// Stretches of at most `longest` samples.
    fn new(longest: usize) -> Self {
        Self {
            longest,
            is_on: false,
            left: 0,
        }
    }

    fn next(&mut self, rng: &mut Rng) -> bool {
        if self.left == 0 {
            self.is_on = !self.is_on;
            self.left = rng.usize(1..=self.longest);
        }
        self.left -= 1;
        self.is_on
    }
}
