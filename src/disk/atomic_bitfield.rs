//! A bitfield of pieces with atomic bits, shared by several threads without a lock.

use std::ops::Range;
use std::sync::atomic::{AtomicU8, Ordering};

/// A piece bitfield in the bit order of BEP 3: the highest bit of the first byte is piece 0.
#[derive(Debug)]
pub struct AtomicBitfield {
    bytes: Vec<AtomicU8>,
    pieces: u32,
}

impl AtomicBitfield {
    /// Creates a bitfield for `pieces` pieces with all bits clear.
    #[must_use]
    pub fn new(pieces: u32) -> Self {
        AtomicBitfield { bytes: (0..pieces.div_ceil(8)).map(|_| AtomicU8::new(0)).collect(), pieces }
    }

    /// Parses a BEP 3 bitfield.
    ///
    /// Returns `None` if its length is wrong or a spare bit after the last piece is set.
    #[must_use]
    pub fn from_bytes(bytes: &[u8], pieces: u32) -> Option<Self> {
        let spare = (8 - pieces % 8) % 8;
        let tail_clear = bytes.last().is_none_or(|last| u32::from(*last).trailing_zeros() >= spare);
        (bytes.len() == pieces.div_ceil(8) as usize && tail_clear)
            .then(|| AtomicBitfield { bytes: bytes.iter().map(|b| AtomicU8::new(*b)).collect(), pieces })
    }

    /// Serializes the bits as a BEP 3 bitfield.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.bytes.iter().map(|b| b.load(Ordering::Acquire)).collect()
    }

    /// Returns the number of pieces of the torrent, not the number of set bits.
    #[must_use]
    pub const fn pieces(&self) -> u32 {
        self.pieces
    }

    /// Returns whether the bit of `piece` is set; `false` for a piece that does not exist.
    #[must_use]
    pub fn has(&self, piece: u32) -> bool {
        let at = self.bytes.get((piece / 8) as usize);
        at.is_some_and(|b| b.load(Ordering::Acquire) & (0x80 >> (piece % 8)) != 0)
    }

    /// Sets the bit of `piece` and returns its previous value. Ignores a piece that does not exist.
    pub fn set(&self, piece: u32) -> bool {
        let bit = 0x80_u8 >> (piece % 8);
        let at = self.bytes.get((piece / 8) as usize).filter(|_| piece < self.pieces);
        at.is_some_and(|b| b.fetch_or(bit, Ordering::AcqRel) & bit != 0)
    }

    /// Sets the bits of a range of pieces.
    pub fn set_all(&self, range: Range<u32>) {
        for piece in range {
            self.set(piece);
        }
    }

    /// Clears the bit of `piece` and returns its previous value.
    pub fn clear(&self, piece: u32) -> bool {
        let bit = 0x80_u8 >> (piece % 8);
        let at = self.bytes.get((piece / 8) as usize);
        at.is_some_and(|b| b.fetch_and(!bit, Ordering::AcqRel) & bit != 0)
    }

    /// Returns the number of set bits.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.bytes.iter().map(|b| b.load(Ordering::Acquire).count_ones()).sum()
    }

    /// Returns whether any bit of `range` is set.
    #[must_use]
    pub fn any_in(&self, range: Range<u32>) -> bool {
        range.into_iter().any(|piece| self.has(piece))
    }
}

/// Merges ascending piece indices into ranges of consecutive pieces.
#[must_use]
pub(crate) fn runs(pieces: impl IntoIterator<Item = u32>) -> Vec<Range<u32>> {
    let mut out: Vec<Range<u32>> = Vec::new();
    for piece in pieces {
        match out.last_mut() {
            Some(run) if run.end == piece => run.end += 1,
            _ => out.push(piece..piece + 1),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bitfield_and_back() {
        let bits = AtomicBitfield::new(11);
        assert!(!bits.set(0) && !bits.set(10) && bits.set(10));
        assert!(!bits.set(11), "a piece that does not exist is not taken");
        assert_eq!(bits.to_bytes(), [0x80, 0x20]);
        assert_eq!((bits.count(), bits.has(10), bits.has(9), bits.has(99)), (2, true, false, false));
        let again = AtomicBitfield::from_bytes(&[0x80, 0x20], 11).unwrap();
        assert!(again.any_in(5..11) && !again.any_in(1..10) && again.clear(0) && !again.clear(0));
        assert!(AtomicBitfield::from_bytes(&[0x80, 0x10], 11).is_none(), "a bit beyond the last piece");
        assert!(AtomicBitfield::from_bytes(&[0x80], 11).is_none());
        assert!(AtomicBitfield::from_bytes(&[0xff], 8).is_some());
    }

    #[test]
    fn pieces_join_into_runs() {
        assert_eq!(runs([1, 2, 3, 7, 9, 10]), [1..4, 7..8, 9..11]);
        assert!(runs([]).is_empty());
    }
}
