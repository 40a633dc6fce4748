//! JSON, gone through member by member, so that what nearly all of an answer is ([`super::floats`])
//! need not be read by serde. Serde reads everything else, from the place where it stands.

use serde::Deserialize;

/// JSON that is read up to some place.
pub(super) struct Reader<'a> {
    text: &'a str,
    at: usize,
}

/// Why it cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{message} at byte {at}")]
pub(super) struct Error {
    message: String,
    /// Where what cannot be read begins.
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// An error at this place.
    pub(super) fn error(&self, message: impl Into<String>) -> Error {
        Error {
            message: message.into(),
            at: self.at,
        }
    }

    /// The first byte of what comes next.
    pub(super) fn peek(&mut self) -> Option<u8> {
        let rest = self.text.as_bytes().get(self.at..)?;
        let space = rest.iter().take_while(|byte| b" \t\r\n".contains(byte));
        let space = space.count();
        self.at += space;
        rest.get(space).copied()
    }

    /// Steps over `byte`, if it comes next.
    fn take(&mut self, byte: u8) -> bool {
        let comes = self.peek() == Some(byte);
        self.at += usize::from(comes);
        comes
    }

    fn expect(&mut self, byte: u8) -> Result<(), Error> {
        if self.take(byte) {
            return Ok(());
        }
        let wanted = char::from(byte);
        Err(match self.peek() {
            Some(_) => self.error(format!("expected `{wanted}`")),
            None => self.error(format!("EOF, expected `{wanted}`")),
        })
    }

    /// A value, as serde reads it.
    pub(super) fn value<T: Deserialize<'a>>(&mut self) -> Result<T, Error> {
        self.peek();
        let rest = self.text.get(self.at..).unwrap_or_default();
        let mut values = serde_json::Deserializer::from_str(rest).into_iter();
        match values.next() {
            Some(Ok(value)) => {
                self.at += values.byte_offset();
                Ok(value)
            }
            Some(Err(error)) => {
                // It counts from where the value begins.
                let place = format!(" at line {} column {}", error.line(), error.column());
                let error = error.to_string();
                Err(self.error(error.strip_suffix(&place).unwrap_or(&error)))
            }
            None => Err(self.error("EOF, expected a value")),
        }
    }

    /// A value that `read` knows to read from the beginning of what it is given, with how many
    /// bytes it has; nothing is read where it does not.
    pub(super) fn value_by<T>(
        &mut self,
        read: impl FnOnce(&str) -> Option<(T, usize)>,
    ) -> Option<T> {
        self.peek();
        let (value, length) = read(self.text.get(self.at..)?)?;
        self.at += length;
        Some(value)
    }

    /// An object: `member` reads the value of each key.
    pub(super) fn object<K: Deserialize<'a>>(
        &mut self,
        mut member: impl FnMut(&mut Self, K) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.expect(b'{')?;
        if self.take(b'}') {
            return Ok(());
        }
        loop {
            if self.peek().is_some_and(|byte| byte != b'"') {
                return Err(self.error("expected a key"));
            }
            let key = self.value()?;
            self.expect(b':')?;
            member(self, key)?;
            if !self.take(b',') {
                return self.expect(b'}');
            }
        }
    }

    /// A list: `element` reads each of its elements.
    pub(super) fn list(
        &mut self,
        mut element: impl FnMut(&mut Self) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.expect(b'[')?;
        if self.take(b']') {
            return Ok(());
        }
        loop {
            element(self)?;
            if !self.take(b',') {
                return self.expect(b']');
            }
        }
    }

    /// Fills `slot`, which must not have been filled.
    pub(super) fn set<T>(&self, slot: &mut Option<T>, value: T) -> Result<(), Error> {
        match slot.replace(value) {
            None => Ok(()),
            Some(_) => Err(self.error("a key that comes twice")),
        }
    }

    /// A value, as serde reads it, for `slot`, which must not have been filled.
    pub(super) fn fill<T: Deserialize<'a>>(&mut self, slot: &mut Option<T>) -> Result<(), Error> {
        let value = self.value()?;
        self.set(slot, value)
    }

    /// There must be nothing more.
    pub(super) fn end(mut self) -> Result<(), Error> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.error("trailing characters")),
        }
    }
}
