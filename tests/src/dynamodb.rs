//! The state in DynamoDB is the old document or the new one, whatever happens on the way; and of
//! several writers one is first.

mod damage;
mod document;
mod interrupted;
mod outbox;
mod proxy;
mod server;
mod time;

use std::error::Error;

use anyhow::{Context as _, Result, ensure};
use backends::state::{CHUNK_LIFE, CommitError, StateStore as _, Version};
use futures_util::future::join_all;

use document::noise;
use server::{Dynamo, servers, size};

const WORKSPACE: &str = "ws-1d2c3b4a";

/// An error with all that is behind it.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

async fn load(server: &Dynamo) -> Result<Option<(Vec<u8>, Version)>> {
    server.store(WORKSPACE)?.load().await.context(server.name)
}

#[tokio::test]
async fn of_many_writers_one_is_first() -> Result<()> {
    for server in servers().await? {
        // moto's threads check a condition and write with nothing between them that keeps the
        // others out: there, one writer at a time.
        let writers = if server.name == "moto" { 1 } else { 8 };
        let stores = (0..writers)
            .map(|_| server.store(WORKSPACE))
            .collect::<Result<Vec<_>>>()?;
        let mut parent = None;
        for round in 1..=8 {
            // Some rounds with chunks.
            let bytes = if round % 4 == 0 { 800_000 } else { 500 };
            let documents: Vec<_> = (0..writers).map(|n| noise(round * 8 + n, bytes)).collect();
            let outcomes = join_all(
                stores
                    .iter()
                    .zip(&documents)
                    .map(|(store, document)| store.commit(document, parent)),
            )
            .await;
            let mut winners = Vec::new();
            for (outcome, document) in outcomes.into_iter().zip(&documents) {
                match outcome {
                    Ok(version) => winners.push((document.clone(), version)),
                    Err(CommitError::Conflict) => {}
                    Err(CommitError::Store(error)) => return Err(error.into()),
                }
            }
            ensure!(
                winners.len() == 1,
                "{}: {} winners",
                server.name,
                winners.len()
            );
            let (document, version) = winners.remove(0);
            ensure!(version == Version(round));
            ensure!(load(&server).await? == Some((document, version)));
            parent = Some(version);
        }
        // Who comes from the past, or from nowhere, is late.
        for late in [None, Some(Version(3)), Some(Version(99))] {
            let outcome = server.store(WORKSPACE)?.commit(b"late", late).await;
            ensure!(matches!(outcome, Err(CommitError::Conflict)), "{late:?}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn only_chunks_of_the_state_expire() -> Result<()> {
    for server in servers().await? {
        let store = server.store(WORKSPACE)?;
        let other = server.store("ws-other")?;
        ensure!(store.load().await?.is_none());

        let small = b"{\"format\":1}";
        let first = store.commit(small, None).await?;
        let items = server.items(WORKSPACE).await?;
        ensure!(items.len() == 1 && items[0].0 == "state", "{items:?}");
        ensure!(!items[0].1.contains_key("expires_at"));

        let mut versions = vec![first];
        let mut expected = Vec::new();
        for (n, now) in [1_800_000_000, 1_800_000_060].into_iter().enumerate() {
            server.clock.set(now);
            let document = noise(now.unsigned_abs(), 1_000_000);
            let parent = versions.last().copied();
            versions.push(store.commit(&document, parent).await?);
            ensure!(store.load().await?.map(|(document, _)| document) == Some(document));
            let life = i64::try_from(CHUNK_LIFE.as_secs())?;
            expected.extend([(now + life).to_string(), (now + life).to_string()]);
            expected.push((now + life).to_string());

            let items = server.items(WORKSPACE).await?;
            ensure!(items.len() == 1 + 3 * (n + 1), "{}", items.len());
            let mut expiries = Vec::new();
            for (part, item) in &items {
                ensure!(size(item) < 400_000, "{part} has {} bytes", size(item));
                match item.get("expires_at") {
                    Some(at) => expiries.push(at.as_n().ok().context("a number")?.clone()),
                    None => ensure!(part == "state"),
                }
            }
            expiries.sort();
            ensure!(expiries == expected, "{expiries:?}");
        }
        ensure!(versions == [Version(1), Version(2), Version(3)]);

        // A document that shrinks goes back into the head.
        store.commit(small, versions.last().copied()).await?;
        ensure!(store.load().await? == Some((small.to_vec(), Version(4))));

        let before = server.items(WORKSPACE).await?.len();
        let large = noise(5, 500_000);
        for (name, config) in [("aa11", &b"groups: []"[..]), ("bb22", &large)] {
            ensure!(store.get_config(name).await?.is_none());
            store.put_config(name, config).await?;
            store.put_config(name, config).await?;
            ensure!(store.get_config(name).await?.as_deref() == Some(config));
        }
        let items = server.items(WORKSPACE).await?;
        ensure!(items.len() == before + 4, "{}", items.len());
        for (part, item) in &items {
            let may_expire = part.starts_with("state/");
            ensure!(item.contains_key("expires_at") == may_expire, "{part}");
        }

        ensure!(other.load().await?.is_none());
        ensure!(other.get_config("aa11").await?.is_none());
    }
    Ok(())
}
