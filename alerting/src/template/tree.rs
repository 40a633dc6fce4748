//! What a template means: the nodes that Go's `text/template/parse` builds, each able to show
//! itself as error texts quote it.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};

use super::number::Number;

/// All templates of one text: the main one and those it defines.
#[derive(Debug)]
pub(super) struct Trees {
    pub(super) main: List,
    pub(super) defined: Defined,
}

/// Templates by their names.
pub(super) type Defined = BTreeMap<String, List>;

/// Text and actions in a row.
pub(super) type List = Vec<Node>;

/// One piece of a template.
#[derive(Debug)]
pub(super) enum Node {
    Text(String),
    /// `{{pipeline}}`.
    Action(Pipe),
    If(Branch),
    Range(Branch),
    With(Branch),
    Template(Call),
    Break,
    Continue,
}

/// `if`, `range` or `with`.
#[derive(Debug)]
pub(super) struct Branch {
    pub(super) pipe: Pipe,
    pub(super) list: List,
    pub(super) else_list: Option<List>,
}

/// `{{template "name" pipeline}}`.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) pos: usize,
    pub(super) name: String,
    pub(super) pipe: Option<Pipe>,
}

/// Commands, each handing its value to the next.
#[derive(Debug)]
pub(super) struct Pipe {
    pub(super) pos: usize,
    /// `=` rather than `:=`.
    pub(super) is_assign: bool,
    /// Names of variables, with their `$`.
    pub(super) decl: Vec<String>,
    pub(super) cmds: Vec<Command>,
}

/// A function or value, and its arguments. Never empty.
#[derive(Debug)]
pub(super) struct Command {
    pub(super) pos: usize,
    pub(super) args: Vec<Operand>,
}

/// One word of a command.
#[derive(Debug)]
pub(super) struct Operand {
    pub(super) pos: usize,
    pub(super) kind: OperandKind,
}

/// What a word is.
#[derive(Debug)]
pub(super) enum OperandKind {
    Identifier(String),
    /// `$x.y.z`: the name with its `$`, then fields.
    Variable(Vec<String>),
    Dot,
    Nil,
    /// `.x.y`.
    Field(Vec<String>),
    Bool(bool),
    Number(Number),
    String {
        quoted: String,
        text: Vec<u8>,
    },
    /// In parentheses.
    Pipe(Box<Pipe>),
    /// `(pipeline).x.y` or `function.x`.
    Chain {
        of: Box<Operand>,
        fields: Vec<String>,
    },
}

impl Display for Pipe {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (at, name) in self.decl.iter().enumerate() {
            write!(f, "{}{name}", if at > 0 { ", " } else { "" })?;
        }
        if !self.decl.is_empty() {
            f.write_str(if self.is_assign { " = " } else { " := " })?;
        }
        for (at, command) in self.cmds.iter().enumerate() {
            write!(f, "{}{command}", if at > 0 { " | " } else { "" })?;
        }
        Ok(())
    }
}

impl Display for Command {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (at, arg) in self.args.iter().enumerate() {
            let space = if at > 0 { " " } else { "" };
            match &arg.kind {
                OperandKind::Pipe(pipe) => write!(f, "{space}({pipe})")?,
                _ => write!(f, "{space}{arg}")?,
            }
        }
        Ok(())
    }
}

impl Display for Operand {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.kind {
            OperandKind::Identifier(name) => f.write_str(name),
            OperandKind::Variable(path) => f.write_str(&path.join(".")),
            OperandKind::Dot => f.write_str("."),
            OperandKind::Nil => f.write_str("nil"),
            OperandKind::Field(path) => write!(f, ".{}", path.join(".")),
            OperandKind::Bool(value) => write!(f, "{value}"),
            OperandKind::Number(number) => f.write_str(&number.text),
            OperandKind::String { quoted, .. } => f.write_str(quoted),
            OperandKind::Pipe(pipe) => pipe.fmt(f),
            OperandKind::Chain { of, fields } => {
                match &of.kind {
                    OperandKind::Pipe(pipe) => write!(f, "({pipe})")?,
                    _ => of.fmt(f)?,
                }
                write!(f, ".{}", fields.join("."))
            }
        }
    }
}

/// Whether a template is empty of everything but space.
pub(super) fn is_empty(list: &[Node]) -> bool {
    list.iter()
        .all(|node| matches!(node, Node::Text(text) if text.trim().is_empty()))
}
