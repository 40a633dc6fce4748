//! What a template looks at, without expanding it.

use std::collections::BTreeSet;

use super::tree::{Branch, Node, Operand, OperandKind, Pipe, Trees};

/// What a template looks at. What it reaches through variables of its own is not followed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reads {
    /// The labels that it names, as in `$labels.node`.
    pub labels: BTreeSet<String>,
    /// Those of them that it asks about first, as `{{ if $labels.node }}` does.
    pub asked_about: BTreeSet<String>,
    /// Whether it looks at the value, or at anything else that is another at each evaluation:
    /// the time, or the answer to a query.
    pub changing: bool,
    /// Whether it uses everything at once, as `{{ . }}` does.
    pub whole: bool,
    /// Whether it calls `query`.
    pub queries: bool,
    /// How many `with` and `range` there are around: in them the dot is something else.
    dot_moved: usize,
}

impl Reads {
    /// Of all templates in `trees`, but for the first nodes of the main one.
    pub(super) fn new(trees: &Trees, skip: usize) -> Self {
        let mut reads = Self::default();
        let main = trees.main.iter().skip(skip);
        for node in main.chain(trees.defined.values().flatten()) {
            reads.node(node);
        }
        reads
    }

    fn node(&mut self, node: &Node) {
        match node {
            Node::Text(_) | Node::Break | Node::Continue => {}
            Node::Action(pipe) => self.pipe(pipe),
            Node::If(branch) => self.branch(branch, 0),
            Node::With(branch) | Node::Range(branch) => self.branch(branch, 1),
            Node::Template(call) => {
                if let Some(pipe) = &call.pipe {
                    self.pipe(pipe);
                }
            }
        }
    }

    fn branch(&mut self, branch: &Branch, dot_moves: usize) {
        let mut asked_about = Self::default();
        asked_about.pipe(&branch.pipe);
        self.asked_about.extend(asked_about.labels);
        self.pipe(&branch.pipe);
        self.dot_moved += dot_moves;
        let lists = [Some(&branch.list), branch.else_list.as_ref()];
        for node in lists.into_iter().flatten().flatten() {
            self.node(node);
        }
        self.dot_moved -= dot_moves;
    }

    fn pipe(&mut self, pipe: &Pipe) {
        for command in &pipe.cmds {
            for operand in &command.args {
                self.operand(operand);
            }
            if let [index, of, name, ..] = command.args.as_slice()
                && is_named(index, "index")
                && is_labels(of)
                && let OperandKind::String { text, .. } = &name.kind
            {
                self.labels
                    .insert(String::from_utf8_lossy(text).into_owned());
            }
        }
    }

    fn operand(&mut self, operand: &Operand) {
        match &operand.kind {
            OperandKind::Variable(path) | OperandKind::Field(path) => {
                let path: Vec<&str> = path.iter().map(String::as_str).collect();
                match path.as_slice() {
                    ["$labels", name, ..] | ["$", "Labels", name, ..] => {
                        self.labels.insert((*name).to_owned());
                    }
                    ["Labels", name, ..] if self.dot_moved == 0 => {
                        self.labels.insert((*name).to_owned());
                    }
                    ["$value", ..] | ["$", "Value", ..] => self.changing = true,
                    ["Value", ..] if self.dot_moved == 0 => self.changing = true,
                    ["$"] => self.whole = true,
                    _ => {}
                }
            }
            OperandKind::Identifier(name) => {
                self.changing |= matches!(name.as_str(), "query" | "now");
                self.queries |= name == "query";
            }
            OperandKind::Pipe(pipe) => self.pipe(pipe),
            OperandKind::Chain { of, .. } => self.operand(of),
            OperandKind::Dot => self.whole |= self.dot_moved == 0,
            OperandKind::Nil
            | OperandKind::Bool(_)
            | OperandKind::Number(_)
            | OperandKind::String { .. } => {}
        }
    }
}

fn is_named(operand: &Operand, name: &str) -> bool {
    matches!(&operand.kind, OperandKind::Identifier(found) if found == name)
}

fn is_labels(operand: &Operand) -> bool {
    match &operand.kind {
        OperandKind::Variable(path) => path.last().is_some_and(|last| last == "$labels"),
        OperandKind::Field(path) => matches!(path.as_slice(), [name] if name == "Labels"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use crate::template::Template;

    #[track_caller]
    fn check(text: &str, labels: &str, asked_about: &str, changing: bool) {
        let reads = Template::parse(text).expect("a template").reads();
        let names = |list: &str| list.split_whitespace().map(str::to_owned).collect();
        assert_eq!(reads.labels, names(labels), "{text}");
        assert_eq!(reads.asked_about, names(asked_about), "{text}");
        assert_eq!(reads.changing, changing, "{text}");
    }

    #[test]
    fn labels_and_what_changes_are_found_wherever_they_stand() {
        check("no {{/* $labels.a */}} action", "", "", false);
        check("{{ $labels.a }} {{ .Labels.b }}", "a b", "", false);
        check(r#"{{ index $labels "c.d" | toUpper }}"#, "c.d", "", false);
        check("{{ $value | humanize }}", "", "", true);
        check("{{ printf \"%f\" (.Value) }}", "", "", true);
        check(
            "{{ with $labels.a }}{{ . }}{{ else }}{{ $labels.b }}{{ end }}",
            "a b",
            "a",
            false,
        );
        check(
            "{{ range query \"up\" }}{{ .Labels.job }}{{ end }}",
            "",
            "",
            true,
        );
        check("{{ define \"x\" }}{{ .Labels.a }}{{ end }}", "a", "", false);
    }
}
