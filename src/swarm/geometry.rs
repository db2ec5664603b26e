//! Piece, block and byte offset arithmetic of a torrent.

use std::ops::Range;

use crate::limits::BLOCK;
use crate::wire::message::{Block, PieceIndex};

/// The division of a torrent into pieces and blocks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Geometry {
    total: u64,
    piece_length: u32,
    pieces: u32,
}

impl Geometry {
    /// Creates the geometry of `total` bytes in pieces of `piece_length` (0 is taken as 1).
    #[must_use]
    pub fn new(total: u64, piece_length: u32) -> Self {
        let piece_length = piece_length.max(1);
        Geometry { total, piece_length, pieces: total.div_ceil(u64::from(piece_length)) as u32 }
    }

    /// Returns the size of the torrent in bytes, including padding.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.total
    }

    /// Returns the size in bytes of every piece except the last.
    #[must_use]
    pub const fn piece_length(&self) -> u32 {
        self.piece_length
    }

    #[must_use]
    pub const fn pieces(&self) -> u32 {
        self.pieces
    }

    /// Iterates over all piece indexes in ascending order.
    pub fn all(&self) -> impl DoubleEndedIterator<Item = PieceIndex> + use<> {
        (0..self.pieces).map(PieceIndex)
    }

    /// Returns the size of a piece in bytes; 0 if the index is out of range.
    #[must_use]
    pub fn piece_size(&self, piece: PieceIndex) -> u32 {
        let start = self.offset(piece, 0);
        u64::from(self.piece_length).min(self.total.saturating_sub(start)) as u32
    }

    /// Returns the offset in the torrent of byte `begin` of a piece.
    #[must_use]
    pub fn offset(&self, piece: PieceIndex, begin: u32) -> u64 {
        u64::from(piece.0) * u64::from(self.piece_length) + u64::from(begin)
    }

    /// Returns the number of blocks of [`BLOCK`] bytes (the last may be shorter) in a piece.
    #[must_use]
    pub fn blocks(&self, piece: PieceIndex) -> u32 {
        self.piece_size(piece).div_ceil(BLOCK)
    }

    /// Returns block `n` of a piece.
    #[must_use]
    pub fn block(&self, piece: PieceIndex, n: u32) -> Block {
        let begin = n * BLOCK;
        Block { piece, begin, length: BLOCK.min(self.piece_size(piece).saturating_sub(begin)) }
    }

    /// Returns whether a request is valid: existing piece, not empty, not beyond the end of the piece.
    #[must_use]
    pub fn contains(&self, block: Block) -> bool {
        block.piece.0 < self.pieces
            && block.length > 0
            && u64::from(block.begin) + u64::from(block.length) <= u64::from(self.piece_size(block.piece))
    }

    /// Returns the pieces that overlap a byte range of the torrent.
    #[must_use]
    pub fn pieces_of(&self, bytes: Range<u64>) -> Range<u32> {
        if bytes.start >= bytes.end {
            return 0..0;
        }
        let length = u64::from(self.piece_length);
        (bytes.start / length) as u32..(bytes.end.div_ceil(length) as u32).min(self.pieces)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_piece_and_block_are_what_is_left() {
        let g = Geometry::new(40_000, 16_384 * 2);
        assert_eq!(g.pieces(), 2);
        assert_eq!(g.piece_size(PieceIndex(1)), 7_232);
        assert_eq!(g.piece_size(PieceIndex(2)), 0);
        assert_eq!(g.blocks(PieceIndex(0)), 2);
        assert_eq!(g.block(PieceIndex(1), 0).length, 7_232);
        assert_eq!(g.pieces_of(0..40_000), 0..2);
        assert_eq!(g.pieces_of(32_768..32_769), 1..2);
        assert_eq!(g.pieces_of(5..5), 0..0);
    }

    #[test]
    fn no_range_outside_the_torrent_is_inside_it() {
        let g = Geometry::new(40_000, 17_001);
        let b = |piece, begin, length| Block { piece: PieceIndex(piece), begin, length };
        assert!(g.contains(b(0, 777, 16_224)));
        assert!(!g.contains(b(0, 777, 16_225)));
        assert!(!g.contains(b(0, 0xffff_fff0, 0x20)));
        assert!(!g.contains(b(3, 0, 1)));
        assert!(!g.contains(b(2, 0, 0)));
        assert!(g.contains(b(2, 0, 5_998)));
    }
}
