//! Go's `regexp` on top of the `regex` crate: the syntax translated where they differ.
//!
//! Both are RE2's. Unlike Rust, Go's classes `\d`, `\w`, `\s` and `\b` are ASCII, a `{` that
//! begins no count stands for itself, brackets do not nest, `\Q…\E` quotes, and a repetition of
//! a repetition is an error.

use std::collections::BTreeMap;
use std::rc::Rc;

use regex::bytes::{Regex, RegexBuilder};

use super::Stop;
use super::limits::Limits;

mod class;
mod syntax;

/// Bytes that a compiled pattern may take.
const SIZE_LIMIT: usize = 1 << 20;
/// Bytes of text that a pattern is tried on.
const MAX_SUBJECT: usize = 64 << 10;
/// What compiling a pattern costs, as bytes of text.
const COMPILE_WORK: usize = 1 << 20;
/// What trying a pattern on a byte costs, and what on any text at least.
const MATCH_WORK: (usize, usize) = (64, 4 << 10);

/// The patterns that an expansion has used.
#[derive(Debug, Default)]
pub(super) struct Patterns(BTreeMap<String, Rc<Compiled>>);

impl Patterns {
    /// A pattern for use on `subject`, or Go's complaint about it.
    pub(super) fn get(
        &mut self,
        pattern: &str,
        subject: &[u8],
        limits: &mut Limits,
    ) -> Result<Result<Rc<Compiled>, String>, Stop> {
        if subject.len() > MAX_SUBJECT {
            return Err(Stop::Failed(format!(
                "regular expression on text of more than {MAX_SUBJECT} bytes"
            )));
        }
        let (each, least) = MATCH_WORK;
        limits.work(subject.len().saturating_mul(each).max(least))?;
        if let Some(known) = self.0.get(pattern) {
            return Ok(Ok(Rc::clone(known)));
        }
        limits.work(COMPILE_WORK.saturating_add(pattern.len()))?;
        Ok(compile(pattern).map(|compiled| {
            let compiled = Rc::new(compiled);
            self.0.insert(pattern.to_owned(), Rc::clone(&compiled));
            compiled
        }))
    }
}

/// A compiled pattern.
#[derive(Debug)]
pub(crate) struct Compiled {
    regex: Regex,
    /// The names of groups with their numbers. Unlike in Rust, a name may be a number, and may
    /// name several groups.
    names: Vec<(String, usize)>,
}

/// Compiles a pattern; an error reads as Go's.
pub(crate) fn compile(pattern: &str) -> Result<Compiled, String> {
    let mut names = Vec::new();
    let translated = syntax::translate(pattern, &mut names)?;
    let regex = RegexBuilder::new(&translated)
        .size_limit(SIZE_LIMIT)
        .dfa_size_limit(SIZE_LIMIT)
        .nest_limit(100)
        .build()
        .map_err(|error| complaint(pattern, &error.to_string()))?;
    Ok(Compiled { regex, names })
}

impl Compiled {
    pub(crate) fn is_match(&self, text: &[u8]) -> bool {
        self.regex.is_match(text)
    }
}

fn failed(why: &str, part: &str) -> String {
    format!("error parsing regexp: {why}: `{part}`")
}

/// Go's words for the mistakes that people make; for others those of the library here.
fn complaint(pattern: &str, library: &str) -> String {
    let reason = library.lines().last().unwrap_or(library);
    let reason = reason.strip_prefix("error: ").unwrap_or(reason);
    if reason.contains("unclosed group") {
        failed("missing closing )", pattern)
    } else if reason.contains("unopened group") {
        failed("unexpected )", pattern)
    } else if reason.contains("exceeds size limit") || library.contains("size limit") {
        failed("expression too large", pattern)
    } else {
        failed(reason, pattern)
    }
}

/// `ReplaceAllString`, with `$1` and `${name}` in `replacement`; `None` where the result exceeds
/// `limit` bytes.
pub(super) fn replace_all(
    compiled: &Compiled,
    text: &[u8],
    replacement: &str,
    limit: usize,
) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut last = 0;
    for captures in compiled.regex.captures_iter(text) {
        let whole = captures.get(0)?;
        out.extend_from_slice(text.get(last..whole.start())?);
        expand(compiled, &captures, replacement, &mut out, limit);
        last = whole.end();
        if out.len() > limit {
            return None;
        }
    }
    out.extend_from_slice(text.get(last..)?);
    (out.len() <= limit).then_some(out)
}

/// `Regexp.Expand`: what names no group becomes nothing, `$$` a dollar.
fn expand(
    compiled: &Compiled,
    captures: &regex::bytes::Captures<'_>,
    template: &str,
    out: &mut Vec<u8>,
    limit: usize,
) {
    let mut rest = template;
    while let Some(at) = rest.find('$').filter(|_| out.len() <= limit) {
        out.extend_from_slice(rest.get(..at).unwrap_or("").as_bytes());
        let after = rest.get(at + 1..).unwrap_or("");
        if let Some(tail) = after.strip_prefix('$') {
            out.push(b'$');
            rest = tail;
            continue;
        }
        let (name, tail) = group_name(after);
        if name.is_empty() {
            out.push(b'$');
            rest = after;
            continue;
        }
        let group = if name.bytes().all(|byte| byte.is_ascii_digit()) {
            name.parse().ok().and_then(|number| captures.get(number))
        } else {
            let mut named = compiled.names.iter().filter(|(known, _)| known == name);
            named.find_map(|(_, number)| captures.get(*number))
        };
        if let Some(group) = group {
            out.extend_from_slice(group.as_bytes());
        }
        rest = tail;
    }
    out.extend_from_slice(rest.as_bytes());
}

/// The name after a dollar, braced or as long as it goes; or empty.
fn group_name(text: &str) -> (&str, &str) {
    let (inside, braced) = match text.strip_prefix('{') {
        Some(inside) => (inside, true),
        None => (text, false),
    };
    let end = inside
        .find(|c| !super::unicode::is_alphanumeric(c))
        .unwrap_or(inside.len());
    let (name, tail) = inside.split_at(end);
    if !braced {
        return (name, tail);
    }
    match tail.strip_prefix('}') {
        Some(tail) => (name, tail),
        None => ("", text),
    }
}
