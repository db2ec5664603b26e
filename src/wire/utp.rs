//! Packets of the uTorrent transport protocol (BEP 29): a stream of bytes, like that of TCP, in datagrams.

use thiserror::Error;

/// Bytes of a header without extensions.
pub const HEADER: usize = 20;
/// Bytes of the longest selective acknowledgement that is sent or heeded: 8 packets each.
pub const SACK: usize = 32;
/// The number of an extension that acknowledges packets beyond a gap.
const SELECTIVE_ACK: u8 = 1;
/// The version of the protocol: the only one that there is.
const VERSION: u8 = 1;

/// What a packet is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Carries bytes.
    Data,
    /// The last one of its sender.
    Fin,
    /// Says what has come, and carries nothing.
    State,
    /// Ends the connection at once.
    Reset,
    /// Begins a connection.
    Syn,
}

/// The header of a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// What it is for.
    pub kind: Kind,
    /// The connection, by the number that its receiver knows it by; in a [`Kind::Syn`] the number that its sender does.
    pub connection: u16,
    /// When it was sent, by its sender's clock, in microseconds.
    pub sent: u32,
    /// How long the last packet of the other side was under way by the clocks of both, in microseconds: their distance
    /// is part of it.
    pub delay: u32,
    /// Bytes that its sender has room for beyond those acknowledged.
    pub window: u32,
    /// Its number.
    pub seq: u16,
    /// The last packet of the other side up to which all have come.
    pub ack: u16,
}

/// A packet as it was read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Packet<'a> {
    /// The header.
    pub header: Header,
    /// Which packets beyond the gap after [`Header::ack`] have come: the lowest bit of the first byte stands for the
    /// second one after it (the first one is what is missing). Empty where nothing is said.
    pub sack: &'a [u8],
    /// The bytes that it carries.
    pub payload: &'a [u8],
}

/// Why a datagram is no packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum UtpError {
    /// Too short, of another version or of no kind that there is.
    #[error("it is no packet of uTP")]
    NotUtp,
    /// An extension reaches beyond the end.
    #[error("an extension of it is cut off")]
    Extension,
}

impl Header {
    /// The packet's bytes. Of a selective acknowledgement at most [`SACK`] bytes are sent, in whole groups of four.
    #[must_use]
    pub fn encode(&self, sack: &[u8], payload: &[u8]) -> Vec<u8> {
        let sack = &sack[..sack.len().min(SACK) / 4 * 4];
        let mut out = Vec::with_capacity(HEADER + 2 + sack.len() + payload.len());
        out.push((self.kind as u8) << 4 | VERSION);
        out.push(if sack.is_empty() { 0 } else { SELECTIVE_ACK });
        out.extend(self.connection.to_be_bytes());
        out.extend(self.sent.to_be_bytes());
        out.extend(self.delay.to_be_bytes());
        out.extend(self.window.to_be_bytes());
        out.extend(self.seq.to_be_bytes());
        out.extend(self.ack.to_be_bytes());
        if !sack.is_empty() {
            out.extend([0, sack.len() as u8]);
            out.extend(sack);
        }
        out.extend(payload);
        out
    }
}

impl<'a> Packet<'a> {
    /// Reads a datagram. Unknown extensions are passed over.
    ///
    /// # Errors
    /// When it is no packet of this protocol.
    pub fn decode(bytes: &'a [u8]) -> Result<Packet<'a>, UtpError> {
        let (head, mut rest) = bytes.split_first_chunk::<HEADER>().ok_or(UtpError::NotUtp)?;
        let kind = match (head[0] >> 4, head[0] & 15) {
            (0, VERSION) => Kind::Data,
            (1, VERSION) => Kind::Fin,
            (2, VERSION) => Kind::State,
            (3, VERSION) => Kind::Reset,
            (4, VERSION) => Kind::Syn,
            _ => return Err(UtpError::NotUtp),
        };
        let short = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
        let long = |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let header = Header {
            kind,
            connection: short(2),
            sent: long(4),
            delay: long(8),
            window: long(12),
            seq: short(16),
            ack: short(18),
        };
        let (mut sack, mut extension) = (&[][..], head[1]);
        while extension != 0 {
            let (&[next, length], behind) = rest.split_first_chunk().ok_or(UtpError::Extension)?;
            let (body, behind) = behind.split_at_checked(usize::from(length)).ok_or(UtpError::Extension)?;
            if extension == SELECTIVE_ACK {
                sack = &body[..body.len().min(SACK)];
            }
            (extension, rest) = (next, behind);
        }
        Ok(Packet { header, sack, payload: rest })
    }
}

/// Whether a datagram begins as those of this protocol do. None of the DHT's does.
#[must_use]
pub fn begins(bytes: &[u8]) -> bool {
    bytes.len() >= HEADER && bytes[0] & 15 == VERSION && bytes[0] >> 4 <= 4
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEAD: Header =
        Header { kind: Kind::State, connection: 0x1234, sent: 1, delay: 2, window: 3, seq: 0xfffe, ack: 0xffff };

    #[test]
    fn the_bytes_are_those_of_the_bep() {
        let bytes = HEAD.encode(&[1, 0, 0, 128], b"x");
        let expected = [0x21, 1, 0x12, 0x34, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0xff, 0xfe, 0xff, 0xff];
        assert_eq!(bytes[..HEADER], expected);
        assert_eq!(bytes[HEADER..], [0, 4, 1, 0, 0, 128, b'x']);
        assert_eq!(Packet::decode(&bytes), Ok(Packet { header: HEAD, sack: &[1, 0, 0, 128], payload: b"x" }));
        assert_eq!(HEAD.encode(&[], &[]).len(), HEADER);
    }

    #[test]
    fn unknown_extensions_are_passed_over_and_cut_ones_refused() {
        let mut bytes = HEAD.encode(&[], b"");
        bytes[1] = 2;
        bytes.extend([SELECTIVE_ACK, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 1, 2, 3, 4, b'p']);
        let packet = Packet::decode(&bytes).unwrap();
        assert_eq!((packet.sack, packet.payload), (&[1, 2, 3, 4][..], &b"p"[..]));
        assert_eq!(Packet::decode(&bytes[..bytes.len() - 2]), Err(UtpError::Extension));
        assert_eq!(Packet::decode(&bytes[..HEADER - 1]), Err(UtpError::NotUtp));
        // Another version, no kind that there is, a packet of the DHT.
        for first in [0x22, 0x51, b'd'] {
            bytes[0] = first;
            assert_eq!(Packet::decode(&bytes), Err(UtpError::NotUtp));
            assert!(!begins(&bytes));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..80), first in 0u8..6) {
            let mut bytes = bytes;
            if let Some(byte) = bytes.first_mut() {
                *byte = first << 4 | VERSION;
            }
            if let Ok(packet) = Packet::decode(&bytes) {
                prop_assert!(begins(&bytes));
                let again = packet.header.encode(packet.sack, packet.payload);
                let again = Packet::decode(&again).unwrap();
                prop_assert_eq!(again.header, packet.header);
                prop_assert_eq!(again.payload, packet.payload);
            }
        }
    }
}
