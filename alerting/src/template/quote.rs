//! Go's quoted strings and characters, both ways (`strconv.Quote`, `strconv.Unquote`).

use super::unicode::is_print;

/// One step through bytes that may not be UTF-8: a character, or a byte that is not part of one.
pub(super) enum Piece {
    Char(char),
    Byte(u8),
}

/// Walks bytes as Go walks a string: characters, and single bytes where they are invalid.
pub(super) fn pieces(bytes: &[u8]) -> impl Iterator<Item = Piece> + '_ {
    bytes.utf8_chunks().flat_map(|chunk| {
        chunk
            .valid()
            .chars()
            .map(Piece::Char)
            .chain(chunk.invalid().iter().copied().map(Piece::Byte))
    })
}

/// How many characters there are, an invalid byte counting as one.
pub(super) fn char_count(bytes: &[u8]) -> usize {
    pieces(bytes).count()
}

/// `strconv.Quote`.
pub(crate) fn quote(bytes: &[u8]) -> String {
    quote_with(bytes, '"', false)
}

/// `strconv.Quote`, or with `ascii` `strconv.QuoteToASCII`, with either kind of quote.
pub(super) fn quote_with(bytes: &[u8], mark: char, ascii: bool) -> String {
    let mut text = String::with_capacity(bytes.len() + 2);
    text.push(mark);
    for piece in pieces(bytes) {
        match piece {
            Piece::Byte(byte) => text.push_str(&format!("\\x{byte:02x}")),
            Piece::Char(c) if c == mark || c == '\\' => {
                text.push('\\');
                text.push(c);
            }
            Piece::Char(c) if (c.is_ascii() || !ascii) && is_print(c) => text.push(c),
            Piece::Char(c) => text.push_str(&escape(c)),
        }
    }
    text.push(mark);
    text
}

fn escape(c: char) -> String {
    match c {
        '\u{7}' => "\\a".to_owned(),
        '\u{8}' => "\\b".to_owned(),
        '\u{c}' => "\\f".to_owned(),
        '\n' => "\\n".to_owned(),
        '\r' => "\\r".to_owned(),
        '\t' => "\\t".to_owned(),
        '\u{b}' => "\\v".to_owned(),
        c if c < ' ' || c == '\u{7f}' => format!("\\x{:02x}", u32::from(c)),
        c if u32::from(c) < 0x1_0000 => format!("\\u{:04x}", u32::from(c)),
        c => format!("\\U{:08x}", u32::from(c)),
    }
}

/// Whether a string can be written between backquotes.
pub(super) fn can_backquote(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(|text| {
        text.chars()
            .all(|c| c != '\u{feff}' && c != '`' && c != '\u{7f}' && (c >= ' ' || c == '\t'))
    })
}

/// The meaning of a literal with its quotes, `"…"` or `` `…` ``; `None` if it is malformed.
pub(crate) fn unquote(literal: &str) -> Option<Vec<u8>> {
    if let Some(raw) = literal
        .strip_prefix('`')
        .and_then(|rest| rest.strip_suffix('`'))
    {
        return Some(raw.bytes().filter(|byte| *byte != b'\r').collect());
    }
    let mut rest = literal.strip_prefix('"')?.strip_suffix('"')?;
    let mut bytes = Vec::with_capacity(rest.len());
    while !rest.is_empty() {
        let (unit, tail) = unquote_char(rest, '"')?;
        rest = tail;
        match unit {
            Unit::Byte(byte) => bytes.push(byte),
            Unit::Char(c) => {
                bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            }
        }
    }
    Some(bytes)
}

/// What one character or escape stands for.
pub(super) enum Unit {
    Char(char),
    /// By `\x41` or `\101`.
    Byte(u8),
}

/// Reads one character or escape of a literal in `mark` quotes.
pub(super) fn unquote_char(text: &str, mark: char) -> Option<(Unit, &str)> {
    let mut chars = text.chars();
    let first = chars.next()?;
    if first == mark {
        return None;
    }
    if first != '\\' {
        return Some((Unit::Char(first), chars.as_str()));
    }
    let simple = |c: char| Some(Unit::Char(c));
    let unit = match chars.next()? {
        'a' => simple('\u{7}'),
        'b' => simple('\u{8}'),
        'f' => simple('\u{c}'),
        'n' => simple('\n'),
        'r' => simple('\r'),
        't' => simple('\t'),
        'v' => simple('\u{b}'),
        '\\' => simple('\\'),
        c @ ('\'' | '"') if c == mark => simple(c),
        'x' => u8::try_from(number(&mut chars, 0, 2, 16)?)
            .ok()
            .map(Unit::Byte),
        'u' => char::from_u32(number(&mut chars, 0, 4, 16)?).map(Unit::Char),
        'U' => char::from_u32(number(&mut chars, 0, 8, 16)?).map(Unit::Char),
        c @ '0'..='7' => u8::try_from(number(&mut chars, c.to_digit(8)?, 2, 8)?)
            .ok()
            .map(Unit::Byte),
        _ => None,
    }?;
    Some((unit, chars.as_str()))
}

fn number(chars: &mut std::str::Chars<'_>, first: u32, digits: usize, base: u32) -> Option<u32> {
    let mut value = first;
    for _ in 0..digits {
        value = value
            .checked_mul(base)?
            .checked_add(chars.next()?.to_digit(base)?)?;
    }
    Some(value)
}
