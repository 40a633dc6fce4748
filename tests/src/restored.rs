//! Running Prometheuses with groups of a second that are stopped, killed or frozen for a while,
//! beside one that goes on, and rulers of ours that ask them:
//!
//! - a Prometheus that was started again has what its restore makes of `ALERTS_FOR_STATE`;
//! - our ruler comes to what the Prometheus that went on came to, whatever befell the server;
//! - without making up for what was missed, it comes to what a frozen Prometheus comes to.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::Duration;

use alerting::alert::AlertState;
use alerting::config::Settings;
use alerting::labels::ALERT_NAME;
use alerting::rules::SourceFile;
use alerting::state_machine::Semantics;
use alerting::timestamp::Timestamp;
use anyhow::{Context as _, Result, bail, ensure};
use backends::clock::{Clock as _, SystemClock};

use crate::parts;
use crate::prometheus::{Prometheus, PrometheusTools, Served, Signal};
use crate::ruler::{Bench, active, as_prometheus, impatient, patient};
use crate::timelines::remote_write::{self, NamedSample};

/// Far longer than any step takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);
/// How far `activeAt` may be apart: evaluations are a second apart, at moments of their own.
const APART: Duration = Duration::from_millis(2_500);
/// A machine on which a beat takes longer is too slow for groups of a second: it gets another try.
const SLOW: Duration = Duration::from_millis(1_250);
const TRIES: usize = 3;
/// How long the servers are away.
const OUTAGE: Duration = Duration::from_secs(15);
/// `--rules.alert.for-grace-period`.
const GRACE: Duration = Duration::from_secs(8);
/// `--rules.alert.for-outage-tolerance` where the outage is within it, and where it is beyond.
const TOLERANT: &str = "1h";
const INTOLERANT: &str = "5s";

/// A rule: its name, the metric that it looks at, `for` and `keep_firing_for` in seconds.
const RULES: [(&str, &str, u64, u64); 9] = [
    // Fires when the server goes away.
    ("Fired", "steady", 8, 0),
    // The same, with a `for` below the grace period.
    ("Short", "steady", 2, 0),
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
/// How long `Nearly` is pending when the servers go away: within the grace period of its `for`.
const NEARLY_DUE: Duration = Duration::from_millis(10_500);

const CONFIG: &str = "
global: {evaluation_interval: 1s}
rule_files: [restored.yml]
";

/// No label is a template: 3.5 looks for the samples by the rule's own text of it, and finds none.
fn rules() -> String {
    let rules = RULES.map(|(name, metric, hold_for, keep)| {
        format!(
            "  - alert: {name}\n    expr: live_{metric} > 5\n    for: {hold_for}s\n    \
             keep_firing_for: {keep}s\n    labels: {{level: high}}\n    \
             annotations: {{says: '{{{{ $value }}}} on {{{{ $labels.node }}}}'}}\n"
        )
    });
    format!(
        "groups:\n- name: restored\n  interval: 1s\n  rules:\n{}",
        rules.concat()
    )
}

fn hold_for(alert: &str) -> Result<Duration> {
    let rule = RULES.iter().find(|(name, ..)| *name == alert);
    let (_, _, seconds, _) = rule.with_context(|| format!("a rule {alert}"))?;
    Ok(Duration::from_secs(*seconds))
}

/// What befalls a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    StoppedInOrder,
    Killed,
    AwayForTooLong,
    Frozen,
}

