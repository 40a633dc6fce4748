//! A document as it is stored: compressed, with what a reader needs to be sure that it has all
//! of it.

use std::io::{self, Read, Write};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};

/// The most that one item carries, in bytes. DynamoDB allows 400 KB an item, names and keys
/// included.
pub(super) const PART_BYTES: usize = 350 * 1024;

/// The most chunks that a document is cut into.
pub(super) const MAX_CHUNKS: usize = 100;

/// The largest document, in bytes as it is after compression.
const MAX_PACKED: usize = MAX_CHUNKS * PART_BYTES;

/// The largest document, in bytes as it is before compression.
pub(super) const MAX_DOCUMENT: usize = 64 * 1024 * 1024;

/// A document that is too large to be stored.
#[derive(Debug, thiserror::Error)]
pub(super) enum TooLarge {
    #[error("it has {0} bytes, and {MAX_DOCUMENT} are the limit")]
    Document(usize),
    #[error("it has {0} bytes when compressed, and {MAX_PACKED} are the limit")]
    Packed(usize),
}

/// What is stored is not what was written.
#[derive(Debug, thiserror::Error)]
pub(super) enum Damaged {
    #[error("its item has no usable `{0}`")]
    Attribute(&'static str),
    #[error("it is stored in form {0}, which a later release must have written: run that one")]
    Form(u64),
    #[error("{missing} of its {of} chunks are missing")]
    Chunks { missing: usize, of: usize },
    #[error("its checksum is not the one that was written")]
    Checksum,
    #[error("it does not decompress")]
    Compression(#[source] io::Error),
    #[error("it does not have the {0} bytes that were written")]
    Size(usize),
}

/// A compressed document.
#[derive(Debug)]
pub(super) struct Packed {
    /// The document in gzip's format.
    pub(super) bytes: Vec<u8>,
    /// How many bytes the document has before compression.
    pub(super) size: usize,
    /// SHA-256 of `bytes`, in hexadecimal digits.
    pub(super) checksum: String,
}

impl Packed {
    pub(super) fn pack(document: &[u8]) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        if document.len() > MAX_DOCUMENT {
            return Err(TooLarge::Document(document.len()).into());
        }
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        gzip.write_all(document)?;
        let bytes = gzip.finish()?;
        if bytes.len() > MAX_PACKED {
            return Err(TooLarge::Packed(bytes.len()).into());
        }
        Ok(Self {
            size: document.len(),
            checksum: checksum(&bytes),
            bytes,
        })
    }

    /// The document, or how it was found that this is not what was packed.
    pub(super) fn unpack(&self) -> Result<Vec<u8>, Damaged> {
        if checksum(&self.bytes) != self.checksum {
            return Err(Damaged::Checksum);
        }
        let wrong_size = || Damaged::Size(self.size);
        if self.size > MAX_DOCUMENT {
            return Err(wrong_size());
        }
        let mut document = Vec::with_capacity(self.size);
        let one_more = u64::try_from(self.size)
            .unwrap_or(u64::MAX)
            .saturating_add(1);
        GzDecoder::new(self.bytes.as_slice())
            .take(one_more)
            .read_to_end(&mut document)
            .map_err(Damaged::Compression)?;
        if document.len() == self.size {
            Ok(document)
        } else {
            Err(wrong_size())
        }
    }
}

fn checksum(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(document: &[u8]) -> Packed {
        Packed::pack(document).expect("it fits")
    }

    #[test]
    fn comes_back_as_it_was() {
        for document in [&b""[..], b"{}", &[7; 100_000]] {
            assert_eq!(packed(document).unpack().expect("whole"), document);
        }
    }

    #[track_caller]
    fn check_damage(damage: impl Fn(&mut Packed), expected: &str) {
        let mut packed = packed(b"the alerts of a cluster");
        damage(&mut packed);
        let error = packed.unpack().expect_err("damaged");
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn any_damage_is_found() {
        let bad_checksum = "its checksum is not the one that was written";
        check_damage(
            |packed| {
                packed.bytes.pop();
            },
            bad_checksum,
        );
        check_damage(|packed| packed.bytes.swap(12, 13), bad_checksum);
        check_damage(
            |packed| {
                packed.bytes = b"not compressed".to_vec();
                packed.checksum = checksum(&packed.bytes);
            },
            "it does not decompress",
        );
        check_damage(
            |packed| packed.size = 22,
            "it does not have the 22 bytes that were written",
        );
        check_damage(
            |packed| packed.size = 24,
            "it does not have the 24 bytes that were written",
        );
        check_damage(
            |packed| packed.size = usize::MAX,
            &format!(
                "it does not have the {} bytes that were written",
                usize::MAX
            ),
        );
    }

    #[test]
    fn what_could_not_be_read_back_is_not_written() {
        let error = Packed::pack(&vec![0; MAX_DOCUMENT + 1]).expect_err("too large");
        assert_eq!(
            error.to_string(),
            "it has 67108865 bytes, and 67108864 are the limit"
        );
    }
}
