//! The tokens of an expression, each with the bytes it stands on.

use super::ParseError;
use crate::template::is_letter;

/// Where in the text something stands, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: usize,
    pub(crate) end: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A name or a keyword: which of the two depends on where it stands.
    Name,
    Number,
    Duration,
    /// With its quotes.
    Text,
    /// An operator or a bracket.
    Sign,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) span: Span,
}

/// Longest first, so that `>=` is not read as `>`.
const SIGNS: [&str; 26] = [
    "==", "!=", "=~", "!~", ">=", "<=", "</", ">/", "=", ">", "<", "+", "-", "*", "/", "%", "^",
    "@", "(", ")", "{", "}", "[", "]", ",", ":",
];

pub(super) fn tokens(text: &str) -> Result<Vec<Token>, ParseError> {
    let mut lexer = Lexer {
        text,
        at: 0,
        in_brackets: false,
    };
    let mut tokens = Vec::new();
    while let Some(token) = lexer.next()? {
        tokens.push(token);
    }
    Ok(tokens)
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    /// Between `[` and `]` a colon parts range and step; elsewhere it belongs to a name.
    in_brackets: bool,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn error(&self, at: usize, message: impl Into<String>) -> ParseError {
        ParseError::new(self.text, at, message)
    }

    /// What was read since `start`.
    fn slice_from(&self, start: usize) -> &str {
        self.text.get(start..self.at).unwrap_or("")
    }

    /// Moves over the characters for which `belongs` holds.
    fn skip(&mut self, belongs: impl Fn(char) -> bool) -> usize {
        let length = self
            .rest()
            .find(|c| !belongs(c))
            .unwrap_or(self.rest().len());
        self.at += length;
        length
    }

    fn next(&mut self) -> Result<Option<Token>, ParseError> {
        loop {
            self.skip(|c| matches!(c, ' ' | '\t' | '\n' | '\r'));
            if !self.rest().starts_with('#') {
                break;
            }
            self.skip(|c| c != '\n');
        }
        let start = self.at;
        let Some(first) = self.rest().chars().next() else {
            return Ok(None);
        };
        let second = self.rest().chars().nth(1);
        let kind = match first {
            '"' | '\'' | '`' => self.quoted(first)?,
            '0'..='9' => self.number()?,
            '.' if second.is_some_and(|c| c.is_ascii_digit()) => self.number()?,
            ':' if self.in_brackets => self.sign()?,
            ':' => self.name(),
            first if is_name_start(first) => self.name(),
            _ => self.sign()?,
        };
        let span = Span {
            start,
            end: self.at,
        };
        Ok(Some(Token { kind, span }))
    }

    /// A name, also as `--enable-feature=promql-unquoted-utf8-names` has it: with letters of any
    /// script, and with points in it.
    fn name(&mut self) -> Kind {
        let start = self.at;
        let in_brackets = self.in_brackets;
        let is_plain =
            |c: char| c.is_ascii_alphanumeric() || c == '_' || (c == ':' && !in_brackets);
        self.skip(is_plain);
        let name = self.slice_from(start);
        let is = |word: &str| name.eq_ignore_ascii_case(word);
        // `offset.5` and `bool.5` are a keyword and a number to every other server.
        let before_number = is("offset") || is("bool") || is("atan2");
        let mut behind = self.rest().chars();
        let is_number =
            behind.next() == Some('.') && behind.next().is_some_and(|c| c.is_ascii_digit());
        let is_value = is("inf") || is("nan");
        if before_number && is_number {
            return Kind::Name;
        }
        if self.skip(|c| is_plain(c) || c == '.' || is_name_start(c)) == 0 && is_value {
            return Kind::Number;
        }
        Kind::Name
    }

    fn sign(&mut self) -> Result<Kind, ParseError> {
        let rest = self.rest();
        let sign = SIGNS.iter().find(|sign| rest.starts_with(**sign));
        let Some(sign) = sign else {
            let odd: String = rest.chars().take(1).collect();
            return Err(self.error(self.at, format!("unexpected character {odd:?}")));
        };
        match *sign {
            "[" => self.in_brackets = true,
            "]" => self.in_brackets = false,
            _ => {}
        }
        self.at += sign.len();
        Ok(Kind::Sign)
    }

    fn quoted(&mut self, quote: char) -> Result<Kind, ParseError> {
        let start = self.at;
        let mut characters = self.rest().char_indices().skip(1);
        while let Some((at, character)) = characters.next() {
            match character {
                '\\' if quote != '`' => {
                    escape(&mut characters.by_ref().map(|(_, c)| c), quote)
                        .ok_or_else(|| self.error(start + at, "not an escape of a character"))?;
                }
                '\n' if quote != '`' => break,
                // Prometheus's lexer takes it for a byte that is no text.
                '\u{fffd}' => {
                    let message = "U+FFFD in a string: write `\\ufffd`";
                    return Err(self.error(start + at, message));
                }
                _ if character == quote => {
                    self.at = start + at + 1;
                    return Ok(Kind::Text);
                }
                _ => {}
            }
        }
        Err(self.error(start, "string without its closing quote"))
    }

    fn number(&mut self) -> Result<Kind, ParseError> {
        let start = self.at;
        let digit = |c: char| c.is_ascii_digit() || c == '_';
        let mut kind = Kind::Number;
        if self.rest().starts_with("0x") || self.rest().starts_with("0X") {
            self.at += 2;
            self.skip(|c| c.is_ascii_hexdigit() || c == '_');
            let digits = self.text.get(start + 2..self.at).unwrap_or("");
            if u64::from_str_radix(&digits.replace('_', ""), 16).is_err() {
                return Err(self.error(start, "not a number, or out of range"));
            }
        } else {
            self.skip(digit);
            if self.rest().starts_with(['y', 'w', 'd', 'h', 'm', 's']) {
                kind = Kind::Duration;
                self.skip(|c| c.is_ascii_alphanumeric());
                let text = self.text.get(start..self.at).unwrap_or("");
                crate::duration::parse(text).map_err(|why| self.error(start, why.to_string()))?;
            } else {
                if self.rest().starts_with('.') {
                    self.at += 1;
                    self.skip(digit);
                }
                if self.rest().starts_with(['e', 'E']) {
                    self.at += 1;
                    self.at += usize::from(self.rest().starts_with(['+', '-']));
                    if self.skip(digit) == 0 {
                        return Err(self.error(start, "number without its exponent"));
                    }
                }
                if self
                    .slice_from(start)
                    .replace('_', "")
                    .parse()
                    .is_ok_and(f64::is_infinite)
                {
                    return Err(self.error(start, "number out of range"));
                }
            }
        }
        if self
            .rest()
            .starts_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '.'))
        {
            return Err(self.error(start, "not a number or duration"));
        }
        if !parts_digits(self.slice_from(start)) {
            return Err(self.error(start, "`_` in a number must stand between two digits"));
        }
        Ok(kind)
    }
}