/// Which metrics are over the threshold.
#[derive(Debug, Clone, Copy)]
struct Weather<'a>(&'a [&'a str]);

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
struct Subject {
    fate: Fate,
    prometheus: Prometheus,
    /// As users have it: it makes up for what was missed.
    ours: Bench,
    /// `--max-catch-up 0s`.
    newest: Bench,
}

impl Subject {
    async fn start(tools: &PrometheusTools, fate: Fate) -> Result<Self> {
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

    async fn run_at(&mut self, now: Timestamp) -> Result<()> {
        self.ours.run_at(now).await?;
        self.newest.run_at(now).await?;
        Ok(())
    }

    async fn goes_away(&mut self) -> Result<()> {
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

    async fn comes_back(&mut self) -> Result<()> {
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
    async fn for_state(&self, at: Timestamp) -> Result<BTreeMap<String, (Timestamp, Timestamp)>> {
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

async fn server(tools: &PrometheusTools, tolerance: &str) -> Result<Prometheus> {
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
struct Scene<'a> {
    /// It goes on.
    control: Prometheus,
    subjects: Vec<Subject>,
    /// What the servers that are away have not got yet.
    backlog: Option<Vec<(Timestamp, Vec<NamedSample<'static>>)>>,
    beat: tokio::time::Interval,
    /// How long the slowest beat took.
    slowest: &'a Cell<Duration>,
}

impl Scene<'_> {
    /// The next samples, and what is made of them.
    async fn beat(&mut self, weather: Weather<'_>) -> Result<Timestamp> {
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

    /// Goes on until each server, and each of our rulers, has an alert that is like this.
    async fn until_all(
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

fn name(alert: &Served) -> &str {
    alert.labels.get(ALERT_NAME)
}

/// The active alerts of a ruler of ours, as a server would tell them.
pub(crate) async fn served(bench: &Bench) -> Result<Vec<Served>> {
    let active = active(&bench.state().await?).into_iter();
    let mut alerts: Vec<Served> = active
        .map(|alert| Served {
            labels: alert.labels,
            state: alert.state,
            active_at: alert.active_at,
            annotations: alert.annotations,
        })
        .collect();
    alerts.sort();
    Ok(alerts)
}

/// Why two do not have the same alerts, active since the same time, if they do not.
fn difference(ours: &[Served], theirs: &[Served]) -> Option<String> {
    let same = |(ours, theirs): (&Served, &Served)| {
        let apart = ours.active_at.since(theirs.active_at);
        let apart = apart.max(theirs.active_at.since(ours.active_at));
        apart <= APART
            && (&ours.labels, ours.state, &ours.annotations)
                == (&theirs.labels, theirs.state, &theirs.annotations)
    };
    let is_same = ours.len() == theirs.len() && ours.iter().zip(theirs).all(same);
    (!is_same).then(|| format!("ours: {ours:#?}\ntheirs: {theirs:#?}"))
}

/// What a restart makes of an alert (`RestoreForState` in Prometheus's `rules/group.go`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Restored {
    /// It fired: active since it was.
    AsItWas,
    /// It was to fire within the grace period: it fires when that is over.
    ForTheGracePeriod,
    /// The outage does not count.
    LaterByTheOutage,
    /// `for` begins anew.
    Anew,
}

impl Restored {
    fn of(fate: Fate, hold_for: Duration, written: Option<(Timestamp, Timestamp)>) -> Self {
        let Some((down_at, since)) = written else {
            return Self::Anew;
        };
        if fate == Fate::AwayForTooLong || hold_for < GRACE {
            return Self::Anew;
        }
        match hold_for.checked_sub(down_at.since(since)) {
            None | Some(Duration::ZERO) => Self::AsItWas,
            Some(remaining) if remaining < GRACE => Self::ForTheGracePeriod,
            Some(_) => Self::LaterByTheOutage,
        }
    }
}

#[tokio::test]
async fn a_restarted_prometheus_restores_and_ours_goes_on() -> Result<()> {
    let Some(tools) = parts::prometheus3() else {
        return Ok(());
    };
    for _ in 0..TRIES {
        let slowest = Cell::new(Duration::ZERO);
        match play(&tools, &slowest).await {
            Err(error) if slowest.get() > SLOW => {
                eprintln!("a beat took {:?}, so once more: {error:#}", slowest.get());
            }
            done => return done,
        }
    }
    bail!("the machine was too slow {TRIES} times")
}

async fn play(tools: &PrometheusTools, slowest: &Cell<Duration>) -> Result<()> {
    let mut subjects = Vec::new();
    for fate in [
        Fate::Killed,
        Fate::AwayForTooLong,
        Fate::Frozen,
        // The last to go away, since it takes its time.
        Fate::StoppedInOrder,
    ] {
        subjects.push(Subject::start(tools, fate).await?);
    }
    let mut scene = Scene {
        control: server(tools, TOLERANT).await?,
        subjects,
        backlog: None,
        beat: tokio::time::interval(Duration::from_millis(400)),
        slowest,
    };

    let fires = |alert: &Served, _| alert.state == AlertState::Firing;
    let begin = Weather(&["steady", "dips", "ends", "brief"]);
    scene.until_all(begin, "Kept", fires).await?;
    let then = Weather(&["steady", "dips", "ends"]);
    scene.until_all(then, "Fired", fires).await?;
    let is_nearly_due = |alert: &Served, now: Timestamp| now.since(alert.active_at) >= NEARLY_DUE;
    scene.until_all(then, "Nearly", is_nearly_due).await?;
    let then = Weather(&["steady", "dips", "ends", "late"]);
    scene.until_all(then, "Late", |_, _| true).await?;

    let mut before = Vec::new();
    for subject in &mut scene.subjects {
        before.push(served(&subject.ours).await?);
        subject.goes_away().await?;
    }
    let away = SystemClock.now();
    scene.backlog = Some(Vec::new());
    for (subject, before) in scene.subjects.iter_mut().zip(&before) {
        // A server that does not answer changes nothing.
        subject
            .run_at(SystemClock.now().plus(Duration::from_secs(1)))
            .await?;
        ensure!(served(&subject.ours).await? == *before);
    }
    for (weather, until) in [
        (Weather(&["steady", "late", "begins"]), OUTAGE / 2),
        (Weather(&["steady", "late", "begins", "dips"]), OUTAGE),
    ] {
        while scene.beat(weather).await?.since(away) < until {}
    }

    let back = SystemClock.now();
    let backlog = scene.backlog.take().context("a backlog")?;
    let mut evaluations = Vec::new();
    for subject in &mut scene.subjects {
        subject.comes_back().await?;
        remote_write::send_all(subject.prometheus.url(), &backlog).await?;
        evaluations.push(subject.prometheus.evaluations().await?);
    }
    let weather = Weather(&["steady", "late", "begins", "dips"]);
    let mut compared: BTreeMap<String, usize> = BTreeMap::new();
    for (index, since) in evaluations.into_iter().enumerate() {
        // The first evaluations see what is stored, and restore; then all is as it stays.
        let enough = since + 5 * RULES.len() as u64;
        while scene.subjects[index].prometheus.evaluations().await? < enough {
            scene.beat(weather).await?;
        }
        let mut differ = String::new();
        while SystemClock.now().since(back) < PATIENCE {
            scene.beat(weather).await?;
            let control = scene.control.alerts().await?;
            let subject = &scene.subjects[index];
            let ours = difference(&served(&subject.ours).await?, &control);
            let newest = match subject.fate {
                Fate::Frozen => difference(
                    &served(&subject.newest).await?,
                    &subject.prometheus.alerts().await?,
                ),
                _ => None,
            };
            match (ours, newest) {
                (None, None) => {
                    *compared
                        .entry("as if nothing had been".to_owned())
                        .or_default() += control.len();
                    differ.clear();
                    break;
                }
                (ours, newest) => differ = [ours, newest].into_iter().flatten().collect(),
            }
        }
        let fate = scene.subjects[index].fate;
        ensure!(differ.is_empty(), "{fate:?}: {differ}");
        for kind in judge(&scene.subjects[index], &before[index], away, back).await? {
            *compared.entry(format!("{fate:?}: {kind}")).or_default() += 1;
        }
    }
    let version = tools.version()?;
    eprintln!("alerts compared with Prometheus {version}: {compared:#?}");
    let of = |what: &str| compared.get(what).copied().unwrap_or_default();
    for fate in [Fate::StoppedInOrder, Fate::Killed] {
        for (kind, floor) in [
            (Restored::AsItWas, 2),
            (Restored::ForTheGracePeriod, 1),
            (Restored::LaterByTheOutage, 2),
            (Restored::Anew, 2),
        ] {
            let what = format!("{fate:?}: {kind:?}");
            ensure!(of(&what) >= floor, "{what}: {compared:?}");
        }
    }
    ensure!(of("AwayForTooLong: Anew") >= 7, "{compared:?}");
    ensure!(of("Frozen: the newest alone") >= 8, "{compared:?}");
    ensure!(of("as if nothing had been") >= 4 * 8, "{compared:?}");
    Ok(())
}

/// Holds a server that came back to what its restore says, and our ruler without catching up to it
/// as far as they are the same. What each of its alerts is called in the count.
async fn judge(
    subject: &Subject,
    before: &[Served],
    away: Timestamp,
    back: Timestamp,
) -> Result<Vec<String>> {
    let theirs = subject.prometheus.alerts().await?;
    let look = SystemClock.now();
    if subject.fate == Fate::Frozen {
        return Ok(vec!["the newest alone".to_owned(); theirs.len()]);
    }
    let written = subject.for_state(away).await?;
    let newest = served(&subject.newest).await?;
    let mut kinds = Vec::new();
    let mut restored_at: Option<Timestamp> = None;
    for alert in &theirs {
        let hold_for = hold_for(name(alert))?;
        let written = written.get(name(alert)).copied();
        let was = before.iter().find(|was| was.labels == alert.labels);
        if let (Some((_, since)), Some(was)) = (written, was) {
            ensure!(was.active_at.since(since).max(since.since(was.active_at)) <= APART);
        }
        let kind = Restored::of(subject.fate, hold_for, written);
        let (down_at, since) = written.unwrap_or_default();
        // When the server restored it, as its `activeAt` tells.
        let at = match kind {
            Restored::AsItWas => {
                ensure!(alert.active_at == since, "{alert:?}: {since}");
                None
            }
            Restored::ForTheGracePeriod => Some(alert.active_at.plus(hold_for).minus(GRACE)),
            Restored::LaterByTheOutage => Some(down_at.plus(alert.active_at.since(since))),
            Restored::Anew => {
                ensure!(
                    alert.active_at >= back && alert.active_at <= look,
                    "{alert:?}"
                );
                None
            }
        };
        if let Some(at) = at {
            // All of a group at one moment, at its second evaluation.
            let one = *restored_at.get_or_insert(at);
            ensure!(
                at == one && at >= back && at <= look,
                "{alert:?}: {at}, {one}"
            );
        }
        let held = look.since(alert.active_at);
        match alert.state {
            AlertState::Firing => ensure!(held >= hold_for, "{alert:?}"),
            AlertState::Pending => ensure!(held <= hold_for + APART, "{alert:?}"),
            AlertState::Inactive => bail!("{alert:?}"),
        }
        if kind == Restored::AsItWas {
            // Ours never forgot it.
            let ours = newest.iter().find(|ours| ours.labels == alert.labels);
            let ours = ours.with_context(|| format!("{alert:?}: not among {newest:#?}"))?;
            let differs = difference(std::slice::from_ref(ours), std::slice::from_ref(alert));
            ensure!(differs.is_none(), "{}", differs.unwrap_or_default());
        } else if let Some(was) = was {
            // Ours is active since it was.
            ensure!(
                newest
                    .iter()
                    .any(|ours| ours.labels == was.labels && ours.active_at == was.active_at)
            );
        }
        kinds.push(format!("{kind:?}"));
    }
    // What `keep_firing_for` alone held is forgotten there, and not here.
    let has_kept = |alerts: &[Served]| alerts.iter().any(|alert| name(alert) == "Kept");
    ensure!(!has_kept(&theirs) && has_kept(&newest) && has_kept(before));
    Ok(kinds)
}
