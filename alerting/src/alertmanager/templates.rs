//! What a message is to say: `templates`, and `subject`, `message` and `attributes` of a topic.

use std::collections::BTreeMap;

use serde_saphyr::Spanned;

use super::definition::Origin;
use super::file::{Pairs, Text};
use super::load::Loader;
use crate::notify::{PublishRole, SnsText};
use crate::source::{FileError, Place, SourceFile};
use crate::template::ParseError;
use crate::template::notification::{NamedTemplates, NotificationTemplate};

/// What Alertmanager sends where only the other is given.
const SUBJECT: &str = r#"{{ template "sns.default.subject" . }}"#;
const MESSAGE: &str = r#"{{ template "sns.default.message" . }}"#;

/// A file of templates.
pub(super) struct TemplateFile {
    /// What `templates` knows it by: its name without its folder.
    name: String,
    text: String,
    /// The file that the text stands in, and where.
    file: String,
    origin: Origin,
}

impl TemplateFile {
    /// A file beside the configuration.
    pub(super) fn beside(source: &SourceFile) -> Self {
        Self {
            name: base_name(&source.name).to_owned(),
            text: source.text.clone(),
            file: source.name.clone(),
            origin: Origin::Bare,
        }
    }

    /// One of `template_files` in a definition of AMP.
    pub(super) fn within(
        source: &SourceFile,
        name: &Spanned<String>,
        text: &Spanned<String>,
    ) -> Self {
        let at = Place::new(&source.name, Some(text.defined));
        Self {
            name: name.value.clone(),
            text: text.value.clone(),
            file: source.name.clone(),
            origin: Origin::new(&source.text, &text.value, at),
        }
    }

    fn error(&self, error: &ParseError) -> FileError {
        let (place, inside) = self.origin.place(Place {
            file: self.file.clone(),
            line: error.line,
            column: error.column,
        });
        FileError {
            place,
            message: format!("{inside}{}", error.message),
        }
    }
}

impl Loader<'_> {
    /// The templates of the files that `templates` names. A file is known by its name, whatever
    /// folder it was in where Alertmanager ran.
    pub(super) fn named_templates(&mut self, typed: &[Spanned<String>]) -> NamedTemplates {
        let files = std::mem::take(&mut self.templates);
        let mut wanted: Vec<&TemplateFile> = Vec::new();
        for pattern in typed {
            let before = wanted.len();
            let name = base_name(&pattern.value);
            wanted.extend(files.iter().filter(|file| is_like(&file.name, name)));
            if wanted.len() == before {
                self.error(
                    Some(pattern.defined),
                    format!(
                        "there is no template file {name:?}: put it beside the configuration, or \
                         in a folder `templates` there"
                    ),
                );
            }
        }
        NamedTemplates::new(wanted.iter().map(|file| file.text.as_str())).unwrap_or_else(
            |(at, error)| {
                self.errors
                    .extend(wanted.get(at).map(|file| file.error(&error)));
                NamedTemplates::default()
            },
        )
    }

    /// The user's own text, if there is any.
    pub(super) fn sns_text(
        &mut self,
        subject: Text,
        message: Text,
        attributes: Option<Pairs>,
    ) -> Option<SnsText> {
        let attributes = attributes.unwrap_or_default().0;
        if subject.is_none() && message.is_none() && attributes.is_empty() {
            return None;
        }
        let mut known = BTreeMap::new();
        for (name, value) in attributes {
            if !is_attribute_name(&name.value) {
                self.error(
                    Some(name.defined),
                    format!(
                        "{:?} is no name that SNS takes for an attribute: it has letters, digits, \
                         `_`, `-` and `.`, and does not begin with `AWS.` or `Amazon.`",
                        name.value
                    ),
                );
            }
            if let Some(template) = self.template("attributes", &value) {
                known.insert(name.value, template);
            }
        }
        let mut text = |name: &str, typed: Text, default: &str| match typed {
            Some(typed) => self.template(name, &typed),
            None => NotificationTemplate::parse(default).ok(),
        };
        Some(SnsText {
            subject: text("subject", subject, SUBJECT)?,
            message: text("message", message, MESSAGE)?,
            attributes: known,
        })
    }

    fn template(&mut self, name: &str, typed: &Spanned<String>) -> Option<NotificationTemplate> {
        let parsed = NotificationTemplate::parse(&typed.value);
        parsed
            .map_err(|error| {
                self.error(
                    Some(typed.defined),
                    format!("`{name}` is no template: in its line and column {error}"),
                );
            })
            .ok()
    }

    pub(super) fn role(&mut self, arn: Text, external_id: Text) -> Option<PublishRole> {
        let external_id = external_id.filter(|id| !id.value.is_empty());
        let Some(arn) = arn.filter(|arn| !arn.value.is_empty()) else {
            if let Some(id) = external_id {
                self.error(Some(id.defined), "`external_id` goes with a `role_arn`");
            }
            return None;
        };
        if !is_role(&arn.value) {
            self.error(
                Some(arn.defined),
                format!(
                    "{:?} is not an IAM role ARN (expected arn:aws:iam::123456789012:role/NAME)",
                    arn.value
                ),
            );
        }
        Some(PublishRole {
            arn: arn.value,
            external_id: external_id.map(|id| id.value),
        })
    }
}

fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Whether a name is like a pattern of `*` and `?`.
fn is_like(name: &str, pattern: &str) -> bool {
    match pattern.chars().next() {
        None => name.is_empty(),
        Some('*') => {
            let rest = pattern.get(1..).unwrap_or("");
            let mut ends = name.char_indices().map(|(at, _)| at).chain([name.len()]);
            ends.any(|at| is_like(name.get(at..).unwrap_or(""), rest))
        }
        Some(first) => {
            let mut chars = name.chars();
            let fits = chars.next().is_some_and(|c| first == '?' || c == first);
            fits && is_like(
                chars.as_str(),
                pattern.get(first.len_utf8()..).unwrap_or(""),
            )
        }
    }
}

fn is_attribute_name(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    (1..=256).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
        && !lower.starts_with("aws.")
        && !lower.starts_with("amazon.")
        && !name.starts_with('.')
        && !name.ends_with('.')
        && !name.contains("..")
}

fn is_role(text: &str) -> bool {
    match text.splitn(6, ':').collect::<Vec<_>>().as_slice() {
        ["arn", partition, "iam", "", account, name] => {
            partition.starts_with("aws")
                && account.len() == 12
                && account.bytes().all(|byte| byte.is_ascii_digit())
                && name
                    .strip_prefix("role/")
                    .is_some_and(|name| !name.is_empty())
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_known_by_patterns() {
        for (name, pattern, expected) in [
            ("a.tmpl", "*.tmpl", true),
            ("a.tmpl", "?.tmpl", true),
            ("ab.tmpl", "?.tmpl", false),
            ("default_template", "default_template", true),
            ("a.tmpl.bak", "*.tmpl", false),
            ("ü", "*", true),
        ] {
            assert_eq!(is_like(name, pattern), expected, "{name} {pattern}");
        }
    }
}
