//! Made-up incidents: what the samples of a few nodes were, minute by minute, and what the real
//! rule and the real pipeline make of them.

use std::collections::BTreeSet;
use std::time::Duration;

use alerting::config::Config;
use alerting::evaluation::Evaluation;
use alerting::labels::Labels;
use alerting::notify::{self, Notification};
use alerting::query::{Answer, Ask, At, ResultType, Sample, Series};
use alerting::rules::SourceFile;
use alerting::state::State;
use alerting::timestamp::Timestamp;
use anyhow::Result;

/// The rule that fires.
const RULES: &str = include_str!("../../rules/link-local.yml");
/// When it begins: 2026-11-23T13:00:00Z.
const START: Timestamp = Timestamp::from_secs(1_795_438_800);
const MINUTE: Duration = Duration::from_secs(60);
/// When the packets are dropped from, in minutes from the start.
const STORM: u64 = 3;
/// How many nodes a flood has.
const FLOOD: usize = 5_000;

/// Scenario to simulate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Scenario {
    /// A node begins to drop packets.
    Firing,
    /// Another node follows.
    More,
    /// It is over.
    Resolved,
    /// The node is gone while it drops packets, and others are not.
    Gone,
    /// All telemetry stops while it drops packets.
    Stopped,
    /// It still fires after hours.
    Reminder,
    /// 5,000 nodes at once.
    Flood,
}

impl Scenario {
    fn minutes(self) -> u64 {
        match self {
            Self::Firing | Self::Flood => 8,
            Self::More | Self::Stopped => 18,
            Self::Resolved => 20,
            Self::Gone => 25,
            Self::Reminder => 260,
        }
    }

    fn nodes(self) -> usize {
        if self == Self::Flood { FLOOD } else { 3 }
    }

    /// What a node's drops were, if it was heard of.
    fn value(self, node: usize, minute: f64) -> Option<f64> {
        let later = 8.0;
        let dropping = match (self, node) {
            (Self::Flood, _) | (_, 0) => true,
            (Self::More, 1) => minute >= later,
            _ => false,
        };
        match self {
            Self::Stopped if minute >= later => return None,
            Self::Gone if minute >= later && node == 0 => return None,
            _ => {}
        }
        #[expect(clippy::cast_precision_loss, reason = "few minutes")]
        let began = STORM as f64;
        let is_over = self == Self::Resolved && minute >= later;
        let wave = 1.0 + (minute * 2.0).sin() / 4.0;
        Some(if dropping && minute >= began && !is_over {
            (20_000.0 * wave * (minute - began + 0.5).min(4.0)).round()
        } else {
            0.0
        })
    }
}

/// The rule file.
pub(crate) fn rules() -> SourceFile {
    SourceFile {
        name: "link-local.yml".to_owned(),
        text: RULES.to_owned(),
    }
}

/// Plays a scenario, a run a minute, and hands over what each run would publish.
pub(crate) fn play(
    scenario: Scenario,
    config: &Config,
    mut publish: impl FnMut(&State, &[Notification], Timestamp) -> Result<()>,
) -> Result<()> {
    let mut state = State::default();
    for minute in 0..=scenario.minutes() {
        // A run starts a few seconds after the minute.
        let now = START.plus(MINUTE * u32::try_from(minute).unwrap_or(u32::MAX));
        let now = now.plus(Duration::from_secs(5));
        evaluate(scenario, config, &mut state, now);
        notify::plan(&mut state, config, &[], now);
        let outbox = &mut state.notify.outbox;
        outbox.claim("preview", now, now.plus(MINUTE));
        let claimed: Vec<Notification> = outbox.claimed_by("preview", now).cloned().collect();
        for notification in &claimed {
            outbox.delivered(&notification.id, "preview");
        }
        publish(&state, &claimed, now)?;
    }
    Ok(())
}

fn evaluate(scenario: Scenario, config: &Config, state: &mut State, now: Timestamp) {
    let mut stopped = BTreeSet::new();
    loop {
        let mut chunk = Evaluation::plan(
            &config.groups,
            &mut state.rules,
            now,
            &config.evaluation,
            &stopped,
        );
        loop {
            let asks = chunk.asks(&mut state.rules);
            if asks.is_empty() {
                break;
            }
            for ask in asks {
                let answer = answer(scenario, config, &ask);
                chunk.answer(ask, Ok(answer));
            }
        }
        if !chunk.finish(&state.rules, &mut stopped).more {
            return;
        }
    }
}

/// What a server says that has the scenario's samples: the rule's expression, what it compares,
/// or whether a node is heard of at all.
pub(crate) fn answer(scenario: Scenario, config: &Config, ask: &Ask) -> Answer {
    let rules = config.groups.iter().flat_map(|group| &group.rules);
    let is_rule = rules.into_iter().any(|rule| rule.expr.text() == ask.expr);
    let is_presence = ask.expr.starts_with("count");
    let moments: Vec<Timestamp> = match ask.at {
        At::Instant(at) => vec![at],
        At::Range { start, end, step } => {
            std::iter::successors(Some(start), |at| Some(at.plus(step)))
                .take_while(|at| *at <= end)
                .collect()
        }
    };
    let series = (0..scenario.nodes()).filter_map(|node| {
        let samples = moments.iter().filter_map(|at| {
            let minute = at.plus(MINUTE).since(START).as_secs_f64() / 60.0;
            let value = scenario.value(node, minute)?;
            let value = if is_presence { 1.0 } else { value };
            (value > 0.0 || !is_rule).then_some(Sample { at: *at, value })
        });
        let samples: Vec<Sample> = samples.collect();
        (!samples.is_empty()).then(|| Series {
            labels: labels(node),
            samples,
        })
    });
    let result_type = match ask.at {
        At::Instant(_) => ResultType::Vector,
        At::Range { .. } => ResultType::Matrix,
    };
    Answer::new(result_type, series.collect())
}

fn labels(node: usize) -> Labels {
    let (high, low) = (node / 250, node % 250 + 1);
    [
        ("cluster", "prod".to_owned()),
        ("device", "ens5".to_owned()),
        ("node", format!("ip-10-0-{high}-{low}.ec2.internal")),
    ]
    .into_iter()
    .collect()
}
