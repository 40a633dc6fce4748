//! Tokens of a template, as Go's `text/template/parse` cuts them.

use super::token::{Kind, Token};
use super::unicode::{is_alphanumeric, is_print};

const LEFT_DELIM: &str = "{{";
const RIGHT_DELIM: &str = "}}";
const LEFT_COMMENT: &str = "/*";
const RIGHT_COMMENT: &str = "*/";
/// The marker and the space beside it.
const TRIM_MARKER_LEN: usize = 2;

/// The tokens of one template, one at a time.
#[derive(Debug)]
pub(super) struct Lexer<'a> {
    input: &'a str,
    pos: usize,
    start: usize,
    paren_depth: usize,
    inside_action: bool,
    /// After an error there are no more tokens.
    failed: bool,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(input: &'a str) -> Self {
        Self {
            input,
            pos: 0,
            start: 0,
            paren_depth: 0,
            inside_action: false,
            failed: false,
        }
    }

    /// The next token; at the end, [`Kind::Eof`] for ever.
    pub(super) fn next_token(&mut self) -> Token {
        if self.failed {
            return self.eof();
        }
        // Each turn either makes a token or passes a comment.
        loop {
            let token = if self.inside_action {
                Some(self.inside_action())
            } else {
                self.text()
            };
            if let Some(token) = token {
                return token;
            }
        }
    }

    fn eof(&self) -> Token {
        Token {
            kind: Kind::Eof,
            pos: self.pos,
            text: "EOF".to_owned(),
        }
    }

    fn rest(&self) -> &'a str {
        self.input.get(self.pos..).unwrap_or("")
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.pos += c.len_utf8();
        Some(c)
    }

    fn emit(&mut self, kind: Kind) -> Token {
        let token = Token {
            kind,
            pos: self.start,
            text: self.word().to_owned(),
        };
        self.start = self.pos;
        token
    }

    fn word(&self) -> &'a str {
        self.input.get(self.start..self.pos).unwrap_or("")
    }

    fn ignore(&mut self) {
        self.start = self.pos;
    }

    fn error(&mut self, complaint: String) -> Token {
        self.failed = true;
        Token {
            kind: Kind::Error,
            pos: self.start,
            text: complaint,
        }
    }

    fn accept(&mut self, valid: &str) -> bool {
        match self.peek() {
            Some(c) if valid.contains(c) => {
                self.pos += c.len_utf8();
                true
            }
            _ => false,
        }
    }

    fn accept_run(&mut self, valid: &str) {
        while self.accept(valid) {}
    }

    /// Plain text up to an action.
    fn text(&mut self) -> Option<Token> {
        let Some(at) = self.rest().find(LEFT_DELIM) else {
            self.pos = self.input.len();
            return Some(if self.pos > self.start {
                self.emit(Kind::Text)
            } else {
                self.emit(Kind::Eof)
            });
        };
        if at > 0 {
            let text = self.rest().get(..at).unwrap_or("");
            let after = self.rest().get(at + LEFT_DELIM.len()..).unwrap_or("");
            let kept = if has_left_trim_marker(after) {
                text.trim_end_matches(is_space)
            } else {
                text
            };
            let token = Token {
                kind: Kind::Text,
                pos: self.start,
                text: kept.to_owned(),
            };
            self.pos += at;
            self.ignore();
            if !token.text.is_empty() {
                return Some(token);
            }
        }
        self.left_delim()
    }

    fn left_delim(&mut self) -> Option<Token> {
        self.pos += LEFT_DELIM.len();
        let marker = if has_left_trim_marker(self.rest()) {
            TRIM_MARKER_LEN
        } else {
            0
        };
        if self
            .rest()
            .get(marker..)
            .is_some_and(|rest| rest.starts_with(LEFT_COMMENT))
        {
            self.pos += marker;
            self.ignore();
            return self.comment();
        }
        let token = self.emit(Kind::LeftDelim);
        self.inside_action = true;
        self.pos += marker;
        self.ignore();
        self.paren_depth = 0;
        Some(token)
    }

    /// Passes a comment; a token only where it is broken.
    fn comment(&mut self) -> Option<Token> {
        self.pos += LEFT_COMMENT.len();
        let Some(end) = self.rest().find(RIGHT_COMMENT) else {
            return Some(self.error("unclosed comment".to_owned()));
        };
        self.pos += end + RIGHT_COMMENT.len();
        let Some(trim) = self.at_right_delim() else {
            return Some(self.error("comment ends before closing delimiter".to_owned()));
        };
        self.pass_right_delim(trim);
        self.ignore();
        None
    }

    /// Whether a right delimiter comes now, and if so whether it trims.
    fn at_right_delim(&self) -> Option<bool> {
        let rest = self.rest();
        if has_right_trim_marker(rest)
            && rest
                .get(TRIM_MARKER_LEN..)
                .is_some_and(|rest| rest.starts_with(RIGHT_DELIM))
        {
            return Some(true);
        }
        rest.starts_with(RIGHT_DELIM).then_some(false)
    }

    fn pass_right_delim(&mut self, trim: bool) {
        if trim {
            self.pos += TRIM_MARKER_LEN;
        }
        self.pos += RIGHT_DELIM.len();
        if trim {
            let rest = self.rest();
            self.pos += rest.len() - rest.trim_start_matches(is_space).len();
        }
    }

    fn right_delim(&mut self, trim: bool) -> Token {
        if trim {
            self.pos += TRIM_MARKER_LEN;
            self.ignore();
        }
        self.pos += RIGHT_DELIM.len();
        let token = self.emit(Kind::RightDelim);
        if trim {
            let rest = self.rest();
            self.pos += rest.len() - rest.trim_start_matches(is_space).len();
            self.ignore();
        }
        self.inside_action = false;
        token
    }

    fn inside_action(&mut self) -> Token {
        if let Some(trim) = self.at_right_delim() {
            if self.paren_depth == 0 {
                return self.right_delim(trim);
            }
            return self.error("unclosed left paren".to_owned());
        }
        let Some(c) = self.peek() else {
            return self.error("unclosed action".to_owned());
        };
        if is_space(c) {
            return self.space();
        }
        if c == '+' || c == '-' || c.is_ascii_digit() {
            return self.number();
        }
        if is_alphanumeric(c) {
            return self.identifier();
        }
        self.pos += c.len_utf8();
        match c {
            '=' => self.emit(Kind::Assign),
            ':' => {
                if self.next() == Some('=') {
                    self.emit(Kind::Declare)
                } else {
                    self.error("expected :=".to_owned())
                }
            }
            '|' => self.emit(Kind::Pipe),
            '"' => self.quoted('"', Kind::String, "unterminated quoted string"),
            '\'' => self.quoted('\'', Kind::CharConstant, "unterminated character constant"),
            '`' => self.raw_quote(),
            '$' => self.field_or_variable(Kind::Variable),
            '.' => {
                // Also at the very end, where Go looks no further.
                if self.peek().is_none_or(|next| next.is_ascii_digit()) {
                    self.pos -= 1;
                    self.number()
                } else {
                    self.field_or_variable(Kind::Field)
                }
            }
            '(' => {
                self.paren_depth += 1;
                self.emit(Kind::LeftParen)
            }
            ')' => {
                let Some(depth) = self.paren_depth.checked_sub(1) else {
                    return self.error("unexpected right paren".to_owned());
                };
                self.paren_depth = depth;
                self.emit(Kind::RightParen)
            }
            c if c.is_ascii() && is_print(c) => self.emit(Kind::Char),
            c => self.error(format!(
                "unrecognized character in action: {}",
                unicode_name(c)
            )),
        }
    }

    /// A run of spaces, but not the one that belongs to a trimming right delimiter.
    fn space(&mut self) -> Token {
        let run = self.rest();
        let length = run.len() - run.trim_start_matches(is_space).len();
        self.pos += length;
        // All spaces are one byte long.
        let last = self.pos - 1;
        let tail = self.input.get(last..).unwrap_or("");
        if has_right_trim_marker(tail)
            && tail
                .get(TRIM_MARKER_LEN..)
                .is_some_and(|rest| rest.starts_with(RIGHT_DELIM))
        {
            self.pos = last;
            if length == 1 {
                return self.right_delim(true);
            }
        }
        self.emit(Kind::Space)
    }

    fn identifier(&mut self) -> Token {
        while self.peek().is_some_and(is_alphanumeric) {
            self.next();
        }
        if !self.at_terminator() {
            return self.bad_character();
        }
        let kind = match self.word() {
            "true" | "false" => Kind::Bool,
            word => Kind::keyword(word).unwrap_or(Kind::Identifier),
        };
        self.emit(kind)
    }

    /// `.name` or `$name`; the first character has been read.
    fn field_or_variable(&mut self, kind: Kind) -> Token {
        if self.at_terminator() {
            return self.emit(if kind == Kind::Variable {
                kind
            } else {
                Kind::Dot
            });
        }
        while self.peek().is_some_and(is_alphanumeric) {
            self.next();
        }
        if !self.at_terminator() {
            return self.bad_character();
        }
        self.emit(kind)
    }

    fn bad_character(&mut self) -> Token {
        let c = self.peek().unwrap_or('\u{fffd}');
        self.error(format!("bad character {}", unicode_name(c)))
    }

    /// Whether an identifier may end here.
    fn at_terminator(&self) -> bool {
        match self.peek() {
            None | Some('.' | ',' | '|' | ':' | ')' | '(') => true,
            Some(c) => is_space(c) || self.rest().starts_with(RIGHT_DELIM),
        }
    }

    fn quoted(&mut self, quote: char, kind: Kind, complaint: &str) -> Token {
        loop {
            match self.next() {
                Some('\\') if self.next().is_some_and(|c| c != '\n') => {}
                Some('\\' | '\n') | None => return self.error(complaint.to_owned()),
                Some(c) if c == quote => return self.emit(kind),
                Some(_) => {}
            }
        }
    }

    fn raw_quote(&mut self) -> Token {
        loop {
            match self.next() {
                None => return self.error("unterminated raw quoted string".to_owned()),
                Some('`') => return self.emit(Kind::RawString),
                Some(_) => {}
            }
        }
    }

    /// A number as far as its shape goes: what it means, the parser finds out.
    fn number(&mut self) -> Token {
        let mut good = self.scan_number();
        let mut kind = Kind::Number;
        if good && matches!(self.peek(), Some('+' | '-')) {
            good = self.scan_number() && self.word().ends_with('i');
            kind = Kind::Complex;
        }
        if good {
            self.emit(kind)
        } else {
            let word = super::quote::quote(self.word().as_bytes());
            self.error(format!("bad number syntax: {word}"))
        }
    }

    fn scan_number(&mut self) -> bool {
        self.accept("+-");
        let mut digits = "0123456789_";
        let (mut decimal, mut hex) = (true, false);
        if self.accept("0") {
            if self.accept("xX") {
                digits = "0123456789abcdefABCDEF_";
                (decimal, hex) = (false, true);
            } else if self.accept("oO") {
                digits = "01234567_";
                decimal = false;
            } else if self.accept("bB") {
                digits = "01_";
                decimal = false;
            }
        }
        self.accept_run(digits);
        if self.accept(".") {
            self.accept_run(digits);
        }
        if (decimal && self.accept("eE")) || (hex && self.accept("pP")) {
            self.accept("+-");
            self.accept_run("0123456789_");
        }
        self.accept("i");
        if self.peek().is_some_and(is_alphanumeric) {
            self.next();
            return false;
        }
        true
    }
}

/// The spaces that count in a template: ASCII only.
fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

fn has_left_trim_marker(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next() == Some('-') && chars.next().is_some_and(is_space)
}

fn has_right_trim_marker(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(is_space) && chars.next() == Some('-')
}

/// Go's `%#U`: `U+007D '}'`.
pub(super) fn unicode_name(c: char) -> String {
    let code = u32::from(c);
    if is_print(c) {
        format!("U+{code:04X} '{c}'")
    } else {
        format!("U+{code:04X}")
    }
}
