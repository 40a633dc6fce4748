//! An AMP alert-manager definition holds the Alertmanager configuration as a text within a YAML
//! text. Errors inside it have their line and column in the whole file.

use crate::source::Place;

/// Where a configuration is within its file.
#[derive(Debug)]
pub(super) enum Origin {
    /// It is the whole file.
    Bare,
    /// It is a block (`|`) whose lines stand in the file as they are, only further right.
    Block {
        /// How many lines of the file are above it.
        above: usize,
        /// How many columns each line is further right.
        indent: usize,
    },
    /// It is a quoted or folded text that begins here.
    Text(Place),
}

impl Origin {
    /// Where in `file` the configuration `inner` is whose value is at `at`.
    pub(super) fn new(file: &str, inner: &str, at: Place) -> Self {
        // The place is either the `|` or the first line under it.
        for above in [at.line, at.line.saturating_sub(1)] {
            if let Some(indent) = indent(file.lines().skip(above), inner) {
                return Self::Block { above, indent };
            }
        }
        Self::Text(at)
    }

    /// The place in the file of a place within the configuration, with what cannot be said by a
    /// place.
    pub(super) fn place(&self, mut inner: Place) -> (Place, String) {
        match self {
            Self::Bare => (inner, String::new()),
            Self::Block { above, indent } => {
                if inner.line > 0 {
                    inner.line += above;
                    inner.column += indent;
                }
                (inner, String::new())
            }
            Self::Text(at) if inner.line == 0 => (at.clone(), String::new()),
            Self::Text(at) => (
                at.clone(),
                format!("in its line {}, column {}: ", inner.line, inner.column),
            ),
        }
    }
}

/// By how much the lines of `inner` are indented in `outer`; None if they are not the same.
fn indent<'a>(mut outer: impl Iterator<Item = &'a str>, inner: &str) -> Option<usize> {
    let mut indent = None;
    for line in inner.lines() {
        let typed = outer.next()?;
        if line.trim().is_empty() && typed.trim().is_empty() {
            continue;
        }
        let margin = typed.strip_suffix(line)?;
        if !margin.bytes().all(|byte| byte == b' ')
            || *indent.get_or_insert(margin.len()) != margin.len()
        {
            return None;
        }
    }
    indent
}
