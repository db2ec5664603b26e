//! Values to be written as bencode.

use std::collections::BTreeMap;

/// A value to be written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Item {
    /// A number.
    Number(i64),
    /// A string of bytes.
    Text(Vec<u8>),
    /// A list.
    List(Vec<Item>),
    /// A dictionary; its keys come out sorted, as BEP 3 wants them.
    Dictionary(BTreeMap<Vec<u8>, Item>),
}

impl Item {
    /// A dictionary of these entries.
    pub fn dictionary<K: Into<Vec<u8>>>(entries: impl IntoIterator<Item = (K, Item)>) -> Item {
        Item::Dictionary(entries.into_iter().map(|(k, v)| (k.into(), v)).collect())
    }

    /// The value as bencode.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        // What is still to be written, last first; a bare `e` closes a container.
        enum Todo<'a> {
            Item(&'a Item),
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
                Todo::Item(Item::Number(n)) => out.extend_from_slice(format!("i{n}e").as_bytes()),
                Todo::Item(Item::Text(bytes)) => text(&mut out, bytes),
                Todo::Item(Item::List(items)) => {
                    out.push(b'l');
                    todo.push(Todo::End);
                    todo.extend(items.iter().rev().map(Todo::Item));
                }
                Todo::Item(Item::Dictionary(entries)) => {
                    out.push(b'd');
                    todo.push(Todo::End);
                    todo.extend(entries.iter().rev().flat_map(|(k, v)| [Todo::Item(v), Todo::Key(k)]));
                }
            }
        }
        out
    }
}

impl From<i64> for Item {
    fn from(n: i64) -> Self {
        Item::Number(n)
    }
}

impl From<&[u8]> for Item {
    fn from(bytes: &[u8]) -> Self {
        Item::Text(bytes.to_vec())
    }
}

impl From<Vec<u8>> for Item {
    fn from(bytes: Vec<u8>) -> Self {
        Item::Text(bytes)
    }
}

impl From<&str> for Item {
    fn from(text: &str) -> Self {
        Item::Text(text.as_bytes().to_vec())
    }
}

impl From<String> for Item {
    fn from(text: String) -> Self {
        Item::Text(text.into_bytes())
    }
}

impl From<Vec<Item>> for Item {
    fn from(items: Vec<Item>) -> Self {
        Item::List(items)
    }
}
