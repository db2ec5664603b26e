//! A set of pieces of fixed length, in the byte order of BEP 3, that always knows how many it holds.

use bytes::Bytes;

use crate::wire::message::PieceIndex;

/// A set of pieces.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Bitfield {
    bytes: Vec<u8>,
    len: u32,
    count: u32,
}

impl Bitfield {
    /// The empty set of a torrent of `len` pieces.
    #[must_use]
    pub fn new(len: u32) -> Self {
        Bitfield { bytes: vec![0; len.div_ceil(8) as usize], len, count: 0 }
    }

    /// The full set.
    #[must_use]
    pub fn full(len: u32) -> Self {
        let mut bytes = vec![0xff; len.div_ceil(8) as usize];
        if let (Some(last), spare @ 1..) = (bytes.last_mut(), len.div_ceil(8) * 8 - len) {
            *last = 0xff << spare;
        }
        Bitfield { bytes, len, count: len }
    }

    /// Reads a peer's bitfield. `None` when its length is wrong or a spare bit is set (BEP 3: drop the peer).
    #[must_use]
    pub fn from_wire(bytes: &[u8], len: u32) -> Option<Self> {
        if bytes.len() != len.div_ceil(8) as usize {
            return None;
        }
        let spare = len.div_ceil(8) * 8 - len;
        if bytes.last().is_some_and(|last| last & !(0xff_u8 << spare) != 0) {
            return None;
        }
        let count = bytes.iter().map(|b| b.count_ones()).sum();
        Some(Bitfield { bytes: bytes.to_vec(), len, count })
    }

    /// The bytes of a bitfield message.
    #[must_use]
    pub fn to_wire(&self) -> Bytes {
        Bytes::copy_from_slice(&self.bytes)
    }

    /// Whether the piece is in the set; false for one that does not exist.
    #[must_use]
    pub fn has(&self, piece: PieceIndex) -> bool {
        piece.0 < self.len && self.bytes[piece.at() / 8] & (0x80 >> (piece.0 % 8)) != 0
    }

    /// Puts a piece in; whether it was not in before. A piece that does not exist changes nothing.
    pub fn insert(&mut self, piece: PieceIndex) -> bool {
        if piece.0 >= self.len || self.has(piece) {
            return false;
        }
        self.bytes[piece.at() / 8] |= 0x80 >> (piece.0 % 8);
        self.count += 1;
        true
    }

    /// Takes a piece out; whether it was in.
    pub fn remove(&mut self, piece: PieceIndex) -> bool {
        if !self.has(piece) {
            return false;
        }
        self.bytes[piece.at() / 8] &= !(0x80 >> (piece.0 % 8));
        self.count -= 1;
        true
    }

    /// How many pieces the torrent has.
    #[must_use]
    pub const fn len(&self) -> u32 {
        self.len
    }

    /// How many pieces are in the set.
    #[must_use]
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// Whether no piece is in the set.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether every piece is in the set.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.count == self.len
    }

    /// The pieces in the set, in order.
    pub fn iter(&self) -> impl Iterator<Item = PieceIndex> + '_ {
        self.bytes.iter().enumerate().filter(|(_, b)| **b != 0).flat_map(|(at, byte)| {
            (0..8u32).filter(move |bit| byte & (0x80 >> bit) != 0).map(move |bit| PieceIndex(at as u32 * 8 + bit))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_counts_and_goes_over_the_wire() {
        let mut b = Bitfield::new(11);
        assert!(b.insert(PieceIndex(0)) && b.insert(PieceIndex(10)) && !b.insert(PieceIndex(10)));
        assert!(!b.insert(PieceIndex(11)));
        assert_eq!(&b.to_wire()[..], &[0x80, 0x20]);
        assert_eq!(Bitfield::from_wire(&b.to_wire(), 11), Some(b.clone()));
        assert_eq!(b.iter().collect::<Vec<_>>(), [PieceIndex(0), PieceIndex(10)]);
        assert!(b.remove(PieceIndex(0)) && !b.remove(PieceIndex(0)));
        assert_eq!(b.count(), 1);
    }

    #[test]
    fn spare_bits_and_wrong_lengths_are_refused() {
        assert_eq!(Bitfield::from_wire(&[0xff, 0xff], 11), None);
        assert_eq!(Bitfield::from_wire(&[0xff], 11), None);
        assert_eq!(Bitfield::from_wire(&[0xff, 0xe0], 11), Some(Bitfield::full(11)));
        assert!(Bitfield::full(16).is_full() && Bitfield::full(0).is_full());
    }
}
