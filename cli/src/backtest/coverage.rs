//! Which selectors of the rules have samples in which part of the span: where there are none, a rule
//! that stays silent says nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::time::Duration;

use alerting::config::Config;
use alerting::duration;
use alerting::query::{Ask, At};
use alerting::rules::{AlertingRule, RuleKey};
use alerting::timestamp::Timestamp;
use anyhow::{Context, Result};
use backends::prometheus::Client;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::minute;

/// Into how many parts the span is divided, and the shortest part: Prometheus's look-back, within
/// which one sample is enough.
const PARTS: u32 = 48;
const SHORTEST_PART: Duration = Duration::from_secs(5 * 60);
/// How many gaps are listed.
const LISTED: usize = 20;

/// What is known of the samples behind the rules.
pub(super) struct Coverage {
    selectors: BTreeMap<String, Selector>,
    rules: Vec<Rule>,
    start: Timestamp,
    part: Duration,
    parts: usize,
}

struct Rule {
    key: RuleKey,
    name: String,
    selectors: BTreeSet<String>,
    /// The longest of its range windows and of `for`.
    window: Duration,
    waits: Duration,
}

#[derive(Default)]
struct Selector {
    /// The parts that have samples.
    seen: BTreeSet<usize>,
    /// Whether the longest window before the span begins with samples, where there is a window.
    is_warm: Option<bool>,
}

impl Coverage {
    /// Asks the server, one query a selector and one more for its longest window.
    ///
    /// # Errors
    /// Where the server does not answer: then nothing is known.
    pub(super) fn read(
        client: &Client,
        config: &Config,
        (start, end): (Timestamp, Timestamp),
        patience: Duration,
    ) -> Result<Self> {
        let span = end.since(start);
        let part = (span / PARTS)
            .max(SHORTEST_PART)
            .min(span)
            .max(Duration::from_millis(1));
        let rules: Vec<Rule> = config
            .groups
            .iter()
            .flat_map(|group| &group.rules)
            .map(Rule::new)
            .collect();
        let parts = usize::try_from(span.as_millis() / part.as_millis().max(1)).unwrap_or(1);
        let mut coverage = Self {
            selectors: BTreeMap::new(),
            rules,
            start,
            part,
            parts: parts.max(1),
        };
        coverage.ask(client, end, patience)?;
        Ok(coverage)
    }

    fn ask(&mut self, client: &Client, end: Timestamp, patience: Duration) -> Result<()> {
        let mut windows: BTreeMap<&str, Duration> = BTreeMap::new();
        for rule in &self.rules {
            for selector in &rule.selectors {
                let longest = windows.entry(selector).or_default();
                *longest = (*longest).max(rule.window);
            }
        }
        let part = duration::format(self.part);
        let first = self.start.plus(self.part);
        let mut asks: Vec<(String, bool, Ask)> = Vec::new();
        for (selector, window) in &windows {
            let expr = format!("count(last_over_time({selector}[{part}]))");
            let at = At::Range {
                start: first.min(end),
                end,
                step: self.part,
            };
            asks.push(((*selector).to_owned(), false, Ask { expr, at }));
            if *window > SHORTEST_PART {
                let lookback = duration::format(SHORTEST_PART);
                let expr = format!("count(last_over_time({selector}[{lookback}]))");
                let at = At::Instant(self.start.minus(*window).plus(SHORTEST_PART));
                asks.push(((*selector).to_owned(), true, Ask { expr, at }));
            }
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("starting the runtime")?;
        let answers = runtime.block_on(async {
            let deadline = Instant::now() + patience;
            let mut underway = JoinSet::new();
            for (selector, is_window, ask) in asks {
                let client = client.clone();
                underway.spawn(async move {
                    let answer = client.query(&ask, deadline).await;
                    (selector, is_window, answer)
                });
            }
            underway.join_all().await
        });
        for (name, is_window, answer) in answers {
            let answer = answer.map_err(|failure| {
                anyhow::anyhow!(
                    "the server cannot be queried, so nothing is known of its history: {failure}",
                    failure = failure.message
                )
            })?;
            let known = self.selectors.entry(name).or_default();
            let samples = answer
                .series
                .iter()
                .flat_map(|series| series.samples.iter());
            if is_window {
                known.is_warm = Some(samples.count() > 0);
                continue;
            }
            let first = self.start;
            let part = self.part.as_millis().max(1);
            known.seen.extend(samples.filter_map(|sample| {
                let at = sample.at.since(first).as_millis() / part;
                usize::try_from(at.saturating_sub(1)).ok()
            }));
        }
        Ok(())
    }

    /// The names of rules that read series, none of which had a sample, and that had no alert.
    pub(super) fn without_data<'a>(&'a self, with_alerts: &'a BTreeSet<RuleKey>) -> Vec<&'a str> {
        self.silent(with_alerts)
            .map(|rule| rule.name.as_str())
            .collect()
    }

    fn silent<'a>(
        &'a self,
        with_alerts: &'a BTreeSet<RuleKey>,
    ) -> impl Iterator<Item = &'a Rule> + 'a {
        self.rules.iter().filter(|rule| {
            let has_none = |selector: &String| {
                let known = self.selectors.get(selector);
                known.is_none_or(|known| known.seen.is_empty())
            };
            !rule.selectors.is_empty()
                && rule.selectors.iter().all(has_none)
                && !with_alerts.contains(&rule.key)
        })
    }

