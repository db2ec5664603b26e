//! What is odd about a torrent and was passed over, in words.

use crate::wire::bencode::{Kind, Value};

/// The longest text shown of a stranger's value in a sentence, in columns.
pub(super) const SHOWN: usize = 60;
/// The most remarks kept of one torrent.
pub(super) const REMARKS: usize = 50;

/// Takes notes of what is odd.
#[derive(Default)]
pub(super) struct Remarks(pub(super) Vec<String>);

impl Remarks {
    pub(super) fn add(&mut self, text: impl FnOnce() -> String) {
        match self.0.len() {
            n if n < REMARKS => self.0.push(text()),
            n if n == REMARKS => self.0.push("more was passed over".to_owned()),
            _ => {}
        }
    }

    /// The value of a key that a torrent can do without, if it is of the right kind.
    pub(super) fn wish<'a>(&mut self, value: Option<Value<'a>>, key: &str, wanted: Kind) -> Option<Value<'a>> {
        let value = value?;
        if value.kind() != wanted {
            self.add(|| format!("`{key}` is {}, and should be {wanted}: passed over", value.kind()));
            return None;
        }
        Some(value)
    }

    /// A text that a torrent can do without.
    pub(super) fn text(&mut self, value: Option<Value<'_>>, key: &str) -> Option<String> {
        let bytes = self.wish(value, key, Kind::Text)?.text()?;
        (!bytes.is_empty()).then(|| String::from_utf8_lossy(bytes).into_owned())
    }
}
