//! Where rule files and `alertmanager.yml` come from: a layer's folder, or the workspace.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use alerting::config::ConfigFiles;
use alerting::rules::SourceFile;
use backends::amp::{Amp, AmpError};
use tokio::sync::Mutex;
use tokio::time::Instant;

/// For how long what the workspace told is taken without asking again.
const REFRESH: Duration = Duration::from_secs(3 * 60);
/// For how long what the workspace told is good while it does not answer.
const STALE: Duration = Duration::from_secs(15 * 60);

/// A source of [`ConfigFiles`].
#[derive(Debug)]
pub(crate) enum Configuration {
    /// `rules/*.yml`, `rules/*.yaml` and `alertmanager.yml` in a folder. A layer does not change
    /// while a sandbox lives, but reading it costs nothing.
    Folder(PathBuf),
    /// The workspace's namespaces and definition.
    Workspace(Box<Workspace>),
}

/// What a workspace told, kept for a while.
#[derive(Debug)]
pub(crate) struct Workspace {
    amp: Amp,
    kept: Mutex<Option<Kept>>,
}

#[derive(Debug)]
struct Kept {
    files: ConfigFiles,
    at: Instant,
    tried: Instant,
}

impl Configuration {
    /// What `amp` keeps.
    pub(crate) fn workspace(amp: Amp) -> Self {
        Self::Workspace(Box::new(Workspace {
            amp,
            kept: Mutex::new(None),
        }))
    }

    /// The files as they are now, with what went wrong if they are those of a while ago; or why
    /// there are none.
    pub(crate) async fn read(&self) -> Result<(ConfigFiles, Option<String>), String> {
        match self {
            Self::Folder(folder) => Ok((folder_files(folder)?, None)),
            Self::Workspace(workspace) => workspace.read().await,
        }
    }
}

impl Workspace {
    async fn read(&self) -> Result<(ConfigFiles, Option<String>), String> {
        let mut kept = self.kept.lock().await;
        let now = Instant::now();
        if let Some(kept) = kept.as_ref()
            && now.duration_since(kept.tried) < REFRESH
        {
            return Ok((kept.files.clone(), None));
        }
        match self.ask().await {
            Ok(files) => {
                *kept = Some(Kept {
                    files: files.clone(),
                    at: now,
                    tried: now,
                });
                Ok((files, None))
            }
            Err(error) => match kept.as_mut() {
                Some(kept) if now.duration_since(kept.at) < STALE => {
                    kept.tried = now;
                    Ok((kept.files.clone(), Some(error.to_string())))
                }
                _ => Err(error.to_string()),
            },
        }
    }

    async fn ask(&self) -> Result<ConfigFiles, AmpError> {
        Ok(ConfigFiles {
            rules: self.amp.rule_files().await?,
            alertmanager: self.amp.alert_manager_definition().await?,
        })
    }
}

fn folder_files(folder: &Path) -> Result<ConfigFiles, String> {
    let rules = folder.join("rules");
    let failed = |path: &Path, error: &io::Error| format!("reading {}: {error}", path.display());
    let mut paths = Vec::new();
    for entry in fs::read_dir(&rules).map_err(|error| failed(&rules, &error))? {
        let path = entry.map_err(|error| failed(&rules, &error))?.path();
        let is_yaml = path
            .extension()
            .is_some_and(|extension| extension == "yml" || extension == "yaml");
        if is_yaml && path.is_file() {
            paths.push(path);
        }
    }
    if paths.is_empty() {
        return Err(format!("{} holds no .yml or .yaml file", rules.display()));
    }
    paths.sort();
    let read = |path: &Path| match fs::read_to_string(path) {
        Ok(text) => Ok(SourceFile {
            name: path.display().to_string(),
            text,
        }),
        Err(error) => Err(error),
    };
    let alertmanager = folder.join("alertmanager.yml");
    let alertmanager = match read(&alertmanager) {
        Ok(file) => Some(file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(failed(&alertmanager, &error)),
    };
    let rules = paths
        .iter()
        .map(|path| read(path).map_err(|error| failed(path, &error)))
        .collect::<Result<_, _>>()?;
    Ok(ConfigFiles {
        rules,
        alertmanager,
    })
}
