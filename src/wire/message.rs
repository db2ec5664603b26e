//! Peer wire protocol: the handshake and the messages of BEP 3, BEP 6 (Fast Extension) and BEP 10 (extended).
//!
//! Decoding copies no payload: block data is a slice of the receive buffer. The length prefix is validated against the
//! message id before any buffer space is reserved for the message.

use bytes::{BufMut, Bytes};
use thiserror::Error;

use crate::format::counted;
use crate::limits;

/// Index of a piece, from 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct PieceIndex(pub u32);

impl PieceIndex {
    /// Returns the index as `usize`.
    #[must_use]
    pub const fn as_usize(self) -> usize {
        self.0 as usize
    }
}

impl std::fmt::Display for PieceIndex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// A block: the part of a piece that one request asks for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Block {
    pub piece: PieceIndex,
    /// Offset within the piece in bytes.
    pub begin: u32,
    /// Length in bytes.
    pub length: u32,
}

/// SHA-1 of the bencoded `info` dictionary (v1 info-hash). Displays as 40 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InfoHash(pub [u8; 20]);

impl std::fmt::Display for InfoHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl std::fmt::Debug for InfoHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "InfoHash({self})")
    }
}

/// Peer id of 20 bytes (BEP 3, BEP 20).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PeerId(pub [u8; 20]);

/// Reserved bytes of the handshake: a bit field of supported extensions.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Reserved(pub [u8; 8]);

impl Reserved {
    /// Extensions that are always supported: extension protocol (BEP 10) and Fast Extension (BEP 6).
    pub const OURS: Reserved = Reserved([0, 0, 0, 0, 0, 0x10, 0, 0x04]);

    /// Returns the extensions that `ttui` announces; the DHT bit (BEP 5) is set if `dht` is true.
    #[must_use]
    pub const fn supported(dht: bool) -> Reserved {
        let mut it = Reserved::OURS;
        it.0[7] |= dht as u8;
        it
    }

    /// Returns whether the peer supports the extension protocol (BEP 10).
    #[must_use]
    pub const fn extended(self) -> bool {
        self.0[5] & 0x10 != 0
    }

    /// Returns whether the peer supports the Fast Extension (BEP 6).
    #[must_use]
    pub const fn fast(self) -> bool {
        self.0[7] & 0x04 != 0
    }

    /// Returns whether the peer supports the DHT (BEP 5).
    #[must_use]
    pub const fn dht(self) -> bool {
        self.0[7] & 0x01 != 0
    }
}

/// The BitTorrent handshake (BEP 3): the first 68 bytes of each direction of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Handshake {
    pub reserved: Reserved,
    pub info_hash: InfoHash,
    pub peer_id: PeerId,
}

/// The protocol string of a handshake is not `BitTorrent protocol`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("not a BitTorrent handshake")]
pub struct HandshakeError;

impl Handshake {
    /// Length of the handshake in bytes.
    pub const LENGTH: usize = 68;
    const PROTOCOL: &'static [u8; 20] = b"\x13BitTorrent protocol";

    /// Encodes the handshake.
    #[must_use]
    pub fn encode(&self) -> [u8; Self::LENGTH] {
        let mut out = [0; Self::LENGTH];
        out[..20].copy_from_slice(Self::PROTOCOL);
        out[20..28].copy_from_slice(&self.reserved.0);
        out[28..48].copy_from_slice(&self.info_hash.0);
        out[48..].copy_from_slice(&self.peer_id.0);
        out
    }

    /// Returns whether `bytes`, which may be incomplete, start like a handshake.
    #[must_use]
    pub fn is_handshake_prefix(bytes: &[u8]) -> bool {
        let n = bytes.len().min(20);
        bytes[..n] == Self::PROTOCOL[..n]
    }

    /// Decodes a handshake.
    ///
    /// # Errors
    /// If the protocol string is not `BitTorrent protocol`.
    pub fn decode(bytes: &[u8; Self::LENGTH]) -> Result<Self, HandshakeError> {
        if !Self::is_handshake_prefix(bytes) {
            return Err(HandshakeError);
        }
        let mut it =
            Handshake { reserved: Reserved::default(), info_hash: InfoHash([0; 20]), peer_id: PeerId([0; 20]) };
        it.reserved.0.copy_from_slice(&bytes[20..28]);
        it.info_hash.0.copy_from_slice(&bytes[28..48]);
        it.peer_id.0.copy_from_slice(&bytes[48..]);
        Ok(it)
    }
}

