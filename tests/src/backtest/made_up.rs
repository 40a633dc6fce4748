//! Made-up storms, rules and ways to group: long stretches in which nothing is new, which a
//! backtest passes over, and everything that may end them.

use std::fmt::Write as _;
use std::time::Duration;

use alerting::notify::Route;
use fastrand::Rng;

use crate::history::History;

/// From sample to sample.
const STEP: Duration = Duration::from_secs(30);
/// How many samples: three hours.
const LENGTH: usize = 360;

/// What is gone through, and how.
pub(super) struct Setup {
    pub(super) history: History,
    /// A rule file.
    pub(super) rules: String,
    /// How often the ruler runs.
    pub(super) schedule: Duration,
    pub(super) route: Route,
}

/// One seed, one setup. Every third has rules of one name, in each second one a node is gone for a
/// while.
pub(super) fn setup(seed: u64) -> Setup {
    let mut rng = Rng::with_seed(seed);
    let seconds = |rng: &mut Rng, of: &[u64]| Duration::from_secs(*one(rng, of));
    let group_by = *one(
        &mut rng,
        &["alertname,cluster", "alertname", "cluster", "..."],
    );
    Setup {
        history: storms(&mut rng, seed.is_multiple_of(2)),
        rules: rules(&mut rng, seed.is_multiple_of(3)),
        schedule: seconds(&mut rng, &[30, 30, 60]),
        route: Route {
            group_by: group_by.split(',').map(str::to_owned).collect(),
            group_wait: seconds(&mut rng, &[0, 30, 75, 300]),
            group_interval: seconds(&mut rng, &[45, 120, 300, 500]),
            repeat_interval: seconds(&mut rng, &[600, 1_000, 3_600, 14_400]),
            ..Route::default()
        },
    }
}

fn one<'a, T>(rng: &mut Rng, of: &'a [T]) -> &'a T {
    &of[rng.usize(..of.len())]
}

/// `m` of six nodes, about 1 or about 9, and never twice the same.
fn storms(rng: &mut Rng, with_gap: bool) -> History {
    let mut history = History::new(STEP);
    for (number, node) in ["a", "b", "c", "d", "e", "f"].into_iter().enumerate() {
        let cluster = if number < 4 { "prod" } else { "dev" };
        let gap = match rng.usize(..LENGTH) {
            at if with_gap && number % 3 == 0 => at..at + rng.usize(..60),
            _ => 0..0,
        };
        let (mut high, mut left) = (true, 0);
        let values = (0..LENGTH).map(|n| {
            if left == 0 {
                high = !high;
                left = rng.usize(1..if high { 40 } else { 120 });
            }
            left -= 1;
            let value = if high { 9.0 } else { 1.0 } + rng.f64();
            (!gap.contains(&n)).then_some(value)
        });
        let values = values.collect();
        history.push(
            &format!("m{{node=\"{node}\",cluster=\"{cluster}\"}}"),
            values,
        );
    }
    history
}

/// Rules in groups of their own.
fn rules(rng: &mut Rng, namesakes: bool) -> String {
    let mut text = "groups:\n".to_owned();
    for number in 0..6 {
        let name = if namesakes { number % 2 } else { number };
        let expr = one(
            rng,
            &[
                "m > 5",
                "m{node=~'a|b'} > 5",
                "max by (cluster) (m) > 5",
                "count by (cluster) (m > 5) > 1",
                "avg_over_time(m[2m]) > 6",
                "m > 5 and on () minute() < 40",
                "topk(1, m) > 5",
            ],
        );
        let interval = one(rng, &["15s", "30s", "1m", "90s"]);
        let hold_for = one(rng, &["0s", "30s", "100s", "5m"]);
        let keep = one(rng, &["0s", "0s", "0s", "2m"]);
        let label = one(
            rng,
            &[
                "warning",
                "warning",
                "warning",
                "{{ if gt $value 9.5 }}high{{ end }}",
            ],
        );
        write!(
            text,
            "- name: g{number}\n  interval: {interval}\n  rules:\n  - alert: A{name}\n    \
             expr: {expr}\n    for: {hold_for}\n    keep_firing_for: {keep}\n    \
             labels: {{severity: '{label}'}}\n    annotations: {{at: '{{{{ $value }}}}'}}\n"
        )
        .expect("a String takes all");
    }
    text
}
