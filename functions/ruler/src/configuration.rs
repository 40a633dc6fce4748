//! Where rule files and `alertmanager.yml` come from: a layer's folder, or the workspace.

use std::path::PathBuf;
use std::time::Duration;

use alerting::config::ConfigFiles;
use backends::amp::{Amp, AmpError};
use backends::config_files;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// How long the workspace's configuration is used without asking again.
const REFRESH: Duration = Duration::from_secs(3 * 60);
/// How long the workspace's last configuration is used while it does not answer.
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

/// A workspace's configuration, cached.
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
            Self::Folder(folder) => config_files::read_folder(folder)
                .map(|files| (files, None))
                .map_err(|error| error.to_string()),
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
            // They are within the definition.
            templates: Vec::new(),
        })
    }
}
