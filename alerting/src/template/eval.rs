//! Walking a template, as Go's `text/template` executes it.

use super::builtins::printable;
use super::call::Callee;
use super::functions::Dialect;
use super::limits::{Allowance, Limits, MAX_OUTPUT};
use super::printf::sprint;
use super::regexp::Patterns;
use super::tree::{Branch, Call, Command, Defined, List, Node, Operand, OperandKind, Pipe, Trees};
use super::value::{IntType, Value};
use super::{AnswerFn, Stop, quote};
use crate::timestamp::Timestamp;

/// How deep templates, blocks and pipelines may be inside each other while executing.
pub(super) const MAX_DEPTH: usize = 250;

pub(super) type Evaluated<T> = Result<T, Stop>;

/// Where an error is: what Go's error text quotes.
#[derive(Clone, Copy)]
pub(super) enum At<'t> {
    Nothing,
    Pipe(&'t Pipe),
    Command(&'t Command),
    Operand(&'t Operand),
    Call(&'t Call),
    Branch(&'t str, &'t Branch),
}

/// How a list of nodes ended.
pub(super) enum Flow {
    Through,
    Break,
    Continue,
}

/// What a template is expanded in.
#[derive(Clone, Copy)]
pub(super) struct World<'t> {
    /// Whose functions it has.
    pub(super) dialect: Dialect,
    /// What the main template is called.
    pub(super) name: &'t str,
    /// The templates that others than its own text define.
    pub(super) defined: Option<&'t Defined>,
    /// Where the product is reached.
    pub(super) external_url: &'t str,
    /// The time.
    pub(super) at: Timestamp,
    /// What `routeLabels` gives.
    pub(super) route_label: &'t RouteLabelFn<'t>,
}

/// A route's label by its name, expanded, or why it cannot be.
pub(super) type RouteLabelFn<'t> = dyn Fn(&str) -> Result<String, String> + 't;

fn within_output(bytes: usize) -> Evaluated<()> {
    if bytes > MAX_OUTPUT {
        return Err(Stop::Failed(format!(
            "template gives out more than {MAX_OUTPUT} bytes"
        )));
    }
    Ok(())
}

/// One expansion.
pub(super) struct Evaluation<'t> {
    pub(super) text: &'t str,
    pub(super) trees: &'t Trees,
    pub(super) world: World<'t>,
    pub(super) answers: &'t AnswerFn<'t>,
    pub(super) limits: Limits<'t>,
    pub(super) patterns: Patterns,
    /// The template being executed: its name, and so on.
    name: String,
    output: Vec<u8>,
    at: At<'t>,
    pub(super) vars: Vec<(&'t str, Value)>,
    depth: usize,
}

impl<'t> Evaluation<'t> {
    pub(super) fn new(
        text: &'t str,
        trees: &'t Trees,
        world: World<'t>,
        answers: &'t AnswerFn<'t>,
        together: &'t mut Allowance,
    ) -> Self {
        Self {
            text,
            trees,
            world,
            answers,
            limits: Limits::new(together),
            patterns: Patterns::default(),
            name: world.name.to_owned(),
            output: Vec::new(),
            at: At::Nothing,
            vars: Vec::new(),
            depth: 0,
        }
    }

    /// Executes the main template on `dot`.
    pub(super) fn run(mut self, dot: &Value) -> Evaluated<String> {
        self.vars.push(("$", dot.clone()));
        let trees = self.trees;
        self.list(dot, &trees.main)?;
        match String::from_utf8(self.output) {
            Ok(text) => Ok(text),
            Err(error) => {
                // A byte that is no text becomes three.
                let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
                within_output(text.len()).map(|()| text)
            }
        }
    }

    /// An error at the current node, in Go's words.
    pub(super) fn error<T>(&self, message: impl AsRef<str>) -> Evaluated<T> {
        let message = message.as_ref();
        let (pos, context) = match self.at {
            At::Nothing => {
                return Err(Stop::Failed(format!("template: {}: {message}", self.name)));
            }
            At::Pipe(pipe) => (pipe.pos, pipe.to_string()),
            At::Command(command) => (command.pos, command.to_string()),
            At::Operand(operand) => (operand.pos, operand.to_string()),
            At::Call(call) => {
                let name = quote::quote(call.name.as_bytes());
                let pipe = call.pipe.as_ref();
                let pipe = pipe.map_or_else(String::new, |pipe| format!(" {pipe}"));
                (call.pos, format!("{{{{template {name}{pipe}}}}}"))
            }
            At::Branch(word, branch) => {
                (branch.pipe.pos, format!("{{{{{word} {}}}}}", branch.pipe))
            }
        };
        let before = self.text.as_bytes().get(..pos).unwrap_or(&[]);
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        let line_start = before.iter().rposition(|byte| *byte == b'\n');
        let column = pos - line_start.map_or(0, |at| at + 1);
        if self.world.dialect == Dialect::Alertmanager {
            // Its place is not known: what it calls may be of another file.
            return Err(Stop::Failed(format!(
                "template {}: at <{context}>: {message}",
                quote::quote(self.name.as_bytes()),
            )));
        }
        Err(Stop::Failed(format!(
            "template: {}:{line}:{column}: executing {} at <{context}>: {message}",
            self.world.name,
            quote::quote(self.name.as_bytes()),
        )))
    }

    pub(super) fn dialect(&self) -> Dialect {
        self.world.dialect
    }

    pub(super) fn look_at(&mut self, at: At<'t>) {
        self.at = at;
    }

    /// Runs `walk` one level deeper.
    fn deeper<T>(&mut self, walk: impl FnOnce(&mut Self) -> Evaluated<T>) -> Evaluated<T> {
        if self.depth >= MAX_DEPTH {
            return self.error(format!("exceeded maximum template depth ({MAX_DEPTH})"));
        }
        self.depth += 1;
        let walked = walk(self);
        self.depth -= 1;
        walked
    }

    fn write(&mut self, bytes: &[u8]) -> Evaluated<()> {
        within_output(self.output.len() + bytes.len())?;
        self.output.extend_from_slice(bytes);
        Ok(())
    }

    pub(super) fn list(&mut self, dot: &Value, list: &'t List) -> Evaluated<Flow> {
        self.deeper(|eval| {
            for node in list {
                eval.limits.steps(1)?;
                match eval.node(dot, node)? {
                    Flow::Through => {}
                    flow => return Ok(flow),
                }
            }
            Ok(Flow::Through)
        })
    }

    fn node(&mut self, dot: &Value, node: &'t Node) -> Evaluated<Flow> {
        match node {
            Node::Text(text) => self.write(text.as_bytes())?,
            Node::Action(pipe) => {
                let value = self.pipeline(dot, pipe)?;
                if pipe.decl.is_empty() {
                    self.print(&value)?;
                }
            }
            Node::If(branch) => return self.if_or_with(dot, branch, false),
            Node::With(branch) => return self.if_or_with(dot, branch, true),
            Node::Range(branch) => return self.range(dot, branch),
            Node::Template(call) => self.template(dot, call)?,
            Node::Break => return Ok(Flow::Break),
            Node::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::Through)
    }

    fn print(&mut self, value: &Value) -> Evaluated<()> {
        let text = match value {
            Value::Str(text) => text.to_vec(),
            value => sprint(&[printable(value)])?,
        };
        self.write(&text)
    }

    fn if_or_with(&mut self, dot: &Value, branch: &'t Branch, with: bool) -> Evaluated<Flow> {
        let mark = self.vars.len();
        let value = self.pipeline(dot, &branch.pipe)?;
        let flow = if value.is_true() {
            self.list(if with { &value } else { dot }, &branch.list)
        } else if let Some(else_list) = &branch.else_list {
            self.list(dot, else_list)
        } else {
            Ok(Flow::Through)
        };
        self.vars.truncate(mark);
        flow
    }

    fn template(&mut self, dot: &Value, call: &'t Call) -> Evaluated<()> {
        self.look_at(At::Call(call));
        let trees = self.trees;
        let defined = self.world.defined;
        let of_others = || defined.and_then(|defined| defined.get(&call.name));
        let list = match trees.defined.get(&call.name).or_else(of_others) {
            Some(list) => list,
            None if call.name == self.world.name => &trees.main,
            None => {
                let name = quote::quote(call.name.as_bytes());
                return self.error(format!("template {name} not defined"));
            }
        };
        let dot = match &call.pipe {
            Some(pipe) => self.pipeline(dot, pipe)?,
            None => Value::Invalid,
        };
        // Variables of the caller are not seen by the template.
        let outer_vars = std::mem::replace(&mut self.vars, vec![("$", dot.clone())]);
        let outer_name = std::mem::replace(&mut self.name, call.name.clone());
        let walked = self.list(&dot, list);
        self.vars = outer_vars;
        self.name = outer_name;
        walked.map(|_| ())
    }

    /// The value of a pipeline, its variables set.
    pub(super) fn pipeline(&mut self, dot: &Value, pipe: &'t Pipe) -> Evaluated<Value> {
        self.deeper(|eval| {
            eval.look_at(At::Pipe(pipe));
            let mut value = None;
            for command in &pipe.cmds {
                eval.limits.steps(1)?;
                let result = eval.command(dot, command, value.as_ref())?;
                value = Some(match &result {
                    Value::Interface(inner) => (**inner).clone(),
                    _ => result,
                });
            }
            let value = value.unwrap_or(Value::Invalid);
            for name in &pipe.decl {
                if pipe.is_assign {
                    eval.assign(name, value.clone())?;
                } else {
                    eval.vars.push((name, value.clone()));
                }
            }
            Ok(value)
        })
    }

    pub(super) fn assign(&mut self, name: &str, value: Value) -> Evaluated<()> {
        let at = self.vars.iter().rposition(|(known, _)| *known == name);
        // A search through many variables is many steps.
        let passed = self.vars.len() - at.unwrap_or(0);
        self.limits.steps(passed / 16)?;
        match at.and_then(|at| self.vars.get_mut(at)) {
            Some((_, held)) => {
                *held = value;
                Ok(())
            }
            None => self.error(format!("undefined variable: {name}")),
        }
    }

    pub(super) fn variable(&mut self, name: &str) -> Evaluated<Value> {
        let at = self.vars.iter().rposition(|(known, _)| *known == name);
        let passed = self.vars.len() - at.unwrap_or(0);
        self.limits.steps(passed / 16)?;
        match at.and_then(|at| self.vars.get(at)) {
            Some((_, value)) => Ok(value.clone()),
            None => self.error(format!("undefined variable: {name}")),
        }
    }

    /// The value of a command; `last` is what the one before it in the pipeline gave.
    fn command(
        &mut self,
        dot: &Value,
        command: &'t Command,
        last: Option<&Value>,
    ) -> Evaluated<Value> {
        let Some((first, args)) = command.args.split_first() else {
            return self.error("empty command");
        };
        match &first.kind {
            OperandKind::Field(_) | OperandKind::Chain { .. } | OperandKind::Variable(_) => {
                return self.path(dot, first, args, last);
            }
            OperandKind::Identifier(name) => {
                self.look_at(At::Operand(first));
                let callee = Callee::function(self.dialect(), name, At::Command(command));
                return self.call(dot, &callee, args, last);
            }
            OperandKind::Pipe(pipe) => {
                self.not_a_function(first, args, last)?;
                return self.pipeline(dot, pipe);
            }
            _ => {}
        }
        self.look_at(At::Operand(first));
        self.not_a_function(first, args, last)?;
        match &first.kind {
            OperandKind::Nil => self.error("nil is not a command"),
            _ => self.literal(dot, first),
        }
    }

    pub(super) fn not_a_function(
        &mut self,
        first: &Operand,
        args: &[Operand],
        last: Option<&Value>,
    ) -> Evaluated<()> {
        if args.is_empty() && last.is_none() {
            return Ok(());
        }
        let shown = match &first.kind {
            OperandKind::Pipe(pipe) => pipe.to_string(),
            _ => first.to_string(),
        };
        self.error(format!("can't give argument to non-function {shown}"))
    }

    /// A literal or the dot.
    pub(super) fn literal(&mut self, dot: &Value, operand: &'t Operand) -> Evaluated<Value> {
        match &operand.kind {
            OperandKind::Bool(value) => Ok(Value::Bool(*value)),
            OperandKind::Dot => Ok(dot.clone()),
            OperandKind::String { text, .. } => {
                self.limits.work(text.len())?;
                Ok(Value::Str(text.as_slice().into()))
            }
            OperandKind::Number(number) => match (number.complex, number.float, number.int) {
                (Some((real, imaginary)), ..) => Ok(Value::Complex(real, imaginary)),
                (None, Some(float), _) if number.looks_like_float() => Ok(Value::Float(float)),
                (None, _, Some(int)) => Ok(Value::Int(int, IntType::Int)),
                _ => self.error(format!("{} overflows int", number.text)),
            },
            _ => self.error(format!("can't evaluate command {operand}")),
        }
    }
}
