//! Classes in brackets.

use super::failed;
use super::syntax::escape;

/// Copies a class in brackets; what comes after it.
pub(super) fn class<'a>(text: &'a str, out: &mut String) -> Result<&'a str, String> {
    let mut rest = text.get(1..).unwrap_or("");
    out.push('[');
    if let Some(after) = rest.strip_prefix('^') {
        out.push('^');
        rest = after;
    }
    let mut first = true;
    loop {
        if !first && let Some(after) = rest.strip_prefix(']') {
            out.push(']');
            return Ok(after);
        }
        if rest.is_empty() {
            return Err(failed("missing closing ]", text));
        }
        first = false;
        if rest.starts_with("[:")
            && let Some(end) = rest.find(":]")
        {
            let name = rest.get(..end + 2).unwrap_or("");
            if !is_posix_class(name) {
                return Err(failed("invalid character class range", name));
            }
            out.push_str(name);
            rest = rest.get(end + 2..).unwrap_or("");
            continue;
        }
        let (low, low_char, after) = class_item(rest)?;
        out.push_str(&low);
        let Some((high, high_char, after_range)) = after
            .strip_prefix('-')
            .filter(|tail| !tail.starts_with(']') && !tail.is_empty())
            .filter(|_| low_char.is_some())
            .map(class_item)
            .transpose()?
        else {
            rest = after;
            continue;
        };
        if high_char.is_none() || high_char < low_char {
            let length = rest.len() - after_range.len();
            let part = rest.get(..length).unwrap_or(rest);
            return Err(failed("invalid character class range", part));
        }
        out.push('-');
        out.push_str(&high);
        rest = after_range;
    }
}

/// One character or escape of a class: translated, the character if it is one, and what follows.
fn class_item(text: &str) -> Result<(String, Option<char>, &str), String> {
    let Some(c) = text.chars().next() else {
        return Ok((String::new(), None, ""));
    };
    if c == '\\' {
        let (translated, after) = escape(text, true)?;
        // Classes have brackets, hyphens or a property's letter; a character's order is only
        // needed where it is plain.
        let mut chars = translated.chars();
        let single = match (chars.next(), chars.next(), chars.next()) {
            (Some('\\'), Some(c), None) if c.is_ascii_punctuation() => Some(c),
            (Some('\\'), Some('a'), None) => Some('\u{7}'),
            (Some('\\'), Some('f'), None) => Some('\u{c}'),
            (Some('\\'), Some('n'), None) => Some('\n'),
            (Some('\\'), Some('r'), None) => Some('\r'),
            (Some('\\'), Some('t'), None) => Some('\t'),
            (Some('\\'), Some('v'), None) => Some('\u{b}'),
            (Some('\\'), Some('x'), Some(_)) => {
                let digits = translated.trim_start_matches("\\x");
                u32::from_str_radix(digits.trim_matches(['{', '}']), 16)
                    .ok()
                    .and_then(char::from_u32)
            }
            (Some(c), None, None) => Some(c),
            _ => None,
        };
        return Ok((translated, single, after));
    }
    let after = text.get(c.len_utf8()..).unwrap_or("");
    // Rust's set operators and nested brackets, which Go does not have.
    let translated = if matches!(c, '[' | ']' | '&' | '~' | '-' | '^') {
        format!("\\{c}")
    } else {
        c.to_string()
    };
    Ok((translated, Some(c), after))
}

fn is_posix_class(name: &str) -> bool {
    let name = name.trim_start_matches("[:").trim_end_matches(":]");
    matches!(
        name.strip_prefix('^').unwrap_or(name),
        "alnum"
            | "alpha"
            | "ascii"
            | "blank"
            | "cntrl"
            | "digit"
            | "graph"
            | "lower"
            | "print"
            | "punct"
            | "space"
            | "upper"
            | "word"
            | "xdigit"
    )
}
