//! The whole ruler in a test's hands: the real client and the real state file, a clock that is
//! turned by hand, and a notifier that records notifications.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use alerting::alert::AlertState;
use alerting::config::Settings;
use alerting::evaluation::EvaluationOptions;
use alerting::labels::{ALERT_NAME, Labels};
use alerting::notify::{Message, Notification, Outgoing, Route};
use alerting::rules::{Defaults, SourceFile};
use alerting::state::{RuleState, State};
use alerting::state_machine::Semantics;
use alerting::timestamp::Timestamp;
use anyhow::{Context as _, Result};
use backends::clock::Clock;
use backends::http::{self, HttpOptions};
use backends::notify::{Notifier, PublishError};
use backends::prometheus::{Backoff, Client, ClientOptions, PrometheusQuerier};
use backends::run::{Ruler, RunOptions, RunReport};
use backends::state::{FileStore, StateStore as _};
use tempfile::TempDir;

use crate::prometheus::Served;

/// A clock that stands still until it is set.
#[derive(Debug, Clone)]
pub(crate) struct HandClock(Arc<AtomicI64>);

impl HandClock {
    /// Lets so much time pass.
    pub(crate) fn pass(&self, time: Duration) {
        let millis = i64::try_from(time.as_millis()).expect("a short time");
        self.0.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

/// One notification as it was published.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Notified {
    pub(crate) at: Timestamp,
    pub(crate) notification: Notification,
    pub(crate) message: Message,
}

/// Records notifications.
#[derive(Debug, Clone)]
pub(crate) struct Recorder {
    clock: HandClock,
    notified: Arc<Mutex<Vec<Notified>>>,
}

impl Notifier for Recorder {
    async fn publish(&self, outgoing: &Outgoing<'_>) -> Result<(), PublishError> {
        let notified = Notified {
            at: self.clock.now(),
            notification: outgoing.notification.clone(),
            message: outgoing.text(),
        };
        let mut all = self.notified.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(notified);
        Ok(())
    }
}

/// A ruler with a state file of its own.
pub(crate) struct Bench {
    pub(crate) ruler: Ruler<HandClock, PrometheusQuerier<HandClock>, FileStore, Recorder>,
    pub(crate) files: Vec<SourceFile>,
    pub(crate) clock: HandClock,
    runs: u32,
    _folder: TempDir,
}

/// An active alert of a rule as a tick left it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Active {
    pub(crate) labels: Labels,
    /// The labels of Prometheus's `ALERTS` series, which begin with the rule's, not expanded: one
    /// that the alert does not have since it expanded to nothing is in there as a template.
    pub(crate) in_series: Labels,
    pub(crate) state: AlertState,
    pub(crate) active_at: Timestamp,
    pub(crate) annotations: Vec<(String, String)>,
}

impl Active {
    /// The rule's name.
    pub(crate) fn name(&self) -> &str {
        self.labels.get(ALERT_NAME)
    }
}

const FOR_EVER: Duration = Duration::from_secs(1_000_000);

/// Settings in which nothing is different from Prometheus.
pub(crate) fn as_prometheus() -> Settings {
    Settings {
        workspace: "test".to_owned(),
        defaults: Defaults {
            interval: Duration::from_secs(60),
            query_offset: Duration::ZERO,
        },
        // Nothing is notified: notification has tests of its own.
        route: Route {
            group_wait: FOR_EVER,
            ..Route::default()
        },
        evaluation: EvaluationOptions {
            semantics: Semantics::prometheus(),
            max_catch_up: FOR_EVER,
            ..EvaluationOptions::default()
        },
        ..Settings::default()
    }
}

impl Bench {
    /// A ruler that asks the server at `url`.
    pub(crate) fn new(url: &str, files: Vec<SourceFile>, settings: Settings) -> Result<Self> {
        Self::with_client(patient(url), files, settings)
    }

    /// The same, with a client of the test's choosing.
    pub(crate) fn with_client(
        options: ClientOptions,
        files: Vec<SourceFile>,
        settings: Settings,
    ) -> Result<Self> {
        let folder = in_memory(STATE)?;
        let clock = HandClock(Arc::new(AtomicI64::new(0)));
        let client = Client::new(http::client(&HttpOptions::default())?, options)?;
        Ok(Self {
            ruler: Ruler {
                clock: clock.clone(),
                querier: PrometheusQuerier::new(client, clock.clone()),
                store: FileStore::new(folder.path().join("state.json")),
                notifier: Recorder {
                    clock: clock.clone(),
                    notified: Arc::default(),
                },
                settings,
                options: RunOptions::default(),
            },
            files,
            clock,
            runs: 0,
            _folder: folder,
        })
    }

