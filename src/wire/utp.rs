//! uTP packet codec (uTorrent Transport Protocol, BEP 29): a reliable byte stream over UDP.

use thiserror::Error;

/// Size of a header without extensions in bytes.
pub const HEADER: usize = 20;
/// Maximum length of a selective ACK bit mask that is sent or evaluated, in bytes; one bit per packet.
pub const SACK: usize = 32;
/// Type of the selective ACK extension.
const SELECTIVE_ACK: u8 = 1;
/// Protocol version.
const VERSION: u8 = 1;

/// Packet type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Carries payload (`ST_DATA`).
    Data,
    /// Last packet of the sender (`ST_FIN`).
    Fin,
    /// Acknowledges packets, without payload (`ST_STATE`).
    State,
    /// Terminates the connection (`ST_RESET`).
    Reset,
    /// Opens a connection (`ST_SYN`).
    Syn,
}

/// Packet header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    pub kind: Kind,
    /// Connection id of the receiver; in a [`Kind::Syn`] that of the sender.
    pub connection: u16,
    /// Send time by the sender's clock in microseconds (`timestamp_microseconds`).
    pub sent: u32,
    /// One-way delay of the last received packet in microseconds (`timestamp_difference_microseconds`).
    ///
    /// Includes the offset between the clocks of both sides.
    pub delay: u32,
    /// Receive window in bytes (`wnd_size`): free buffer space beyond the acknowledged data.
    pub window: u32,
    /// Sequence number of this packet (`seq_nr`).
    pub seq: u16,
    /// Highest sequence number of the receiver up to which no packet is missing (`ack_nr`).
    pub ack: u16,
}

/// A decoded packet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Packet<'a> {
    pub header: Header,
    /// Selective ACK bit mask; empty if absent.
    ///
    /// The lowest bit of the first byte stands for [`Header::ack`] + 2, because [`Header::ack`] + 1 is missing.
    pub sack: &'a [u8],
    pub payload: &'a [u8],
}

/// Error of decoding a uTP packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum UtpError {
    /// Too short, unknown version or unknown packet type.
    #[error("it is no packet of uTP")]
    NotUtp,
    /// An extension exceeds the end of the packet.
    #[error("an extension of it is cut off")]
    Extension,
}

impl Header {
    /// Encodes a packet. The selective ACK is truncated to [`SACK`] bytes and to a multiple of four.
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
    /// Decodes a datagram. Ignores unknown extensions.
    ///
    /// # Errors
    /// If the datagram is no valid uTP packet.
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

/// Returns whether a datagram looks like a uTP packet; false for all DHT packets, which start with `d`.
#[must_use]
pub fn is_utp_packet(bytes: &[u8]) -> bool {
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
        // Another version, an unknown packet type, a DHT packet.
        for first in [0x22, 0x51, b'd'] {
            bytes[0] = first;
            assert_eq!(Packet::decode(&bytes), Err(UtpError::NotUtp));
            assert!(!is_utp_packet(&bytes));
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
                prop_assert!(is_utp_packet(&bytes));
                let again = packet.header.encode(packet.sack, packet.payload);
                let again = Packet::decode(&again).unwrap();
                prop_assert_eq!(again.header, packet.header);
                prop_assert_eq!(again.payload, packet.payload);
            }
        }
    }
}
