//! Go's character classes and simple case mappings where Rust's differ.

use std::sync::OnceLock;

use regex::Regex;

/// A pattern that is compiled once; `None` cannot happen for the constants below.
fn matches(cell: &OnceLock<Option<Regex>>, pattern: &str, c: char) -> bool {
    let mut buffer = [0; 4];
    cell.get_or_init(|| Regex::new(pattern).ok())
        .as_ref()
        .is_some_and(|class| class.is_match(c.encode_utf8(&mut buffer)))
}

/// Go's `unicode.IsLetter`: category L, which is narrower than Rust's alphabetic.
pub(crate) fn is_letter(c: char) -> bool {
    static LETTER: OnceLock<Option<Regex>> = OnceLock::new();
    if c.is_ascii() {
        return c.is_ascii_alphabetic();
    }
    matches(&LETTER, r"^\p{L}", c)
}

/// Go's `unicode.IsDigit`: category Nd.
pub(super) fn is_digit(c: char) -> bool {
    static DIGIT: OnceLock<Option<Regex>> = OnceLock::new();
    if c.is_ascii() {
        return c.is_ascii_digit();
    }
    matches(&DIGIT, r"^\p{Nd}", c)
}

/// What an identifier in a template consists of.
pub(super) fn is_alphanumeric(c: char) -> bool {
    c == '_' || is_letter(c) || is_digit(c)
}

/// Go's `unicode.IsPrint`: letters, marks, numbers, punctuation, symbols and the ASCII space.
pub(super) fn is_print(c: char) -> bool {
    static PRINT: OnceLock<Option<Regex>> = OnceLock::new();
    if c.is_ascii() {
        return c == ' ' || c.is_ascii_graphic();
    }
    matches(&PRINT, r"^[\p{L}\p{M}\p{N}\p{P}\p{S}]", c)
}

/// Whether upper, lower and title case exist for a character.
pub(super) fn is_cased(c: char) -> bool {
    static TITLE: OnceLock<Option<Regex>> = OnceLock::new();
    c.is_lowercase() || c.is_uppercase() || !c.is_ascii() && matches(&TITLE, r"^\p{Lt}", c)
}

/// Whether a word may continue after this character between two letters, but not after two such.
pub(super) fn is_mid_word(c: char) -> bool {
    matches!(
        c,
        '\'' | '.' | ':' | '\u{b7}' | '\u{2018}' | '\u{2019}' | '\u{2024}' | '\u{2027}'
    )
}

/// Whether a word continues across an uncased character: a digit, an underscore, a mark, a letter
/// of a script that puts spaces between words.
pub(super) fn continue_matching(c: char) -> bool {
    static GOES_ON: OnceLock<Option<Regex>> = OnceLock::new();
    if c.is_ascii() {
        return c == '_' || c.is_ascii_digit();
    }
    const WITHOUT_SPACES: &str = r"\p{Han}\p{Hiragana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}";
    let pattern = format!(r"^[\p{{L}}\p{{Nd}}\p{{M}}\p{{Cf}}--\x{{200b}}{WITHOUT_SPACES}]");
    matches(&GOES_ON, &pattern, c)
}

/// Appends the title form of a character, which may be several characters.
pub(super) fn push_title(c: char, text: &mut String) {
    let simple = match c {
        '\u{1c4}'..='\u{1c6}' => '\u{1c5}',
        '\u{1c7}'..='\u{1c9}' => '\u{1c8}',
        '\u{1ca}'..='\u{1cc}' => '\u{1cb}',
        '\u{1f1}'..='\u{1f3}' => '\u{1f2}',
        c => to_upper(c),
    };
    if simple != c {
        text.push(simple);
        return;
    }
    for (at, upper) in c.to_uppercase().enumerate() {
        text.push(if at == 0 { upper } else { to_lower(upper) });
    }
}

/// Go's `unicode.ToUpper`: one character for one.
pub(super) fn to_upper(c: char) -> char {
    let mut upper = c.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(one), None) => one,
        // Several characters by Unicode's full mapping; the simple one is the title form.
        _ => match c {
            '\u{1f80}'..='\u{1f87}' | '\u{1f90}'..='\u{1f97}' | '\u{1fa0}'..='\u{1fa7}' => {
                char::from_u32(u32::from(c) + 8).unwrap_or(c)
            }
            '\u{1fb3}' | '\u{1fc3}' | '\u{1ff3}' => char::from_u32(u32::from(c) + 9).unwrap_or(c),
            _ => c,
        },
    }
}

/// Go's `unicode.ToLower`: one character for one.
pub(super) fn to_lower(c: char) -> char {
    let mut lower = c.to_lowercase();
    match (lower.next(), lower.next()) {
        (Some(one), None) => one,
        _ if c == '\u{130}' => 'i',
        _ => c,
    }
}
