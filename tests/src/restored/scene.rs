//! Servers that go away and come back, beside one that continues, and the rulers that ask them.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::Duration;

use alerting::config::Settings;
use alerting::labels::ALERT_NAME;
use alerting::rules::SourceFile;
use alerting::state_machine::Semantics;
use alerting::timestamp::Timestamp;
use anyhow::{Context as _, Result, ensure};
use backends::clock::{Clock as _, SystemClock};

use crate::prometheus::{Prometheus, PrometheusTools, Served, Signal};
use crate::ruler::{Bench, as_prometheus, impatient, patient, served};
use crate::timelines::remote_write::{self, NamedSample};

/// Far longer than any step takes on a busy machine.
pub(super) const PATIENCE: Duration = Duration::from_secs(90);
/// `--rules.alert.for-grace-period`.
pub(super) const GRACE: Duration = Duration::from_secs(8);
/// `--rules.alert.for-outage-tolerance` where the outage is within it, and where it is beyond.
pub(super) const TOLERANT: &str = "1h";
const INTOLERANT: &str = "5s";

/// A rule: its name, the metric that it looks at, `for` and `keep_firing_for` in seconds.
pub(super) const RULES: [(&str, &str, u64, u64); 10] = [
    // Fires when the server goes away.
    ("Fired", "steady", 8, 0),
    // The same, with a `for` below the grace period: restored since 3.16.
    ("Short", "steady", 2, 0),
    // Such a one that is pending when the server goes away.
    ("Soon", "late", 7, 0),
    // Would fire within the grace period.
    ("Nearly", "steady", 18, 0),
    ("Pending", "steady", 60, 0),
    // Has only begun, and would fire while the server is away.
    ("Late", "late", 13, 0),
    // Its condition is interrupted while the server is away.
    ("Dips", "dips", 8, 0),
    ("Ends", "ends", 8, 0),
    ("Begins", "begins", 60, 0),
    // Fires by `keep_firing_for` alone.
    ("Kept", "brief", 0, 120),
];

const CONFIG: &str = "
global: {evaluation_interval: 1s}
rule_files: [restored.yml]
";

/// A label is a template: since 3.11 the samples are found in spite of it.
fn rules() -> String {
    let rules = RULES.map(|(name, metric, hold_for, keep)| {
        format!(
            "  - alert: {name}\n    expr: live_{metric} > 5\n    for: {hold_for}s\n    \
             keep_firing_for: {keep}s\n    labels: {{level: high, on: 'node {{{{ $labels.node }}}}'}}\n    \
             annotations: {{says: '{{{{ $value }}}} on {{{{ $labels.node }}}}'}}\n"
        )
    });
    format!(
        "groups:\n- name: restored\n  interval: 1s\n  rules:\n{}",
        rules.concat()
    )
}

/// What befalls a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    StoppedInOrder,
    Killed,
    AwayForTooLong,
    Frozen,
}

/// Which metrics are over the threshold.
#[derive(Debug, Clone, Copy)]
pub(super) struct Weather<'a>(pub(super) &'a [&'a str]);

impl Weather<'_> {
    fn samples(self) -> Vec<NamedSample<'static>> {
        const NODE: &[(&str, &str)] = &[("node", "a")];
        [
            ("live_steady", "steady"),
            ("live_late", "late"),
            ("live_dips", "dips"),
            ("live_ends", "ends"),
            ("live_begins", "begins"),
            ("live_brief", "brief"),
        ]
        .map(|(name, metric)| {
            let over = self.0.contains(&metric);
            (name, NODE, if over { 7.0 } else { 1.0 })
        })
        .to_vec()
    }
}

/// A server that goes away, and the rulers that ask it.
pub(super) struct Subject {
    pub(super) fate: Fate,
    pub(super) prometheus: Prometheus,
    /// As users have it: it makes up for what was missed.
    pub(super) ours: Bench,
    /// `--max-catch-up 0s`.
    pub(super) newest: Bench,
}

impl Subject {
    pub(super) async fn start(tools: &PrometheusTools, fate: Fate) -> Result<Self> {
        let tolerance = match fate {
            Fate::AwayForTooLong => INTOLERANT,
            _ => TOLERANT,
        };
        let prometheus = server(tools, tolerance).await?;
        let bench = |settings: Settings| {
            let files = vec![SourceFile {
                name: "restored.yml".to_owned(),
                text: rules(),
            }];
            Bench::new(prometheus.url(), files, settings)
        };
        let mut default = as_prometheus();
        default.evaluation.semantics = Semantics::default();
        let mut newest = as_prometheus();
        newest.evaluation.max_catch_up = Duration::ZERO;
        Ok(Self {
            fate,
            ours: bench(default)?,
            newest: bench(newest)?,
            prometheus,
        })
    }

    pub(super) async fn run_at(&mut self, now: Timestamp) -> Result<()> {
        self.ours.run_at(now).await?;
        self.newest.run_at(now).await?;
        Ok(())
    }