/// Whether a name may begin with it.
fn is_name_start(c: char) -> bool {
    c == '_' || is_letter(c)
}

/// Whether each `_` of a number has a digit, or the `0x`, before it and a digit behind it; `e` is
/// none behind it, not even in a hexadecimal number (`scanNumber` in `promql/parser/lex.go`).
fn parts_digits(number: &str) -> bool {
    let is_hexadecimal = number.starts_with("0x") || number.starts_with("0X");
    let is_digit = |c: char| match is_hexadecimal {
        true => c.is_ascii_hexdigit() && !matches!(c, 'e' | 'E'),
        false => c.is_ascii_digit(),
    };
    number.match_indices('_').all(|(at, _)| {
        let (before, behind) = (number.get(..at), number.get(at + 1..));
        before.is_some_and(|text| text.ends_with(|c| is_digit(c) || matches!(c, 'x' | 'X')))
            && behind.is_some_and(|text| text.starts_with(is_digit))
    })
}

/// What a quoted text says, where it is UTF-8. The escapes are Go's.
pub(super) fn unquote(quoted: &str) -> Option<String> {
    String::from_utf8(unquote_bytes(quoted)?).ok()
}

/// The same, with U+FFFD for what is not UTF-8.
pub(super) fn unquote_lossy(quoted: &str) -> String {
    String::from_utf8_lossy(&unquote_bytes(quoted).unwrap_or_default()).into_owned()
}

fn unquote_bytes(quoted: &str) -> Option<Vec<u8>> {
    let quote = quoted.chars().next()?;
    let inner = quoted.get(1..quoted.len().checked_sub(1)?)?;
    if quote == '`' {
        return Some(inner.as_bytes().to_owned());
    }
    let mut bytes = Vec::with_capacity(inner.len());
    let mut rest = inner.chars();
    while let Some(character) = rest.next() {
        let meant = match character {
            '\\' => escape(&mut rest, quote)?,
            _ => Escape::Character(character),
        };
        match meant {
            Escape::Byte(byte) => bytes.push(byte),
            Escape::Character(character) => {
                bytes.extend(character.encode_utf8(&mut [0; 4]).bytes());
            }
        }
    }
    Some(bytes)
}

/// What an escape stands for.
enum Escape {
    Byte(u8),
    Character(char),
}

/// Reads what follows a backslash; none where it is no escape.
fn escape(rest: &mut impl Iterator<Item = char>, quote: char) -> Option<Escape> {
    let (digits, radix, first) = match rest.next()? {
        'a' => (0, 0, 0x07),
        'b' => (0, 0, 0x08),
        'f' => (0, 0, 0x0c),
        'n' => (0, 0, 0x0a),
        'r' => (0, 0, 0x0d),
        't' => (0, 0, 0x09),
        'v' => (0, 0, 0x0b),
        '\\' => (0, 0, 0x5c),
        same if same == quote => (0, 0, u32::from(same)),
        'x' => (2, 16, 0),
        'u' => (4, 16, 0),
        'U' => (8, 16, 0),
        octal @ '0'..='7' => (2, 8, octal.to_digit(8)?),
        _ => return None,
    };
    let mut code: u32 = first;
    for _ in 0..digits {
        code = code
            .checked_mul(radix)?
            .checked_add(rest.next()?.to_digit(radix)?)?;
    }
    // Two hexadecimal or three octal digits are a byte, everything else is a character.
    if digits == 2 {
        u8::try_from(code).ok().map(Escape::Byte)
    } else {
        char::from_u32(code).map(Escape::Character)
    }
}

#[cfg(test)]
mod tests {
    use super::unquote;

    #[test]
    fn escapes_are_those_of_go() {
        for (quoted, said) in [
            (
                r#""a\tb\\\"c\u00e9\x41\101\U0001F600""#,
                Some("a\tb\\\"céAA😀"),
            ),
            (r"'it\'s'", Some("it's")),
            (r"`a\n\`", Some(r"a\n\")),
            (r#""\xc3\xa9""#, Some("é")),
            (r#""\xff""#, None),
            (r#""\'""#, None),
            (r#""\ud800""#, None),
            (r#""\777""#, None),
            (r#""\é""#, None),
            ("", None),
            ("\"", None),
        ] {
            assert_eq!(unquote(quoted).as_deref(), said, "{quoted}");
        }
    }
}
