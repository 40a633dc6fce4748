//! What cannot be the document is an error, never a part of a document; and what the server does
//! not give at once is asked for again.

use anyhow::{Context as _, Result, ensure};
use aws_sdk_dynamodb::types::AttributeValue;
use backends::state::{CommitError, DynamoStore, StateStore as _, Version};
use serde_json::json;

use super::document::noise;
use super::proxy::{Fate, Proxy};
use super::server::{Dynamo, Item, TABLE, servers};
use super::time::HandClock;
use super::{WORKSPACE, chain, load};

/// The items of a document in chunks, and the chunks of the one before it.
struct Stored {
    head: Item,
    new: Vec<Item>,
    old: Vec<Item>,
}

impl Stored {
    async fn on(server: &Dynamo) -> Result<Self> {
        let store = server.store(WORKSPACE)?;
        let version = store.commit(&noise(1, 800_000), None).await?;
        let earlier = server.items(WORKSPACE).await?;
        store.commit(&noise(2, 800_000), Some(version)).await?;
        let (_, head) = server.items(WORKSPACE).await?.remove(0);
        let chunks = server.items(WORKSPACE).await?.split_off(1);
        let (old, new): (Vec<_>, Vec<_>) = chunks
            .into_iter()
            .partition(|(part, _)| earlier.iter().any(|(known, _)| known == part));
        ensure!((old.len(), new.len()) == (3, 3));
        let items = |chunks: Vec<(String, Item)>| chunks.into_iter().map(|(_, item)| item);
        Ok(Self {
            head,
            new: items(new).collect(),
            old: items(old).collect(),
        })
    }

    /// Loads while these items stand in the place of those with their keys, and `deleted` is
    /// not there; then all is as before.
    async fn check(
        &self,
        server: &Dynamo,
        items: Vec<Item>,
        deleted: Option<&Item>,
        expected: &str,
    ) -> Result<()> {
        let changed: Vec<&Item> = items.iter().chain(deleted).collect();
        for item in &items {
            server.put(item.clone()).await?;
        }
        if let Some(item) = deleted {
            server.delete(WORKSPACE, part(item)).await?;
        }
        let store = server.store(WORKSPACE)?;
        let error = chain(&store.load().await.expect_err(expected));
        ensure!(error.contains(expected), "{}: {error}", server.name);
        for item in [&self.head].into_iter().chain(&self.new) {
            if changed.iter().any(|changed| part(changed) == part(item)) {
                server.put(item.clone()).await?;
            }
        }
        Ok(())
    }
}

fn part(item: &Item) -> &str {
    item["part"].as_s().expect("a text")
}

fn with(item: &Item, name: &str, value: AttributeValue) -> Item {
    let mut item = item.clone();
    item.insert(name.to_owned(), value);
    item
}

#[tokio::test]
async fn a_mixture_is_an_error() -> Result<()> {
    let checksum = "its checksum is not the one that was written";
    for server in servers().await? {
        let stored = Stored::on(&server).await?;
        let Stored { head, new, old } = &stored;
        let missing = "1 of its 3 chunks are missing";
        stored
            .check(&server, vec![], Some(&new[1]), missing)
            .await?;
        let mixed = with(&new[1], "data", old[1]["data"].clone());
        stored.check(&server, vec![mixed], None, checksum).await?;
        let swapped = vec![
            with(&new[0], "data", new[1]["data"].clone()),
            with(&new[1], "data", new[0]["data"].clone()),
        ];
        stored.check(&server, swapped, None, checksum).await?;
        for (name, value, expected) in [
            ("chunks", "2", checksum),
            ("chunks", "4", "1 of its 4 chunks are missing"),
            ("chunks", "101", "no usable `chunks`"),
            ("chunks", "-1", "no usable `chunks`"),
            ("chunks", "0", "no usable `data`"),
            ("size", "799999", "it does not have the 799999 bytes"),
            ("size", "18446744073709551615", "it does not have the"),
            ("form", "2", "a later release"),
            ("version", "1.5", "no usable `version`"),
        ] {
            let changed = with(head, name, AttributeValue::N(value.to_owned()));
            stored.check(&server, vec![changed], None, expected).await?;
        }
        // The changes were the fault, nothing else.
        ensure!(load(&server).await? == Some((noise(2, 800_000), Version(2))));
    }
    Ok(())
}

