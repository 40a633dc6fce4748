//! Makes timelines up: one seed, one timeline.

use std::collections::BTreeSet;
use std::time::Duration;

use fastrand::Rng;

use super::points::{self, Mishaps};
use super::templates;
use super::timeline::{Rule, Series, Timeline};

/// How long a timeline is at most.
const LONGEST: u64 = 55 * 60;

/// The timeline of a seed.
pub(super) fn timeline(seed: u64) -> Timeline {
    let rng = &mut Rng::with_seed(seed);
    let interval = pick(rng, [10, 15, 30, 30, 45, 60, 90]);
    let step = pick(rng, [10, 15, 15, 30, 60]);
    let ticks = rng.u64(30..=70).min(LONGEST / interval);
    let length = usize::try_from(interval * ticks / step + 1).expect("a short history");
    let mut made = Timeline {
        interval: Duration::from_secs(interval),
        step: Duration::from_secs(step),
        ticks: u32::try_from(ticks).expect("few"),
        limit: 0,
        query_offset: Duration::ZERO,
        labels: Vec::new(),
        rules: Vec::new(),
        series: Vec::new(),
        features: BTreeSet::new(),
    };
    happenings(rng, &mut made, length);
    if rng.u8(0..5) == 0 {
        made.query_offset = Duration::from_secs(rng.u64(1..=2 * interval));
        made.features.insert("query_offset");
    }
    if rng.u8(0..5) == 0 {
        made.labels = vec![
            ("team".to_owned(), "of the group".to_owned()),
            ("job".to_owned(), "of the group".to_owned()),
        ];
        made.features.insert("group labels");
    }
    let rule = rule(rng, &mut made);
    made.rules.push(rule);
    if rng.u8(0..8) == 0 {
        // The same name in the same group, distinguished by a label of the rule.
        let mut twin = self::rule(rng, &mut made);
        twin.labels.retain(|(name, _)| name != "twin");
        twin.labels.push(("twin".to_owned(), "yes".to_owned()));
        made.rules.push(twin);
        made.features.insert("two rules of one name");
    }
    made
}

/// Gauges `m`, counters `c`, switches `s`, and `i` to join with.
fn happenings(rng: &mut Rng, made: &mut Timeline, length: usize) {
    let mishaps = Mishaps::any(rng);
    for (is, feature) in [
        (mishaps.gaps, "gaps"),
        (mishaps.stale, "staleness markers"),
        (mishaps.nan, "NaN"),
        (mishaps.infinite, "infinities"),
    ] {
        if is {
            made.features.insert(feature);
        }
    }
    let all = [("a", "x"), ("a", "y"), ("b", "x"), ("b", "y"), ("c", "x")];
    for (node, job) in &all[..rng.usize(1..=all.len())] {
        let points = points::gauge(rng, length, mishaps);
        push(made, "m", &[("node", node), ("job", job)], points);
    }
    let resets = rng.bool();
    for node in &["a", "b", "c"][..rng.usize(1..=3)] {
        let points = points::counter(rng, length, resets, mishaps);
        push(made, "c", &[("node", node)], points);
    }
    if resets {
        made.features.insert("counter resets");
    }
    let switch = points::switch(rng, length);
    push(made, "s", &[("node", "a")], switch);
    for (node, zone) in [("a", "1"), ("b", "1")] {
        push(
            made,
            "i",
            &[("node", node), ("zone", zone)],
            points::presence(rng, length),
        );
    }
    if rng.u8(0..3) == 0 {
        // A node in two zones: a join on it fails for as long.
        let points = points::presence(rng, length);
        push(made, "i", &[("node", "b"), ("zone", "2")], points);
    }
}

fn push(
    made: &mut Timeline,
    metric: &'static str,
    labels: &[(&str, &str)],
    points: Vec<super::timeline::Point>,
) {
    made.series.push(Series {
        metric,
        labels: owned(labels),
        points,
    });
}

fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let pairs = pairs.iter();
    pairs
        .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
        .collect()
}

fn pick<T: Copy, const N: usize>(rng: &mut Rng, from: [T; N]) -> T {
    from[rng.usize(..N)]
}

