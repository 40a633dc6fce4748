//! From what was typed to what runs, with everything that is wrong with it, each at its place.
//!
//! What is refused is what Alertmanager refuses (`config/config.go`), what is not supported here,
//! and a topic that cannot be one.

use serde_saphyr::{Location, Spanned};

use super::definition::Origin;
use super::file::{self, File, Mapping, Texts};
use super::known::{self, Known};
use super::routes::Named;
use super::templates::TemplateFile;
use crate::matchers::MatchOp;
use crate::notify::{InhibitRule, Receiver, Route, SnsConfig, TimeIntervals, TopicArn};
use crate::source::{FileError, Place, SourceFile, read_yaml_with_merge_keys};
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
    /// What loads and is without effect here, in the order of lines.
    pub warnings: Vec<FileError>,
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
        warnings: Vec::new(),
    };
    let config = loader.outer(source);
    match config {
        Some(mut config) if loader.errors.is_empty() => {
            loader.warnings.sort();
            config.warnings = loader.warnings;
            Ok(config)
        }
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
    pub(super) warnings: Vec<FileError>,
}

impl Loader<'_> {
    pub(super) fn error(&mut self, at: Option<Location>, message: impl AsRef<str>) {
        let error = self.placed(at, message.as_ref());
        self.errors.push(error);
    }

    /// What loads all the same, and should be known.
    pub(super) fn warning(&mut self, at: Option<Location>, message: impl AsRef<str>) {
        let warning = self.placed(at, message.as_ref());
        self.warnings.push(warning);
    }

    fn placed(&self, at: Option<Location>, message: &str) -> FileError {
        let (place, inside) = self.origin.place(Place::new(self.file, at));
        FileError {
            place,
            message: format!("{inside}{message}"),
        }
    }

    /// Whether the configuration is that of AMP's own alert manager, which sends to what it may
    /// name and dnswatch does not.
    pub(super) fn is_of_amp(&self) -> bool {
        !matches!(self.origin, Origin::Bare)
    }

    fn read(&mut self, text: &str) -> Option<Mapping<File>> {
        match read_yaml_with_merge_keys(text) {
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
        let at = Place::new(self.file, Some(inner.defined));
        self.origin = Origin::new(&source.text, &inner.value, at);
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
            self.either_global(&global.others);
            let is_harmless =
                |name: &Spanned<String>| known::HARMLESS_GLOBALS.contains(&name.value.as_str());
            global.others.retain(|name| !is_harmless(name));
            self.refuse(&global.others, &known::GLOBAL);
            self.duration(global.fields.resolve_timeout);
        }
        self.not_used(config.tracing, config.event_recorder);
        let templates = self.named_templates(&config.templates.unwrap_or_default());
        let time_intervals = self.intervals([config.time_intervals, config.mute_time_intervals]);
        let receivers = self.receivers(config.receivers);
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
        let mut route = self.root(route, &named);
        self.reach_somebody(&mut route, &receivers);
        route.name_nodes();
        Some(AlertmanagerConfig {
            route,
            receivers,
            inhibit_rules,
            time_intervals,
            templates,
            warnings: Vec::new(),
        })
    }

    fn inhibit_rule(&mut self, typed: Mapping<file::InhibitRule>) -> InhibitRule {
        self.refuse(&typed.others, &known::INHIBIT_RULE);
        let typed = typed.fields;
        let first = |texts: &Texts| Some(texts.as_ref()?.first()?.defined);
        let (source_at, target_at) = (first(&typed.source_matchers), first(&typed.target_matchers));
        let mut source = self.matchers(typed.source_matchers);
        source.extend(self.old_matchers(MatchOp::Equal, typed.source_match));
        source.extend(self.old_matchers(MatchOp::Regexp, typed.source_match_re));
        let mut target = self.matchers(typed.target_matchers);
        target.extend(self.old_matchers(MatchOp::Equal, typed.target_match));
        target.extend(self.old_matchers(MatchOp::Regexp, typed.target_match_re));
        self.must_match(&source, source_at, "the sources of an inhibition rule");
        self.must_match(&target, target_at, "the targets of an inhibition rule");
        let equal = typed.equal.unwrap_or_default();
        if let Some(empty) = equal.iter().find(|name| name.value.is_empty()) {
            self.error(
                Some(empty.defined),
                "an empty text in `equal` is no label name",
            );
        }
        InhibitRule {
            name: typed.name.map(|name| name.value).unwrap_or_default(),
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

    pub(super) fn sns(&mut self, typed: Spanned<Option<Mapping<file::Sns>>>) -> Option<SnsConfig> {
        let at = typed.defined;
        let typed = typed.value.unwrap_or_default();
        self.refuse(&typed.others, &known::SNS);
        let mut sigv4 = typed.fields.sigv4.unwrap_or_default();
        self.refuse(&sigv4.others, &known::SIGV4);
        self.not_used_in_sns(typed.fields.use_aws_http_client, &mut sigv4.fields);
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
