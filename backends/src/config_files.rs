//! Rule files and `alertmanager.yml` from folders and files, as the layer and the command line
//! have them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use alerting::config::ConfigFiles;
use alerting::rules::SourceFile;

use crate::files;

/// The name by which Alertmanager's configuration is known among rule files.
const ALERTMANAGER: [&str; 2] = ["alertmanager.yml", "alertmanager.yaml"];
/// The folder of rule files in a configuration folder.
const RULES: &str = "rules";
/// The folder of template files beside Alertmanager's configuration, and what they end in.
const TEMPLATES: (&str, &str) = ("templates", "tmpl");
/// What rule files end in, in upper or lower case.
const RULE_FILES: [&str; 3] = ["yml", "yaml", "rules"];
/// File name endings that are not rule files.
const NO_RULE_FILES: [&str; 3] = ["md", "txt", "tmpl"];
/// The most bytes of one file. A hundred rules have some 50 KiB.
const MAX_FILE: u64 = 16 << 20;
/// The most bytes of all files together.
const MAX_ALL: u64 = 64 << 20;
/// For how long a file must not have changed before it counts.
const SETTLED: Duration = Duration::from_secs(2);
/// How often files that are still changing are read.
const MAX_READS: usize = 5;

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
    #[error(
        "{} holds no .yml, .yaml or .rules file (subdirectories are not searched)",
        .0.display()
    )]
    NoRules(PathBuf),
    /// There is more than one Alertmanager configuration.
    #[error("{} and {}: only one Alertmanager configuration can hold", .0.display(), .1.display())]
    TwoAlertmanagers(PathBuf, PathBuf),
    /// The files change while they are read.
    #[error("{} is still being written: it is read again at the next run", .0.display())]
    Changing(PathBuf),
    /// There is more than anybody writes.
    #[error("the files up to {} are larger than {} MiB together", .0.display(), MAX_ALL >> 20)]
    TooMuch(PathBuf),
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
/// every `.yml`, `.yaml` and `.rules` directly in it, by name, and files as they are. A file that is called
/// `alertmanager.yml` is Alertmanager's, wherever it is; all others are rule files.
///
/// # Errors
/// Where a file cannot be read, where a folder has no rule file, and where there are two
/// Alertmanager configurations.
pub fn read(paths: &[PathBuf]) -> Result<ConfigFiles, ConfigFilesError> {
    Paths::find(paths)?.read()
}

/// The same. What changed within the last seconds is read again before it counts, so that a file that
/// is being written never takes effect half. `known` are the files that are in force already.
///
/// # Errors
/// The same, and where the files do not stop changing.
pub async fn read_settled(
    paths: &[PathBuf],
    known: Option<&ConfigFiles>,
) -> Result<ConfigFiles, ConfigFilesError> {
    let mut before = None;
    let mut changing = PathBuf::new();
    for _ in 0..MAX_READS {
        let found = match Paths::find(paths).and_then(|found| Ok((found.read()?, found.newest()))) {
            Ok(found) => found,
            // A program that replaces files may have removed the old one first.
            Err(_) if known.is_some() && before.is_none() => {
                before = Some(None);
                tokio::time::sleep(SETTLED).await;
                continue;
            }
            Err(error) => return Err(error),
        };
        let (files, newest) = found;
        let is_known = known == Some(&files) || before.as_ref() == Some(&Some(files.clone()));
        let Some((newest, age)) = newest.filter(|_| !is_known) else {
            return Ok(files);
        };
        let Some(wait) = SETTLED.checked_sub(age).filter(|wait| !wait.is_zero()) else {
            return Ok(files);
        };
        before = Some(Some(files));
        changing = newest;
        tokio::time::sleep(wait).await;
    }
    Err(ConfigFilesError::Changing(changing))
}

/// Files in the folders of `paths` that look like rule files or Alertmanager configurations and are
/// not read, by name: a warning should name them.
pub fn passed_over(paths: &[PathBuf]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for path in paths {
        let is_folder = |path: &Path| files::is_folder(path).unwrap_or(false);
        if is_folder(&path.join(RULES)) {
            let beside = names_in(path).into_iter().filter(|path| is_rule_file(path));
            found.extend(beside.filter(|path| !is_alertmanager(path)));
            let inside = names_in(&path.join(RULES)).into_iter();
            found.extend(inside.filter(|path| is_odd(path)));
        } else if is_folder(path) {
            found.extend(names_in(path).into_iter().filter(|path| is_odd(path)));
        }
    }
    found
}

