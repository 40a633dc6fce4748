//! The simulated cluster: what is true of each node at each moment, and the rules that watch it.
//!
//! The truth is drawn once from the seed and then only read, so any moment can be asked for, any
//! number of times, in any order.

use fastrand::Rng;

/// Milliseconds since the epoch, or of a duration.
pub(super) type Millis = i64;

/// A second, in [`Millis`].
pub(super) const SECOND: Millis = 1_000;
/// A minute, in [`Millis`].
pub(super) const MINUTE: Millis = 60 * SECOND;

/// When the simulation begins.
pub(super) const START: Millis = 1_700_000_040 * SECOND;

/// The nodes.
pub(super) const NODES: [&str; 3] = ["a", "b.x", "c"];

/// What a node sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Metric {
    /// A gauge of three heights.
    Drops,
    /// Failed answers: the numerator of a ratio.
    Servfail,
    /// All answers: its denominator.
    Requests,
}

/// One rule, as the model knows it; [`rule_file`] says the same in YAML.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rule {
    pub(super) group: &'static str,
    pub(super) alert: &'static str,
    pub(super) expr: &'static str,
    /// The metrics that it reads; all must be there.
    pub(super) inputs: &'static [Metric],
    pub(super) threshold: f64,
    pub(super) interval: Millis,
    pub(super) offset: Millis,
    pub(super) hold_for: Millis,
    pub(super) keep_firing_for: Millis,
    pub(super) labels: &'static [(&'static str, &'static str)],
}

/// The rules. Two of them fire the same alert.
pub(super) const RULES: [Rule; 5] = [
    Rule {
        group: "minutes",
        alert: "Dropping",
        expr: "drops > 10",
        inputs: &[Metric::Drops],
        threshold: 10.0,
        interval: MINUTE,
        offset: MINUTE,
        hold_for: 0,
        keep_firing_for: 0,
        labels: &[("severity", "page")],
    },
    Rule {
        group: "minutes",
        alert: "DroppingForLong",
        expr: "drops > 5",
        inputs: &[Metric::Drops],
        threshold: 5.0,
        interval: MINUTE,
        offset: MINUTE,
        hold_for: 3 * MINUTE,
        keep_firing_for: 0,
        labels: &[],
    },
    Rule {
        group: "minutes",
        alert: "Failing",
        expr: "servfail / requests > 0.1",
        inputs: &[Metric::Servfail, Metric::Requests],
        threshold: 0.1,
        interval: MINUTE,
        offset: MINUTE,
        hold_for: 0,
        keep_firing_for: 4 * MINUTE,
        labels: &[],
    },
    Rule {
        group: "quick",
        alert: "Dropping",
        expr: "drops > 20",
        inputs: &[Metric::Drops],
        threshold: 20.0,
        interval: 15 * SECOND,
        offset: 30 * SECOND,
        hold_for: 30 * SECOND,
        keep_firing_for: 0,
        labels: &[("severity", "page")],
    },
    Rule {
        group: "quick",
        alert: "DroppingNow",
        expr: "drops > 15",
        inputs: &[Metric::Drops],
        threshold: 15.0,
        interval: 15 * SECOND,
        offset: 30 * SECOND,
        hold_for: 0,
        keep_firing_for: 30 * SECOND,
        labels: &[],
    },
];

/// What the user deploys, by turns: for each edition, which of the rules are in it.
pub(super) const EDITIONS: [[bool; RULES.len()]; 2] = [
    [true, true, true, true, true],
    [true, false, true, false, true],
];

/// An edition of the rules as their user writes it.
pub(super) fn rule_file(edition: usize) -> String {
    let mut text = String::from("groups:\n");
    let mut group = "";
    for (_, rule) in EDITIONS[edition]
        .iter()
        .zip(&RULES)
        .filter(|(has, _)| **has)
    {
        if rule.group != group {
            group = rule.group;
            text += &format!(
                "- name: {group}\n  interval: {}s\n  query_offset: {}s\n  rules:\n",
                rule.interval / SECOND,
                rule.offset / SECOND
            );
        }
        text += &format!("  - alert: {}\n    expr: {}\n", rule.alert, rule.expr);
        if rule.hold_for > 0 {
            text += &format!("    for: {}s\n", rule.hold_for / SECOND);
        }
        if rule.keep_firing_for > 0 {
            text += &format!("    keep_firing_for: {}s\n", rule.keep_firing_for / SECOND);
        }
        if !rule.labels.is_empty() {
            text += "    labels:\n";
        }
        for (name, value) in rule.labels {
            text += &format!("      {name}: {value}\n");
        }
        text += "    annotations: {summary: 'at {{ $value }} on {{ $labels.node }}'}\n";
    }
    text
}

/// A stretch of time: from, and up to but not with.
type Window = (Millis, Millis);

/// What is true, over all time.
#[derive(Debug)]
pub(super) struct Truth {
    nodes: Vec<Timeline>,
    /// No sample of anything.
    silent: Vec<Window>,
    /// Some expression is refused, by its place in [`RULES`].
    refused: Vec<(usize, Window)>,
}

