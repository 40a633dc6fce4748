//! From Go's syntax to the `regex` crate's.

use regex::bytes::Regex;

use super::class::class;
use super::failed;

/// Translates a pattern, and notes its groups' names with their numbers.
pub(super) fn translate(pattern: &str, names: &mut Vec<(String, usize)>) -> Result<String, String> {
    let mut groups = 0;
    let mut out = String::with_capacity(pattern.len() + 8);
    let mut rest = pattern;
    // Whether something that can be repeated comes just before, and whether it is a repetition.
    let (mut repeatable, mut repeated) = (false, None::<usize>);
    while let Some(c) = rest.chars().next() {
        let at = pattern.len() - rest.len();
        let tail = rest.get(c.len_utf8()..).unwrap_or("");
        match c {
            '\\' => {
                let (text, after) = escape(rest, false)?;
                out.push_str(&text);
                rest = after;
                (repeatable, repeated) = (true, None);
                continue;
            }
            '[' => {
                rest = class(rest, &mut out)?;
                (repeatable, repeated) = (true, None);
                continue;
            }
            '*' | '+' | '?' | '{' => {
                let length = if c == '{' {
                    count_length(rest)
                } else {
                    Some(1)
                };
                let Some(length) = length else {
                    out.push_str("\\{");
                    rest = tail;
                    (repeatable, repeated) = (true, None);
                    continue;
                };
                let operator = rest.get(..length).unwrap_or("");
                if c == '{' && !good_count(operator) {
                    return Err(failed("invalid repeat count", operator));
                }
                let after = rest.get(length..).unwrap_or("");
                let lazy = after.starts_with('?');
                let end = at + length + usize::from(lazy);
                if let Some(begin) = repeated {
                    let part = pattern.get(begin..end).unwrap_or(pattern);
                    return Err(failed("invalid nested repetition operator", part));
                }
                if !repeatable {
                    let part = pattern.get(at..end).unwrap_or(pattern);
                    return Err(failed("missing argument to repetition operator", part));
                }
                out.push_str(pattern.get(at..end).unwrap_or(""));
                rest = pattern.get(end..).unwrap_or("");
                repeated = Some(at);
                continue;
            }
            '(' => {
                if let Some((name, length)) = named_group(rest)? {
                    groups += 1;
                    names.push((name.to_owned(), groups));
                    out.push('(');
                    rest = rest.get(length..).unwrap_or("");
                } else {
                    let length = group_length(rest)?;
                    groups += usize::from(length == 1);
                    out.push_str(rest.get(..length).unwrap_or(""));
                    rest = rest.get(length..).unwrap_or("");
                }
                (repeatable, repeated) = (false, None);
                continue;
            }
            '|' => {
                out.push(c);
                (repeatable, repeated) = (false, None);
            }
            c => {
                out.push(c);
                (repeatable, repeated) = (true, None);
            }
        }
        rest = tail;
    }
    Ok(out)
}

/// The name in `(?P<name>` or `(?<name>`, and how long all of it is.
fn named_group(text: &str) -> Result<Option<(&str, usize)>, String> {
    let Some(after) = text
        .strip_prefix("(?P<")
        .or_else(|| text.strip_prefix("(?<"))
    else {
        return Ok(None);
    };
    // Looking behind, which neither knows.
    if text.starts_with("(?<=") || text.starts_with("(?<!") {
        return Err(failed(
            "invalid or unsupported Perl syntax",
            text.get(..4).unwrap_or(text),
        ));
    }
    let Some(end) = after.find('>') else {
        return Err(failed("invalid named capture", text));
    };
    let name = after.get(..end).unwrap_or("");
    let length = text.len() - after.len() + end + 1;
    let good = |byte: u8| byte == b'_' || byte.is_ascii_alphanumeric();
    if name.is_empty() || !name.bytes().all(good) {
        let part = text.get(..length).unwrap_or(text);
        return Err(failed("invalid named capture", part));
    }
    Ok(Some((name, length)))
}

/// How long `(`, `(?:` or `(?i)` is.
fn group_length(text: &str) -> Result<usize, String> {
    let Some(flags) = text.strip_prefix("(?") else {
        return Ok(1);
    };
    let end = flags.find([':', ')']).unwrap_or(flags.len());
    let known = flags
        .get(..end)
        .unwrap_or("")
        .chars()
        .all(|c| matches!(c, 'i' | 'm' | 's' | 'U' | '-'));
    if known && end < flags.len() {
        return Ok(2 + end + 1);
    }
    let shown: String = text
        .chars()
        .scan(true, |go, c| {
            let now = *go;
            *go = matches!(c, '(' | '?' | 'i' | 'm' | 's' | 'U' | '-');
            now.then_some(c)
        })
        .collect();
    Err(failed("invalid or unsupported Perl syntax", &shown))
}