fn rule(rng: &mut Rng, made: &mut Timeline) -> Rule {
    let expr = expression(rng, made);
    let hold_for = duration(rng, made.interval, 4);
    let keep_firing_for = duration(rng, made.interval, 3);
    for (is, feature) in [
        (!hold_for.is_zero(), "for"),
        (!keep_firing_for.is_zero(), "keep_firing_for"),
    ] {
        if is {
            made.features.insert(feature);
        }
    }
    let labels = templates::labels(rng, &mut made.features);
    let annotations = templates::annotations(rng, &mut made.features);
    Rule {
        expr,
        hold_for,
        keep_firing_for,
        labels,
        annotations,
    }
}

/// Nothing, some intervals, or a time that is no multiple of it.
fn duration(rng: &mut Rng, interval: Duration, longest: u32) -> Duration {
    match rng.u8(0..8) {
        0..3 => Duration::ZERO,
        3..6 => interval * rng.u32(1..=longest),
        6 => Duration::from_secs(rng.u64(1..=u64::from(longest) * interval.as_secs())),
        _ => interval * rng.u32(1..=longest) + Duration::from_millis(pick(rng, [1, 500])),
    }
}

/// An expression that holds now and then. Some fail now and then.
fn expression(rng: &mut Rng, made: &mut Timeline) -> String {
    let window = format!("{}s", made.step.as_secs() * rng.u64(3..8));
    let level = format!("{:.1}", 3.0 + rng.f64() * 5.0);
    let few = rng.u8(1..40);
    let compare = pick(rng, [">", ">", ">=", "<", "<=", "!=", "=="]);
    match rng.u8(0..34) {
        0..6 => format!("§m {compare} {level}"),
        6 => format!("§m > {level} < 9"),
        7 => format!("rate(§c[{window}]) > 0.{few}"),
        8 => format!("increase(§c[{window}]) >= {few}"),
        9 => format!("resets(§c[{window}]) > 0 or changes(§m[{window}]) > 1"),
        10 => "absent(§m{node=\"a\", job=\"x\"})".to_owned(),
        11 => format!("absent_over_time(§m{{node=\"a\"}}[{window}])"),
        12 => format!("max by (node) (§m) > {level} unless on (node) §s == 1"),
        13 => format!("§m > {level} and on (node) §s == 0"),
        14 => format!("(§m > {level} or on () vector(0)) >= 0"),
        15 => format!("avg_over_time(§m[{window}]) {compare} {level}"),
        16 => "§m != §m".to_owned(),
        17 => format!("1 / (§m - {level} > bool 0) > 10"),
        18 => format!("sum(§m) {compare} {}", rng.u8(5..30)),
        // A scalar fires whatever it is.
        19 => "scalar(count(§m))".to_owned(),
        20 => {
            // promtool's time begins at 0, or an offset before, and ours with a day.
            let period = pick(rng, [300, 450, 600, 675, 720, 900]);
            format!("vector((time() + 86400) % {period}) < {}", rng.u8(60..200))
        }
        21 => format!("§m offset {}s > {level}", rng.u8(1..100)),
        22 => format!("§m - §m offset {}s > 0", rng.u8(20..200)),
        23 => format!(
            "count_values(\"value\", clamp_max(floor(§m), {}))",
            rng.u8(1..5)
        ),
        24 => format!("max_over_time((§m > {level})[{window}:7s]) > 6"),
        25 => format!("label_replace(§m > {level}, \"host\", \"host-$1\", \"node\", \"(.*)\")"),
        26 => format!("deriv(§c[{window}]) > 0.{few} or predict_linear(§c[{window}], 600) > 900"),
        27 => format!("§m > bool {level}"),
        28 => format!("quantile by (job) (0.5, §m) {compare} {level}"),
        29 => format!("{{__name__=~\"§(m|s)\", node=\"a\"}} > {level}"),
        30 => {
            made.features.insert("joins that may fail");
            format!("§m * on (node) group_left (zone) §i > {level}")
        }
        31 => {
            made.features.insert("limit");
            made.limit = rng.usize(1..4);
            format!("§m > {level}")
        }
        32 => {
            made.features.insert("labels that may collide");
            made.labels = owned(&[("node", "any"), ("job", "any")]);
            format!("§m > {level}")
        }
        _ => {
            made.features.insert("labels that may collide");
            format!("label_replace(§m > {level}, \"node\", \"any\", \"\", \"\")")
        }
    }
}
