//! Runs of the ruler on the shared state: a notification is published once, whatever runs at the
//! same time, and it is not lost with the run that had claimed it.

use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use alerting::config::Settings;
use alerting::notify::Outgoing;
use alerting::rules::SourceFile;
use alerting::state::State;
use alerting::timestamp::Timestamp;
use anyhow::{Context as _, Result, ensure};
use backends::http::{self, HttpOptions};
use backends::notify::{Notifier, PublishError};
use backends::prometheus::{Client, ClientOptions, PrometheusQuerier};
use backends::run::{Ruler, RunError, RunOptions, RunReport};
use backends::state::DynamoStore;
use futures_util::future::join_all;
use tokio::sync::Notify;

use super::server::{Dynamo, servers};
use super::time::HandClock;
use super::{WORKSPACE, load};
use crate::parts;
use crate::prometheus::Prometheus;
use crate::samples::Samples;

const MINUTE: Duration = Duration::from_secs(60);
const START: i64 = 1_800_000_000;
const RULES: &str = "
groups:
  - name: storm
    rules:
      - alert: Dropped
        expr: dropped > 0
        labels: {severity: critical}
";

/// Where notifications go: a list, or nowhere, for ever.
#[derive(Clone, Default)]
struct Channel {
    published: Arc<Mutex<Vec<String>>>,
    hangs: Option<Arc<Notify>>,
}

impl Notifier for Channel {
    async fn publish(&self, outgoing: &Outgoing<'_>) -> Result<(), PublishError> {
        if let Some(reached) = &self.hangs {
            reached.notify_one();
            std::future::pending::<()>().await;
        }
        let mut published = self.published.lock().expect("not poisoned");
        published.push(outgoing.notification.id.clone());
        Ok(())
    }
}

type StormRuler = Ruler<HandClock, PrometheusQuerier<HandClock>, DynamoStore<HandClock>, Channel>;

fn ruler(server: &Dynamo, prometheus: &Prometheus, channel: &Channel) -> Result<StormRuler> {
    let client = Client::new(
        http::client(&HttpOptions::default())?,
        ClientOptions::new(prometheus.url()),
    )?;
    Ok(Ruler {
        clock: server.clock.clone(),
        querier: PrometheusQuerier::new(client, server.clock.clone()),
        store: server.store(WORKSPACE)?,
        notifier: channel.clone(),
        settings: Settings {
            workspace: WORKSPACE.to_owned(),
            ..Settings::default()
        },
        options: RunOptions::default(),
    })
}

async fn run(ruler: &StormRuler, run_id: &str) -> Result<RunReport, RunError> {
    let file = SourceFile {
        name: "storm.yml".to_owned(),
        text: RULES.to_owned(),
    };
    ruler.run(run_id, Ok(vec![file])).await
}

async fn pending(server: &Dynamo) -> Result<usize> {
    let (document, _) = load(server).await?.context("a document")?;
    Ok(State::from_json(&document)?.notify.outbox.pending().len())
}

#[tokio::test]
async fn runs_at_the_same_time_publish_once_and_a_killed_one_loses_nothing() -> Result<()> {
    let Some(tools) = parts::prometheus() else {
        return Ok(());
    };
    let values: Vec<f64> = (0..60)
        .map(|minute| if (2..20).contains(&minute) { 5.0 } else { 0.0 })
        .collect();
    let start = Timestamp::from_secs(START);
    let history = Samples::new().series(r#"dropped{node="a"}"#, start, MINUTE, values);
    let prometheus = tools.server().samples(history).start().await?;
    for server in servers().await? {
        let channel = Channel::default();
        // Of two writers moto may let both be first (see `of_many_writers_one_is_first`).
        let at_once = if server.name == "moto" { 1 } else { 6 };
        let rulers = (0..at_once)
            .map(|_| ruler(&server, &prometheus, &channel))
            .collect::<Result<Vec<_>>>()?;
        let mut lost_races = 0;
        for minute in 0..12 {
            server.clock.set(START + minute * 60);
            let ids: Vec<String> = (0..at_once).map(|n| format!("run-{minute}-{n}")).collect();
            let runs = rulers.iter().zip(&ids).map(|(ruler, id)| run(ruler, id));
            for outcome in join_all(runs).await {
                match outcome {
                    Err(RunError::LostRace) => lost_races += 1,
                    outcome => ensure!(outcome?.published.postponed.is_empty()),
                }
            }
        }
        let published = channel.published.lock().expect("not poisoned").clone();
        ensure!(published.len() == 1, "{}: {published:?}", server.name);
        ensure!((lost_races > 0) == (at_once > 1) && pending(&server).await? == 0);

        // It is over: a run claims the news, and dies while it publishes.
        let at = START + 25 * 60;
        server.clock.set(at);
        let reached = Arc::new(Notify::new());
        let mortal = ruler(
            &server,
            &prometheus,
            &Channel {
                hangs: Some(Arc::clone(&reached)),
                ..Channel::default()
            },
        )?;
        {
            let mut dying = pin!(run(&mortal, "run-mortal"));
            tokio::select! {
                outcome = &mut dying => anyhow::bail!("{outcome:?}"),
                () = reached.notified() => {}
            }
        }
        ensure!(pending(&server).await? == 1);
        // While its claim holds no other run takes it; then one does.
        for (after, expected) in [(60, 1), (180, 2), (240, 2)] {
            server.clock.set(at + after);
            let id = format!("run-after-{after}");
            run(&rulers[0], &id).await?;
            let published = channel.published.lock().expect("not poisoned").len();
            ensure!(
                published == expected,
                "{}: {after} s: {published}",
                server.name
            );
        }
        ensure!(pending(&server).await? == 0);
    }
    Ok(())
}
