//! The bencode reader: no bytes make it panic, and what it accepts can be walked to its end.

use ttui::wire::bencode::{Kind, Value};

/// One input.
pub fn run(bytes: &[u8]) {
    let Ok((value, rest)) = Value::parse_prefix(bytes) else { return };
    assert_eq!(value.raw().len() + rest.len(), bytes.len());
    let mut todo = vec![value];
    while let Some(value) = todo.pop() {
        match value.kind() {
            Kind::Integer => drop(value.as_integer()),
            Kind::ByteString => assert!(value.as_bytes().is_some()),
            Kind::List => todo.extend(value.list().unwrap()),
            Kind::Dictionary => todo.extend(value.dictionary().unwrap().map(|(_, v)| v)),
        }
    }
}
