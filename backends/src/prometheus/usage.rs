//! What asking has cost, for a run's log.

use std::sync::atomic::{AtomicU64, Ordering};

/// What a [`Client`](super::Client) and its clones have done since they were built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Requests sent, repeated ones included.
    pub requests: u64,
    /// How many of them repeated one that had failed.
    pub retries: u64,
    /// Bytes of answers read, decompressed.
    pub answer_bytes: u64,
}

/// The counters behind [`Usage`].
#[derive(Debug, Default)]
pub(super) struct Counters {
    requests: AtomicU64,
    retries: AtomicU64,
    answer_bytes: AtomicU64,
}

impl Counters {
    pub(super) fn request(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn retry(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn read(&self, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.answer_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn usage(&self) -> Usage {
        Usage {
            requests: self.requests.load(Ordering::Relaxed),
            retries: self.retries.load(Ordering::Relaxed),
            answer_bytes: self.answer_bytes.load(Ordering::Relaxed),
        }
    }
}
