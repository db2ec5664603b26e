//! Metadata exchange (`ut_metadata`, BEP 9): requests and sends pieces of the `info` dictionary.

use bytes::Bytes;
use thiserror::Error;

use crate::limits;
use crate::wire::bencode::{BencodeError, OwnedValue, Value};

/// Maximum size of the bencoded dictionary at the start of a message, in bytes.
const HEAD: usize = 4096;

/// A metadata message. Metadata pieces have [`limits::BLOCK`] bytes; the last one has the remainder.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum MetadataMessage {
    /// Requests this piece.
    Request(u32),
    Data {
        piece: u32,
        /// Size of the whole metadata in bytes as the sender states it; `None` if absent or out of range.
        total: Option<u32>,
        data: Bytes,
    },
    /// The sender does not have or does not send this piece.
    Reject(u32),
    /// An unknown message type, which BEP 9 requires to be ignored.
    Unknown,
}

/// Error of decoding a metadata message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum MetadataMessageError {
    /// Longer than [`MetadataMessage::LONGEST`].
    #[error("a metadata message is {got} bytes long, at most {max} are taken")]
    TooLong { got: usize, max: usize },
    /// Invalid bencode.
    #[error("a metadata message is damaged: {0}")]
    Damaged(#[from] BencodeError),
    /// Not a dictionary, or `msg_type` or `piece` is missing or out of range.
    #[error("a metadata message says neither what it is nor which piece it is about")]
    MissingField,
}

impl MetadataMessage {
    /// Maximum size of a message in bytes.
    pub const LONGEST: usize = limits::BLOCK as usize + HEAD;

    /// Encodes the payload of an extended message.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let head = |kind: i64, piece: u32, total: Option<u32>| {
            let mut entries = vec![("msg_type", OwnedValue::from(kind)), ("piece", OwnedValue::from(i64::from(piece)))];
            entries.extend(total.map(|total| ("total_size", OwnedValue::from(i64::from(total)))));
            OwnedValue::dictionary(entries).encode()
        };
        match self {
            MetadataMessage::Request(piece) => head(0, *piece, None).into(),
            MetadataMessage::Data { piece, total, data } => {
                let mut out = head(1, *piece, *total);
                out.extend_from_slice(data);
                out.into()
            }
            MetadataMessage::Reject(piece) => head(2, *piece, None).into(),
            MetadataMessage::Unknown => Bytes::new(),
        }
    }

    /// Decodes the payload of an extended message. The piece data is a slice of `payload`, not a copy.
    ///
    /// # Errors
    /// If the payload is too long, invalid bencode, or lacks its message type or piece index.
    pub fn decode(payload: &Bytes) -> Result<Self, MetadataMessageError> {
        if payload.len() > Self::LONGEST {
            return Err(MetadataMessageError::TooLong { got: payload.len(), max: Self::LONGEST });
        }
        let (value, rest) = Value::parse_prefix(payload)?;
        let number = |key: &[u8]| value.get(key).and_then(|value| value.as_integer());
        let kind = number(b"msg_type").ok_or(MetadataMessageError::MissingField)?;
        let piece = number(b"piece").and_then(|n| u32::try_from(n).ok());
        let piece = piece.ok_or(MetadataMessageError::MissingField);
        Ok(match kind {
            0 => MetadataMessage::Request(piece?),
            1 => {
                let total = number(b"total_size").and_then(|n| u32::try_from(n).ok());
                MetadataMessage::Data { piece: piece?, total, data: payload.slice(payload.len() - rest.len()..) }
            }
            2 => MetadataMessage::Reject(piece?),
            _ => MetadataMessage::Unknown,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_round_trip() {
        let all = [
            MetadataMessage::Request(0),
            MetadataMessage::Data { piece: 7, total: Some(120_000), data: Bytes::from_static(b"d4:name1:xe") },
            MetadataMessage::Data { piece: 0, total: None, data: Bytes::new() },
            MetadataMessage::Reject(3),
        ];
        for message in all {
            assert_eq!(MetadataMessage::decode(&message.encode()), Ok(message));
        }
        let raw = Bytes::from_static(b"d8:msg_typei1e5:piecei0e10:total_sizei34256eexxxx");
        let read = MetadataMessage::decode(&raw).unwrap();
        assert_eq!(read, MetadataMessage::Data { piece: 0, total: Some(34_256), data: Bytes::from_static(b"xxxx") });
    }

    #[test]
    fn nonsense_is_an_error_in_words() {
        use MetadataMessageError as E;
        let read = |raw: &[u8]| MetadataMessage::decode(&Bytes::copy_from_slice(raw));
        assert_eq!(read(b"de"), Err(E::MissingField));
        assert_eq!(read(b"le"), Err(E::MissingField));
        assert_eq!(read(b"d8:msg_typei0ee"), Err(E::MissingField));
        assert_eq!(read(b"d8:msg_typei0e5:piecei-1ee"), Err(E::MissingField));
        assert_eq!(read(b"d8:msg_typei9e5:piecei0ee"), Ok(MetadataMessage::Unknown));
        assert!(matches!(read(&[b'l'; 9000]), Err(E::Damaged(_))));
        assert!(matches!(read(&vec![b'd'; 90_000]), Err(E::TooLong { .. })));
        let odd = read(b"d8:msg_typei1e5:piecei0e10:total_sizei-5eex").unwrap();
        assert!(matches!(odd, MetadataMessage::Data { total: None, .. }));
    }
}
