//! The state in a local file: replaced atomically, fenced by a version in its first line and a
//! lock beside it.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::sleep;

use super::{CommitError, StateStore, StoreError, Version};
use crate::files;

/// How many configurations are kept beside the document.
const KEPT_CONFIGS: usize = 3;
/// The most bytes of a document, or of a configuration. Twenty thousand alerts have some 20 MiB.
const MAX_BYTES: u64 = 256 << 20;
/// How long another process may hold the lock: a write takes milliseconds.
const LOCK_TIME: Duration = Duration::from_secs(10);
/// How long to wait before the lock is tried again.
const LOCK_PAUSE: Duration = Duration::from_millis(10);
/// How many links lead to a file at most, as in Linux.
const MAX_LINKS: usize = 40;

/// The state document in a file, the configurations in files whose names begin with its.
///
/// The file's first line is its version, the document follows. A write goes to a new file that
/// is flushed to the disk and then renamed over the old one.
#[derive(Debug, Clone)]
pub struct FileStore {
    path: PathBuf,
}

impl FileStore {
    /// The store at `path`. A folder that is missing is created with the first write. Where `path` is
    /// a symbolic link, the store is what it leads to: both names mean the same file.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The place itself, links followed.
    fn place(&self) -> Result<Place, StoreError> {
        let mut path = self.path.clone();
        for links in 0..=MAX_LINKS {
            let error = match fs::symlink_metadata(&path) {
                Ok(metadata) if metadata.is_symlink() => match fs::read_link(&path) {
                    Ok(to) => {
                        path = folder_of(&path).join(to);
                        continue;
                    }
                    Err(error) => error,
                },
                // Only what is known not to be there may mean that there is no state yet.
                Err(error) if error.kind() != io::ErrorKind::NotFound => error,
                found => {
                    let folder = folder_of(&path);
                    let folder = match fs::canonicalize(folder) {
                        Ok(folder) => folder,
                        Err(error) if error.kind() == io::ErrorKind::NotFound && links == 0 => {
                            folder.to_owned()
                        }
                        Err(error) => {
                            let doing = match links {
                                0 => format!("reading the folder {}", folder.display()),
                                _ => format!(
                                    "reading the state file {}: it is a link to {}, whose folder \
                                     cannot be read",
                                    self.path.display(),
                                    path.display()
                                ),
                            };
                            return Err(failed(doing, error));
                        }
                    };
                    let Some(name) = path.file_name() else {
                        let kind = io::ErrorKind::IsADirectory;
                        return Err(self.unreadable(io::Error::from(kind)));
                    };
                    let path = folder.join(name);
                    return match found {
                        Ok(metadata) if !metadata.is_file() => {
                            Err(self.unreadable(files::not_a_file(metadata.file_type())))
                        }
                        _ => Ok(Place { path }),
                    };
                }
            };
            return Err(self.unreadable(error));
        }
        Err(self.unreadable(io::Error::other("too many links lead to it")))
    }

    fn unreadable(&self, error: io::Error) -> StoreError {
        let shown = self.path.display();
        failed(format!("reading the state file {shown}"), error)
    }
}

/// Where the document is, and beside it what belongs to it.
#[derive(Debug)]
struct Place {
    path: PathBuf,
}

impl Place {
    fn beside(&self, suffix: &str) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(suffix);
        PathBuf::from(name)
    }

    fn config_path(&self, name: &str) -> PathBuf {
        self.beside(&format!(".config-{name}.gz"))
    }

    /// The folder is there from now on.
    fn make_folder(&self) -> Result<(), StoreError> {
        let folder = folder_of(&self.path);
        fs::create_dir_all(folder).map_err(|error| {
            let doing = format!(
                "creating the folder {} for the state file {}",
                folder.display(),
                self.path.display()
            );
            failed(doing, error)
        })
    }

    /// Keeps other writers away until it is dropped.
    async fn lock(&self) -> Result<File, StoreError> {
        self.make_folder()?;
        let path = self.beside(".lock");
        let locking = |error| failed(format!("locking {}", path.display()), error);
        if let Some(kind) = files::kind(&path).map_err(locking)?
            && !kind.is_file()
        {
            return Err(locking(files::not_a_file(kind)));
        }
        let file = File::options()
            .create(true)
            .write(true)
            .truncate(false)
            .open(&path)
            .map_err(locking)?;
        let mut waited = Duration::ZERO;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) if waited < LOCK_TIME => {
                    sleep(LOCK_PAUSE).await;
                    waited += LOCK_PAUSE;
                }
                Err(TryLockError::WouldBlock) => {
                    let message = format!(
                        "another process has held the lock for {} s: is one that uses this state \
                         stopped or hanging?",
                        LOCK_TIME.as_secs()
                    );
                    return Err(locking(io::Error::other(message)));
                }
                Err(TryLockError::Error(error)) => return Err(locking(error)),
            }
        }
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

    async fn write(
        &self,
        document: &[u8],
        parent: Option<Version>,
    ) -> Result<Version, CommitError> {
        let doing = || format!("writing {}", self.path.display());
        let _lock = self.lock().await?;
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
        self.place()?.read()
    }

    async fn commit(
        &self,
        document: &[u8],
        parent: Option<Version>,
    ) -> Result<Version, CommitError> {
        self.place()?.write(document, parent).await
    }

    async fn put_config(&self, name: &str, config: &[u8]) -> Result<(), StoreError> {
        let place = self.place()?;
        let path = place.config_path(name);
        let _lock = place.lock().await?;
        let written = replace(&path, &place.beside(".config.new"), config);
        written
            .and_then(|()| place.prune_configs())
            .map_err(|error| failed(format!("writing {}", path.display()), error))
    }

    async fn get_config(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        read_if_there(&self.place()?.config_path(name))
    }
}

fn failed(doing: String, source: io::Error) -> StoreError {
    StoreError {
        doing,
        source: Box::new(source),
    }
}

fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    let read = match files::kind(path) {
        Ok(None) => return Ok(None),
        Ok(Some(_)) => files::read(path, MAX_BYTES),
        Err(error) => Err(error),
    };
    match read {
        Ok(bytes) => Ok(Some(bytes)),
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
    // What is left of an earlier write, or anything else: it would be followed or written into.
    match fs::remove_file(new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = File::create_new(new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(new, path).map_err(|error| match error.kind() {
        io::ErrorKind::ResourceBusy => io::Error::new(
            error.kind(),
            "it is a mount point, which cannot be replaced: mount its folder instead",
        ),
        _ => error,
    })?;
    File::open(folder_of(path))?.sync_all()
}