/// A message of the peer wire protocol.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Message {
    /// A message of length 0, sent to keep the connection open.
    KeepAlive,
    /// The sender will not answer requests.
    Choke,
    /// The sender will answer requests.
    Unchoke,
    /// The sender wants pieces that the receiver has.
    Interested,
    /// The sender wants no piece that the receiver has.
    NotInterested,
    /// The sender has completed this piece.
    Have(PieceIndex),
    /// The pieces that the sender has; the highest bit of the first byte is piece 0.
    Bitfield(Bytes),
    Request(Block),
    /// The data of one block.
    Piece {
        piece: PieceIndex,
        /// Offset of the data within the piece in bytes.
        begin: u32,
        data: Bytes,
    },
    /// Cancels a request.
    Cancel(Block),
    /// UDP port of the sender's DHT node (BEP 5).
    Port(u16),
    /// Suggests to request this piece (BEP 6).
    Suggest(PieceIndex),
    /// The sender has all pieces (BEP 6).
    HaveAll,
    /// The sender has no pieces (BEP 6).
    HaveNone,
    /// The sender will not answer this request (BEP 6).
    Reject(Block),
    /// The receiver may request this piece while choked (BEP 6).
    AllowedFast(PieceIndex),
    /// An extended message (BEP 10); id 0 is the extended handshake, which defines the other ids.
    Extended {
        id: u8,
        payload: Bytes,
    },
}

mod id {
    pub(super) const CHOKE: u8 = 0;
    pub(super) const UNCHOKE: u8 = 1;
    pub(super) const INTERESTED: u8 = 2;
    pub(super) const NOT_INTERESTED: u8 = 3;
    pub(super) const HAVE: u8 = 4;
    pub(super) const BITFIELD: u8 = 5;
    pub(super) const REQUEST: u8 = 6;
    pub(super) const PIECE: u8 = 7;
    pub(super) const CANCEL: u8 = 8;
    pub(super) const PORT: u8 = 9;
    pub(super) const SUGGEST: u8 = 13;
    pub(super) const HAVE_ALL: u8 = 14;
    pub(super) const HAVE_NONE: u8 = 15;
    pub(super) const REJECT: u8 = 16;
    pub(super) const ALLOWED_FAST: u8 = 17;
    pub(super) const EXTENDED: u8 = 20;
}

/// A protocol violation in the length of a message; the peer is disconnected.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum FrameError {
    /// The length prefix exceeds the maximum for this message id.
    #[error("a message of kind {id} is {got} bytes long, at most {max} are allowed")]
    TooLong {
        /// The message id; 0 if it has not been received yet.
        id: u8,
        /// The length prefix.
        got: u64,
        max: u64,
    },
    /// The length prefix differs from the fixed length of this message id, or is below its minimum.
    #[error("a message of kind {id} is {} long", counted(*.got, "byte"))]
    WrongLength {
        id: u8,
        /// The length prefix.
        got: u64,
    },
}

/// The state of the message at the start of a receive buffer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Frame {
    /// A complete message, and its size in bytes.
    Message(Message, usize),
    /// A message with an unknown id: skip this many bytes, of which some may not have been received yet.
    Skip(usize),
    /// The buffer must hold this many bytes in total.
    ///
    /// 4 until the length prefix is known, 5 until the id is known, then the size of the message.
    Incomplete(usize),
}

/// Size of the header of a piece message in bytes: length prefix, id, index, begin.
pub const PIECE_HEADER: usize = 13;