    pub(super) async fn goes_away(&mut self) -> Result<()> {
        let signal = match self.fate {
            Fate::StoppedInOrder => Signal::Terminate,
            Fate::Killed | Fate::AwayForTooLong => Signal::Kill,
            Fate::Frozen => Signal::Freeze,
        };
        self.prometheus.signal(signal).await?;
        for bench in [&mut self.ours, &mut self.newest] {
            bench.ask_by(impatient(self.prometheus.url()))?;
        }
        Ok(())
    }

    pub(super) async fn comes_back(&mut self) -> Result<()> {
        if self.fate == Fate::Frozen {
            self.prometheus.signal(Signal::Continue).await?;
        } else {
            self.prometheus.start_again().await?;
        }
        for bench in [&mut self.ours, &mut self.newest] {
            bench.ask_by(patient(self.prometheus.url()))?;
        }
        Ok(())
    }

    /// What the server wrote last of each alert before `at`: when, and since when it was active.
    pub(super) async fn for_state(
        &self,
        at: Timestamp,
    ) -> Result<BTreeMap<String, (Timestamp, Timestamp)>> {
        let time = at.as_secs_f64().to_string();
        let query = [("query", "ALERTS_FOR_STATE[1h]"), ("time", &time)];
        let answer = self.prometheus.api("query", &query).await?;
        let mut found = BTreeMap::new();
        for series in answer["result"].as_array().context("series")? {
            let name = series["metric"][ALERT_NAME].as_str().context("a name")?;
            let values = series["values"].as_array().context("samples")?;
            let last = values.last().context("a sample")?;
            #[expect(clippy::cast_possible_truncation, reason = "seconds since the epoch")]
            let whole = |number: f64| Timestamp::from_secs(number.floor() as i64);
            let at = last[0].as_f64().context("a time")?;
            let since: f64 = last[1].as_str().context("a value")?.parse()?;
            found.insert(name.to_owned(), (whole(at), whole(since)));
        }
        Ok(found)
    }
}

pub(super) async fn server(tools: &PrometheusTools, tolerance: &str) -> Result<Prometheus> {
    let setup = tools.server().config(CONFIG);
    setup
        .file("restored.yml", &rules())
        .flag(&format!(
            "--rules.alert.for-grace-period={}s",
            GRACE.as_secs()
        ))
        .flag(&format!("--rules.alert.for-outage-tolerance={tolerance}"))
        .start()
        .await
}

/// All servers, which get the same samples.
pub(super) struct Scene<'a> {
    /// It continues.
    pub(super) control: Prometheus,
    pub(super) subjects: Vec<Subject>,
    /// What the servers that are away have not got yet.
    pub(super) backlog: Option<Vec<(Timestamp, Vec<NamedSample<'static>>)>>,
    pub(super) beat: tokio::time::Interval,
    /// How long the slowest beat took.
    pub(super) slowest: &'a Cell<Duration>,
}

impl Scene<'_> {
    /// The next samples, and what is made of them.
    pub(super) async fn beat(&mut self, weather: Weather<'_>) -> Result<Timestamp> {
        self.beat.tick().await;
        let now = SystemClock.now();
        let done = self.make(now, weather).await;
        let took = SystemClock.now().since(now);
        self.slowest.set(self.slowest.get().max(took));
        done
    }

    async fn make(&mut self, now: Timestamp, weather: Weather<'_>) -> Result<Timestamp> {
        let samples = weather.samples();
        remote_write::send_at(self.control.url(), now, &samples).await?;
        if let Some(backlog) = &mut self.backlog {
            backlog.push((now, samples));
            return Ok(now);
        }
        for subject in &mut self.subjects {
            remote_write::send_at(subject.prometheus.url(), now, &samples).await?;
            subject.run_at(now).await?;
        }
        Ok(now)
    }

    fn servers(&self) -> impl Iterator<Item = &Prometheus> {
        let subjects = self.subjects.iter().map(|subject| &subject.prometheus);
        std::iter::once(&self.control).chain(subjects)
    }

    /// Continues until each server, and each of our rulers, has an alert that is like this.
    pub(super) async fn until_all(
        &mut self,
        weather: Weather<'_>,
        alert: &str,
        is_so: impl Fn(&Served, Timestamp) -> bool,
    ) -> Result<()> {
        let began = SystemClock.now();
        loop {
            let now = self.beat(weather).await?;
            let mut all = Vec::new();
            for server in self.servers() {
                all.push(server.alerts().await?);
            }
            for subject in &self.subjects {
                all.push(served(&subject.ours).await?);
                all.push(served(&subject.newest).await?);
            }
            let has = |alerts: &Vec<Served>| {
                let mut alerts = alerts.iter();
                alerts.any(|served| name(served) == alert && is_so(served, now))
            };
            if all.iter().all(has) {
                return Ok(());
            }
            ensure!(now.since(began) < PATIENCE, "{alert}: {all:#?}");
        }
    }
}

pub(super) fn name(alert: &Served) -> &str {
    alert.labels.get(ALERT_NAME)
}
