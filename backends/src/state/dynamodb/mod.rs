//! The state in a DynamoDB table, one fenced document a workspace.
//!
//! Items, by their sort key `part` under the partition key `id` (the workspace):
//! - `state`: the head. It holds the compressed document, or says how many chunks do. It is
//!   written by one conditional write whose condition is the version before it: that write is
//!   the commit.
//! - `state/<generation>/<index>`: a chunk. Chunks are written before the head that names them,
//!   under names that no other write uses, and never change.
//! - `config/<name>` and `config/<name>/<checksum>/<index>`: a configuration, likewise, without
//!   a fence, because its name is a hash of it.
//!
//! Nothing is deleted here. A chunk of the state expires through the table's TTL, a fixed time
//! ([`CHUNK_LIFE`]) after it was written, whether its head came, was superseded, or never came:
//! so a crash leaves nothing behind for ever, a reader has that long for the chunks of the head
//! that it read, and deletion by TTL costs nothing. A ruler in operation writes a new
//! generation at every run. A document in chunks that was not written for so long is lost, and
//! [`StateStore::load`] says so; one that fits the head (some five thousand alerts) never is.
//! Configurations do not expire: they are small, and there is a new one only when rule files
//! change.

mod failure;
mod item;
mod packed;
mod parts;

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_types::SdkConfig;

use self::failure::{Unconfirmed, failed};
use self::item::{GENERATION, Head, ID, Item, VERSION};
use self::packed::Packed;
use self::parts::ReadError;
use super::{CommitError, StateStore, StoreError, Version};
use crate::aws_time::WatchTime;
use crate::clock::Clock;
use crate::server_time::ServerTime;

/// How long a chunk of the state is kept at least.
pub const CHUNK_LIFE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// How long one request may take; there are at most three tries.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long to wait after each try to write a head but the last.
const PAUSES: [Duration; 2] = [Duration::from_millis(100), Duration::from_millis(400)];

/// The document's head.
const STATE: &str = "state";

/// The state document and the configurations of one workspace in a DynamoDB table.
///
/// The table has the partition key `id` and the sort key `part`, both strings, and its TTL
/// attribute is `expires_at`. Encryption and capacity are the table's own.
#[derive(Debug, Clone)]
pub struct DynamoStore<C> {
    client: Client,
    table: String,
    id: String,
    clock: C,
    time: WatchTime,
}

impl<C> DynamoStore<C> {
    /// The store of `workspace` in `table` (its name or its ARN). `clock` is what chunks expire
    /// by.
    pub fn new(
        config: &SdkConfig,
        table: impl Into<String>,
        workspace: impl Into<String>,
        clock: C,
    ) -> Self {
        let timeouts = TimeoutConfig::builder()
            .operation_attempt_timeout(ATTEMPT_TIMEOUT)
            .build();
        let time = WatchTime::default();
        let config = aws_sdk_dynamodb::config::Builder::from(config)
            .timeout_config(timeouts)
            .interceptor(time.clone())
            .build();
        Self {
            client: Client::from_conf(config),
            table: table.into(),
            id: workspace.into(),
            clock,
            time,
        }
    }

    fn doing(&self, doing: &str) -> String {
        format!("{doing} {} in the DynamoDB table {}", self.id, self.table)
    }

