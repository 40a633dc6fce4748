//! Running Prometheuses with groups of a second that are stopped, killed or frozen for a while,
//! beside one that continues, and rulers of ours that ask them:
//!
//! - a Prometheus that was started again has what its restore makes of `ALERTS_FOR_STATE`;
//! - our ruler comes to what the Prometheus that went on came to, whatever befell the server;
//! - without making up for what was missed, it comes to what a frozen Prometheus comes to.

mod scene;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::Duration;

use alerting::alert::AlertState;
use alerting::timestamp::Timestamp;
use anyhow::{Context as _, Result, bail, ensure};
use backends::clock::{Clock as _, SystemClock};

use crate::parts;
use crate::prometheus::{PrometheusTools, Served};
use crate::ruler::served;
use crate::timelines::remote_write;
use scene::{Fate, GRACE, PATIENCE, RULES, Scene, Subject, TOLERANT, Weather, name, server};

/// How far `activeAt` may be apart: evaluations are a second apart, at moments of their own.
const APART: Duration = Duration::from_millis(2_500);
/// A machine on which a beat takes longer is too slow for groups of a second: it gets another try.
const SLOW: Duration = Duration::from_millis(1_250);
const TRIES: usize = 3;
/// How long the servers are away.
const OUTAGE: Duration = Duration::from_secs(15);

/// How long `Nearly` is pending when the servers go away: within the grace period of its `for`.
const NEARLY_DUE: Duration = Duration::from_millis(10_500);

fn hold_for(alert: &str) -> Result<Duration> {
    let rule = RULES.iter().find(|(name, ..)| *name == alert);
    let (_, _, seconds, _) = rule.with_context(|| format!("a rule {alert}"))?;
    Ok(Duration::from_secs(*seconds))
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
    /// `for` starts again.
    StartsAgain,
}

impl Restored {
    fn of(fate: Fate, hold_for: Duration, written: Option<(Timestamp, Timestamp)>) -> Self {
        let Some((down_at, since)) = written else {
            return Self::StartsAgain;
        };
        if fate == Fate::AwayForTooLong {
            return Self::StartsAgain;
        }
        match hold_for.checked_sub(down_at.since(since)) {
            None | Some(Duration::ZERO) => Self::AsItWas,
            Some(_) if hold_for < GRACE => Self::StartsAgain,
            Some(remaining) if remaining < GRACE => Self::ForTheGracePeriod,
            Some(_) => Self::LaterByTheOutage,
        }
    }
}

#[tokio::test]
async fn a_restarted_prometheus_restores_and_ours_continues() -> Result<()> {
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
            (Restored::AsItWas, 3),
            (Restored::ForTheGracePeriod, 1),
            (Restored::LaterByTheOutage, 2),
            (Restored::StartsAgain, 1),
        ] {
            let what = format!("{fate:?}: {kind:?}");
            ensure!(of(&what) >= floor, "{what}: {compared:?}");
        }
    }
    ensure!(of("AwayForTooLong: StartsAgain") >= 7, "{compared:?}");
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
        // When the server restored it, as its `activeAt` shows.
        let at = match kind {
            Restored::AsItWas => {
                ensure!(alert.active_at == since, "{alert:?}: {since}");
                None
            }
            Restored::ForTheGracePeriod => Some(alert.active_at.plus(hold_for).minus(GRACE)),
            Restored::LaterByTheOutage => Some(down_at.plus(alert.active_at.since(since))),
            Restored::StartsAgain => {
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