    /// Each selector with a part that has no samples: from when to when, and the rules that read it.
    fn gaps(&self) -> Vec<(&str, Timestamp, Timestamp, Vec<&str>)> {
        let mut gaps = Vec::new();
        for (selector, known) in &self.selectors {
            let readers: Vec<&str> = self
                .rules
                .iter()
                .filter(|rule| rule.selectors.contains(selector))
                .map(|rule| rule.name.as_str())
                .collect();
            let mut began = None;
            for part in 0..=self.parts {
                let is_missing = part < self.parts && !known.seen.contains(&part);
                match (began, is_missing) {
                    (None, true) => began = Some(part),
                    (Some(from), false) => {
                        gaps.push((
                            selector.as_str(),
                            self.after(from),
                            self.after(part),
                            readers.clone(),
                        ));
                        began = None;
                    }
                    _ => {}
                }
            }
        }
        gaps
    }

    fn after(&self, parts: usize) -> Timestamp {
        let parts = u32::try_from(parts).unwrap_or(u32::MAX);
        self.start.plus(self.part.saturating_mul(parts))
    }

    /// What is missing, for people.
    pub(super) fn draw(
        &self,
        with_alerts: &BTreeSet<RuleKey>,
        out: &mut impl Write,
    ) -> io::Result<()> {
        let silent = self.without_data(with_alerts);
        if !silent.is_empty() {
            writeln!(
                out,
                "\nNO DATA: these rules never had data in this span, so nothing is known of them: {}",
                silent.join(", ")
            )?;
        }
        let gaps = self.gaps();
        if !gaps.is_empty() {
            writeln!(
                out,
                "\nSelectors without samples (in parts of {}):",
                duration::format(self.part)
            )?;
        }
        for (selector, from, to, rules) in gaps.iter().take(LISTED) {
            writeln!(
                out,
                "  {} to {}: {selector} ({})",
                minute(*from),
                minute(*to),
                rules.join(", ")
            )?;
        }
        if let Some(more @ 1..) = gaps.len().checked_sub(LISTED) {
            writeln!(out, "  … and {more} more")?;
        }
        self.draw_cold(out)
    }

    /// What could not be known at the start of the span.
    fn draw_cold(&self, out: &mut impl Write) -> io::Result<()> {
        let is_cold = |rule: &&Rule| {
            rule.selectors.iter().any(|selector| {
                let known = self.selectors.get(selector);
                known.is_some_and(|known| known.is_warm == Some(false) && !known.seen.is_empty())
            })
        };
        let cold: Vec<&Rule> = self.rules.iter().filter(is_cold).collect();
        if let Some(longest) = cold.iter().map(|rule| rule.window).max() {
            let names: Vec<&str> = cold.iter().map(|rule| rule.name.as_str()).collect();
            writeln!(
                out,
                "\nNot warm: the server has no samples from {} before the start, so windows of these \
                 rules are not full at first: {}",
                duration::format(longest),
                names.join(", ")
            )?;
        }
        if let Some(longest) = self.rules.iter().max_by_key(|rule| rule.waits)
            && !longest.waits.is_zero()
        {
            writeln!(
                out,
                "\nEvery alert is inactive at the start: one that was already pending fires up to {} \
                 late ({}).",
                duration::format(longest.waits),
                longest.name
            )?;
        }
        Ok(())
    }

    /// The same as lines of JSON, one object each.
    pub(super) fn write(
        &self,
        with_alerts: &BTreeSet<RuleKey>,
        out: &mut impl Write,
    ) -> io::Result<()> {
        for (selector, from, to, rules) in self.gaps() {
            let line = json!({
                "type": "no_samples", "selector": selector, "rules": rules,
                "from": from.to_string(), "to": to.to_string(),
            });
            writeln!(out, "{line}")?;
        }
        for rule in self.silent(with_alerts) {
            let line = json!({"type": "no_data", "rule": rule.name});
            writeln!(out, "{line}")?;
        }
        Ok(())
    }
}

impl Rule {
    fn new(rule: &AlertingRule) -> Self {
        let ranges = rule.expr.ranges().into_iter().filter_map(|text| {
            let (_, rest) = text.split_once('[')?;
            duration::parse(rest.split([']', ':']).next()?.trim()).ok()
        });
        Self {
            key: rule.key.clone(),
            name: rule.id.alert.clone(),
            selectors: rule
                .expr
                .selectors()
                .into_iter()
                .map(|(_, selector)| selector.to_owned())
                .collect(),
            window: ranges.max().unwrap_or_default(),
            waits: rule.hold_for,
        }
    }
}