/// Between a reader's look at the head and its look at the chunks, the document is replaced and
/// the chunks vanish: it starts again.
#[tokio::test]
async fn a_reader_that_was_overtaken_reads_the_newer_document() -> Result<()> {
    for server in servers().await? {
        let direct = server.store(WORKSPACE)?;
        let version = direct.commit(&noise(1, 800_000), None).await?;
        let chunks = server.items(WORKSPACE).await?;
        let newer = noise(2, 900_000);
        let mut proxy = Proxy::before(&server.url).await?;
        let store = server.store_by(&proxy.url, WORKSPACE)?;
        let mut batches = 0;
        let found = proxy
            .during(store.load(), async |request| {
                if request.operation == "BatchGetItem" {
                    batches += 1;
                    if batches == 1 {
                        direct.commit(&newer, Some(version)).await?;
                        for (part, _) in chunks.iter().filter(|(part, _)| part != "state") {
                            server.delete(WORKSPACE, part).await?;
                        }
                    }
                }
                Ok(Fate::Pass)
            })
            .await?
            .context("not killed")??;
        ensure!(batches == 2);
        ensure!(found == Some((newer, Version(2))));
    }
    Ok(())
}

#[tokio::test]
async fn what_an_answer_leaves_out_is_asked_for_again() -> Result<()> {
    for server in servers().await? {
        let direct = server.store(WORKSPACE)?;
        // More than the 16 MB that an answer may have: moto keeps to that.
        let document = noise(3, 18_000_000);
        direct.commit(&document, None).await?;
        let mut proxy = Proxy::before(&server.url).await?;
        let store = server.store_by(&proxy.url, WORKSPACE)?;
        for empty in [0, 4, 5] {
            let mut batches = 0;
            let found = proxy
                .during(store.load(), async |request| {
                    if request.operation != "BatchGetItem" {
                        return Ok(Fate::Pass);
                    }
                    batches += 1;
                    if batches > empty {
                        return Ok(Fate::Pass);
                    }
                    let body = json!({
                        "Responses": { TABLE: [] },
                        "UnprocessedKeys": request.body["RequestItems"],
                    });
                    Ok(Fate::Answered(200, body.to_string()))
                })
                .await?
                .context("not killed")?;
            let asked = batches - empty;
            match found {
                Ok(found) => {
                    ensure!(empty < 5);
                    ensure!(found.is_some_and(|(found, _)| found == document));
                    ensure!(
                        asked == if server.name == "moto" { 2 } else { 1 },
                        "{asked}"
                    );
                }
                Err(error) => {
                    ensure!(empty == 5);
                    let error = chain(&error);
                    ensure!(error.contains("again and again"), "{error}");
                }
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn what_cannot_work_says_so() -> Result<()> {
    for server in servers().await? {
        let config = Dynamo::config(&server.url)?;
        let clock = HandClock::at(1_800_000_000);
        let nowhere = DynamoStore::new(&config, "no-such-table", WORKSPACE, clock);
        let error = chain(&nowhere.load().await.expect_err("no table"));
        ensure!(
            error.starts_with(
                "reading the state of ws-1d2c3b4a in the DynamoDB table no-such-table"
            ),
            "{error}"
        );
        ensure!(error.contains("ResourceNotFoundException"), "{error}");
        let refused = nowhere.commit(b"{}", None).await;
        ensure!(matches!(refused, Err(CommitError::Store(_))), "{refused:?}");

        // More than can be read back.
        let store = server.store(WORKSPACE)?;
        let packed = noise(4, 36_000_000);
        let refused = store.commit(&packed, None).await;
        let Err(CommitError::Store(error)) = refused else {
            anyhow::bail!("{refused:?}");
        };
        let error = chain(&error);
        ensure!(error.contains("35840000 are the limit"), "{error}");
        ensure!(load(&server).await?.is_none());
    }
    Ok(())
}
