//! A fixed-length set of piece indexes in the bit order of the `bitfield` message (BEP 3).

use bytes::Bytes;

use crate::wire::message::PieceIndex;

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Bitfield {
    bytes: Vec<u8>,
    len: u32,
    count: u32,
}

impl Bitfield {
    /// Creates an empty set for a torrent of `len` pieces.
    #[must_use]
    pub fn new(len: u32) -> Self {
        Bitfield { bytes: vec![0; len.div_ceil(8) as usize], len, count: 0 }
    }

    /// Creates a set of all `len` pieces.
    #[must_use]
    pub fn full(len: u32) -> Self {
        let mut bytes = vec![0xff; len.div_ceil(8) as usize];
        if let (Some(last), spare @ 1..) = (bytes.last_mut(), len.div_ceil(8) * 8 - len) {
            *last = 0xff << spare;
        }
        Bitfield { bytes, len, count: len }
    }

    /// Parses a `bitfield` message.
    ///
    /// Returns `None` if the length is wrong or a spare bit is set (BEP 3: disconnect the peer).
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

    /// Returns the payload of a `bitfield` message.
    #[must_use]
    pub fn to_wire(&self) -> Bytes {
        Bytes::copy_from_slice(&self.bytes)
    }

    /// Returns whether the piece is in the set; false if the index is out of range.
    #[must_use]
    pub fn has(&self, piece: PieceIndex) -> bool {
        piece.0 < self.len && self.bytes[piece.as_usize() / 8] & (0x80 >> (piece.0 % 8)) != 0
    }

    /// Adds a piece; returns whether the set changed. An index out of range is ignored.
    pub fn insert(&mut self, piece: PieceIndex) -> bool {
        if piece.0 >= self.len || self.has(piece) {
            return false;
        }
        self.bytes[piece.as_usize() / 8] |= 0x80 >> (piece.0 % 8);
        self.count += 1;
        true
    }

    /// Removes a piece; returns whether it was in the set.
    pub fn remove(&mut self, piece: PieceIndex) -> bool {
        if !self.has(piece) {
            return false;
        }
        self.bytes[piece.as_usize() / 8] &= !(0x80 >> (piece.0 % 8));
        self.count -= 1;
        true
    }

    /// Returns the number of pieces of the torrent, not of the set.
    #[must_use]
    pub const fn len(&self) -> u32 {
        self.len
    }

    /// Returns the number of pieces in the set.
    #[must_use]
    pub const fn count(&self) -> u32 {
        self.count
    }

    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.count == self.len
    }

    /// Iterates over the pieces in the set in ascending order.
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
