//! `label_replace` and `label_join`, done here on the labels of an answer, so that a label that
//! an expression makes can be derived from the labels of the series that it reads.

use std::sync::Arc;

use regex::Regex;

use super::tree::{Expr, Node};

/// More labels joined into one are not followed.
const MAX_JOINED: usize = 8;

/// What sets a label from other labels.
#[derive(Debug, Clone)]
pub(super) struct Rewriting(Arc<Kind>);

#[derive(Debug)]
enum Kind {
    Replace {
        label: String,
        replacement: String,
        source: [String; 1],
        regex: Regex,
    },
    Join {
        label: String,
        separator: String,
        sources: Vec<String>,
    },
}

impl Rewriting {
    /// What a call of `function` with these arguments does; none where it cannot be done here.
    pub(super) fn from_call(function: &str, args: &[Node]) -> Option<Self> {
        let texts: Option<Vec<String>> = args.iter().skip(1).map(text).collect();
        let mut texts = texts?.into_iter();
        let mut next = || texts.next();
        if function == "label_replace" {
            let (label, replacement, source, regex) = (next()?, next()?, next()?, next()?);
            return Some(Self(Arc::new(Kind::Replace {
                label,
                replacement,
                source: [source],
                regex: Regex::new(&format!("^(?s:{regex})$")).ok()?,
            })));
        }
        let (label, separator) = (next()?, next()?);
        let sources: Vec<String> = texts.collect();
        (sources.len() <= MAX_JOINED).then(|| {
            Self(Arc::new(Kind::Join {
                label,
                separator,
                sources,
            }))
        })
    }

    /// The label that is set.
    pub(super) fn sets(&self) -> &str {
        match self.0.as_ref() {
            Kind::Replace { label, .. } | Kind::Join { label, .. } => label,
        }
    }

    /// The labels that it is always made from.
    pub(super) fn reads(&self) -> &[String] {
        match self.0.as_ref() {
            Kind::Replace { source, .. } => source,
            Kind::Join { sources, .. } => sources,
        }
    }

    /// The value it sets, given the values of the labels below; none where it depends on one
    /// that is not known.
    pub(super) fn value(&self, below: impl Fn(&str) -> Option<String>) -> Option<String> {
        match self.0.as_ref() {
            Kind::Replace {
                label,
                replacement,
                source: [source],
                regex,
            } => {
                let value = below(source)?;
                let Some(captures) = regex.captures(&value) else {
                    return below(label);
                };
                let mut replaced = String::new();
                captures.expand(replacement, &mut replaced);
                Some(replaced)
            }
            Kind::Join {
                separator, sources, ..
            } => {
                let values: Option<Vec<String>> = sources.iter().map(|name| below(name)).collect();
                Some(values?.join(separator))
            }
        }
    }
}

/// What a string argument says.
pub(super) fn text(arg: &Node) -> Option<String> {
    match &arg.bare().expr {
        Expr::Text(text) => text.clone(),
        _ => None,
    }
}
