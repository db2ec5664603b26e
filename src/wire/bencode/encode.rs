//! Owned bencode values and their encoder.

use std::collections::BTreeMap;

/// An owned bencode value, built in order to be encoded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum OwnedValue {
    Integer(i64),
    ByteString(Vec<u8>),
    List(Vec<OwnedValue>),
    /// The encoder writes keys in sorted order, as BEP 3 requires.
    Dictionary(BTreeMap<Vec<u8>, OwnedValue>),
}

impl OwnedValue {
    /// Returns a dictionary with these entries; of duplicate keys the last one wins.
    pub fn dictionary<K: Into<Vec<u8>>>(entries: impl IntoIterator<Item = (K, OwnedValue)>) -> OwnedValue {
        OwnedValue::Dictionary(entries.into_iter().map(|(k, v)| (k.into(), v)).collect())
    }

    /// Encodes the value as bencode. Iterative, so deep nesting cannot overflow the stack.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        // Stack of pending output, next entry on top. `End` writes the `e` that closes a container.
        enum Todo<'a> {
            Item(&'a OwnedValue),
            Key(&'a [u8]),
            End,
        }
        let text = |out: &mut Vec<u8>, bytes: &[u8]| {
            out.extend_from_slice(bytes.len().to_string().as_bytes());
            out.push(b':');
            out.extend_from_slice(bytes);
        };
        let mut todo = vec![Todo::Item(self)];
        while let Some(next) = todo.pop() {
            match next {
                Todo::End => out.push(b'e'),
                Todo::Key(key) => text(&mut out, key),
                Todo::Item(OwnedValue::Integer(n)) => out.extend_from_slice(format!("i{n}e").as_bytes()),
                Todo::Item(OwnedValue::ByteString(bytes)) => text(&mut out, bytes),
                Todo::Item(OwnedValue::List(items)) => {
                    out.push(b'l');
                    todo.push(Todo::End);
                    todo.extend(items.iter().rev().map(Todo::Item));
                }
                Todo::Item(OwnedValue::Dictionary(entries)) => {
                    out.push(b'd');
                    todo.push(Todo::End);
                    todo.extend(entries.iter().rev().flat_map(|(k, v)| [Todo::Item(v), Todo::Key(k)]));
                }
            }
        }
        out
    }
}

impl From<i64> for OwnedValue {
    fn from(n: i64) -> Self {
        OwnedValue::Integer(n)
    }
}

impl From<&[u8]> for OwnedValue {
    fn from(bytes: &[u8]) -> Self {
        OwnedValue::ByteString(bytes.to_vec())
    }
}

impl From<Vec<u8>> for OwnedValue {
    fn from(bytes: Vec<u8>) -> Self {
        OwnedValue::ByteString(bytes)
    }
}

impl From<&str> for OwnedValue {
    fn from(text: &str) -> Self {
        OwnedValue::ByteString(text.as_bytes().to_vec())
    }
}

impl From<String> for OwnedValue {
    fn from(text: String) -> Self {
        OwnedValue::ByteString(text.into_bytes())
    }
}

impl From<Vec<OwnedValue>> for OwnedValue {
    fn from(items: Vec<OwnedValue>) -> Self {
        OwnedValue::List(items)
    }
}
