//! Rule files and `alertmanager.yml` from folders and files, as the layer and the command line
//! have them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use alerting::config::ConfigFiles;
use alerting::rules::SourceFile;

/// The name by which Alertmanager's configuration is known among rule files.
const ALERTMANAGER: [&str; 2] = ["alertmanager.yml", "alertmanager.yaml"];
/// The folder of rule files in a configuration folder.
const RULES: &str = "rules";
/// The folder of template files beside Alertmanager's configuration, and what they end in.
const TEMPLATES: (&str, &str) = ("templates", "tmpl");

/// Why there are no configuration files.
#[derive(Debug, thiserror::Error)]
pub enum ConfigFilesError {
    /// The path cannot be read.
    #[error("reading {}: {error}", path.display())]
    Read {
        /// The path.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// A folder without rule files.
    #[error("{} holds no .yml or .yaml file; folders in it are not looked into", .0.display())]
    NoRules(PathBuf),
    /// There is more than one Alertmanager configuration.
    #[error("{} and {}: only one Alertmanager configuration can hold", .0.display(), .1.display())]
    TwoAlertmanagers(PathBuf, PathBuf),
}

/// Reads a configuration folder: the rule files directly in its `rules`, by name, and its
/// `alertmanager.yml`, if there is one.
///
/// # Errors
/// Where a file cannot be read, and where there is no rule file.
pub fn read_folder(folder: &Path) -> Result<ConfigFiles, ConfigFilesError> {
    let mut paths = Paths::default();
    paths.configuration(folder)?;
    paths.read()
}

/// Reads what is at `paths`: a configuration folder as [`read_folder`] does, of any other folder
/// every `.yml` and `.yaml` directly in it, by name, and files as they are. A file that is called
/// `alertmanager.yml` is Alertmanager's, wherever it is; all others are rule files.
///
/// # Errors
/// Where a file cannot be read, where a folder has no rule file, and where there are two
/// Alertmanager configurations.
pub fn read(paths: &[PathBuf]) -> Result<ConfigFiles, ConfigFilesError> {
    let mut found = Paths::default();
    for path in paths {
        if path.is_dir() {
            if path.join(RULES).is_dir() {
                found.configuration(path)?;
            } else {
                found.files_in(path)?;
            }
        } else {
            found.file(path.clone())?;
        }
    }
    found.read()
}

/// Reads the Alertmanager configuration at `path`, whatever it is called, or that of a
/// configuration folder, which may have none, with the template files beside it; no rule files.
///
/// # Errors
/// Where a file cannot be read.
pub fn read_alertmanager(path: &Path) -> Result<ConfigFiles, ConfigFilesError> {
    let mut candidates = ALERTMANAGER.iter().map(|name| path.join(name));
    let alertmanager = if !path.is_dir() {
        Some(path.to_owned())
    } else if let Some(found) = candidates.find(|path| path.is_file()) {
        Some(found)
    } else if path.join(RULES).is_dir() {
        None
    } else {
        Some(path.join("alertmanager.yml"))
    };
    let paths = Paths {
        rules: Vec::new(),
        alertmanager,
    };
    paths.read()
}

#[derive(Default)]
struct Paths {
    rules: Vec<PathBuf>,
    alertmanager: Option<PathBuf>,
}

impl Paths {
    fn configuration(&mut self, folder: &Path) -> Result<(), ConfigFilesError> {
        self.files_in(&folder.join(RULES))?;
        for name in ALERTMANAGER {
            let path = folder.join(name);
            if path.try_exists().map_err(|error| failed(&path, error))? {
                self.file(path)?;
            }
        }
        Ok(())
    }

    fn files_in(&mut self, folder: &Path) -> Result<(), ConfigFilesError> {
        let mut inside = Vec::new();
        for entry in fs::read_dir(folder).map_err(|error| failed(folder, error))? {
            let path = entry.map_err(|error| failed(folder, error))?.path();
            let is_yaml = path
                .extension()
                .is_some_and(|extension| extension == "yml" || extension == "yaml");
            if is_yaml && path.is_file() {
                inside.push(path);
            }
        }
        if inside.is_empty() {
            return Err(ConfigFilesError::NoRules(folder.to_owned()));
        }
        inside.sort();
        inside.into_iter().try_for_each(|path| self.file(path))
    }

    fn file(&mut self, path: PathBuf) -> Result<(), ConfigFilesError> {
        let is_alertmanager = ALERTMANAGER
            .iter()
            .any(|name| path.file_name().is_some_and(|file| file == *name));
        if !is_alertmanager {
            self.rules.push(path);
            return Ok(());
        }
        match self.alertmanager.replace(path.clone()) {
            Some(first) => Err(ConfigFilesError::TwoAlertmanagers(first, path)),
            None => Ok(()),
        }
    }

    /// The template files beside Alertmanager's configuration and in its folder for them, by
    /// name.
    fn templates(&self) -> Result<Vec<PathBuf>, ConfigFilesError> {
        let Some(alertmanager) = &self.alertmanager else {
            return Ok(Vec::new());
        };
        let beside = alertmanager.parent().unwrap_or(Path::new(""));
        let beside = if beside.as_os_str().is_empty() {
            Path::new(".")
        } else {
            beside
        };
        let (folder, extension) = TEMPLATES;
        let mut found = Vec::new();
        for folder in [beside.to_owned(), beside.join(folder)] {
            if !folder.is_dir() {
                continue;
            }
            for entry in fs::read_dir(&folder).map_err(|error| failed(&folder, error))? {
                let path = entry.map_err(|error| failed(&folder, error))?.path();
                if path.extension().is_some_and(|it| it == extension) && path.is_file() {
                    found.push(path);
                }
            }
        }
        found.sort();
        Ok(found)
    }

    fn read(self) -> Result<ConfigFiles, ConfigFilesError> {
        let templates = self.templates()?;
        Ok(ConfigFiles {
            templates: templates
                .iter()
                .map(|path| read_one(path))
                .collect::<Result<_, _>>()?,
            rules: self
                .rules
                .iter()
                .map(|path| read_one(path))
                .collect::<Result<_, _>>()?,
            alertmanager: self.alertmanager.as_deref().map(read_one).transpose()?,
        })
    }
}

fn read_one(path: &Path) -> Result<SourceFile, ConfigFilesError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(SourceFile {
            name: path.display().to_string(),
            text,
        }),
        Err(error) => Err(failed(path, error)),
    }
}

fn failed(path: &Path, error: io::Error) -> ConfigFilesError {
    ConfigFilesError::Read {
        path: path.to_owned(),
        error,
    }
}
