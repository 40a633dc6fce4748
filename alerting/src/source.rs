//! Files that a user wrote: their text, the places in it, and what is wrong there.

use serde::de::DeserializeOwned;
use serde_saphyr::{Location, MergeKeyPolicy, from_str_with_options};

/// A file's name and text.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct SourceFile {
    /// The path, as the user knows it; of a rule file its base name is the groups' namespace.
    pub name: String,
    /// The text.
    pub text: String,
}

/// A place in a file that a user wrote; line and column count from 1.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file, named as the user named it.
    pub file: String,
    /// The line; 0 where the whole file is meant.
    pub line: usize,
    /// The column, in characters.
    pub column: usize,
}

impl Place {
    /// A place that the YAML parser knows; None means the whole file.
    pub(crate) fn new(file: &str, at: Option<Location>) -> Self {
        let number = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
        Self {
            file: file.to_owned(),
            line: at.map_or(0, |at| number(at.line())),
            column: at.map_or(0, |at| number(at.column())),
        }
    }
}

/// Where each line of a text begins, as YAML counts them, so that a place in a long one is found
/// without reading all of it.
#[derive(Debug)]
pub(crate) struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    /// The lines of `text`, which end with a line feed, a carriage return, or both.
    pub(crate) fn new(text: &'a str) -> Self {
        let mut starts = vec![0];
        let mut bytes = text.bytes().enumerate().peekable();
        while let Some((at, byte)) = bytes.next() {
            let is_pair = byte == b'\r' && bytes.peek().is_some_and(|(_, next)| *next == b'\n');
            if matches!(byte, b'\n' | b'\r') && !is_pair {
                starts.push(at + 1);
            }
        }
        Self { text, starts }
    }

    /// The lines from number `first` on, from 1, each with its number.
    fn numbered_from(&self, first: usize) -> impl Iterator<Item = (usize, &'a str)> {
        (first.max(1)..=self.starts.len()).map(|number| {
            let start = self.starts.get(number - 1).copied().unwrap_or_default();
            let end = self.starts.get(number).copied();
            let line = self.text.get(start..end.unwrap_or(self.text.len()));
            (number, line.unwrap_or(""))
        })
    }
}

/// The place of byte `at` of a scalar that the parser read as `scalar`, and which begins at
/// `begins` in the text of `lines`.
///
/// YAML folds lines, drops indentation and doubles quotes, but leaves what is no space as it is, and
/// in its order: that is counted.
pub(crate) fn within(
    file: &str,
    lines: &Lines<'_>,
    begins: Location,
    scalar: &str,
    at: usize,
) -> Place {
    let mut ahead = scalar
        .get(..at)
        .unwrap_or(scalar)
        .chars()
        .filter(|c| !c.is_whitespace())
        .count();
    // Behind all of it: right behind its last character, whatever follows in the file.
    let is_end = scalar.get(at..).is_none_or(|rest| rest.trim().is_empty());
    let mut place = Place::new(file, Some(begins));
    let first = usize::try_from(begins.line()).unwrap_or(usize::MAX);
    let mut quote = None;
    for (number, line) in lines.numbered_from(first) {
        let is_first = number == first;
        let skipped = if is_first {
            place.column.saturating_sub(1)
        } else {
            0
        };
        let mut characters = line.chars().enumerate().skip(skipped).peekable();
        if is_first {
            match characters.peek() {
                // A block: what it says begins on the next line.
                Some((_, '|' | '>')) => continue,
                Some((_, mark @ ('"' | '\''))) => {
                    quote = Some(*mark);
                    characters.next();
                }
                _ => {}
            }
        }
        while let Some((column, character)) = characters.next() {
            if character.is_whitespace() {
                continue;
            }
            if ahead == 0 {
                place.line = number;
                place.column = column + 1;
                return place;
            }
            ahead -= 1;
            let escapes = matches!((quote, character), (Some('"'), '\\') | (Some('\''), '\''));
            if escapes {
                characters.next();
            }
            if is_end && ahead == 0 {
                place.line = number;
                place.column = column + 2;
                return place;
            }
        }
    }
    place
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.line {
            0 => f.write_str(&self.file),
            _ => write!(f, "{}:{}:{}", self.file, self.line, self.column),
        }
    }
}