/// How long `{2}`, `{2,}` or `{2,3}` is; `None` where a brace stands for itself.
fn count_length(text: &str) -> Option<usize> {
    let end = text.find('}')?;
    let inside = text.get(1..end)?;
    let (least, most) = inside.split_once(',').unwrap_or((inside, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    (!least.is_empty() && digits(least) && digits(most)).then_some(end + 1)
}

/// Whether a count does not exceed what Go allows.
fn good_count(operator: &str) -> bool {
    const MAX: u32 = 1000;
    let inside = operator.trim_matches(['{', '}']);
    let (least, most) = inside.split_once(',').unwrap_or((inside, inside));
    let Ok(least) = least.parse::<u32>() else {
        return false;
    };
    let most = if most.is_empty() {
        Some(least)
    } else {
        most.parse::<u32>().ok()
    };
    least <= MAX && most.is_some_and(|most| least <= most && most <= MAX)
}

/// How long the `{name}` or the `plain` characters after `\p` or `\x` are.
fn named_length(text: &str, plain: usize) -> usize {
    if text.starts_with('{') {
        return text.find('}').map_or(text.len(), |at| at + 1);
    }
    text.chars().take(plain).map(char::len_utf8).sum()
}

/// An escape, and what follows it.
pub(super) fn escape(text: &str, in_class: bool) -> Result<(String, &str), String> {
    let after_backslash = text.get(1..).unwrap_or("");
    let Some(c) = after_backslash.chars().next() else {
        return Err("error parsing regexp: trailing backslash at end of expression: ``".to_owned());
    };
    let after = after_backslash.get(c.len_utf8()..).unwrap_or("");
    let plain = |open: &str| {
        if in_class {
            open.to_owned()
        } else {
            format!("[{open}]")
        }
    };
    let known = match c {
        'd' => plain("0-9"),
        'w' => plain("0-9A-Za-z_"),
        's' => plain("\\t\\n\\x0c\\r "),
        'D' => "[^0-9]".to_owned(),
        'W' => "[^0-9A-Za-z_]".to_owned(),
        'S' => "[^\\t\\n\\x0c\\r ]".to_owned(),
        'b' if !in_class => "(?-u:\\b)".to_owned(),
        'B' if !in_class => "(?-u:\\B)".to_owned(),
        'A' | 'z' if !in_class => format!("\\{c}"),
        'C' if !in_class => "(?s-u:.)".to_owned(),
        'Q' if !in_class => {
            let end = after.find("\\E");
            let (inside, rest) = match end {
                Some(end) => (
                    after.get(..end).unwrap_or(""),
                    after.get(end + 2..).unwrap_or(""),
                ),
                None => (after, ""),
            };
            return Ok((regex::escape(inside), rest));
        }
        'a' | 'f' | 'n' | 'r' | 't' | 'v' => format!("\\{c}"),
        'p' | 'P' | 'x' => {
            let length = named_length(after, if c == 'x' { 2 } else { 1 });
            let name = after.get(..length).unwrap_or("");
            let translated = format!("\\{c}{name}");
            if Regex::new(&translated).is_err() {
                let why = if c == 'x' {
                    "invalid escape sequence"
                } else {
                    "invalid character class range"
                };
                return Err(failed(why, &translated));
            }
            return Ok((translated, after.get(length..).unwrap_or("")));
        }
        // A single digit other than 0 would be a reference to a group.
        '0'..='7' if c == '0' || after.starts_with(|c| matches!(c, '0'..='7')) => {
            let digits: String = after
                .chars()
                .take(2)
                .take_while(|c| matches!(c, '0'..='7'))
                .collect();
            let code = u32::from_str_radix(&format!("{c}{digits}"), 8).unwrap_or(0);
            return Ok((
                format!("\\x{{{code:x}}}"),
                after.get(digits.len()..).unwrap_or(""),
            ));
        }
        c if c.is_ascii_punctuation() => {
            return Ok((regex::escape(&c.to_string()), after));
        }
        c => {
            return Err(failed("invalid escape sequence", &format!("\\{c}")));
        }
    };
    Ok((known, after))
}
