//! The files that loaded last, packed up for the day on which newer ones do not.

use std::io::{Read, Write};

use alerting::config::ConfigFiles;
use alerting::fingerprint::hash_128;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

use crate::state::StoreError;

/// More than this is not unpacked, in bytes.
const MAX_UNPACKED: u64 = 256 * 1024 * 1024;

/// The files in one compressed piece, and its name: a hash of what is in it.
pub(crate) fn pack(files: &ConfigFiles) -> Result<(String, Vec<u8>), StoreError> {
    let parts: Vec<&str> = files
        .rules
        .iter()
        .chain(&files.alertmanager)
        .chain(&files.templates)
        .flat_map(|file| [file.name.as_str(), file.text.as_str()])
        .collect();
    let name = hash_128(&parts);
    let pack = || -> std::io::Result<Vec<u8>> {
        let json = serde_json::to_vec(files)?;
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        gzip.write_all(&json)?;
        gzip.finish()
    };
    match pack() {
        Ok(packed) => Ok((name, packed)),
        Err(error) => Err(failed("packing the configuration", error)),
    }
}

/// The files of a packed piece.
pub(crate) fn unpack(packed: &[u8]) -> Result<ConfigFiles, StoreError> {
    let mut json = Vec::new();
    GzDecoder::new(packed)
        .take(MAX_UNPACKED)
        .read_to_end(&mut json)
        .and_then(|_| Ok(serde_json::from_slice(&json)?))
        .map_err(|error| failed("unpacking the last good configuration", error))
}

fn failed(doing: &str, source: std::io::Error) -> StoreError {
    StoreError {
        doing: doing.to_owned(),
        source: Box::new(source),
    }
}
