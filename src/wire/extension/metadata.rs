//! Messages by which peers hand each other the `info` dictionary (BEP 9): `ut_metadata` of the extension protocol.

use bytes::Bytes;
use thiserror::Error;

use crate::limits;
use crate::wire::bencode::{BencodeError, Item, Value};

/// The most bytes of a message beside a whole piece: its dictionary.
const HEAD: usize = 4096;

/// One message of the metadata exchange. Pieces are of [`limits::BLOCK`] bytes, the last one is what is left.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum MetadataMessage {
    /// Send me this piece.
    Request(u32),
    /// A piece.
    Data {
        /// Which.
        piece: u32,
        /// Bytes of the whole metadata, as the sender says; `None` where it says nothing that could be true.
        total: Option<u32>,
        /// Its bytes.
        data: Bytes,
    },
    /// This piece will not be sent.
    Reject(u32),
    /// A kind that is not known; to be passed over.
    Unknown,
}

/// Why bytes are no message of the metadata exchange.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum MetadataMessageError {
    /// Longer than a piece and its dictionary can be.
    #[error("a metadata message is {got} bytes long, at most {max} are taken")]
    TooLong {
        /// Its bytes.
        got: usize,
        /// The most that is taken.
        max: usize,
    },
    /// Broken bencode.
    #[error("a metadata message is damaged: {0}")]
    Damaged(#[from] BencodeError),
    /// No dictionary, or one without kind or piece.
    #[error("a metadata message says neither what it is nor which piece it is about")]
    Nonsense,
}

impl MetadataMessage {
    /// The longest message that is read.
    pub const LONGEST: usize = limits::BLOCK as usize + HEAD;

    /// The message as the payload of an extended message.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let head = |kind: i64, piece: u32, total: Option<u32>| {
            let mut entries = vec![("msg_type", Item::from(kind)), ("piece", Item::from(i64::from(piece)))];
            entries.extend(total.map(|total| ("total_size", Item::from(i64::from(total)))));
            Item::dictionary(entries).encode()
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

    /// Reads the payload of an extended message. The data of a piece are a slice of it, not a copy.
    ///
    /// # Errors
    /// When it is too long, no dictionary, or does not say what it is about.
    pub fn decode(payload: &Bytes) -> Result<Self, MetadataMessageError> {
        if payload.len() > Self::LONGEST {
            return Err(MetadataMessageError::TooLong { got: payload.len(), max: Self::LONGEST });
        }
        let (value, rest) = Value::parse_prefix(payload)?;
        let number = |key: &[u8]| value.get(key).and_then(|value| value.number());
        let kind = number(b"msg_type").ok_or(MetadataMessageError::Nonsense)?;
        let piece = number(b"piece").and_then(|n| u32::try_from(n).ok());
        let piece = piece.ok_or(MetadataMessageError::Nonsense);
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
    fn what_is_said_is_what_is_heard() {
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
        assert_eq!(read(b"de"), Err(E::Nonsense));
        assert_eq!(read(b"le"), Err(E::Nonsense));
        assert_eq!(read(b"d8:msg_typei0ee"), Err(E::Nonsense));
        assert_eq!(read(b"d8:msg_typei0e5:piecei-1ee"), Err(E::Nonsense));
        assert_eq!(read(b"d8:msg_typei9e5:piecei0ee"), Ok(MetadataMessage::Unknown));
        assert!(matches!(read(&[b'l'; 9000]), Err(E::Damaged(_))));
        assert!(matches!(read(&vec![b'd'; 90_000]), Err(E::TooLong { .. })));
        let odd = read(b"d8:msg_typei1e5:piecei0e10:total_sizei-5eex").unwrap();
        assert!(matches!(odd, MetadataMessage::Data { total: None, .. }));
    }
}
