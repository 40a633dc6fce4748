//! Writing and reading the chunks of a document.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::types::KeysAndAttributes;
use futures_util::{StreamExt, TryStreamExt, stream};

use super::DynamoStore;
use super::failure::failed;
use super::item::{self, Head, Item};
use super::packed::Damaged;
use crate::state::StoreError;

/// How many chunks are written at the same time.
const WRITES_AT_ONCE: usize = 4;

/// How many keys `BatchGetItem` takes.
const KEYS_A_BATCH: usize = 100;

/// How often in a row `BatchGetItem` may give nothing before reading is given up.
const MAX_EMPTY_ANSWERS: u32 = 5;

/// A read that did not work.
#[derive(Debug)]
pub(super) enum ReadError {
    /// What was found cannot be the document.
    Damaged(Damaged),
    /// The store could not do it.
    Store(StoreError),
}

impl From<Damaged> for ReadError {
    fn from(damaged: Damaged) -> Self {
        Self::Damaged(damaged)
    }
}

impl From<StoreError> for ReadError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl<C> DynamoStore<C> {
    /// Writes chunk items, all of them.
    pub(super) async fn write_chunks(&self, chunks: Vec<Item>) -> Result<(), StoreError> {
        let count = chunks.len();
        stream::iter(chunks)
            .map(|chunk| async move {
                self.client
                    .put_item()
                    .table_name(&self.table)
                    .set_item(Some(chunk))
                    .send()
                    .await
                    .map_err(|error| {
                        failed(self.doing(&format!("writing the {count} chunks of")), error)
                    })
            })
            .buffer_unordered(WRITES_AT_ONCE)
            .try_for_each(|_| std::future::ready(Ok(())))
            .await
    }

    /// The chunks of a head, put together.
    pub(super) async fn read_chunks(&self, part: &str, head: &Head) -> Result<Vec<u8>, ReadError> {
        let parts = head.chunk_parts(part);
        let mut found: HashMap<String, Vec<u8>> = HashMap::new();
        for batch in parts.chunks(KEYS_A_BATCH) {
            self.read_batch(batch, &mut found).await?;
        }
        let mut bytes = Vec::new();
        let mut missing = 0;
        for part in &parts {
            match found.remove(part) {
                Some(chunk) => bytes.extend_from_slice(&chunk),
                None => missing += 1,
            }
        }
        if missing > 0 {
            let of = head.chunks;
            return Err(Damaged::Chunks { missing, of }.into());
        }
        Ok(bytes)
    }

    /// Reads one batch of items, as often as DynamoDB leaves some out for their size (an answer
    /// has at most 16 MB) or for its load.
    async fn read_batch(
        &self,
        parts: &[String],
        found: &mut HashMap<String, Vec<u8>>,
    ) -> Result<(), ReadError> {
        let mut keys: Vec<Item> = parts.iter().map(|part| item::key(&self.id, part)).collect();
        let mut empty_answers = 0;
        while !keys.is_empty() {
            let wanted = KeysAndAttributes::builder()
                .set_keys(Some(std::mem::take(&mut keys)))
                .consistent_read(true)
                .build()
                .map_err(|error| self.failed("reading the chunks of", error))?;
            let answer = self
                .client
                .batch_get_item()
                .request_items(&self.table, wanted)
                .send()
                .await
                .map_err(|error| failed(self.doing("reading the chunks of"), error))?;
            let items = answer
                .responses
                .and_then(|mut tables| tables.remove(&self.table))
                .unwrap_or_default();
            keys = answer
                .unprocessed_keys
                .and_then(|mut tables| tables.remove(&self.table))
                .map(|left| left.keys)
                .unwrap_or_default();
            if items.is_empty() && !keys.is_empty() {
                empty_answers += 1;
                if empty_answers == MAX_EMPTY_ANSWERS {
                    let busy = "DynamoDB leaves out all of them, again and again";
                    return Err(self.failed("reading the chunks of", busy).into());
                }
                tokio::time::sleep(Duration::from_millis(50 << empty_answers)).await;
            }
            for item in items {
                found.insert(item::text(&item, item::PART)?, item::data(item)?);
            }
        }
        Ok(())
    }
}