    /// Asks by another client from now on.
    pub(crate) fn ask_by(&mut self, options: ClientOptions) -> Result<()> {
        let client = Client::new(http::client(&HttpOptions::default())?, options)?;
        self.ruler.querier = PrometheusQuerier::new(client, self.clock.clone());
        Ok(())
    }

    /// One run at `now`.
    pub(crate) async fn run_at(&mut self, now: Timestamp) -> Result<RunReport> {
        self.clock.0.store(now.as_millis(), Ordering::SeqCst);
        self.runs += 1;
        let run_id = format!("run {}", self.runs);
        let done = self.ruler.run(&run_id, Ok(self.files.clone())).await;
        done.with_context(|| format!("{run_id}, at {now}"))
    }

    /// What is stored.
    pub(crate) async fn state(&self) -> Result<State> {
        let (document, _) = self.ruler.store.load().await?.context("no state yet")?;
        Ok(State::from_json(&document)?)
    }

    /// What was published, in its order.
    pub(crate) fn notified(&self) -> Vec<Notified> {
        let notified = self.ruler.notifier.notified.lock();
        notified.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What a state file needs of it, and the one that takes its place.
const STATE: u64 = 16 << 20;

/// A folder whose files cost no disk, where the system has such, and so much room in it: a state
/// file is flushed to the disk at every commit, and these tests commit thousands of times. Containers
/// often have 64 MiB of it.
pub(crate) fn in_memory(room: u64) -> std::io::Result<TempDir> {
    let memory = "/dev/shm";
    let has_room =
        rustix::fs::statvfs(memory).is_ok_and(|it| it.f_bavail.saturating_mul(it.f_frsize) >= room);
    if has_room && let Ok(folder) = tempfile::tempdir_in(memory) {
        return Ok(folder);
    }
    tempfile::tempdir()
}

/// A client that waits for a busy machine.
pub(crate) fn patient(url: &str) -> ClientOptions {
    ClientOptions::new(url)
}

/// A client that gives up soon, for servers that are made to fail.
pub(crate) fn impatient(url: &str) -> ClientOptions {
    let mut options = ClientOptions::new(url);
    options.request_timeout = Duration::from_millis(200);
    options.backoff = Backoff {
        initial: Duration::from_millis(10),
        max: Duration::from_millis(20),
        attempts: 2,
    };
    options
}

/// The pending and firing alerts of all rules, sorted.
pub(crate) fn active(state: &State) -> Vec<Active> {
    active_of(state.rules.values())
}

/// The same of some rules.
pub(crate) fn active_of<'a>(rules: impl Iterator<Item = &'a RuleState>) -> Vec<Active> {
    let mut active = Vec::new();
    for rule in rules {
        let alerts = rule.active.values();
        for alert in alerts.filter(|alert| alert.state != AlertState::Inactive) {
            let annotations = alert.annotations.iter();
            active.push(Active {
                labels: alert.labels.clone(),
                in_series: rule.id.labels.with(alert.labels.iter()),
                state: alert.state,
                active_at: alert.active_at,
                annotations: annotations
                    .map(|(name, text)| (name.clone(), text.clone()))
                    .collect(),
            });
        }
    }
    active.sort();
    active
}

/// The starter rules' files that are called so.
pub(crate) fn starter_rules(names: &[&str]) -> Result<Vec<SourceFile>> {
    names
        .iter()
        .map(|name| {
            let path = starter_rules_folder().join(name);
            Ok(SourceFile {
                text: std::fs::read_to_string(&path)
                    .with_context(|| format!("reading {}", path.display()))?,
                name: path.display().to_string(),
            })
        })
        .collect()
}

/// Where the starter rules are.
pub(crate) fn starter_rules_folder() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../rules")
}

/// Each notification: the minute since `start`, the subject, and why.
pub(crate) fn story(notified: &[Notified], start: Timestamp) -> Vec<String> {
    let lines = notified.iter().map(|notified| {
        let minute = notified.at.since(start).as_secs() / 60;
        let subject = &notified.message.subject;
        format!("{minute} {subject}, {}", notified.notification.reason)
    });
    lines.collect()
}

/// The active alerts of a ruler of ours, as a server would return them.
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
