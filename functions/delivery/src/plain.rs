//! Sanitises untrusted text: removes control, bidirectional and zero-width characters.

/// `text` in one line of at most `limit` characters, without control characters and without those
/// that reorder or hide what is shown. What is cut ends in `…`.
pub fn one_line(text: &str, limit: usize) -> String {
    cut(text.chars().filter_map(|c| clean(c, false)), limit)
}

/// The same, but line breaks stay.
pub fn lines(text: &str, limit: usize) -> String {
    cut(text.chars().filter_map(|c| clean(c, true)), limit)
}

/// Characters that show nothing and change how others are shown: bidirectional controls can make
/// a text read as another, zero-width ones hide a difference.
pub fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Whether it breaks a line or does what no text does.
pub fn is_control(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
}

fn clean(c: char, keep_lines: bool) -> Option<char> {
    match c {
        '\n' if keep_lines => Some('\n'),
        c if is_control(c) => Some(' '),
        c if is_invisible(c) => None,
        c => Some(c),
    }
}

fn cut(mut text: impl Iterator<Item = char>, limit: usize) -> String {
    let mut kept: String = text.by_ref().take(limit).collect();
    if text.next().is_some() {
        kept.pop();
        kept.push('…');
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_what_it_says() {
        assert_eq!(one_line("a\u{202e}b\u{7}c\r\nd\u{200b}", 99), "ab c  d");
        assert_eq!(lines("a\r\nb", 99), "a \nb");
        assert_eq!(one_line("🙂🙂🙂", 3), "🙂🙂🙂");
        assert_eq!(one_line("🙂🙂🙂", 2), "🙂…");
    }
}
