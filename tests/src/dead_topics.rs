//! Topics that do not answer take no other topic's time.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use alerting::config::{ConfigFiles, Settings};
use alerting::notify::{Outgoing, Receiver, Route, SnsConfig, TopicArn};
use alerting::query::{Answer, Ask, QueryFailure, ResultType};
use alerting::timestamp::Timestamp;
use anyhow::{Context as _, Result, ensure};
use backends::clock::Clock;
use backends::notify::{Notifier, PublishError};
use backends::run::{Querier, Ruler, RunOptions};
use backends::state::FileStore;
use tokio::sync::Notify;

/// A clock that is turned by hand.
#[derive(Debug, Clone)]
struct HandClock(Arc<AtomicI64>);

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_secs(self.0.load(Ordering::SeqCst))
    }
}

/// Far longer than a run takes on a busy machine; only one that waits for ever meets it.
const NEVER: Duration = Duration::from_secs(60);

struct Nothing;

impl Querier for Nothing {
    async fn query(&self, _: &Ask, _: Timestamp) -> Result<Answer, QueryFailure> {
        Ok(Answer::new(ResultType::Vector, Vec::new()))
    }
}

/// Topics of which those called `dead` do not answer before the living one was published to.
#[derive(Clone, Default)]
struct Topics {
    published: Arc<Mutex<Vec<String>>>,
    is_published: Arc<Notify>,
}

impl Notifier for Topics {
    async fn publish(&self, outgoing: &Outgoing<'_>) -> Result<(), PublishError> {
        let receiver = &outgoing.notification.receiver;
        if receiver.starts_with("dead") {
            self.is_published.notified().await;
            self.is_published.notify_one();
            return Err(PublishError::Transient("no answer".to_owned()));
        }
        let mut published = self
            .published
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        published.push(receiver.clone());
        self.is_published.notify_one();
        Ok(())
    }
}

/// A root that sends to each receiver, the living one last.
fn settings(dead: usize) -> Settings {
    let mut names: Vec<String> = (0..dead).map(|at| format!("dead-{at}")).collect();
    names.push("living".to_owned());
    let route = |receiver: &String| Route {
        receiver: receiver.clone(),
        group_wait: Duration::ZERO,
        continue_matching: true,
        ..Route::default()
    };
    let mut root = Route {
        routes: names.iter().map(route).collect(),
        ..route(&names[0])
    };
    root.name_nodes();
    let topic = |name: &String| -> TopicArn {
        let arn = format!("arn:aws:sns:eu-central-1:123456789012:{name}");
        arn.parse().expect("an ARN")
    };
    Settings {
        workspace: "test".to_owned(),
        receivers: names
            .iter()
            .map(|name| Receiver {
                name: name.clone(),
                sns: vec![SnsConfig::from_topic(topic(name))],
                terminal: false,
                labels: BTreeMap::new(),
                undelivered: Vec::new(),
            })
            .collect(),
        route: root,
        ..Settings::default()
    }
}

#[tokio::test]
async fn a_topic_that_answers_is_published_to_beside_those_that_do_not() -> Result<()> {
    for dead in [1, 4, 8, 12] {
        let folder = crate::ruler::in_memory(1 << 20)?;
        let topics = Topics::default();
        let clock = HandClock(Arc::new(AtomicI64::new(1_800_000_000)));
        let ruler = Ruler {
            clock: clock.clone(),
            querier: Nothing,
            store: FileStore::new(folder.path().join("state.json")),
            notifier: topics.clone(),
            settings: settings(dead),
            options: RunOptions {
                allow_empty: true,
                ..RunOptions::default()
            },
        };
        ruler.run("first", Ok(ConfigFiles::default())).await?;
        // Something to notify of: a configuration that does not load.
        clock.0.fetch_add(60, Ordering::SeqCst);
        let broken = Err::<ConfigFiles, _>("it is broken".to_owned());
        let run = tokio::time::timeout(NEVER, ruler.run("second", broken));
        let report = run
            .await
            .context("the living topic waits for a dead one")??;
        let published = topics
            .published
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        ensure!(*published == ["living"], "{dead}: {published:?}");
        ensure!(report.published.postponed.len() == dead, "{report:?}");
        ensure!(report.pending == dead, "{report:?}");
    }
    Ok(())
}
