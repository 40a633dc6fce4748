//! A backtest as a person reads it: a bar a fired alert, from left to right as time went.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use alerting::alert::{Alert, AlertState};
use alerting::config::Config;
use alerting::duration;
use alerting::evaluation::{Event, Happened};
use alerting::labels::{ALERT_NAME, Labels};
use alerting::notify::Notification;
use alerting::rules::RuleKey;
use alerting::timestamp::Timestamp;
use backends::backtest::News;

use super::bar::{Bar, Scale};
use super::minute;

/// How many alerts of a rule are kept apart; what others do is only counted.
const KEPT: usize = 2_000;
/// How many alerts of a rule are drawn.
const DRAWN: usize = 12;
/// How many notifications are listed.
const LISTED: usize = 20;
/// How wide a page is that is no terminal, and how wide one is at least and at most.
const WIDTH: usize = 100;
const WIDTHS: std::ops::RangeInclusive<usize> = 72..=160;
/// What stands after a bar.
const COUNTS: usize = 20;

/// The alerts and notifications so far.
pub(super) struct Timeline {
    scale: Scale,
    until: Timestamp,
    labels_width: usize,
    rules: Vec<Rule>,
    index: HashMap<RuleKey, usize>,
    notifications: Vec<String>,
    notified: usize,
    /// By the hour.
    notified_in: BTreeMap<Timestamp, usize>,
}

#[derive(Default)]
struct Rule {
    alert: String,
    name: String,
    alerts: BTreeMap<Labels, Seen>,
    /// How often alerts fired that are not kept apart.
    others: usize,
    failed: usize,
    first_failure: Option<(Timestamp, String)>,
}

/// What was seen of an alert.
struct Seen {
    bar: Bar,
    state: AlertState,
    since: Timestamp,
    fired: usize,
    firing: Duration,
}

impl Timeline {
    pub(super) fn new(config: &Config, start: Timestamp, end: Timestamp) -> Self {
        let terminal = io::stdout()
            .is_terminal()
            .then(terminal_size::terminal_size);
        let width = terminal
            .flatten()
            .map_or(WIDTH, |(width, _)| width.0.into());
        let width = width.clamp(*WIDTHS.start(), *WIDTHS.end());
        let labels_width = (width - COUNTS) * 2 / 5;
        let rules = config.groups.iter().flat_map(|group| {
            let rules = group.rules.iter();
            rules.map(move |rule| {
                let alert = rule.id.alert.clone();
                let name = format!("{alert} ({})", group.name);
                let rule_of_it = Rule {
                    alert,
                    name,
                    ..Rule::default()
                };
                (rule.key.clone(), rule_of_it)
            })
        });
        let (keys, rules): (Vec<RuleKey>, Vec<Rule>) = rules.unzip();
        Self {
            scale: Scale::new(start, end, width - COUNTS - labels_width),
            until: start,
            labels_width,
            rules,
            index: keys.into_iter().zip(0..).collect(),
            notifications: Vec::new(),
            notified: 0,
            notified_in: BTreeMap::new(),
        }
    }

    /// Takes what happened next.
    pub(super) fn take(&mut self, news: &News<'_>) {
        match news {
            News::Until(until) => self.until = *until,
            News::Tick(event) => self.tick(event),
            News::Notification(notification) => self.notification(notification),
        }
    }

    fn tick(&mut self, event: &Event<'_>) {
        let at = self.index.get(&event.rule.key);
        let Some(rule) = at.and_then(|at| self.rules.get_mut(*at)) else {
            return;
        };
        match &event.what {
            Happened::Changed { from, to, alert } => {
                rule.changed(event.at, *from, *to, alert, &self.scale);
            }
            Happened::Failed(error) => {
                rule.failed += 1;
                rule.first_failure
                    .get_or_insert_with(|| (event.at, error.clone()));
            }
        }
    }

    fn notification(&mut self, notification: &Notification) {
        let at = notification.created_at;
        self.notified += 1;
        *self
            .notified_in
            .entry(at.align_down(Duration::from_secs(60 * 60)))
            .or_default() += 1;
        if self.notifications.len() < LISTED {
            self.notifications.push(format!(
                "{}  {} firing, {} ended: {}  to {}, {}",
                minute(at),
                notification.firing,
                notification.resolved,
                labels_text(notification.group_labels.iter()),
                notification.receiver,
                notification.reason
            ));
        }
    }

