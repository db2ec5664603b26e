//! Warnings about invalid optional values in a torrent.

use crate::wire::bencode::{Kind, Value};

/// Maximum width of an untrusted value in a message, in columns.
pub(super) const SHOWN: usize = 60;
/// Maximum number of warnings per torrent.
pub(super) const MAX_WARNINGS: usize = 50;

/// Collects warnings while a torrent is parsed.
#[derive(Default)]
pub(super) struct ParseWarnings(pub(super) Vec<String>);

impl ParseWarnings {
    pub(super) fn add(&mut self, text: impl FnOnce() -> String) {
        match self.0.len() {
            n if n < MAX_WARNINGS => self.0.push(text()),
            n if n == MAX_WARNINGS => self.0.push("more was passed over".to_owned()),
            _ => {}
        }
    }

    /// Returns the value of an optional key; adds a warning and returns `None` if it has the wrong type.
    pub(super) fn optional<'a>(&mut self, value: Option<Value<'a>>, key: &str, wanted: Kind) -> Option<Value<'a>> {
        let value = value?;
        if value.kind() != wanted {
            self.add(|| format!("`{key}` is {}, and should be {wanted}: passed over", value.kind()));
            return None;
        }
        Some(value)
    }

    /// Returns an optional byte string as text, with invalid UTF-8 replaced; `None` if it is empty.
    pub(super) fn text(&mut self, value: Option<Value<'_>>, key: &str) -> Option<String> {
        let bytes = self.optional(value, key, Kind::ByteString)?.as_bytes()?;
        (!bytes.is_empty()).then(|| String::from_utf8_lossy(bytes).into_owned())
    }
}