    fn failed(
        &self,
        doing: &str,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> StoreError {
        StoreError {
            doing: self.doing(doing),
            source: source.into(),
        }
    }

    /// A document and its head. An inconsistent document is read once more: a newer one may have
    /// replaced it in between.
    async fn read(&self, part: &str) -> Result<Option<(Vec<u8>, Head)>, StoreError> {
        let read = match self.read_once(part).await {
            Err(ReadError::Damaged(_)) => self.read_once(part).await,
            read => read,
        };
        read.map_err(|error| match error {
            ReadError::Store(error) => error,
            ReadError::Damaged(damaged) => self.failed(
                &format!("reading the item `{part}` of (to begin without it, delete that item)"),
                damaged,
            ),
        })
    }

    async fn read_once(&self, part: &str) -> Result<Option<(Vec<u8>, Head)>, ReadError> {
        let Some(item) = self.item(part).await? else {
            return Ok(None);
        };
        let head = Head::read(&item)?;
        let packed = Packed {
            bytes: match head.chunks {
                0 => item::data(item)?,
                _ => self.read_chunks(part, &head).await?,
            },
            size: head.size,
            checksum: head.checksum.clone(),
        };
        Ok(Some((packed.unpack()?, head)))
    }

    async fn item(&self, part: &str) -> Result<Option<Item>, StoreError> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(item::key(&self.id, part)))
            .consistent_read(true)
            .send()
            .await;
        answer
            .map(|answer| answer.item)
            .map_err(|error| failed(self.doing("reading the state of"), error))
    }

    /// Writes the head if the stored one has version `parent`: the commit.
    ///
    /// A try whose answer is lost may have been done. Then the next one's condition fails on our
    /// own write, so who wrote it is looked up.
    async fn write_head(
        &self,
        head: &Head,
        item: &Item,
        parent: Option<Version>,
    ) -> Result<Version, CommitError> {
        let mut in_doubt = false;
        let mut pauses = PAUSES.into_iter();
        loop {
            let error = match self.put_head(item.clone(), parent).await {
                Ok(_) => return Ok(head.version),
                Err(error) => error,
            };
            let unconfirmed = Unconfirmed::of(&error);
            in_doubt |= unconfirmed == Unconfirmed::InDoubt;
            let again = matches!(unconfirmed, Unconfirmed::InDoubt | Unconfirmed::Throttled);
            if again && let Some(pause) = pauses.next() {
                tokio::time::sleep(pause).await;
                continue;
            }
            if in_doubt {
                let error = failed(
                    self.doing("writing (it is not known whether it worked) the state of"),
                    error,
                );
                return self.settle_doubt(head, error).await;
            }
            return Err(match unconfirmed {
                Unconfirmed::ConditionFailed => CommitError::Conflict,
                _ => failed(self.doing("writing the state of"), error).into(),
            });
        }
    }

    async fn put_head(
        &self,
        item: Item,
        parent: Option<Version>,
    ) -> Result<
        aws_sdk_dynamodb::operation::put_item::PutItemOutput,
        aws_sdk_dynamodb::error::SdkError<aws_sdk_dynamodb::operation::put_item::PutItemError>,
    > {
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item));
        let put = match parent {
            None => put
                .condition_expression("attribute_not_exists(#id)")
                .expression_attribute_names("#id", ID),
            Some(Version(parent)) => put
                .condition_expression("#version = :parent")
                .expression_attribute_names("#version", VERSION)
                .expression_attribute_values(":parent", item::number(&parent)),
        };
        // The SDK's own tries would hide whether one of them was in doubt.
        let once = aws_sdk_dynamodb::config::Builder::new().retry_config(RetryConfig::disabled());
        put.customize().config_override(once).send().await
    }

    /// Finds out whether a write whose answer was lost is the one that is stored. `error` is
    /// the error to return where that cannot be decided.
    async fn settle_doubt(&self, head: &Head, error: StoreError) -> Result<Version, CommitError> {
        let stored = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(item::key(&self.id, STATE)))
            .consistent_read(true)
            .projection_expression("#version, #generation")
            .expression_attribute_names("#version", VERSION)
            .expression_attribute_names("#generation", GENERATION)
            .send()
            .await;
        let Ok(Some(stored)) = stored.map(|answer| answer.item) else {
            return Err(error.into());
        };
        match (
            item::text(&stored, GENERATION),
            item::parsed(&stored, VERSION).map(Version),
        ) {
            (Ok(generation), _) if generation == head.generation => Ok(head.version),
            // Exactly one write has each version, and this one is another's.
            (Ok(_), Ok(version)) if version == head.version => Err(CommitError::Conflict),
            _ => Err(error.into()),
        }
    }
}

impl<C: Clock> StateStore for DynamoStore<C> {
    fn take_server_time(&self) -> Option<ServerTime> {
        self.time.take()
    }

    async fn load(&self) -> Result<Option<(Vec<u8>, Version)>, StoreError> {
        let read = self.read(STATE).await?;
        Ok(read.map(|(document, head)| (document, head.version)))
    }

    async fn commit(
        &self,
        document: &[u8],
        parent: Option<Version>,
    ) -> Result<Version, CommitError> {
        let packed =
            Packed::pack(document).map_err(|error| self.failed("packing the state of", error))?;
        let generation = unique().map_err(|error| self.failed("naming the state of", error))?;
        let version = Version(parent.map_or(1, |Version(parent)| parent.saturating_add(1)));
        let expires_at = self
            .clock
            .now()
            .plus(CHUNK_LIFE)
            .as_millis()
            .div_euclid(1000);
        let head = Head::new(&packed, version, generation, Some(expires_at));
        self.write_chunks(head.chunk_items(&self.id, STATE, &packed))
            .await?;
        self.write_head(&head, &head.item(&self.id, STATE, &packed), parent)
            .await
    }

    async fn put_config(&self, name: &str, config: &[u8]) -> Result<(), StoreError> {
        let doing = "writing a configuration of";
        let packed = Packed::pack(config).map_err(|error| self.failed(doing, error))?;
        let part = config_part(name);
        let head = Head::new(&packed, Version(1), packed.checksum.clone(), None);
        self.write_chunks(head.chunk_items(&self.id, &part, &packed))
            .await?;
        self.client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(head.item(&self.id, &part, &packed)))
            .send()
            .await
            .map_err(|error| failed(self.doing(doing), error))?;
        Ok(())
    }

    async fn get_config(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let read = self.read(&config_part(name)).await?;
        Ok(read.map(|(config, _)| config))
    }
}

fn config_part(name: &str) -> String {
    format!("config/{name}")
}

/// A name that nothing else has: two runs that start at the same moment must not share one.
fn unique() -> Result<String, rustls::Error> {
    let mut bytes = [0; 16];
    rustls::crypto::ring::default_provider()
        .secure_random
        .fill(&mut bytes)?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}
