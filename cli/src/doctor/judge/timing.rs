//! Whether samples come often enough, and soon enough.

use std::time::Duration;

use alerting::duration;

use super::{Finding, Source, Wanted, node, values};
use crate::doctor::questions::Answers;
use crate::doctor::times::{lateness, median};

/// Offsets are proposed in steps of this.
const STEP: Duration = Duration::from_secs(15);

pub(super) fn findings(source: Source, answers: &Answers, wanted: &Wanted) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(interval(source, answers, wanted));
    // Both come the same way; the exporters' were watched.
    if source == Source::Exporter {
        findings.extend(late(answers, wanted));
    }
    findings
}

/// The scrape interval against the shortest window. A window gives something where it holds two
/// samples, which is certain of twice the interval; of four times the interval, one scrape may fail
/// without a gap (Prometheus's own advice for `rate`).
fn interval(source: Source, answers: &Answers, wanted: &Wanted) -> Option<Finding> {
    let window = match source {
        Source::Exporter => wanted.windows.link_local.as_ref(),
        Source::CoreDns => wanted.windows.coredns.as_ref(),
    }?;
    let interval = usual_interval(source, answers)?;
    let finding = |what: &str| {
        Finding::fault(
            "interval-too-long",
            format!(
                "{} scrape interval is too long for the rules' range windows",
                source.name()
            ),
            format!(
                "one every {}; {} looks at {}, {what}",
                seconds(interval),
                window.of,
                duration::format(window.range)
            ),
            format!(
                "a scrape_interval of {} or less in that job, or a longer window in the rule",
                seconds((window.range / 4).max(Duration::from_secs(1)))
            ),
        )
    };
    // As seen through the resolution of the looks.
    let slack = Duration::from_secs(1);
    if interval * 2 > window.range + slack {
        return Some(finding(
            "which does not always hold the two samples that an increase needs",
        ));
    }
    if interval * 4 > window.range + slack {
        return Some(finding("so that one failed scrape can leave a gap").advice());
    }
    None
}

/// The samples' lateness against how far back the rules ask.
fn late(answers: &Answers, wanted: &Wanted) -> Option<Finding> {
    let lateness = lateness(
        &Source::Exporter.times(answers),
        answers.now,
        &answers.looks,
    )?;
    if lateness.at_least <= wanted.query_offset {
        return None;
    }
    let enough = round_up(lateness.at_most);
    Some(Finding::fault(
        "late",
        "Samples come later than the rules ask for them",
        format!(
            "at least {} late, and were all there after {}; the rules ask {} back",
            seconds(lateness.at_least),
            seconds(lateness.at_most),
            duration::format(wanted.query_offset)
        ),
        format!(
            "query_offset: {} (of a group, of `dnswatch run`, the parameter QueryOffset) would do{}. \
             Better, find what holds them up: the collector's batch timeout, its queue, its retries",
            duration::format(enough),
            if answers.looks.is_empty() {
                ", estimated from one query (--watch 3m measures it)"
            } else {
                ""
            }
        ),
    ))
}

/// A line on what there is.
pub(super) fn summary(source: Source, answers: &Answers) -> String {
    let series = source.series(answers);
    if series.is_empty() {
        return format!("{}: none", source.name());
    }
    let nodes = {
        let mut nodes: Vec<&str> = series.iter().map(|series| node(&series.labels)).collect();
        nodes.retain(|node| !node.is_empty());
        nodes.sort_unstable();
        nodes.dedup();
        nodes.len()
    };
    let clusters = match values(series, "cluster").into_iter().collect::<Vec<_>>() {
        clusters if clusters.is_empty() => "no cluster's name".to_owned(),
        clusters => format!("cluster {}", super::examples(clusters)),
    };
    let mut line = format!(
        "{}: {} series on {nodes} node(s), {clusters}",
        source.name(),
        series.len()
    );
    if let Some(interval) = usual_interval(source, answers) {
        line.push_str(&format!("; one sample every {}", seconds(interval)));
    }
    let times = source.times(answers);
    if let Some(age) = median(
        times
            .iter()
            .filter_map(|times| times.age(answers.now))
            .collect(),
    ) {
        line.push_str(&format!(", the newest {} old", seconds(age)));
    }
    line
}

/// The usual interval of the series. If two collectors write one series, its samples show no
/// interval.
fn usual_interval(source: Source, answers: &Answers) -> Option<Duration> {
    median(
        source
            .times(answers)
            .iter()
            .filter(|times| !times.alternates())
            .filter_map(|times| times.interval())
            .collect(),
    )
}

/// In whole seconds, as Prometheus writes it.
pub(super) fn seconds(duration: Duration) -> String {
    let rounded = (duration + Duration::from_millis(500)).as_secs();
    duration::format(Duration::from_secs(rounded))
}

fn round_up(duration: Duration) -> Duration {
    let step = STEP.as_secs();
    Duration::from_secs(
        duration
            .as_secs()
            .div_euclid(step)
            .saturating_add(1)
            .saturating_mul(step),
    )
}