/// One thing that is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[error("{place}: {message}")]
pub struct FileError {
    /// Where.
    pub place: Place,
    /// What, and what to write instead.
    pub message: String,
}

/// Reads the first document of a YAML text and leaves the others alone, as Prometheus and
/// Alertmanager do; None if there is nothing in it. Merge keys (`<<`) are resolved as YAML says.
pub(crate) fn read_yaml<T: DeserializeOwned>(
    text: &str,
) -> Result<Option<T>, (Option<Location>, String)> {
    read_yaml_with(text, MergeKeyPolicy::Merge)
}

/// The same, but merge keys reach `T` as keys: what they mean is for its visitor to say.
pub(crate) fn read_yaml_with_merge_keys<T: DeserializeOwned>(
    text: &str,
) -> Result<Option<T>, (Option<Location>, String)> {
    read_yaml_with(text, MergeKeyPolicy::AsOrdinary)
}

fn read_yaml_with<T: DeserializeOwned>(
    text: &str,
    merge_keys: MergeKeyPolicy,
) -> Result<Option<T>, (Option<Location>, String)> {
    // Bounded, but far beyond what the parser has by itself: ten thousand rules are a file that
    // Prometheus takes, and so is one anchor that all of them refer to.
    let options = serde_saphyr::options! {
        with_snippet: false,
        merge_keys: merge_keys,
        budget: serde_saphyr::budget! {
            max_events: 10_000_000,
            max_nodes: 5_000_000,
            enforce_alias_anchor_ratio: false,
        },
    };
    from_str_with_options::<Option<T>>(first_document(text), options)
        .map_err(|error| (error.location(), yaml_message(&error)))
}

/// The text up to the line that ends its first document: `---` behind what the document may begin
/// with, or `...`. At the beginning of a line these are nothing else, not even in a quoted text.
fn first_document(text: &str) -> &str {
    let mut at = 0;
    let mut begun = false;
    for line in text.split_inclusive('\n') {
        let is = |mark| {
            let rest = line.trim_start_matches('\u{feff}').strip_prefix(mark);
            rest.is_some_and(|rest: &str| {
                rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n'])
            })
        };
        let ends = is("...") || (begun && is("---"));
        if ends {
            return text.get(..at).unwrap_or(text);
        }
        // Before the first `---` there may be comments and directives.
        begun |= !line.trim().is_empty() && !line.trim_start().starts_with(['#', '%']);
        at += line.len();
    }
    text
}

/// The parser's own message without its advice to programmers and without the place, which is
/// printed in front.
fn yaml_message(error: &serde_saphyr::Error) -> String {
    let text = error.to_string();
    let text = text
        .rsplit_once(" at line ")
        .map_or(text.as_str(), |(message, _)| message);
    let text = text
        .split_once(", set DuplicateKeyPolicy")
        .map_or(text, |(message, _)| message);
    if let Some(key) = text.strip_prefix("duplicate mapping key: ") {
        return format!("`{key}` is set twice");
    }
    let plain = match text {
        "expected mapping start" => "expected a mapping: lines of `name: value`",
        "expected sequence start" => "expected a list: lines that begin with `- `",
        "expected string scalar" => "expected a text; one that begins with `{` or `[` needs quotes",
        "cannot deserialize null into string; use Option<String>" => "expected a text, not null",
        "alias references unknown anchor" => {
            "no anchor has this name; a text that begins with `*` needs quotes"
        }
        "recursive references require weak recursion types" => "an anchor cannot hold itself",
        other => other,
    };
    plain.to_owned()
}
