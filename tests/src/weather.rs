//! Made-up days of a cluster's DNS: storms, and all that telemetry does while they rage. One
//! seed, one day.

use std::ops::Range;
use std::time::Duration;

use fastrand::Rng;

use crate::history::History;

/// From sample to sample.
const STEP: Duration = Duration::from_secs(15);
/// Samples an hour.
const HOUR: usize = 240;
/// Samples of a day, which is short here.
pub(crate) const LENGTH: usize = 3 * HOUR;

/// What the starter rules look at, of six nodes and two CoreDNS pods in two clusters.
///
/// Each node has its own mishaps. One cluster falls silent for a while; every other day ends with
/// all of them silent for longer than the rules' longest window and `for`.
pub(crate) fn day(seed: u64) -> History {
    let mut rng = Rng::with_seed(seed);
    let mut history = History::new(STEP);
    let silent_from = if seed.is_multiple_of(2) {
        HOUR + rng.usize(40..60)
    } else {
        LENGTH
    };
    let dark = window(&mut rng, 30..130);
    for node in 0..6 {
        let cluster = if node < 4 { "prod" } else { "dev" };
        let alive = if rng.u8(0..3) == 0 {
            window(&mut rng, HOUR..2 * HOUR)
        } else {
            0..LENGTH
        };
        let is_silent = |n: &usize| cluster == "dev" && dark.contains(n);
        let up = (0..LENGTH).map(|n| (alive.contains(&n) && !is_silent(&n)).then_some(1.0));
        history.push(
            &format!("up{{cluster=\"{cluster}\",node=\"n{node}\",instance=\"10.0.0.{node}\"}}"),
            up.collect(),
        );
        for device in 5..=5 + node % 2 {
            let mut values = counter(&mut rng, 1.0);
            mishaps(&mut rng, &mut values);
            for (n, value) in values.iter_mut().enumerate() {
                let is_dark = cluster == "dev" && dark.contains(&n);
                if is_dark || !alive.contains(&n) || n >= silent_from {
                    *value = None;
                }
            }
            let at = format!("cluster=\"{cluster}\",node=\"n{node}\",instance=\"10.0.0.{node}\"");
            let ethtool = format!(
                "node_net_ethtool{{type=\"linklocal_allowance_exceeded\",{at},device=\"ens{device}\"}}"
            );
            let node_exporter =
                format!("node_ethtool_linklocal_allowance_exceeded{{{at},device=\"ens{device}\"}}");
            match node {
                0..=2 => history.push(&ethtool, values),
                3 => {
                    history.push(&ethtool, values.clone());
                    history.push(&node_exporter, values);
                }
                _ => history.push(&node_exporter, values),
            }
        }
    }
    // A node without an exporter.
    history.push(
        "up{cluster=\"prod\",node=\"n6\",instance=\"10.0.0.6\"}",
        vec![Some(1.0); LENGTH],
    );
    coredns(&mut rng, &mut history);
    trouble(&mut rng, &mut history);
    history
}

/// Answers of two pods: one of them fails from time to time, and has no such series before it does.
fn coredns(rng: &mut Rng, history: &mut History) {
    for pod in 0..2 {
        let of = |rcode: &str| {
            format!(
                "coredns_dns_responses_total{{cluster=\"prod\",pod=\"coredns-{pod}\",rcode=\"{rcode}\"}}"
            )
        };
        let (mut good, mut bad) = (0.0, 0.0);
        let bursts: Vec<Range<usize>> = (0..3).map(|_| window(rng, 15..70)).collect();
        let (mut answers, mut failures) = (Vec::new(), Vec::new());
        for n in 0..LENGTH {
            good += rng.f64() * 300.0;
            if pod == 0 && bursts.iter().any(|burst| burst.contains(&n)) {
                bad += f64::from(rng.u8(0..30));
            }
            answers.push(Some(good));
            failures.push((bad > 0.0).then_some(bad));
        }
        mishaps(rng, &mut answers);
        history.push(&of("NOERROR"), answers);
        history.push(&of("SERVFAIL"), failures);
    }
}