    /// Draws what was taken. Of the rules `without_data` nothing is known, so they are not among those
    /// that stayed silent.
    pub(super) fn draw(mut self, without_data: &[&str], out: &mut impl Write) -> io::Result<()> {
        let (scale, until) = (&self.scale, self.until);
        for seen in self
            .rules
            .iter_mut()
            .flat_map(|rule| rule.alerts.values_mut())
        {
            seen.go_on(until, scale);
        }
        writeln!(
            out,
            "{} to {} UTC, 1 column = {}: █ firing, ▄ firing for under half of it, ░ pending",
            minute(scale.start()),
            minute(until),
            rounded(scale.column()),
        )?;
        let indent = self.labels_width + 2;
        let (loud, mut quiet): (Vec<&Rule>, Vec<&Rule>) =
            self.rules.iter().partition(|rule| rule.has_news());
        quiet.retain(|rule| !without_data.contains(&rule.alert.as_str()));
        if loud.iter().any(|rule| !rule.alerts.is_empty()) {
            writeln!(out, "\n{:indent$}{}", "", scale.axis(minute))?;
        }
        for rule in &loud {
            rule.draw(out, scale, self.labels_width)?;
        }
        if !quiet.is_empty() {
            let names: Vec<String> = quiet.iter().map(|rule| printable(&rule.name)).collect();
            writeln!(
                out,
                "\nRules that never became pending: {}",
                names.join(", ")
            )?;
        }
        self.draw_notifications(!without_data.is_empty(), out)
    }

    fn draw_notifications(&self, lacks_data: bool, out: &mut impl Write) -> io::Result<()> {
        let busiest = self.notified_in.iter().max_by_key(|(_, count)| **count);
        let Some((hour, most)) = busiest else {
            let of_whom = if lacks_data {
                " from the rules that had data"
            } else {
                ""
            };
            return writeln!(out, "\nNo notifications{of_whom}.");
        };
        writeln!(
            out,
            "\n{}, at most {most} in an hour (from {})",
            count(self.notified, "notification"),
            minute(*hour)
        )?;
        for line in &self.notifications {
            writeln!(out, "  {}", printable(line))?;
        }
        match self.notified - self.notifications.len() {
            0 => Ok(()),
            more => writeln!(out, "  … and {more} more"),
        }
    }
}

impl Rule {
    fn has_news(&self) -> bool {
        !self.alerts.is_empty() || self.failed > 0 || self.others > 0
    }

    fn changed(
        &mut self,
        at: Timestamp,
        from: AlertState,
        to: AlertState,
        alert: &Alert,
        scale: &Scale,
    ) {
        let is_full = self.alerts.len() >= KEPT;
        let seen = match self.alerts.get_mut(&alert.labels) {
            Some(seen) => seen,
            None if is_full => {
                self.others += usize::from(to == AlertState::Firing);
                return;
            }
            None => self.alerts.entry(alert.labels.clone()).or_insert(Seen {
                bar: scale.bar(),
                state: from,
                since: at,
                fired: 0,
                firing: Duration::ZERO,
            }),
        };
        seen.go_on(at, scale);
        seen.state = to;
        seen.fired += usize::from(to == AlertState::Firing);
    }

    /// How many alerts fired, and how often. Alerts beyond the limit are only counted together.
    fn summary(&self) -> String {
        let firings = self.alerts.values().map(|seen| seen.fired).sum::<usize>() + self.others;
        let fired = self.alerts.values().filter(|seen| seen.fired > 0).count();
        let at_least = if self.others > 0 { "at least " } else { "" };
        let how_often = match fired {
            0 if firings == 0 => return count(self.alerts.len(), "alert") + ", none fired",
            1 => times(firings),
            _ if firings == fired => "once each".to_owned(),
            _ => format!("{} in all", times(firings)),
        };
        let pending = match self.alerts.len() - fired {
            0 => String::new(),
            1 => "; 1 more was pending only".to_owned(),
            n => format!("; {n} more were pending only"),
        };
        let alerts = count(fired, "alert");
        format!("{at_least}{alerts} fired, {how_often}{pending}")
    }