/// Validates the length prefix of the message at the start of `buf` and returns the message size.
///
/// Returns [`Frame::Incomplete`] with the size of the whole message even if `buf` already holds all of it. Only
/// keep-alives are returned as [`Frame::Message`]. `pieces` is the number of pieces of the torrent, which determines
/// the length of a bitfield; `None` while the metadata of a magnet link is missing.
///
/// # Errors
/// If the length is invalid for the message id.
pub fn frame_length(buf: &[u8], pieces: Option<u32>) -> Result<Frame, FrameError> {
    let Some(prefix) = buf.first_chunk::<4>() else {
        return Ok(Frame::Incomplete(4));
    };
    let length = u64::from(u32::from_be_bytes(*prefix));
    if length == 0 {
        return Ok(Frame::Message(Message::KeepAlive, 4));
    }
    let Some(&id) = buf.get(4) else {
        // The id is not known yet, but no message may exceed this limit.
        return match length {
            n if n > limits::MESSAGE as u64 => Err(FrameError::TooLong { id: 0, got: n, max: limits::MESSAGE as u64 }),
            _ => Ok(Frame::Incomplete(5)),
        };
    };
    let exact = |n: u64| {
        if length == n { Ok(()) } else { Err(FrameError::WrongLength { id, got: length }) }
    };
    let at_most = |max: u64| {
        if length <= max { Ok(()) } else { Err(FrameError::TooLong { id, got: length, max }) }
    };
    match id {
        id::CHOKE | id::UNCHOKE | id::INTERESTED | id::NOT_INTERESTED | id::HAVE_ALL | id::HAVE_NONE => exact(1)?,
        id::HAVE | id::SUGGEST | id::ALLOWED_FAST => exact(5)?,
        id::REQUEST | id::CANCEL | id::REJECT => exact(13)?,
        id::PORT => exact(3)?,
        id::PIECE if length < 9 => exact(9)?,
        id::PIECE => at_most(9 + u64::from(limits::BLOCK))?,
        id::BITFIELD => match pieces {
            Some(n) => exact(1 + u64::from(n.div_ceil(8)))?,
            None => at_most(1 + u64::from(limits::PIECES / 8))?,
        },
        id::EXTENDED if length < 2 => exact(2)?,
        id::EXTENDED => at_most(limits::MESSAGE as u64)?,
        _ => {
            at_most(limits::UNKNOWN_MESSAGE as u64)?;
            return Ok(Frame::Skip(4 + length as usize));
        }
    }
    Ok(Frame::Incomplete(4 + length as usize))
}

/// Decodes the message at the start of `buf`. Block data is a slice of `buf`, not a copy.
///
/// # Errors
/// As [`frame_length`].
pub fn decode(buf: &Bytes, pieces: Option<u32>) -> Result<Frame, FrameError> {
    let total = match frame_length(buf, pieces)? {
        Frame::Incomplete(n) if n <= buf.len() && buf.len() > 4 => n,
        other => return Ok(other),
    };
    let word = |at: usize| u32::from_be_bytes([buf[at], buf[at + 1], buf[at + 2], buf[at + 3]]);
    let block = || Block { piece: PieceIndex(word(5)), begin: word(9), length: word(13) };
    let message = match buf[4] {
        id::CHOKE => Message::Choke,
        id::UNCHOKE => Message::Unchoke,
        id::INTERESTED => Message::Interested,
        id::NOT_INTERESTED => Message::NotInterested,
        id::HAVE => Message::Have(PieceIndex(word(5))),
        id::BITFIELD => Message::Bitfield(buf.slice(5..total)),
        id::REQUEST => Message::Request(block()),
        id::PIECE => {
            Message::Piece { piece: PieceIndex(word(5)), begin: word(9), data: buf.slice(PIECE_HEADER..total) }
        }
        id::CANCEL => Message::Cancel(block()),
        id::PORT => Message::Port(u16::from_be_bytes([buf[5], buf[6]])),
        id::SUGGEST => Message::Suggest(PieceIndex(word(5))),
        id::HAVE_ALL => Message::HaveAll,
        id::HAVE_NONE => Message::HaveNone,
        id::REJECT => Message::Reject(block()),
        id::ALLOWED_FAST => Message::AllowedFast(PieceIndex(word(5))),
        _ => Message::Extended { id: buf[5], payload: buf.slice(6..total) },
    };
    Ok(Frame::Message(message, total))
}

/// Encodes the header of a piece message, which `block.length` bytes of data must follow.
#[must_use]
pub fn piece_header(block: Block) -> [u8; PIECE_HEADER] {
    let mut out = [0; PIECE_HEADER];
    out[..4].copy_from_slice(&(9 + block.length).to_be_bytes());
    out[4] = id::PIECE;
    out[5..9].copy_from_slice(&block.piece.0.to_be_bytes());
    out[9..].copy_from_slice(&block.begin.to_be_bytes());
    out
}

