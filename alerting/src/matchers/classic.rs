//! The syntax that Alertmanager has had from the beginning (`pkg/labels/parse.go`): names of
//! ASCII letters, values with or without quotes.

use super::{MatchOp, Triple};

/// Reads matchers that are separated by commas.
pub(super) fn parse(text: &str) -> Result<Vec<Triple>, String> {
    let text = text.strip_prefix('{').unwrap_or(text);
    let text = text.strip_suffix('}').unwrap_or(text);
    let (mut inside_quotes, mut escaped) = (false, false);
    let mut tokens = Vec::new();
    let mut token = String::new();
    for c in text.chars() {
        match c {
            ',' if !inside_quotes => {
                tokens.push(std::mem::take(&mut token));
                continue;
            }
            '"' if !escaped => inside_quotes = !inside_quotes,
            '"' => escaped = false,
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
        token.push(c);
    }
    let last = token.trim();
    if !last.is_empty() {
        tokens.push(last.to_owned());
    }
    tokens.iter().map(|token| one(token)).collect()
}

/// Reads one matcher; commas are part of its value.
pub(super) fn parse_one(text: &str) -> Result<Triple, String> {
    one(text)
}

/// `\s` of Go's regular expressions.
fn is_space(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\u{c}' | '\r' | ' ')
}

fn one(token: &str) -> Result<Triple, String> {
    let bad = || format!("bad matcher format: {token}");
    let rest = token.trim_start_matches(is_space);
    let is_first = |c: char| c.is_ascii_alphabetic() || matches!(c, '_' | ':');
    if !rest.starts_with(is_first) {
        return Err(bad());
    }
    let end = rest
        .find(|c: char| !is_first(c) && !c.is_ascii_digit())
        .ok_or_else(bad)?;
    let (name, rest) = rest.split_at(end);
    let rest = rest.trim_start_matches(is_space);
    let (op, rest) = ["=~", "=", "!=", "!~"]
        .iter()
        .find_map(|op| Some((MatchOp::parse(op)?, rest.strip_prefix(op)?)))
        .ok_or_else(bad)?;
    let value = value(rest.trim_matches(is_space))?;
    Ok((name.to_owned(), op, value))
}

fn value(raw: &str) -> Result<String, String> {
    let quote_within = || format!("matcher value contains unescaped double quote: {raw}");
    let (text, mut expects_quote) = match raw.strip_prefix('"') {
        Some(text) => (text, true),
        None => (raw, false),
    };
    let mut value = String::with_capacity(text.len());
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        let is_last = at + 1 >= text.len();
        if escaped {
            escaped = false;
            match c {
                'n' => value.push('\n'),
                '"' | '\\' => value.push(c),
                other => {
                    value.push('\\');
                    value.push(other);
                }
            }
        } else {
            match c {
                '\\' if is_last => value.push('\\'),
                '\\' => escaped = true,
                '"' if !expects_quote || !is_last => return Err(quote_within()),
                '"' => expects_quote = false,
                other => value.push(other),
            }
        }
    }
    if expects_quote {
        return Err(quote_within());
    }
    Ok(value)
}
