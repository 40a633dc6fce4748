//! One line of printable ASCII, which every channel accepts.
//!
//! SNS asks for a subject that begins with a letter, a number or punctuation, has neither line
//! breaks nor control characters and is less than 100 characters long; older pages of its
//! documentation ask for ASCII. AMP replaces a subject that is not ASCII altogether. The
//! strictest reading is kept.

/// How long a subject may be, in characters.
pub(super) const MAX_SUBJECT: usize = 99;

/// The text as one line of printable ASCII, at most `max` characters long. What has no likeness
/// in ASCII becomes one `?` a run; where it is cut it ends in `...`.
pub(super) fn ascii_line(text: &str, max: usize) -> String {
    let mut line = String::new();
    for c in text.chars() {
        match ascii(c) {
            Likeness::Text(like) => line.push_str(like),
            Likeness::Itself => line.push(c),
            Likeness::Space if line.is_empty() || line.ends_with(' ') => {}
            Likeness::Space => line.push(' '),
            Likeness::None if line.ends_with('?') => {}
            Likeness::None => line.push('?'),
            Likeness::Nothing => {}
        }
        // Enough to cut from: the rest may be long.
        if line.len() > max + 8 {
            break;
        }
    }
    let line = line.trim_end();
    if line.len() <= max {
        return line.to_owned();
    }
    let kept: String = line.chars().take(max.saturating_sub(3)).collect();
    format!("{}...", kept.trim_end())
}

enum Likeness {
    Itself,
    Text(&'static str),
    Space,
    /// It is not seen: a combining accent, a joiner, a change of direction.
    Nothing,
    None,
}

fn ascii(c: char) -> Likeness {
    use Likeness::{Itself, None, Nothing, Space, Text};
    match c {
        '!'..='~' => Itself,
        c if c.is_whitespace() || c.is_control() => Space,
        '\u{300}'..='\u{36f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' => Nothing,
        '\u{ad}' | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' => Nothing,
        '…' => Text("..."),
        '‐'..='―' | '−' => Text("-"),
        '‘' | '’' | '‚' | '′' => Text("'"),
        '“' | '”' | '„' | '″' | '«' | '»' => Text("\""),
        '·' | '•' => Text("*"),
        '→' => Text("->"),
        '×' => Text("x"),
        '°' => Text("deg"),
        'µ' | 'μ' => Text("u"),
        '≥' => Text(">="),
        '≤' => Text("<="),
        '≠' => Text("!="),
        '€' => Text("EUR"),
        'Ä' | 'Æ' => Text("Ae"),
        'ä' | 'æ' => Text("ae"),
        'Ö' | 'Œ' => Text("Oe"),
        'ö' | 'œ' => Text("oe"),
        'Ü' => Text("Ue"),
        'ü' => Text("ue"),
        'ß' => Text("ss"),
        'À'..='Ã' | 'Å' | 'Ā' | 'Ă' | 'Ą' => Text("A"),
        'à'..='ã' | 'å' | 'ā' | 'ă' | 'ą' => Text("a"),
        'Ç' | 'Ć' | 'Č' => Text("C"),
        'ç' | 'ć' | 'č' => Text("c"),
        'Ð' | 'Ď' | 'Đ' => Text("D"),
        'ð' | 'ď' | 'đ' => Text("d"),
        'È'..='Ë' | 'Ē' | 'Ę' | 'Ě' => Text("E"),
        'è'..='ë' | 'ē' | 'ę' | 'ě' => Text("e"),
        'Ğ' => Text("G"),
        'ğ' => Text("g"),
        'Ì'..='Ï' | 'Ī' | 'İ' => Text("I"),
        'ì'..='ï' | 'ī' | 'ı' => Text("i"),
        'Ł' => Text("L"),
        'ł' => Text("l"),
        'Ñ' | 'Ń' | 'Ň' => Text("N"),
        'ñ' | 'ń' | 'ň' => Text("n"),
        'Ò'..='Õ' | 'Ø' | 'Ō' | 'Ő' => Text("O"),
        'ò'..='õ' | 'ø' | 'ō' | 'ő' => Text("o"),
        'Ř' => Text("R"),
        'ř' => Text("r"),
        'Ś' | 'Ş' | 'Š' | 'Ș' => Text("S"),
        'ś' | 'ş' | 'š' | 'ș' => Text("s"),
        'Ţ' | 'Ť' | 'Ț' => Text("T"),
        'ţ' | 'ť' | 'ț' => Text("t"),
        'Þ' => Text("Th"),
        'þ' => Text("th"),
        'Ù'..='Û' | 'Ū' | 'Ů' | 'Ű' => Text("U"),
        'ù'..='û' | 'ū' | 'ů' | 'ű' => Text("u"),
        'Ý' | 'Ÿ' => Text("Y"),
        'ý' | 'ÿ' => Text("y"),
        'Ź' | 'Ż' | 'Ž' => Text("Z"),
        'ź' | 'ż' | 'ž' => Text("z"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(ascii_line(text, 20), expected, "of {text:?}");
    }

    #[test]
    fn what_is_not_ascii_is_likened_or_marked() {
        check("[FIRING:1] A (b c)", "[FIRING:1] A (b c)");
        check("Zürich – “Süd” ñ", "Zuerich - \"Sued\" n");
        check("a…", "a...");
        check("a\r\n\tb\u{0}\u{7f}c\u{85}\u{2028}d", "a b c d");
        check("\u{202e}evil\u{202c} e\u{301}", "evil e");
        check("数据中心 a 😀😀", "? a ?");
        check("سيرفر", "?");
        check("  a  ", "a");
        check("", "");
        check("123456789 123456789 1", "123456789 1234567...");
        check("123456789 123456     ", "123456789 123456");
        check(&"é".repeat(100_000), "eeeeeeeeeeeeeeeee...");
    }
}
