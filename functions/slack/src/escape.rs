//! Text from outside, made harmless for Slack: nothing in it is markup, a mention or a link.
//!
//! Slack reads `&`, `<` and `>` in every text object as the beginning of an entity, a mention or
//! a link, so these three are written as entities (docs.slack.dev, "Formatting message text").

use delivery::plain::{is_control, is_invisible};

/// Whether line breaks stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lines {
    /// One line: a break becomes a space.
    One,
    /// Breaks stay.
    Many,
}

/// `text` for a text object: escaped, without control characters and without those that reorder
/// or hide what is shown, and at most `limit` UTF-16 units long as sent. What is cut ends in `…`.
pub fn plain(text: &str, limit: usize, lines: Lines) -> String {
    write(text, limit, |c| match c {
        '\n' if lines == Lines::Many => Some('\n'),
        c if is_control(c) => Some(' '),
        c if is_invisible(c) => None,
        c => Some(c),
    })
}

/// `text` as a code span, in which nothing else is markup, at most `limit` UTF-16 units long.
/// A backtick would end the span: it becomes an apostrophe.
pub fn code(text: &str, limit: usize) -> String {
    let inner = write(text, limit.saturating_sub(2), |c| match c {
        '`' => Some('\''),
        c if is_control(c) => Some(' '),
        c if is_invisible(c) => None,
        c => Some(c),
    });
    // An empty span would be two backticks, and these are text.
    if inner.trim().is_empty() {
        return "` `".to_owned();
    }
    format!("`{inner}`")
}

/// How long Slack may count a text: UTF-16 units, never fewer than its characters.
pub fn length(text: &str) -> usize {
    text.encode_utf16().count()
}

fn write(text: &str, limit: usize, clean: impl Fn(char) -> Option<char>) -> String {
    let mut out = String::new();
    let mut used = 0;
    // Where to cut if the rest does not fit: there is room for the ellipsis.
    let mut cut = 0;
    for c in text.chars().filter_map(clean) {
        let mut one = [0; 4];
        let piece = match c {
            '&' => "&amp;",
            '<' => "&lt;",
            '>' => "&gt;",
            c => c.encode_utf8(&mut one),
        };
        used += length(piece);
        if used > limit {
            out.truncate(cut);
            if limit > 0 {
                out.push('…');
            }
            return out;
        }
        out.push_str(piece);
        if used < limit {
            cut = out.len();
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, limit: usize, as_plain: &str, as_code: &str) {
        assert_eq!(plain(text, limit, Lines::One), as_plain);
        assert_eq!(code(text, limit), as_code);
    }

    #[test]
    fn nothing_is_markup() {
        check(
            "<!channel> & `x`",
            99,
            "&lt;!channel&gt; &amp; `x`",
            "`&lt;!channel&gt; &amp; 'x'`",
        );
        check("a\u{202e}b\u{7}c\nd\u{200b}", 99, "ab c d", "`ab c d`");
        check("", 99, "", "` `");
        assert_eq!(plain("a\r\nb\nc", 99, Lines::Many), "a \nb\nc");
    }

    #[test]
    fn cuts_between_what_belongs_together() {
        check("abcdef", 6, "abcdef", "`abc…`");
        check("a&b", 6, "a…", "`a…`");
        check("a&b", 7, "a&amp;b", "`a…`");
        check("🙂🙂🙂", 5, "🙂🙂…", "`🙂…`");
        check("ab", 0, "", "` `");
    }
}
