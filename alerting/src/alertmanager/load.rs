//! From what was typed to what runs, with everything that is wrong with it, each at its place.
//!
//! What is refused is what Alertmanager refuses (`config/config.go`), what is not supported here,
//! and a topic that cannot be one.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_saphyr::{Location, Spanned};

use super::definition::Origin;
use super::file::{self, File, Mapping, Text};
use super::known::{self, Known};
use crate::duration;
use crate::notify::{GROUP_BY_ALL, Receiver, Route, SnsConfig, TopicArn};
use crate::source::{FileError, Place, SourceFile, read_yaml};

/// What an Alertmanager configuration says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertmanagerConfig {
    /// Where alerts go.
    pub route: Route,
    /// The receivers, in the order of the file; the route's is among them.
    pub receivers: Vec<Receiver>,
}

/// Validates an `alertmanager.yml`, bare or wrapped as a definition of AMP, or says everything
/// that is wrong with it, in the order of lines.
pub fn load(source: &SourceFile) -> Result<AlertmanagerConfig, Vec<FileError>> {
    let mut loader = Loader {
        file: &source.name,
        origin: Origin::Bare,
        errors: Vec::new(),
    };
    let config = loader.outer(source);
    match config {
        Some(config) if loader.errors.is_empty() => Ok(config),
        _ => {
            loader.errors.sort();
            Err(loader.errors)
        }
    }
}

struct Loader<'a> {
    file: &'a str,
    origin: Origin,
    errors: Vec<FileError>,
}

