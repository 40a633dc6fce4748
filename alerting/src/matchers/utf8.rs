//! The syntax that takes any UTF-8 (`matcher/parse` of Alertmanager 0.27 and later): names and
//! values are words, or Go's quoted strings.

use super::{MatchOp, Triple};
use crate::template::quote::unquote;

/// Characters that a word cannot have.
pub(super) fn is_reserved(c: char) -> bool {
    c.is_whitespace() || r#"{}!=~,\"'`"#.contains(c)
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Open,
    Close,
    Comma,
    Op(MatchOp),
    Text(String),
}

/// Reads matchers that are separated by commas, with or without braces.
pub(super) fn parse(text: &str) -> Result<Vec<Triple>, String> {
    let mut tokens = tokens(text)?.into_iter().peekable();
    let mut matchers = Vec::new();
    let is_open = tokens.next_if_eq(&Token::Open).is_some();
    while let Some(Token::Text(name)) = tokens.next_if(|token| matches!(token, Token::Text(_))) {
        let Some(Token::Op(op)) = tokens.next() else {
            return Err(format!("{text}: expected an operator after {name:?}"));
        };
        let Some(Token::Text(value)) = tokens.next() else {
            return Err(format!("{text}: expected a value after `{}`", op.as_str()));
        };
        matchers.push((name, op, value));
        if tokens.next_if_eq(&Token::Comma).is_none() {
            break;
        }
    }
    if is_open != tokens.next_if_eq(&Token::Close).is_some() {
        return Err(format!("{text}: a brace is missing"));
    }
    match tokens.next() {
        None => Ok(matchers),
        Some(_) => Err(format!("{text}: expected nothing more")),
    }
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let (token, length) = match c {
            c if c.is_whitespace() => {
                rest = rest.get(c.len_utf8()..).unwrap_or("");
                continue;
            }
            '{' => (Token::Open, 1),
            '}' => (Token::Close, 1),
            ',' => (Token::Comma, 1),
            '=' | '!' => {
                let op = [2, 1].into_iter().find_map(|length| {
                    let op = MatchOp::parse(rest.get(..length)?)?;
                    Some((Token::Op(op), length))
                });
                op.ok_or_else(|| format!("{text}: expected one of `=~`"))?
            }
            '"' => {
                let length = quoted_length(rest)
                    .ok_or_else(|| format!("{text}: a closing quote is missing"))?;
                let value = rest.get(..length).and_then(unquote);
                let value = value.and_then(|bytes| String::from_utf8(bytes).ok());
                let value = value.ok_or_else(|| format!("{text}: not a quoted string"))?;
                (Token::Text(value), length)
            }
            c if is_reserved(c) => return Err(format!("{text}: unexpected `{c}`")),
            _ => {
                let length = rest.find(is_reserved).unwrap_or(rest.len());
                let word = rest.get(..length).unwrap_or("");
                (Token::Text(word.to_owned()), length)
            }
        };
        tokens.push(token);
        rest = rest.get(length..).unwrap_or("");
    }
    Ok(tokens)
}

/// How long the quoted string is that `text` begins with.
fn quoted_length(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            '"' if !escaped => return Some(at + 1),
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    None
}
