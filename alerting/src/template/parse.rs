//! From tokens to a tree, by the grammar and with the complaints of Go's `text/template/parse`
//! (as of Go 1.24: `else with`, `break` and `continue` are words of the language).

use std::collections::BTreeMap;

use super::functions::Dialect;
use super::lex::Lexer;
use super::quote;
use super::token::{Kind, Token};
use super::tree::{Branch, Call, List, Node, Trees, is_empty};

/// How deep parentheses and blocks may nest. Go has no such bound; its stack grows.
pub(super) const MAX_NESTING: usize = 100;

/// What is wrong, and where, in bytes from the beginning.
#[derive(Debug)]
pub(super) struct Complaint {
    pub(super) pos: usize,
    pub(super) message: String,
}

pub(super) type Parsed<T> = Result<T, Complaint>;

/// Parses a whole text.
pub(super) fn parse(dialect: Dialect, text: &str) -> Parsed<Trees> {
    let mut parser = Parser {
        dialect,
        text,
        lexer: Lexer::new(text),
        token: [eof(), eof(), eof()],
        peek_count: 0,
        scope: Scope::new(),
        action_pos: None,
        nesting: 0,
        defined: BTreeMap::new(),
    };
    let main = parser.main()?;
    Ok(Trees {
        main,
        defined: parser.defined,
    })
}

fn eof() -> Token {
    Token {
        kind: Kind::Eof,
        pos: 0,
        text: String::new(),
    }
}

/// What belongs to one template of a text: a definition starts afresh.
pub(super) struct Scope {
    /// Names in the order of their declarations, so that the end of a block can drop its own.
    order: Vec<String>,
    /// How often each name is declared.
    pub(super) declared: BTreeMap<String, usize>,
    range_depth: usize,
}

impl Scope {
    fn new() -> Self {
        let mut scope = Self {
            order: Vec::new(),
            declared: BTreeMap::new(),
            range_depth: 0,
        };
        scope.declare("$");
        scope
    }

    pub(super) fn declare(&mut self, name: &str) {
        self.order.push(name.to_owned());
        *self.declared.entry(name.to_owned()).or_default() += 1;
    }

    fn drop_after(&mut self, length: usize) {
        for name in self.order.drain(length.min(self.order.len())..) {
            if let Some(count) = self.declared.get_mut(&name) {
                *count -= 1;
                if *count == 0 {
                    self.declared.remove(&name);
                }
            }
        }
    }
}

pub(super) struct Parser<'a> {
    pub(super) dialect: Dialect,
    text: &'a str,
    lexer: Lexer<'a>,
    /// Three tokens of look-ahead, the first the one read last.
    token: [Token; 3],
    peek_count: usize,
    pub(super) scope: Scope,
    /// Where the action being parsed begins.
    action_pos: Option<usize>,
    nesting: usize,
    defined: BTreeMap<String, List>,
}

/// What ends a list of nodes.
enum ListEnd {
    End,
    Else,
}

impl ListEnd {
    fn as_str(&self) -> &'static str {
        match self {
            Self::End => "{{end}}",
            Self::Else => "{{else}}",
        }
    }
}

/// One step in a list.
enum Step {
    Node(Node),
    End(ListEnd),
}