impl Message {
    /// Appends the encoded message to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let plain = |out: &mut Vec<u8>, id: u8| {
            out.put_u32(1);
            out.put_u8(id);
        };
        let indexed = |out: &mut Vec<u8>, id: u8, piece: PieceIndex| {
            out.put_u32(5);
            out.put_u8(id);
            out.put_u32(piece.0);
        };
        let block = |out: &mut Vec<u8>, id: u8, block: Block| {
            out.put_u32(13);
            out.put_u8(id);
            out.put_u32(block.piece.0);
            out.put_u32(block.begin);
            out.put_u32(block.length);
        };
        match self {
            Message::KeepAlive => out.put_u32(0),
            Message::Choke => plain(out, id::CHOKE),
            Message::Unchoke => plain(out, id::UNCHOKE),
            Message::Interested => plain(out, id::INTERESTED),
            Message::NotInterested => plain(out, id::NOT_INTERESTED),
            Message::Have(piece) => indexed(out, id::HAVE, *piece),
            Message::Bitfield(bits) => {
                out.put_u32(1 + bits.len() as u32);
                out.put_u8(id::BITFIELD);
                out.put_slice(bits);
            }
            Message::Request(b) => block(out, id::REQUEST, *b),
            Message::Piece { piece, begin, data } => {
                let header = Block { piece: *piece, begin: *begin, length: data.len() as u32 };
                out.put_slice(&piece_header(header));
                out.put_slice(data);
            }
            Message::Cancel(b) => block(out, id::CANCEL, *b),
            Message::Port(port) => {
                out.put_u32(3);
                out.put_u8(id::PORT);
                out.put_u16(*port);
            }
            Message::Suggest(piece) => indexed(out, id::SUGGEST, *piece),
            Message::HaveAll => plain(out, id::HAVE_ALL),
            Message::HaveNone => plain(out, id::HAVE_NONE),
            Message::Reject(b) => block(out, id::REJECT, *b),
            Message::AllowedFast(piece) => indexed(out, id::ALLOWED_FAST, *piece),
            Message::Extended { id, payload } => {
                out.put_u32(2 + payload.len() as u32);
                out.put_u8(id::EXTENDED);
                out.put_u8(*id);
                out.put_slice(payload);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(message: &Message) -> Bytes {
        let mut out = Vec::new();
        message.encode(&mut out);
        out.into()
    }

    #[test]
    fn every_message_round_trip() {
        let b = Block { piece: PieceIndex(7), begin: 16384, length: 99 };
        let all = [
            Message::KeepAlive,
            Message::Choke,
            Message::Unchoke,
            Message::Interested,
            Message::NotInterested,
            Message::Have(PieceIndex(3)),
            Message::Bitfield(Bytes::from_static(&[0xff, 0x80])),
            Message::Request(b),
            Message::Piece { piece: PieceIndex(1), begin: 2, data: Bytes::from_static(b"data") },
            Message::Cancel(b),
            Message::Port(6881),
            Message::Suggest(PieceIndex(1)),
            Message::HaveAll,
            Message::HaveNone,
            Message::Reject(b),
            Message::AllowedFast(PieceIndex(2)),
            Message::Extended { id: 3, payload: Bytes::from_static(b"de") },
        ];
        for message in all {
            let raw = bytes(&message);
            assert_eq!(decode(&raw, Some(9)), Ok(Frame::Message(message.clone(), raw.len())));
            for cut in 0..raw.len() {
                let part = raw.slice(..cut);
                assert!(
                    matches!(decode(&part, Some(9)), Ok(Frame::Incomplete(n)) if n > cut),
                    "{message:?} cut at {cut}"
                );
            }
        }
    }

    #[test]
    fn a_length_is_judged_before_anything_is_reserved() {
        let huge = Bytes::from_static(b"\xff\xff\xff\xff\x07");
        assert!(matches!(decode(&huge, Some(9)), Err(FrameError::TooLong { got: 0xffff_ffff, .. })));
        assert!(matches!(decode(&huge.slice(..4), Some(9)), Err(FrameError::TooLong { .. })));
        let bitfield = Bytes::from_static(&[0, 0, 0, 4, 5, 0, 0, 0]);
        assert!(matches!(decode(&bitfield, Some(9)), Err(FrameError::WrongLength { id: 5, got: 4 })));
        assert_eq!(frame_length(&[0, 0, 0, 9, 99], Some(9)), Ok(Frame::Skip(13)));
    }
}
