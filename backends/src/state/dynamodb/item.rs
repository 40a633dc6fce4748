//! What the items look like: a head a document, and the chunks of those that are too large for
//! one item.

use std::collections::HashMap;
use std::str::FromStr;

use aws_sdk_dynamodb::types::AttributeValue;
use aws_smithy_types::Blob;

use super::packed::{Damaged, MAX_CHUNKS, PART_BYTES, Packed};
use crate::state::Version;

/// The partition key: whose document it is.
pub(super) const ID: &str = "id";
/// The sort key: which document, or which chunk of it.
pub(super) const PART: &str = "part";
/// The table's TTL attribute, in seconds since the epoch. Only chunks of the state have it.
pub(super) const EXPIRES_AT: &str = "expires_at";
/// The fence of the conditional write.
pub(super) const VERSION: &str = "version";
/// What no other write has: the names of the chunks hold it, and by it a writer knows its own.
pub(super) const GENERATION: &str = "generation";

const FORM: &str = "form";
const CHUNKS: &str = "chunks";
const SIZE: &str = "size";
const CHECKSUM: &str = "checksum";
const DATA: &str = "data";
const CHUNKS_EXPIRE_AT: &str = "chunks_expire_at";

/// The form of items that this release writes.
const CURRENT_FORM: u64 = 1;

/// An item as the SDK has it.
pub(super) type Item = HashMap<String, AttributeValue>;

/// What the head item says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) version: Version,
    pub(super) generation: String,
    /// How many chunks there are; with none, the document is in the head itself.
    pub(super) chunks: usize,
    pub(super) size: usize,
    pub(super) checksum: String,
    /// When the chunks may go, in seconds since the epoch.
    pub(super) chunks_expire_at: Option<i64>,
}

impl Head {
    /// The head of `packed`. Its chunks, where it needs some, expire at `expires_at`.
    pub(super) fn new(
        packed: &Packed,
        version: Version,
        generation: String,
        expires_at: Option<i64>,
    ) -> Self {
        let chunks = if packed.bytes.len() <= PART_BYTES {
            0
        } else {
            packed.bytes.len().div_ceil(PART_BYTES)
        };
        Self {
            version,
            generation,
            chunks,
            size: packed.size,
            checksum: packed.checksum.clone(),
            chunks_expire_at: expires_at.filter(|_| chunks > 0),
        }
    }

    /// The head item of the document `part`.
    pub(super) fn item(&self, id: &str, part: &str, packed: &Packed) -> Item {
        let mut item = key(id, part);
        let mut set = |name: &str, value| item.insert(name.to_owned(), value);
        set(FORM, number(&CURRENT_FORM));
        set(VERSION, number(&self.version.0));
        set(GENERATION, AttributeValue::S(self.generation.clone()));
        set(CHUNKS, number(&self.chunks));
        set(SIZE, number(&self.size));
        set(CHECKSUM, AttributeValue::S(self.checksum.clone()));
        if let Some(at) = self.chunks_expire_at {
            set(CHUNKS_EXPIRE_AT, number(&at));
        }
        if self.chunks == 0 {
            set(DATA, binary(&packed.bytes));
        }
        item
    }

    /// The chunk items of the document `part`; none where the head carries it.
    pub(super) fn chunk_items(&self, id: &str, part: &str, packed: &Packed) -> Vec<Item> {
        let chunks = packed.bytes.chunks(PART_BYTES);
        let names = self.chunk_parts(part);
        names
            .iter()
            .zip(chunks)
            .map(|(name, bytes)| {
                let mut item = key(id, name);
                item.insert(DATA.to_owned(), binary(bytes));
                if let Some(at) = self.chunks_expire_at {
                    item.insert(EXPIRES_AT.to_owned(), number(&at));
                }
                item
            })
            .collect()
    }

    /// The sort keys of the chunks, in their order.
    pub(super) fn chunk_parts(&self, part: &str) -> Vec<String> {
        (0..self.chunks)
            .map(|index| format!("{part}/{}/{index:03}", self.generation))
            .collect()
    }

    /// Reads a head item.
    pub(super) fn read(item: &Item) -> Result<Self, Damaged> {
        let form = parsed(item, FORM)?;
        if form != CURRENT_FORM {
            return Err(Damaged::Form(form));
        }
        let chunks = parsed(item, CHUNKS)?;
        if chunks > MAX_CHUNKS {
            return Err(Damaged::Attribute(CHUNKS));
        }
        Ok(Self {
            version: Version(parsed(item, VERSION)?),
            generation: text(item, GENERATION)?,
            chunks,
            size: parsed(item, SIZE)?,
            checksum: text(item, CHECKSUM)?,
            chunks_expire_at: parsed(item, CHUNKS_EXPIRE_AT).ok(),
        })
    }
}

/// The key of an item.
pub(super) fn key(id: &str, part: &str) -> Item {
    Item::from([
        (ID.to_owned(), AttributeValue::S(id.to_owned())),
        (PART.to_owned(), AttributeValue::S(part.to_owned())),
    ])
}

/// What a head or a chunk carries.
pub(super) fn data(item: Item) -> Result<Vec<u8>, Damaged> {
    let mut item = item;
    match item.remove(DATA) {
        Some(AttributeValue::B(bytes)) => Ok(bytes.into_inner()),
        _ => Err(Damaged::Attribute(DATA)),
    }
}

/// A text attribute.
pub(super) fn text(item: &Item, name: &'static str) -> Result<String, Damaged> {
    match item.get(name) {
        Some(AttributeValue::S(text)) => Ok(text.clone()),
        _ => Err(Damaged::Attribute(name)),
    }
}

/// A number attribute.
pub(super) fn parsed<T: FromStr>(item: &Item, name: &'static str) -> Result<T, Damaged> {
    match item.get(name) {
        Some(AttributeValue::N(number)) => number.parse().map_err(|_| Damaged::Attribute(name)),
        _ => Err(Damaged::Attribute(name)),
    }
}

/// A number as an attribute.
pub(super) fn number(value: &impl ToString) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

fn binary(bytes: &[u8]) -> AttributeValue {
    AttributeValue::B(Blob::new(bytes))
}
