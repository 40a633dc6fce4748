//! The store: one document behind a fence, and configurations by name. Every call acts at once
//! and whole.

use std::collections::BTreeMap;

/// What is stored.
#[derive(Debug, Default)]
pub(super) struct Store {
    document: Option<(Vec<u8>, u64)>,
    configs: BTreeMap<String, Vec<u8>>,
}

impl Store {
    pub(super) fn load(&self) -> Option<(Vec<u8>, u64)> {
        self.document.clone()
    }

    pub(super) fn version(&self) -> Option<u64> {
        self.document.as_ref().map(|(_, version)| *version)
    }

    /// The new version, or none if another came first.
    pub(super) fn commit(&mut self, document: &[u8], parent: Option<u64>) -> Option<u64> {
        if self.version() != parent {
            return None;
        }
        let version = parent.unwrap_or(0) + 1;
        self.document = Some((document.to_vec(), version));
        Some(version)
    }

    pub(super) fn put_config(&mut self, name: String, config: Vec<u8>) {
        self.configs.insert(name, config);
    }

    pub(super) fn get_config(&self, name: &str) -> Option<Vec<u8>> {
        self.configs.get(name).cloned()
    }
}