/// The files in a folder, by name; none where it cannot be read, which reading it says.
fn names_in(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| !files::is_folder(path).unwrap_or(false))
        .collect();
    found.sort();
    found
}

/// Whether a file in a folder of rule files is not a rule file by its name, and has no other known
/// purpose.
fn is_odd(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy());
    let is_hidden = name.is_none_or(|name| name.starts_with('.'));
    !is_hidden && !is_rule_file(path) && !ends_in(path, &NO_RULE_FILES)
}

/// Whether a file in a folder is one of rules, or Alertmanager's, by its name. An editor's lock
/// (`.#a.yml`) is not.
fn is_rule_file(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy());
    let is_lock = name.is_none_or(|name| name.starts_with(".#"));
    !is_lock && ends_in(path, &RULE_FILES)
}

fn ends_in(path: &Path, endings: &[&str]) -> bool {
    let extension = path.extension();
    extension.is_some_and(|found| endings.iter().any(|it| found.eq_ignore_ascii_case(it)))
}

fn is_alertmanager(path: &Path) -> bool {
    let name = path.file_name();
    ALERTMANAGER
        .iter()
        .any(|it| name.is_some_and(|name| name == *it))
}

/// Reads the Alertmanager configuration at `path`, whatever it is called, or that of a
/// configuration folder, which may have none, with the template files beside it; no rule files.
///
/// # Errors
/// Where a file cannot be read.
pub fn read_alertmanager(path: &Path) -> Result<ConfigFiles, ConfigFilesError> {
    let mut paths = Paths::default();
    if is_folder(path)? {
        paths.alertmanager_in(path)?;
        if paths.alertmanager.is_none() && !is_folder(&path.join(RULES))? {
            paths.alertmanager = Some(path.join("alertmanager.yml"));
        }
    } else {
        paths.alertmanager = Some(path.to_owned());
    }
    paths.read()
}

#[derive(Default)]
struct Paths {
    rules: Vec<PathBuf>,
    alertmanager: Option<PathBuf>,
    /// The folders that were searched.
    folders: Vec<PathBuf>,
}

impl Paths {
    fn find(paths: &[PathBuf]) -> Result<Self, ConfigFilesError> {
        let mut found = Self::default();
        for path in paths {
            if !is_folder(path)? {
                found.file(path.clone())?;
            } else if is_folder(&path.join(RULES))? {
                found.configuration(path)?;
            } else {
                found.files_in(path)?;
            }
        }
        Ok(found)
    }

    fn configuration(&mut self, folder: &Path) -> Result<(), ConfigFilesError> {
        self.files_in(&folder.join(RULES))?;
        self.alertmanager_in(folder)
    }

    fn alertmanager_in(&mut self, folder: &Path) -> Result<(), ConfigFilesError> {
        for name in ALERTMANAGER {
            let path = folder.join(name);
            let kind = files::kind(&path).map_err(|error| failed(&path, error))?;
            if kind.is_some() {
                self.file(path)?;
            }
        }
        Ok(())
    }

    fn files_in(&mut self, folder: &Path) -> Result<(), ConfigFilesError> {
        let mut inside = Vec::new();
        for entry in fs::read_dir(folder).map_err(|error| failed(folder, error))? {
            let path = entry.map_err(|error| failed(folder, error))?.path();
            if is_rule_file(&path) {
                inside.push(path);
            }
        }
        self.folders.push(folder.to_owned());
        if inside.is_empty() {
            return Err(ConfigFilesError::NoRules(folder.to_owned()));
        }
        inside.sort();
        inside.into_iter().try_for_each(|path| self.file(path))
    }

    fn file(&mut self, path: PathBuf) -> Result<(), ConfigFilesError> {
        if !is_alertmanager(&path) {
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
            let kind = files::kind(&folder).map_err(|error| failed(&folder, error))?;
            if kind.is_none() {
                continue;
            }
            for entry in fs::read_dir(&folder).map_err(|error| failed(&folder, error))? {
                let path = entry.map_err(|error| failed(&folder, error))?.path();
                if ends_in(&path, &[extension]) {
                    found.push(path);
                }
            }
        }
        found.sort();
        Ok(found)
    }

