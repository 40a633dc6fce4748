//! Text from outside, made fit for one line of a log or a message.

use std::fmt::Write;

/// What stands for a secret.
const HIDDEN: &str = "***";

/// A shorter secret hides nothing (a tenant called `1`), and would make any text unreadable.
const SHORTEST_SECRET: usize = 4;

/// `text` without `secrets`, without line breaks and other control characters, and of at most
/// `max` characters.
pub fn one_line(text: &str, secrets: &[String], max: usize) -> String {
    let mut hidden = text.to_owned();
    for secret in secrets
        .iter()
        .filter(|secret| secret.len() >= SHORTEST_SECRET)
    {
        // Before the cut, which may leave half of one.
        hidden = hidden.replace(secret.as_str(), HIDDEN);
    }
    let mut line = String::new();
    let mut length = 0usize;
    let words = hidden
        .split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|word| !word.is_empty());
    for (at, word) in words.enumerate() {
        let space = if at == 0 { None } else { Some(' ') };
        for c in space.into_iter().chain(word.chars()) {
            if length == max {
                line.push('…');
                return line;
            }
            line.push(c);
            length += 1;
        }
    }
    line
}

/// An error and what caused it, in one line: `error sending request: connection refused`.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let shown = next.to_string();
        // Some errors show their cause themselves.
        if !text.contains(&shown) {
            // Writing to a String does not fail.
            let _ = write!(text, ": {shown}");
        }
        cause = next.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(
            one_line(text, &["hunter2".to_owned(), String::new()], 16),
            expected
        );
    }

    #[test]
    fn hides_folds_and_cuts() {
        check("", "");
        check(" a\r\n\u{1b}[31m b\u{85}", "a [31m b");
        check("pass hunter2hunter2!", "pass ******!");
        check("0123456789abcdef", "0123456789abcdef");
        check("0123456789abcdefg", "0123456789abcdef…");
        check("ééééééééééééé hunter2", "ééééééééééééé **…");
    }
}
