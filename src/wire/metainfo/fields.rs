//! Values of the dictionaries in a `.torrent` file: looked up by key, of the right type and in range.

use super::error::{KeyLocation, MetainfoError};
use super::warnings::{ParseWarnings, SHOWN};
use crate::limits;
use crate::wire::bencode::{Kind, Value};
use crate::wire::sanitize::sanitize_bytes;

/// Looks up several keys of a dictionary in one pass; of duplicate keys the first one wins.
pub(super) fn pick<'a, const N: usize>(dictionary: Value<'a>, keys: [&str; N]) -> [Option<Value<'a>>; N] {
    let mut found = [None; N];
    for (key, value) in dictionary.dictionary().into_iter().flatten() {
        if let Some(n) = keys.iter().position(|k| k.as_bytes() == key) {
            found[n] = found[n].or(Some(value));
        }
    }
    found
}

/// Returns the value of a required key, or an error if it is missing or has another type than `wanted`.
pub(super) fn require<'a>(
    value: Option<Value<'a>>,
    key: &'static str,
    place: KeyLocation,
    wanted: Kind,
) -> Result<Value<'a>, MetainfoError> {
    let value = value.ok_or(MetainfoError::Missing { key, place })?;
    match value.kind() {
        is if is == wanted => Ok(value),
        is => Err(MetainfoError::WrongKind { key, place, is, wanted }),
    }
}

/// Returns the required `length` of a file: 0 to 2^63 - 1.
pub(super) fn length(value: Option<Value<'_>>, place: KeyLocation) -> Result<u64, MetainfoError> {
    let value = require(value, "length", place, Kind::Integer)?;
    value
        .as_integer()
        .and_then(|n| u64::try_from(n).ok())
        .ok_or_else(|| out_of_range(value, "length", place, "0 to 2^63 - 1"))
}

fn out_of_range(value: Value<'_>, key: &'static str, place: KeyLocation, range: &'static str) -> MetainfoError {
    let digits = value.raw().strip_prefix(b"i").and_then(|v| v.strip_suffix(b"e")).unwrap_or_default();
    MetainfoError::OutOfRange { key, place, value: sanitize_bytes(digits, SHOWN), range }
}

/// Returns the raw bytes of the name; prefers `name.utf-8` if it is valid UTF-8.
pub(super) fn read_name<'a>(
    name: Option<Value<'a>>,
    utf8: Option<Value<'a>>,
    remarks: &mut ParseWarnings,
) -> Result<&'a [u8], MetainfoError> {
    let name = require(name, "name", KeyLocation::Plain, Kind::ByteString)?.as_bytes().unwrap_or_default();
    let utf8 = remarks.optional(utf8, "name.utf-8", Kind::ByteString).and_then(|v| v.as_bytes());
    Ok(utf8.filter(|n| !n.is_empty() && std::str::from_utf8(n).is_ok()).unwrap_or(name))
}

/// Returns the piece length in bytes: 1 byte to 512 MiB.
pub(super) fn read_piece_length(value: Option<Value<'_>>) -> Result<u32, MetainfoError> {
    let value = require(value, "piece length", KeyLocation::Plain, Kind::Integer)?;
    value
        .as_integer()
        .and_then(|n| u32::try_from(n).ok())
        .filter(|n| *n > 0 && u64::from(*n) <= limits::PIECE_LENGTH)
        .ok_or_else(|| out_of_range(value, "piece length", KeyLocation::Plain, "1 byte to 512 MiB"))
}