    fn read(&self) -> Result<ConfigFiles, ConfigFilesError> {
        let templates = self.templates()?;
        let mut left = MAX_ALL;
        let mut read_one = |path: &PathBuf| {
            let text = files::read_text(path, MAX_FILE).map_err(|error| failed(path, error))?;
            let length = u64::try_from(text.len()).unwrap_or(u64::MAX);
            left = left
                .checked_sub(length)
                .ok_or_else(|| ConfigFilesError::TooMuch(path.clone()))?;
            Ok(SourceFile {
                name: path.display().to_string(),
                text,
            })
        };
        Ok(ConfigFiles {
            templates: templates
                .iter()
                .map(&mut read_one)
                .collect::<Result<_, _>>()?,
            rules: self
                .rules
                .iter()
                .map(&mut read_one)
                .collect::<Result<_, _>>()?,
            alertmanager: self.alertmanager.as_ref().map(read_one).transpose()?,
        })
    }

    /// What changed last of all files and folders, and how long ago. A time that is far ahead is
    /// another clock's, and says nothing.
    fn newest(&self) -> Option<(PathBuf, Duration)> {
        let now = SystemTime::now();
        let all = self.rules.iter().chain(&self.alertmanager);
        let all = all.chain(&self.folders);
        all.filter_map(|path| {
            let changed = fs::metadata(path).ok()?.modified().ok()?;
            let age = match now.duration_since(changed) {
                Ok(age) => age,
                Err(ahead) if ahead.duration() < SETTLED => Duration::ZERO,
                Err(_) => SETTLED,
            };
            Some((path.clone(), age))
        })
        .min_by_key(|(_, age)| *age)
    }
}

fn is_folder(path: &Path) -> Result<bool, ConfigFilesError> {
    files::is_folder(path).map_err(|error| failed(path, error))
}

fn failed(path: &Path, error: io::Error) -> ConfigFilesError {
    ConfigFilesError::Read {
        path: path.to_owned(),
        error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = "groups: []\n";
    const SECOND: &str = "groups: [{name: g, rules: []}]\n";

    /// Calls `change` while the reader waits for the file to settle; time is simulated.
    async fn read_while(
        path: &Path,
        known: Option<&ConfigFiles>,
        change: impl FnOnce(),
    ) -> Result<ConfigFiles, ConfigFilesError> {
        let paths = [path.to_owned()];
        let changed = async {
            tokio::time::sleep(Duration::from_millis(1)).await;
            change();
        };
        let (read, ()) = tokio::join!(read_settled(&paths, known), changed);
        read
    }

    fn text(files: &ConfigFiles) -> &str {
        files.rules.first().map_or("", |file| &file.text)
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_that_changes_while_it_settles_is_read_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.yml");
        fs::write(&path, FIRST).expect("it is written");
        let write = || fs::write(&path, SECOND).expect("it is written");
        let read = read_while(&path, None, write).await.expect("it settles");
        assert_eq!(text(&read), SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_that_is_replaced_may_be_absent_for_a_moment() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.yml");
        fs::write(&path, FIRST).expect("it is written");
        let known = read(std::slice::from_ref(&path)).expect("it is read");
        fs::remove_file(&path).expect("it is removed");
        let write = || fs::write(&path, FIRST).expect("it is written");
        let replaced = read_while(&path, Some(&known), write).await;
        assert_eq!(text(&replaced.expect("it is back")), FIRST);
        fs::remove_file(&path).expect("it is removed");
        let never_known = read_while(&path, None, write).await;
        assert!(matches!(never_known, Err(ConfigFilesError::Read { .. })));
    }

    #[test]
    fn files_that_look_like_rules_and_are_not_read_are_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let rules = folder.path().join(RULES);
        fs::create_dir_all(rules.join("nested.yml")).expect("a folder");
        let files = [
            "alertmanager.yml",
            "beside.yml",
            "rules/a.yml",
            "rules/README.md",
            "rules/.hidden",
            "rules/a.yml.orig",
        ];
        for name in files {
            fs::write(folder.path().join(name), FIRST).expect("it is written");
        }
        let names = |path: &Path| -> Vec<String> {
            let found = passed_over(&[path.to_owned()]);
            let names = found.iter().filter_map(|path| path.file_name());
            names
                .map(|name| name.to_string_lossy().into_owned())
                .collect()
        };
        assert_eq!(names(folder.path()), ["beside.yml", "a.yml.orig"]);
        assert_eq!(names(&rules), ["a.yml.orig"]);
        assert_eq!(names(&rules.join("a.yml")), [""; 0]);
    }
}
