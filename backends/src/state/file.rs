//! The state in a local file: replaced atomically, fenced by a version in its first line and a
//! lock beside it.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::{CommitError, StateStore, StoreError, Version};

/// How many configurations are kept beside the document.
const KEPT_CONFIGS: usize = 3;

/// The state document in a file, the configurations in files whose names begin with its.
///
/// The file's first line is its version, the document follows. A write goes to a new file that
/// is flushed to the disk and then renamed over the old one.
#[derive(Debug, Clone)]
pub struct FileStore {
    path: PathBuf,
}

impl FileStore {
    /// The store at `path`; its folder must exist.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(suffix);
        PathBuf::from(name)
    }

    fn config_path(&self, name: &str) -> PathBuf {
        self.beside(&format!(".config-{name}.gz"))
    }

    /// Keeps other writers away until it is dropped.
    fn lock(&self) -> Result<File, StoreError> {
        let path = self.beside(".lock");
        let locked = File::options()
            .create(true)
            .write(true)
            .truncate(false)
            .open(&path)
            .and_then(|file| file.lock().map(|()| file));
        locked.map_err(|error| failed(format!("locking {}", path.display()), error))
    }

    fn read(&self) -> Result<Option<(Vec<u8>, Version)>, StoreError> {
        let Some(bytes) = read_if_there(&self.path)? else {
            return Ok(None);
        };
        let parsed = bytes.iter().position(|byte| *byte == b'\n').and_then(|at| {
            let (head, document) = bytes.split_at(at);
            let version = std::str::from_utf8(head).ok()?.parse().ok()?;
            Some((document.get(1..)?.to_vec(), Version(version)))
        });
        match parsed {
            Some(parsed) => Ok(Some(parsed)),
            None => Err(failed(
                format!(
                    "reading {}: it does not begin with a version; \
                     is it a state file of dnswatch? If it may go, remove it",
                    self.path.display()
                ),
                io::Error::from(io::ErrorKind::InvalidData),
            )),
        }
    }

    fn write(&self, document: &[u8], parent: Option<Version>) -> Result<Version, CommitError> {
        let doing = || format!("writing {}", self.path.display());
        let _lock = self.lock()?;
        let current = self.read()?.map(|(_, version)| version);
        if current != parent {
            return Err(CommitError::Conflict);
        }
        let next = Version(current.map_or(1, |Version(version)| version.saturating_add(1)));
        let mut bytes = format!("{}\n", next.0).into_bytes();
        bytes.extend_from_slice(document);
        replace(&self.path, &self.beside(".new"), &bytes)
            .map_err(|error| failed(doing(), error))?;
        Ok(next)
    }

    /// Removes all but the newest configurations.
    fn prune_configs(&self) -> io::Result<()> {
        let prefix = self.config_path("");
        let prefix = prefix
            .file_name()
            .and_then(|name| name.to_str())
            .and_then(|name| name.strip_suffix(".gz"))
            .unwrap_or_default()
            .to_owned();
        let folder = folder_of(&self.path);
        let mut configs = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name();
            if !prefix.is_empty() && name.to_str().is_some_and(|name| name.starts_with(&prefix)) {
                configs.push((entry.metadata()?.modified()?, entry.path()));
            }
        }
        configs.sort();
        let excess = configs.len().saturating_sub(KEPT_CONFIGS);
        for (_, path) in configs.into_iter().take(excess) {
            fs::remove_file(path)?;
        }
        Ok(())
    }
}

impl StateStore for FileStore {
    async fn load(&self) -> Result<Option<(Vec<u8>, Version)>, StoreError> {
        self.read()
    }

    async fn commit(
        &self,
        document: &[u8],
        parent: Option<Version>,
    ) -> Result<Version, CommitError> {
        self.write(document, parent)
    }

    async fn put_config(&self, name: &str, config: &[u8]) -> Result<(), StoreError> {
        let path = self.config_path(name);
        let _lock = self.lock()?;
        let written = replace(&path, &self.beside(".config.new"), config);
        written
            .and_then(|()| self.prune_configs())
            .map_err(|error| failed(format!("writing {}", path.display()), error))
    }

    async fn get_config(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        read_if_there(&self.config_path(name))
    }
}

fn failed(doing: String, source: io::Error) -> StoreError {
    StoreError {
        doing,
        source: Box::new(source),
    }
}

fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(format!("reading {}", path.display()), error)),
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

/// Puts `bytes` at `path` so that after a crash there is the old content or the new one.
fn replace(path: &Path, new: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(new, path)?;
    File::open(folder_of(path))?.sync_all()
}