impl Parser<'_> {
    pub(super) fn next(&mut self) -> Token {
        if self.peek_count > 0 {
            self.peek_count -= 1;
        } else {
            let [first, ..] = &mut self.token;
            *first = self.lexer.next_token();
        }
        self.current()
    }

    fn current(&self) -> Token {
        self.token.get(self.peek_count).cloned().unwrap_or_else(eof)
    }

    pub(super) fn backup(&mut self) {
        self.peek_count += 1;
    }

    pub(super) fn backup2(&mut self, first: Token) {
        let [_, second, _] = &mut self.token;
        *second = first;
        self.peek_count = 2;
    }

    pub(super) fn backup3(&mut self, first: Token, then: Token) {
        let [_, second, third] = &mut self.token;
        *second = then;
        *third = first;
        self.peek_count = 3;
    }

    pub(super) fn peek(&mut self) -> Token {
        let token = self.next();
        self.backup();
        token
    }

    pub(super) fn next_non_space(&mut self) -> Token {
        loop {
            let token = self.next();
            if token.kind != Kind::Space {
                return token;
            }
        }
    }

    pub(super) fn peek_non_space(&mut self) -> Token {
        let token = self.next_non_space();
        self.backup();
        token
    }

    /// An error at the token read last.
    pub(super) fn error<T>(&self, message: impl Into<String>) -> Parsed<T> {
        let [last, ..] = &self.token;
        error_at(last.pos, message)
    }

    fn line_of(&self, pos: usize) -> usize {
        1 + self
            .text
            .bytes()
            .take(pos)
            .filter(|byte| *byte == b'\n')
            .count()
    }

    pub(super) fn unexpected<T>(&self, token: &Token, context: &str) -> Parsed<T> {
        if token.kind != Kind::Error {
            return error_at(
                token.pos,
                format!("unexpected {} in {context}", show(token)),
            );
        }
        let Some(line) = self
            .action_pos
            .map(|pos| self.line_of(pos))
            .filter(|line| *line != self.line_of(token.pos))
        else {
            return error_at(token.pos, token.text.clone());
        };
        let action = if token.text.ends_with(" action") {
            ""
        } else {
            " in action"
        };
        error_at(
            token.pos,
            format!("{}{action} started at line {line}", token.text),
        )
    }

    fn expect(&mut self, kind: Kind, context: &str) -> Parsed<Token> {
        let token = self.next_non_space();
        if token.kind == kind {
            Ok(token)
        } else {
            self.unexpected(&token, context)
        }
    }

    /// Runs `parse` one level deeper.
    pub(super) fn nested<T>(&mut self, parse: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.nesting >= MAX_NESTING {
            return self.error(format!("nested more than {MAX_NESTING} levels deep"));
        }
        self.nesting += 1;
        let parsed = parse(self);
        self.nesting -= 1;
        parsed
    }

    fn main(&mut self) -> Parsed<List> {
        let mut root = List::new();
        loop {
            let token = self.peek();
            if token.kind == Kind::Eof {
                return Ok(root);
            }
            if token.kind == Kind::LeftDelim {
                let delim = self.next();
                if self.next_non_space().kind == Kind::Define {
                    self.definition()?;
                    continue;
                }
                self.backup2(delim);
            }
            match self.text_or_action()? {
                Step::Node(node) => root.push(node),
                Step::End(end) => {
                    return self.error(format!("unexpected {}", end.as_str()));
                }
            }
        }
    }

    fn definition(&mut self) -> Parsed<()> {
        const CONTEXT: &str = "define clause";
        let token = self.next_non_space();
        let name = self.template_name(&token, CONTEXT)?;
        self.expect(Kind::RightDelim, CONTEXT)?;
        let body = self.scoped(|parser| parser.block_body(CONTEXT))?;
        self.add(name, body)
    }

    /// Parses something with variables of its own.
    fn scoped<T>(&mut self, parse: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        let outer = std::mem::replace(&mut self.scope, Scope::new());
        let outer_action = self.action_pos.take();
        let parsed = self.nested(parse);
        self.scope = outer;
        self.action_pos = outer_action;
        parsed
    }

    fn block_body(&mut self, context: &str) -> Parsed<List> {
        match self.item_list()? {
            (list, ListEnd::End) => Ok(list),
            (_, end) => self.error(format!("unexpected {} in {context}", end.as_str())),
        }
    }

    fn add(&mut self, name: String, body: List) -> Parsed<()> {
        match self.defined.get(&name) {
            Some(earlier) if !is_empty(earlier) => {
                if is_empty(&body) {
                    return Ok(());
                }
                let name = quote::quote(name.as_bytes());
                self.error(format!("template: multiple definition of template {name}"))
            }
            _ => {
                self.defined.insert(name, body);
                Ok(())
            }
        }
    }

    fn item_list(&mut self) -> Parsed<(List, ListEnd)> {
        let mut list = List::new();
        while self.peek_non_space().kind != Kind::Eof {
            match self.text_or_action()? {
                Step::Node(node) => list.push(node),
                Step::End(end) => return Ok((list, end)),
            }
        }
        self.error("unexpected EOF")
    }

    fn text_or_action(&mut self) -> Parsed<Step> {
        let token = self.next_non_space();
        match token.kind {
            Kind::Text => Ok(Step::Node(Node::Text(token.text))),
            Kind::LeftDelim => {
                self.action_pos = Some(token.pos);
                let step = self.action();
                self.action_pos = None;
                step
            }
            _ => self.unexpected(&token, "input"),
        }
    }

    fn action(&mut self) -> Parsed<Step> {
        let token = self.next_non_space();
        let node = match token.kind {
            Kind::Block => self.block()?,
            Kind::Break => {
                self.loop_control("{{break}}")?;
                Node::Break
            }
            Kind::Continue => {
                self.loop_control("{{continue}}")?;
                Node::Continue
            }
            Kind::Else => {
                if !matches!(self.peek_non_space().kind, Kind::If | Kind::With) {
                    self.expect(Kind::RightDelim, "else")?;
                }
                return Ok(Step::End(ListEnd::Else));
            }
            Kind::End => {
                self.expect(Kind::RightDelim, "end")?;
                return Ok(Step::End(ListEnd::End));
            }
            Kind::If => Node::If(self.branch("if")?),
            Kind::Range => Node::Range(self.branch("range")?),
            Kind::Template => self.call()?,
            Kind::With => Node::With(self.branch("with")?),
            _ => {
                self.backup();
                Node::Action(self.pipeline("command", Kind::RightDelim)?)
            }
        };
        Ok(Step::Node(node))
    }

    fn loop_control(&mut self, word: &str) -> Parsed<()> {
        let token = self.next_non_space();
        if token.kind != Kind::RightDelim {
            return self.unexpected(&token, word);
        }
        if self.scope.range_depth == 0 {
            return self.error(format!("{word} outside {{{{range}}}}"));
        }
        Ok(())
    }

    fn branch(&mut self, context: &'static str) -> Parsed<Branch> {
        let vars = self.scope.order.len();
        let branch = self.nested(|parser| parser.branch_in_scope(context));
        self.scope.drop_after(vars);
        branch
    }

    fn branch_in_scope(&mut self, context: &'static str) -> Parsed<Branch> {
        let pipe = self.pipeline(context, Kind::RightDelim)?;
        let is_range = context == "range";
        self.scope.range_depth += usize::from(is_range);
        let body = self.item_list();
        self.scope.range_depth -= usize::from(is_range);
        let (list, end) = body?;
        let else_list = match end {
            ListEnd::End => None,
            ListEnd::Else => Some(self.else_list(context)?),
        };
        Ok(Branch {
            pipe,
            list,
            else_list,
        })
    }

    /// What follows `{{else`: a list, or for `else if` and `else with` a branch that shares the
    /// `{{end}}`.
    fn else_list(&mut self, context: &'static str) -> Parsed<List> {
        match (context, self.peek().kind) {
            ("if", Kind::If) => {
                self.next();
                Ok(vec![Node::If(self.branch("if")?)])
            }
            ("with", Kind::With) => {
                self.next();
                Ok(vec![Node::With(self.branch("with")?)])
            }
            _ => match self.item_list()? {
                (list, ListEnd::End) => Ok(list),
                (_, end) => self.error(format!("expected end; found {}", end.as_str())),
            },
        }
    }

    fn block(&mut self) -> Parsed<Node> {
        const CONTEXT: &str = "block clause";
        let token = self.next_non_space();
        let name = self.template_name(&token, CONTEXT)?;
        let pipe = self.pipeline(CONTEXT, Kind::RightDelim)?;
        let body = self.scoped(|parser| parser.block_body(CONTEXT))?;
        self.add(name.clone(), body)?;
        Ok(Node::Template(Call {
            pos: token.pos,
            name,
            pipe: Some(pipe),
        }))
    }

    fn call(&mut self) -> Parsed<Node> {
        const CONTEXT: &str = "template clause";
        let token = self.next_non_space();
        let name = self.template_name(&token, CONTEXT)?;
        let pipe = if self.next_non_space().kind == Kind::RightDelim {
            None
        } else {
            self.backup();
            Some(self.pipeline(CONTEXT, Kind::RightDelim)?)
        };
        Ok(Node::Template(Call {
            pos: token.pos,
            name,
            pipe,
        }))
    }

    fn template_name(&mut self, token: &Token, context: &str) -> Parsed<String> {
        if !matches!(token.kind, Kind::String | Kind::RawString) {
            return self.unexpected(token, context);
        }
        match quote::unquote(&token.text) {
            Some(name) => Ok(String::from_utf8_lossy(&name).into_owned()),
            None => error_at(token.pos, "invalid syntax"),
        }
    }
}

/// An error at a position.
pub(super) fn error_at<T>(pos: usize, message: impl Into<String>) -> Parsed<T> {
    Err(Complaint {
        pos,
        message: message.into(),
    })
}

/// A token as error texts show it.
fn show(token: &Token) -> String {
    if token.kind == Kind::Eof {
        return "EOF".to_owned();
    }
    if token.kind.is_keyword() {
        return format!("<{}>", token.text);
    }
    if token.text.len() > 10 {
        let begin: String = token.text.chars().take(10).collect();
        return format!("{}...", quote::quote(begin.as_bytes()));
    }
    quote::quote(token.text.as_bytes())
}