impl Loader<'_> {
    fn error(&mut self, at: Option<Location>, message: impl AsRef<str>) {
        let (place, inside) = self.origin.place(Place::of(self.file, at));
        self.errors.push(FileError {
            place,
            message: format!("{inside}{}", message.as_ref()),
        });
    }

    fn read(&mut self, text: &str) -> Option<Mapping<File>> {
        match read_yaml(text) {
            Ok(file) => Some(file.unwrap_or_default()),
            Err((at, message)) => {
                self.error(at, message);
                None
            }
        }
    }

    fn outer(&mut self, source: &SourceFile) -> Option<AlertmanagerConfig> {
        let outer = self.read(&source.text)?;
        let Some(inner) = &outer.fields.alertmanager_config else {
            if let Some(files) = &outer.fields.template_files {
                self.error(
                    Some(files.defined),
                    "`template_files` belongs beside `alertmanager_config`, in a definition of AMP",
                );
            }
            return self.inner(outer);
        };
        if outer.fields.route.is_some() || outer.fields.receivers.is_some() {
            self.error(
                Some(inner.defined),
                "the file is either an Alertmanager configuration or, with \
                 `alertmanager_config`, a definition of AMP: not both",
            );
        }
        for other in &outer.others {
            self.error(
                Some(other.defined),
                format!(
                    "a definition of AMP has no field `{}`: `alertmanager_config` and \
                     `template_files` are read",
                    other.value
                ),
            );
        }
        let at = Place::of(self.file, Some(inner.defined));
        self.origin = Origin::of(&source.text, &inner.value, at);
        let config = self.read(&inner.value)?;
        for nested in [
            config
                .fields
                .alertmanager_config
                .as_ref()
                .map(|field| field.defined),
            config
                .fields
                .template_files
                .as_ref()
                .map(|field| field.defined),
        ] {
            if nested.is_some() {
                self.error(nested, "a definition of AMP cannot hold another one");
            }
        }
        self.inner(config)
    }

    fn inner(&mut self, config: Mapping<File>) -> Option<AlertmanagerConfig> {
        self.refuse(&config.others, &known::FILE);
        let receivers = self.receivers(config.fields.receivers.unwrap_or_default());
        let Some(route) = config.fields.route else {
            self.error(None, "there is no `route`: write one with a `receiver`");
            return None;
        };
        let route = self.route(route, &receivers);
        Some(AlertmanagerConfig { route, receivers })
    }

    fn refuse(&mut self, others: &[Spanned<String>], known: &Known) {
        for other in others {
            self.error(Some(other.defined), known.refusal(&other.value));
        }
    }

    fn route(&mut self, typed: Mapping<file::Route>, receivers: &[Receiver]) -> Route {
        self.refuse(&typed.others, &known::ROUTE);
        let typed = typed.fields;
        let receiver = match typed.receiver {
            Some(receiver) if !receiver.value.is_empty() => {
                if receivers.iter().all(|known| known.name != receiver.value) {
                    self.error(
                        Some(receiver.defined),
                        format!(
                            "there is no receiver {:?} under `receivers`",
                            receiver.value
                        ),
                    );
                }
                receiver.value
            }
            empty => {
                self.error(
                    empty.map(|empty| empty.defined),
                    "the route needs a `receiver`",
                );
                String::new()
            }
        };
        let defaults = Route::default();
        Route {
            receiver,
            group_by: self.group_by(typed.group_by.unwrap_or_default()),
            group_wait: self
                .duration(typed.group_wait)
                .unwrap_or(defaults.group_wait),
            group_interval: self
                .interval("group_interval", typed.group_interval)
                .unwrap_or(defaults.group_interval),
            repeat_interval: self
                .interval("repeat_interval", typed.repeat_interval)
                .unwrap_or(defaults.repeat_interval),
        }
    }

    fn group_by(&mut self, typed: Vec<Spanned<String>>) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        let count = typed.len();
        for name in typed {
            let at = Some(name.defined);
            if name.value == GROUP_BY_ALL {
                if count > 1 {
                    self.error(
                        at,
                        "`...` groups by all labels: it stands alone in `group_by`",
                    );
                }
            } else if !is_label_name(&name.value) {
                self.error(
                    at,
                    format!("{:?} in `group_by` is no label name", name.value),
                );
            } else if names.contains(&name.value) {
                self.error(at, format!("`{}` is in `group_by` twice", name.value));
            }
            names.push(name.value);
        }
        names
    }

    fn duration(&mut self, typed: Text) -> Option<Duration> {
        let typed = typed?;
        duration::parse(&typed.value)
            .map_err(|error| self.error(Some(typed.defined), error.to_string()))
            .ok()
    }

    fn interval(&mut self, name: &str, typed: Text) -> Option<Duration> {
        let at = typed.as_ref().map(|typed| typed.defined);
        let interval = self.duration(typed)?;
        if interval.is_zero() {
            self.error(at, format!("`{name}` cannot be zero"));
        }
        Some(interval)
    }

    fn receivers(&mut self, typed: Vec<Spanned<Option<Mapping<file::Receiver>>>>) -> Vec<Receiver> {
        let mut names = BTreeSet::new();
        let mut receivers = Vec::new();
        for receiver in typed {
            let at = receiver.defined;
            let receiver = receiver.value.unwrap_or_default();
            self.refuse(&receiver.others, &known::RECEIVER);
            let name = match receiver.fields.name {
                Some(name) if !name.value.is_empty() => {
                    if !names.insert(name.value.clone()) {
                        self.error(
                            Some(name.defined),
                            format!("two receivers are named {:?}", name.value),
                        );
                    }
                    name.value
                }
                _ => {
                    self.error(Some(at), "a receiver needs a `name`");
                    String::new()
                }
            };
            let sns = receiver.fields.sns_configs.unwrap_or_default();
            let sns = sns.into_iter().filter_map(|sns| self.sns(sns)).collect();
            receivers.push(Receiver {
                name,
                sns,
                terminal: false,
            });
        }
        receivers
    }

    fn sns(&mut self, typed: Spanned<Option<Mapping<file::Sns>>>) -> Option<SnsConfig> {
        let at = typed.defined;
        let typed = typed.value.unwrap_or_default();
        self.refuse(&typed.others, &known::SNS);
        let sigv4 = typed.fields.sigv4.unwrap_or_default();
        self.refuse(&sigv4.others, &known::SIGV4);
        let said_otherwise = |other: &Spanned<String>| {
            ["target_arn", "phone_number"].contains(&other.value.as_str())
        };
        let Some(arn) = typed.fields.topic_arn.filter(|arn| !arn.value.is_empty()) else {
            if !typed.others.iter().any(said_otherwise) {
                self.error(Some(at), "an entry of `sns_configs` needs a `topic_arn`");
            }
            return None;
        };
        let topic: TopicArn = match arn.value.parse() {
            Ok(topic) => topic,
            Err(error) => {
                self.error(
                    Some(arn.defined),
                    format!("`topic_arn` {:?}: {error}", arn.value),
                );
                return None;
            }
        };
        if let Some(region) = sigv4.fields.region
            && !region.value.is_empty()
            && region.value != topic.region()
        {
            self.error(
                Some(region.defined),
                format!(
                    "`region` {:?} is not that of the topic {topic}: SNS would refuse the request",
                    region.value
                ),
            );
        }
        Some(SnsConfig {
            topic_arn: topic,
            send_resolved: typed.fields.send_resolved.unwrap_or(true),
        })
    }
}

/// `LabelName.IsValid` of prometheus/common, without the leniency of UTF-8 names: Alertmanager
/// accepts those only in a mode of its own.
fn is_label_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
