//! Makes a timeline that differs small: what is left is what the difference needs.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::Result;

use super::timeline::{Point, Timeline, own};
use super::verdicts;
use crate::prometheus::PrometheusTools;

/// How often a smaller one is looked for.
const ROUNDS: usize = 25;
/// How many are tried in one round, on one server.
const TRIED: usize = 60;

/// The smallest timeline found that still differs, with all that is to be known of it.
pub(super) async fn shrink(tools: &PrometheusTools, timeline: Timeline) -> Result<String> {
    let mut smallest = timeline;
    let mut against = String::new();
    for _ in 0..ROUNDS {
        let mut smaller = smaller(&smallest);
        smaller.truncate(TRIED);
        if smaller.is_empty() {
            break;
        }
        let verdicts = verdicts(tools, &smaller).await?;
        let found = smaller.into_iter().zip(verdicts);
        let Some((found, verdict)) = found
            .filter_map(|(timeline, verdict)| Some((timeline, verdict?)))
            .min_by_key(|(timeline, _)| size(timeline))
        else {
            break;
        };
        smallest = found;
        against = verdict;
    }
    Ok(notified(&smallest, &against))
}

fn size(timeline: &Timeline) -> usize {
    let texts =
        |pairs: &[(String, String)]| pairs.iter().map(|(_, text)| 5 + text.len()).sum::<usize>();
    let rules = timeline.rules.iter().map(|rule| {
        20 + rule.expr.len()
            + texts(&rule.labels)
            + texts(&rule.annotations)
            + 10 * usize::from(!rule.hold_for.is_zero())
            + 10 * usize::from(!rule.keep_firing_for.is_zero())
    });
    let points = timeline.series.iter().flat_map(|series| &series.points);
    let points = points.map(|point| match point {
        Point::Gap => 1,
        Point::Stale => 2,
        Point::Value(value) => 2 + value.to_string().len(),
    });
    rules.sum::<usize>()
        + points.sum::<usize>()
        + 10 * timeline.series.len()
        + 10 * timeline.ticks as usize
        + texts(&timeline.labels)
        + 10 * usize::from(!timeline.query_offset.is_zero())
        + 10 * usize::from(timeline.limit > 0)
}

/// What is a little less than `timeline`, the greatest steps first.
fn smaller(timeline: &Timeline) -> Vec<Timeline> {
    let mut all = Vec::new();
    let mut with = |change: &dyn Fn(&mut Timeline)| {
        let mut one = timeline.clone();
        change(&mut one);
        all.push(one);
    };
    for ticks in [
        timeline.ticks / 2,
        timeline.ticks * 3 / 4,
        timeline.ticks.saturating_sub(1),
    ] {
        if 0 < ticks && ticks < timeline.ticks {
            with(&|one| one.ticks = ticks);
        }
    }
    if timeline.rules.len() > 1 {
        for at in 0..timeline.rules.len() {
            with(&|one| drop(one.rules.remove(at)));
        }
    }
    for at in 0..timeline.series.len() {
        with(&|one| drop(one.series.remove(at)));
    }
    if timeline.limit > 0 {
        with(&|one| one.limit = 0);
    }
    if !timeline.query_offset.is_zero() {
        with(&|one| one.query_offset = Duration::ZERO);
    }
    if !timeline.labels.is_empty() {
        with(&|one| one.labels.clear());
    }
    for at in 0..timeline.rules.len() {
        let rule = &timeline.rules[at];
        if !rule.hold_for.is_zero() {
            with(&|one| one.rules[at].hold_for = Duration::ZERO);
        }
        if !rule.keep_firing_for.is_zero() {
            with(&|one| one.rules[at].keep_firing_for = Duration::ZERO);
        }
        for n in 0..rule.labels.len() {
            with(&|one| drop(one.rules[at].labels.remove(n)));
        }
        for n in 0..rule.annotations.len() {
            with(&|one| drop(one.rules[at].annotations.remove(n)));
        }
    }
    for (at, series) in timeline.series.iter().enumerate() {
        // A stretch of it flattened to the value before, or gone.
        let length = series.points.len();
        for parts in [1, 2, 4, 8, 16] {
            let stretch = length / parts;
            for from in (0..length).step_by(stretch.max(1)).take(parts) {
                let until = (from + stretch).min(length);
                for fill in [Point::Gap, Point::Value(1.0)] {
                    if stretch > 0 && series.points[from..until].iter().any(|p| *p != fill) {
                        with(&|one| one.series[at].points[from..until].fill(fill));
                    }
                }
            }
        }
    }
    all
}

fn notified(timeline: &Timeline, against: &str) -> String {
    let mut text = format!("{}\n", own(&timeline.rule_file(0).text, 0));
    for series in timeline.input_series(0).as_array().into_iter().flatten() {
        writeln!(text, "  {}  {}", series["series"], series["values"]).expect("a String takes all");
    }
    let (interval, step) = (timeline.interval, timeline.step);
    write!(
        text,
        "  samples every {step:?}, ticks every {interval:?}\npromtool (+) and we (-):\n{against}"
    )
    .expect("a String takes all");
    text
}
