//! From what was typed to what runs, with everything that is wrong with it, each at its place.
//!
//! What is refused is what Alertmanager refuses (`config/config.go`), what is not supported here,
//! and a topic that cannot be one.

use std::collections::BTreeSet;

use serde_saphyr::{Location, Spanned};

use super::definition::Origin;
use super::file::{self, File, Mapping};
use super::known::{self, Known};
use super::routes::Named;
use super::templates::TemplateFile;
use crate::matchers::MatchOp;
use crate::notify::{InhibitRule, Receiver, Route, SnsConfig, TimeIntervals, TopicArn};
use crate::source::{FileError, Place, SourceFile, read_yaml};
use crate::template::notification::NamedTemplates;

/// What an Alertmanager configuration says.
#[derive(Debug, Clone)]
pub struct AlertmanagerConfig {
    /// Where alerts go.
    pub route: Route,
    /// The receivers, in the order of the file; those of the routes are among them.
    pub receivers: Vec<Receiver>,
    /// Which alerts keep others quiet.
    pub inhibit_rules: Vec<InhibitRule>,
    /// The times that routes name.
    pub time_intervals: TimeIntervals,
    /// The templates that messages may call.
    pub templates: NamedTemplates,
}

/// Validates an `alertmanager.yml`, bare or wrapped as a definition of AMP, or says everything
/// that is wrong with it, in the order of lines. `templates` are the template files beside it.
pub fn load(
    source: &SourceFile,
    templates: &[SourceFile],
) -> Result<AlertmanagerConfig, Vec<FileError>> {
    let mut loader = Loader {
        file: &source.name,
        origin: Origin::Bare,
        templates: templates.iter().map(TemplateFile::beside).collect(),
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

pub(super) struct Loader<'a> {
    pub(super) file: &'a str,
    origin: Origin,
    pub(super) templates: Vec<TemplateFile>,
    pub(super) errors: Vec<FileError>,
}

impl Loader<'_> {
    pub(super) fn error(&mut self, at: Option<Location>, message: impl AsRef<str>) {
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
        if let Some(Spanned {
            value: Some(files), ..
        }) = outer.fields.template_files
        {
            let files = files.0.into_iter();
            self.templates = files
                .map(|(name, text)| TemplateFile::within(source, &name, &text))
                .collect();
        }
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
        let config = config.fields;
        if let Some(mut global) = config.global {
            let is_harmless =
                |name: &Spanned<String>| known::HARMLESS_GLOBALS.contains(&name.value.as_str());
            global.others.retain(|name| !is_harmless(name));
            self.refuse(&global.others, &known::GLOBAL);
            self.duration(global.fields.resolve_timeout);
        }
        let templates = self.named_templates(&config.templates.unwrap_or_default());
        let time_intervals = self.intervals([config.time_intervals, config.mute_time_intervals]);
        let receivers = self.receivers(config.receivers.unwrap_or_default());
        let inhibit_rules = config.inhibit_rules.unwrap_or_default().into_iter();
        let inhibit_rules = inhibit_rules
            .map(|rule| self.inhibit_rule(rule.value.unwrap_or_default()))
            .collect();
        let Some(route) = config.route else {
            self.error(None, "there is no `route`: write one with a `receiver`");
            return None;
        };
        let named = Named {
            receivers: &receivers,
            intervals: &time_intervals,
        };
        let route = self.root(route, &named);
        Some(AlertmanagerConfig {
            route,
            receivers,
            inhibit_rules,
            time_intervals,
            templates,
        })
    }

    fn inhibit_rule(&mut self, typed: Mapping<file::InhibitRule>) -> InhibitRule {
        self.refuse(&typed.others, &known::INHIBIT_RULE);
        let typed = typed.fields;
        let mut source = self.matchers(typed.source_matchers);
        source.extend(self.old_matchers(MatchOp::Equal, typed.source_match));
        source.extend(self.old_matchers(MatchOp::Regexp, typed.source_match_re));
        let mut target = self.matchers(typed.target_matchers);
        target.extend(self.old_matchers(MatchOp::Equal, typed.target_match));
        target.extend(self.old_matchers(MatchOp::Regexp, typed.target_match_re));
        let equal = typed.equal.unwrap_or_default();
        if let Some(empty) = equal.iter().find(|name| name.value.is_empty()) {
            self.error(
                Some(empty.defined),
                "an empty text in `equal` is no label name",
            );
        }
        InhibitRule {
            source,
            target,
            equal: equal.into_iter().map(|name| name.value).collect(),
        }
    }

    pub(super) fn refuse(&mut self, others: &[Spanned<String>], known: &Known) {
        for other in others {
            self.error(Some(other.defined), known.refusal(&other.value));
        }
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
        let role = self.role(sigv4.fields.role_arn, sigv4.fields.external_id);
        let text = self.sns_text(
            typed.fields.subject,
            typed.fields.message,
            typed.fields.attributes,
        );
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
            role,
            text,
        })
    }
}
