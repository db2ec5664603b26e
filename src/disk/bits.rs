//! A set of pieces that several threads change at once.

use std::ops::Range;
use std::sync::atomic::{AtomicU8, Ordering};

/// One bit a piece, in the order of BEP 3: the highest bit of the first byte is piece 0.
#[derive(Debug)]
pub struct PieceBits {
    bytes: Vec<AtomicU8>,
    pieces: u32,
}

impl PieceBits {
    /// An empty set that can hold `pieces` pieces.
    #[must_use]
    pub fn new(pieces: u32) -> Self {
        PieceBits { bytes: (0..pieces.div_ceil(8)).map(|_| AtomicU8::new(0)).collect(), pieces }
    }

    /// The set that a bitfield tells; `None` if its length is wrong or it names pieces that do not exist.
    #[must_use]
    pub fn from_bytes(bytes: &[u8], pieces: u32) -> Option<Self> {
        let spare = (8 - pieces % 8) % 8;
        let tail_clear = bytes.last().is_none_or(|last| u32::from(*last).trailing_zeros() >= spare);
        (bytes.len() == pieces.div_ceil(8) as usize && tail_clear)
            .then(|| PieceBits { bytes: bytes.iter().map(|b| AtomicU8::new(*b)).collect(), pieces })
    }

    /// The set as a bitfield.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.bytes.iter().map(|b| b.load(Ordering::Acquire)).collect()
    }

    /// How many pieces the set can hold.
    #[must_use]
    pub const fn pieces(&self) -> u32 {
        self.pieces
    }

    /// Whether a piece is in it.
    #[must_use]
    pub fn has(&self, piece: u32) -> bool {
        let at = self.bytes.get((piece / 8) as usize);
        at.is_some_and(|b| b.load(Ordering::Acquire) & (0x80 >> (piece % 8)) != 0)
    }

    /// Puts a piece in; tells whether it was there.
    pub fn set(&self, piece: u32) -> bool {
        let bit = 0x80_u8 >> (piece % 8);
        let at = self.bytes.get((piece / 8) as usize).filter(|_| piece < self.pieces);
        at.is_some_and(|b| b.fetch_or(bit, Ordering::AcqRel) & bit != 0)
    }

    /// Puts a range of pieces in.
    pub fn set_all(&self, range: Range<u32>) {
        for piece in range {
            self.set(piece);
        }
    }

    /// Takes a piece out; tells whether it was there.
    pub fn clear(&self, piece: u32) -> bool {
        let bit = 0x80_u8 >> (piece % 8);
        let at = self.bytes.get((piece / 8) as usize);
        at.is_some_and(|b| b.fetch_and(!bit, Ordering::AcqRel) & bit != 0)
    }

    /// How many pieces are in it.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.bytes.iter().map(|b| b.load(Ordering::Acquire).count_ones()).sum()
    }

    /// Whether any piece of a range is in it.
    #[must_use]
    pub fn any_in(&self, range: Range<u32>) -> bool {
        range.into_iter().any(|piece| self.has(piece))
    }
}

/// Joins pieces, in order, into runs.
#[must_use]
pub fn runs(pieces: impl IntoIterator<Item = u32>) -> Vec<Range<u32>> {
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
        let bits = PieceBits::new(11);
        assert!(!bits.set(0) && !bits.set(10) && bits.set(10));
        assert!(!bits.set(11), "a piece that does not exist is not taken");
        assert_eq!(bits.to_bytes(), [0x80, 0x20]);
        assert_eq!((bits.count(), bits.has(10), bits.has(9), bits.has(99)), (2, true, false, false));
        let again = PieceBits::from_bytes(&[0x80, 0x20], 11).unwrap();
        assert!(again.any_in(5..11) && !again.any_in(1..10) && again.clear(0) && !again.clear(0));
        assert!(PieceBits::from_bytes(&[0x80, 0x10], 11).is_none(), "a bit beyond the last piece");
        assert!(PieceBits::from_bytes(&[0x80], 11).is_none());
        assert!(PieceBits::from_bytes(&[0xff], 8).is_some());
    }

    #[test]
    fn pieces_join_into_runs() {
        assert_eq!(runs([1, 2, 3, 7, 9, 10]), [1..4, 7..8, 9..11]);
        assert!(runs([]).is_empty());
    }
}
