//! Topics that do not answer take no other topic's time. The time is tokio's own, which passes only
//! while everybody waits.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use alerting::config::{ConfigFiles, Settings};
use alerting::notify::{Outgoing, Receiver, Route, SnsConfig, TopicArn};
use alerting::query::{Answer, Ask, QueryFailure, ResultType};
use alerting::timestamp::Timestamp;
use anyhow::{Result, ensure};
use backends::clock::Clock;
use backends::notify::{Notifier, PublishError, SnsOptions};
use backends::run::{Querier, Ruler, RunOptions};
use backends::state::FileStore;
use tokio::time::Instant;

/// Tokio's time, from a moment of ours on.
#[derive(Debug, Clone, Copy)]
struct TokioClock(Instant);

impl Clock for TokioClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_secs(1_800_000_000).plus(self.0.elapsed())
    }
}

struct Nothing;

impl Querier for Nothing {
    async fn query(&self, _: &Ask, _: Timestamp) -> Result<Answer, QueryFailure> {
        Ok(Answer::new(ResultType::Vector, Vec::new()))
    }
}

/// Topics whose name begins with `dead` answer nothing until the client's time is up.
#[derive(Clone, Default)]
struct Topics(Arc<Mutex<Vec<String>>>);

impl Notifier for Topics {
    async fn publish(&self, outgoing: &Outgoing<'_>) -> Result<(), PublishError> {
        let receiver = &outgoing.notification.receiver;
        if receiver.starts_with("dead") {
            tokio::time::sleep(SnsOptions::default().timeout).await;
            return Err(PublishError::Transient("no answer".to_owned()));
        }
        let mut published = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        published.push(receiver.clone());
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
        goes_on: true,
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
                sns: vec![SnsConfig::of(topic(name))],
                terminal: false,
            })
            .collect(),
        route: root,
        ..Settings::default()
    }
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_answers_is_published_to_beside_those_that_do_not() -> Result<()> {
    for dead in [1, 4, 8, 12] {
        let folder = crate::ruler::in_memory(1 << 20)?;
        let topics = Topics::default();
        let clock = TokioClock(Instant::now());
        let ruler = Ruler {
            clock,
            querier: Nothing,
            store: FileStore::new(folder.path().join("state.json")),
            notifier: topics.clone(),
            settings: settings(dead),
            options: RunOptions::default(),
        };
        ruler.run("first", Ok(ConfigFiles::default())).await?;
        // Something to notify of: a configuration that does not load.
        tokio::time::advance(Duration::from_secs(60)).await;
        let began = clock.now();
        let report = ruler
            .run("second", Err::<ConfigFiles, _>("it is broken".to_owned()))
            .await?;
        let published = topics.0.lock().unwrap_or_else(PoisonError::into_inner);
        ensure!(*published == ["living"], "{dead}: {published:?}");
        ensure!(report.published.postponed.len() == dead, "{report:?}");
        ensure!(report.owed == dead, "{report:?}");
        let took = clock.now().since(began);
        ensure!(took < RunOptions::default().budget, "{took:?}");
    }
    Ok(())
}