#[derive(Debug)]
struct Timeline {
    /// From when on `drops` has which value, in the order of time.
    drops: Vec<(Millis, f64)>,
    /// The same of `servfail`.
    servfail: Vec<(Millis, f64)>,
    /// The node is gone.
    gone: Vec<Window>,
    /// It sends no `servfail`.
    without_servfail: Vec<Window>,
}

impl Truth {
    /// Draws what happens from [`START`] on for `length`; from then on nothing changes.
    pub(super) fn draw(rng: &mut Rng, length: Millis) -> Self {
        let eventful = [0.3, 1.0, 3.0][rng.usize(..3)];
        let nodes = NODES
            .iter()
            .map(|_| Timeline {
                drops: levels(
                    rng,
                    length,
                    eventful,
                    &[1.0, 1.0, 1.0, 8.0, 12.0, 17.0, 30.0],
                ),
                servfail: levels(rng, length, eventful, &[1.0, 1.0, 20.0]),
                gone: windows(rng, length, 40 * MINUTE, &[MINUTE, 4 * MINUTE, 12 * MINUTE]),
                without_servfail: windows(rng, length, 60 * MINUTE, &[3 * MINUTE]),
            })
            .collect();
        let quiet = rng.bool();
        Self {
            nodes,
            silent: windows(
                rng,
                length,
                if quiet { 300 * MINUTE } else { 45 * MINUTE },
                &[MINUTE, 5 * MINUTE, 25 * MINUTE],
            ),
            refused: windows(rng, length, 60 * MINUTE, &[30 * SECOND, 2 * MINUTE])
                .into_iter()
                .map(|window| (rng.usize(..RULES.len()), window))
                .collect(),
        }
    }

    /// The sample of a metric of a node, if there is one.
    pub(super) fn sample(&self, metric: Metric, node: usize, at: Millis) -> Option<f64> {
        let timeline = &self.nodes[node];
        if within(&self.silent, at) || within(&timeline.gone, at) {
            return None;
        }
        match metric {
            Metric::Drops => Some(level(&timeline.drops, at)),
            Metric::Servfail if within(&timeline.without_servfail, at) => None,
            Metric::Servfail => Some(level(&timeline.servfail, at)),
            Metric::Requests => Some(100.0),
        }
    }

    /// What a rule's expression has to compare, where all of its inputs are there.
    pub(super) fn compared(&self, rule: &Rule, node: usize, at: Millis) -> Option<f64> {
        match rule.inputs {
            [one] => self.sample(*one, node, at),
            [over, under] => Some(self.sample(*over, node, at)? / self.sample(*under, node, at)?),
            _ => None,
        }
    }

    /// The value with which a rule's condition holds, if it does.
    pub(super) fn holds(&self, rule: &Rule, node: usize, at: Millis) -> Option<f64> {
        self.compared(rule, node, at)
            .filter(|value| *value > rule.threshold)
    }

    /// Whether all inputs of a rule have a sample of the node.
    pub(super) fn reported(&self, rule: &Rule, node: usize, at: Millis) -> bool {
        rule.inputs
            .iter()
            .all(|metric| self.sample(*metric, node, at).is_some())
    }

    /// Whether all inputs of a rule have a sample of any node.
    pub(super) fn any_reported(&self, rule: &Rule, at: Millis) -> bool {
        rule.inputs
            .iter()
            .all(|metric| (0..NODES.len()).any(|node| self.sample(*metric, node, at).is_some()))
    }

    /// Whether the server refuses a rule's expression at that moment.
    pub(super) fn refuses(&self, rule: usize, at: Millis) -> bool {
        self.refused
            .iter()
            .any(|(refused, window)| *refused == rule && window.0 <= at && at < window.1)
    }
}

fn within(windows: &[Window], at: Millis) -> bool {
    windows.iter().any(|(from, to)| *from <= at && at < *to)
}

fn level(levels: &[(Millis, f64)], at: Millis) -> f64 {
    levels
        .iter()
        .rev()
        .find(|(from, _)| *from <= at)
        .map_or(1.0, |(_, value)| *value)
}

/// Levels that change every so often; in the end the last one stays.
fn levels(rng: &mut Rng, length: Millis, eventful: f64, values: &[f64]) -> Vec<(Millis, f64)> {
    let mut levels = Vec::new();
    let mut at = START - 10 * MINUTE;
    while at < START + length {
        levels.push((at, values[rng.usize(..values.len())]));
        let minutes = [0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 9.0, 16.0][rng.usize(..8)] / eventful;
        let seconds = (minutes * 60.0).max(10.0);
        at += SECOND * whole(seconds);
    }
    levels
}

fn whole(seconds: f64) -> Millis {
    format!("{seconds:.0}").parse().expect("it is a number")
}

/// Stretches of one of some lengths, `every` so often.
fn windows(rng: &mut Rng, length: Millis, every: Millis, lengths: &[Millis]) -> Vec<Window> {
    let mut windows = Vec::new();
    let mut at = START;
    loop {
        at += rng.i64(SECOND..2 * every);
        if at >= START + length {
            return windows;
        }
        // Some never end.
        let endless = rng.u8(..20) == 0;
        let until = if endless {
            Millis::MAX
        } else {
            (at + lengths[rng.usize(..lengths.len())]).min(START + length)
        };
        windows.push((at, until));
        if endless {
            return windows;
        }
        at = until;
    }
}
