//! Where the state document is kept.

mod dynamodb;
mod file;

pub use dynamodb::{CHUNK_LIFE, DynamoStore};
pub use file::FileStore;

use crate::server_time::ServerTime;

/// Which write of the document this is. A writer names the version that it read; only one
/// of two can be first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u64);

/// The state store could not do it.
#[derive(Debug, thiserror::Error)]
#[error("{doing}")]
pub struct StoreError {
    /// What was being done, to what.
    pub doing: String,
    /// Why it did not work.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

/// A document was not written.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// Another run wrote since the version that this one read.
    #[error("another run wrote the state first")]
    Conflict,
    /// The store could not do it, or it is not known whether it did.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A place for one document that is written whole or not at all, and for the configurations
/// that it names.
pub trait StateStore {
    /// The document and its version; None before the first commit.
    fn load(&self) -> impl Future<Output = Result<Option<(Vec<u8>, Version)>, StoreError>>;

    /// Writes the document if `parent` is still its version (`None`: no document exists yet).
    fn commit(
        &self,
        document: &[u8],
        parent: Option<Version>,
    ) -> impl Future<Output = Result<Version, CommitError>>;

    /// Stores a configuration under its name. The name is a hash of it, so storing it again
    /// changes nothing.
    fn put_config(&self, name: &str, config: &[u8])
    -> impl Future<Output = Result<(), StoreError>>;

    /// What the store's server said the time is in its last answer, since this was last asked; None
    /// where there is no server.
    fn take_server_time(&self) -> Option<ServerTime> {
        None
    }

    /// A stored configuration.
    fn get_config(&self, name: &str) -> impl Future<Output = Result<Option<Vec<u8>>, StoreError>>;
}