/// What else goes wrong with CoreDNS, each for so long that its rule fires: the upstream, slow
/// answers, panics, refused queries and configurations, and pods that vanish.
fn trouble(rng: &mut Rng, history: &mut History) {
    let at = "cluster=\"prod\",instance=\"10.0.0.40:9153\"";
    let mut during = |name: &str, labels: &str, calm: f64, then: f64| {
        let trouble = window(rng, 50..60);
        let mut count = 0.0;
        let values = (0..LENGTH).map(|n| {
            count += if trouble.contains(&n) { then } else { calm };
            Some(count)
        });
        history.push(&format!("{name}{{{at}{labels}}}"), values.collect());
    };
    let upstream = "coredns_proxy_request_duration_seconds_count";
    during(upstream, ",rcode=\"NOERROR\"", 50.0, 50.0);
    during(upstream, ",rcode=\"SERVFAIL\"", 0.0, 150.0);
    during("coredns_forward_healthcheck_broken_total", "", 0.0, 500.0);
    let answers = "coredns_dns_request_duration_seconds";
    during(&format!("{answers}_count"), "", 300.0, 300.0);
    during(&format!("{answers}_bucket"), ",le=\"0.512\"", 300.0, 200.0);
    during(&format!("{answers}_bucket"), ",le=\"2.048\"", 300.0, 300.0);
    during(&format!("{answers}_bucket"), ",le=\"+Inf\"", 300.0, 300.0);
    during("coredns_panics_total", "", 0.0, 1.0);
    during("coredns_forward_max_concurrent_rejects_total", "", 0.0, 7.0);
    during("coredns_reload_failed_total", "", 0.0, 1.0);
    // One pod first, then both.
    let gone = window(rng, 140..150);
    for pod in 0..2 {
        let gone = gone.start + pod * 90..gone.end;
        let values = (0..LENGTH).map(|n| (!gone.contains(&n)).then_some(1.0));
        history.push(
            &format!(
                "coredns_plugin_enabled{{cluster=\"prod\",instance=\"10.0.0.4{pod}:9153\",name=\"kubernetes\"}}"
            ),
            values.collect(),
        );
    }
}

/// A counter that stands still but in storms.
fn counter(rng: &mut Rng, scale: f64) -> Vec<Option<f64>> {
    let storms: Vec<Range<usize>> = (0..3).map(|_| window(rng, 1..60)).collect();
    let mut count = f64::from(rng.u16(..));
    (0..LENGTH)
        .map(|n| {
            if storms.iter().any(|storm| storm.contains(&n)) {
                count += f64::from(rng.u8(..)) * scale;
            }
            Some(count)
        })
        .collect()
}

/// Gaps within and beyond the look-back, resets, momentary zeros, NaN.
fn mishaps(rng: &mut Rng, values: &mut [Option<f64>]) {
    for _ in 0..rng.usize(0..5) {
        for n in window(rng, 1..60) {
            values[n] = None;
        }
    }
    if rng.bool() {
        let from = rng.usize(0..LENGTH);
        let before = values[from..].iter().flatten().next().copied();
        for value in values[from..].iter_mut().flatten() {
            *value -= before.unwrap_or_default();
        }
    }
    for _ in 0..rng.usize(0..3) {
        values[rng.usize(0..LENGTH)] = Some(0.0);
    }
    for _ in 0..rng.usize(0..3) {
        values[rng.usize(0..LENGTH)] = Some(f64::NAN);
    }
}

/// A stretch of the day that is so long.
fn window(rng: &mut Rng, length: Range<usize>) -> Range<usize> {
    let length = rng.usize(length);
    let start = rng.usize(0..LENGTH - length);
    start..start + length
}