    fn draw(&self, out: &mut impl Write, scale: &Scale, width: usize) -> io::Result<()> {
        writeln!(out, "{}: {}", printable(&self.name), self.summary())?;
        if let Some((at, error)) = &self.first_failure {
            writeln!(
                out,
                "  failed at {}, first at {}: {}",
                count(self.failed, "evaluation"),
                minute(*at),
                printable(error)
            )?;
        }
        let mut all: Vec<(&Labels, &Seen)> = self.alerts.iter().collect();
        all.sort_by_key(|(_, seen)| std::cmp::Reverse((seen.firing, seen.fired)));
        let shared = shared(&self.alerts);
        for (labels, seen) in all.iter().take(DRAWN) {
            let own = labels.iter().filter(|(name, value)| {
                *name != ALERT_NAME && (all.len() == 1 || shared.get(name) != Some(value))
            });
            let labels = fitted(&printable(&labels_text(own)), width);
            writeln!(out, "  {labels} {} {}", seen.bar.draw(scale), seen.counts())?;
        }
        let more = all.get(DRAWN..).unwrap_or_default();
        if !more.is_empty() {
            let mut bar = scale.bar();
            for (_, seen) in more {
                bar.lay_over(&seen.bar);
            }
            let label = fitted(&format!("… {} more", more.len()), width);
            let fired: usize = more.iter().map(|(_, seen)| seen.fired).sum();
            writeln!(out, "  {label} {} {}", bar.draw(scale), times(fired))?;
        }
        if self.others > 0 {
            writeln!(
                out,
                "  … and others, which fired {} and are not drawn",
                times(self.others)
            )?;
        }
        Ok(())
    }
}

impl Seen {
    /// It stood where it does until `at`.
    fn go_on(&mut self, at: Timestamp, scale: &Scale) {
        match self.state {
            AlertState::Firing => {
                self.firing += at.since(self.since);
                self.bar.fires(self.since, at, scale);
            }
            AlertState::Pending => self.bar.is_pending(self.since, at, scale),
            AlertState::Inactive => {}
        }
        self.since = at;
    }

    fn counts(&self) -> String {
        match (self.fired, self.state) {
            (0, _) => "never fired".to_owned(),
            (fired, AlertState::Firing) => {
                format!("{fired}×, {}, still", rounded(self.firing))
            }
            (fired, _) => format!("{fired}×, {}", rounded(self.firing)),
        }
    }
}

/// The labels that all alerts of a rule share.
fn shared(alerts: &BTreeMap<Labels, Seen>) -> BTreeMap<&str, &str> {
    let mut all = alerts.keys();
    let mut shared: BTreeMap<&str, &str> = all
        .next()
        .map_or_else(BTreeMap::new, |labels| labels.iter().collect());
    for labels in all {
        shared.retain(|name, value| labels.get(name) == *value);
    }
    shared
}

fn labels_text<'a>(labels: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let pairs: Vec<String> = labels
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    pairs.join(" ")
}

/// Cut or filled up to `width` characters.
fn fitted(text: &str, width: usize) -> String {
    let length = text.chars().count();
    if length <= width {
        return format!("{text:width$}");
    }
    let cut: String = text.chars().take(width.saturating_sub(1)).collect();
    cut + "…"
}

/// Labels and errors come from anywhere: no escape sequence of theirs reaches the terminal.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

/// To the second, the larger half of it.
fn rounded(length: Duration) -> String {
    let seconds = length.as_secs();
    let step = match seconds {
        0..3_600 => 1,
        3_600..86_400 => 60,
        _ => 3_600,
    };
    duration::format(Duration::from_secs(seconds / step * step))
}

fn times(n: usize) -> String {
    match n {
        0 => "never".to_owned(),
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        n => format!("{n} times"),
    }
}

fn count(n: usize, what: &str) -> String {
    match n {
        1 => format!("1 {what}"),
        n => format!("{n} {what}s"),
    }
}
