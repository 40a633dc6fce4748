//! What Alertmanager reads and dnswatch has no use for: it loads, is checked as Alertmanager
//! checks it, and `check` says that it is without effect.

use std::collections::BTreeSet;

use serde_saphyr::Spanned;

use super::file::{EventOutput, EventRecorder, List, Mapping, SigV4, Text, Tracing};
use super::known;
use super::load::Loader;
use crate::matchers::Matchers;

type Section<T> = Option<Spanned<Option<Mapping<T>>>>;

fn is_set(text: &Text) -> bool {
    text.as_ref().is_some_and(|text| !text.value.is_empty())
}

impl Loader<'_> {
    pub(super) fn not_used(&mut self, tracing: Section<Tracing>, recorder: Section<EventRecorder>) {
        if let Some(Spanned {
            value: Some(mut typed),
            defined: at,
            ..
        }) = tracing
        {
            typed
                .others
                .retain(|other| !known::HARMLESS_TRACING.contains(&other.value.as_str()));
            self.refuse(&typed.others, &known::TRACING);
            self.tracing(&typed.fields, at);
            self.duration(typed.fields.timeout);
            self.warning(Some(at), "`tracing` is not used: dnswatch sends no traces");
        }
        if let Some(Spanned {
            value: Some(typed),
            defined: at,
            ..
        }) = recorder
        {
            self.refuse(&typed.others, &known::EVENT_RECORDER);
            let fields = typed.fields;
            let outputs = [
                fields.file_outputs,
                fields.webhook_outputs,
                fields.kafka_outputs,
                fields.stdout_outputs,
            ];
            for ((kind, known), outputs) in known::EVENT_OUTPUTS.iter().zip(outputs) {
                self.event_outputs(kind, known, outputs);
            }
            self.warning(
                Some(at),
                "`event_recorder` is not used: dnswatch records no events, its log says what it did",
            );
        }
    }

    fn tracing(&mut self, typed: &Tracing, at: serde_saphyr::Location) {
        if !is_set(&typed.endpoint) {
            self.error(Some(at), "`tracing` needs an `endpoint`");
        }
        let one_of = [
            ("client_type", &typed.client_type, &["http", "grpc"][..]),
            ("compression", &typed.compression, &["", "gzip"]),
        ];
        for (name, typed, allowed) in one_of {
            if let Some(text) = typed
                && !allowed.contains(&text.value.as_str())
            {
                let allowed = allowed.iter().filter(|it| !it.is_empty());
                let allowed: Vec<String> = allowed.map(|it| format!("`{it}`")).collect();
                self.error(
                    Some(text.defined),
                    format!("`{name}` is {}", allowed.join(" or ")),
                );
            }
        }
    }

    fn event_outputs(&mut self, kind: &str, known: &[&str], typed: List<EventOutput>) {
        let mut names = BTreeSet::new();
        for output in typed.unwrap_or_default() {
            let at = output.defined;
            let output = output.value.unwrap_or_default();
            for other in &output.others {
                if !known.contains(&other.value.as_str()) {
                    self.error(
                        Some(other.defined),
                        format!(
                            "an entry of `{kind}_outputs` has no field `{}`",
                            other.value
                        ),
                    );
                }
            }
            let fields = output.fields;
            let wanted = [
                ("name", &fields.name, true),
                ("path", &fields.path, kind == "file"),
                ("url", &fields.url, kind == "webhook"),
                ("topic", &fields.topic, kind == "kafka"),
            ];
            for (name, field, is_wanted) in wanted {
                if is_wanted && !is_set(field) {
                    self.error(
                        Some(at),
                        format!("an entry of `{kind}_outputs` needs a `{name}`"),
                    );
                } else if let Some(field) = field
                    && !is_wanted
                {
                    self.error(
                        Some(field.defined),
                        format!("an entry of `{kind}_outputs` has no field `{name}`"),
                    );
                }
            }
            if let Some(name) = fields.name
                && !name.value.is_empty()
                && !names.insert(name.value.clone())
            {
                self.error(
                    Some(name.defined),
                    format!("two entries of `{kind}_outputs` are named {:?}", name.value),
                );
            }
        }
    }

    /// Of pairs in `global`, such as a token and its file, one may be set.
    pub(super) fn either_global(&mut self, others: &[Spanned<String>]) {
        let find = |names: &[&str]| {
            let mut others = others.iter();
            others.find(|other| names.contains(&other.value.as_str()))
        };
        for (one, other) in known::EITHER_GLOBAL {
            if let (Some(one), Some(other)) = (find(one), find(other)) {
                self.error(
                    Some(other.defined),
                    format!("`{}` and `{}`: only one may be set", one.value, other.value),
                );
            }
        }
    }

    /// What Alertmanager takes for a topic and has no effect there, or none here.
    pub(super) fn not_used_in_sns(&mut self, aws_client: Option<Spanned<bool>>, sigv4: &mut SigV4) {
        if let Some(aws_client) = aws_client {
            self.warning(
                Some(aws_client.defined),
                "`use_aws_http_client` is without effect: dnswatch has one HTTP client",
            );
        }
        let has_role = is_set(&sigv4.role_arn);
        let tags = sigv4.tags.take().unwrap_or_default().0;
        let session = sigv4.session_name.take().filter(|it| !it.value.is_empty());
        let session = session.map(|it| (it.defined, "session_name"));
        let tags = tags.into_iter().map(|(name, _)| (name.defined, "tags"));
        for (at, name) in session.into_iter().chain(tags.take(1)) {
            if has_role {
                self.warning(
                    Some(at),
                    format!(
                        "`{name}` is without effect: Alertmanager does not use it for SNS either"
                    ),
                );
            } else {
                self.error(Some(at), format!("`{name}` goes with a `role_arn`"));
            }
        }
        if let Some(service) = sigv4.service_name.take() {
            self.warning(
                Some(service.defined),
                "`service_name` is without effect: requests to SNS are signed for SNS",
            );
        }
    }

    /// Matchers that no alert can meet are a mistake: refused, but in a definition of AMP, which
    /// is in force there and must not fail as a whole.
    pub(super) fn must_match(
        &mut self,
        matchers: &Matchers,
        at: Option<serde_saphyr::Location>,
        what: &str,
    ) {
        let Some(why) = matchers.contradiction() else {
            return;
        };
        let message = format!("{what} can never match: {why}");
        if self.is_of_amp() {
            self.warning(at, message);
        } else {
            self.error(at, message);
        }
    }
}
