//! Data and padding bytes of a torrent (pad files, BEP 47), and the blocks that contain data.

use std::ops::Range;

use crate::limits::BLOCK;
use crate::swarm::geometry::Geometry;
use crate::wire::message::{Block, PieceIndex};

/// A set of byte ranges of a torrent: sorted, disjoint, not adjacent and not empty.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ByteRanges {
    runs: Vec<Run>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Run {
    start: u64,
    end: u64,
    /// Total bytes of all earlier runs.
    before: u64,
}

impl ByteRanges {
    /// Returns how many bytes of the set lie before this offset.
    fn before(&self, offset: u64) -> u64 {
        let n = self.runs.partition_point(|run| run.start < offset);
        self.runs[..n].last().map_or(0, |run| run.before + offset.min(run.end) - run.start)
    }

    /// Returns how many bytes of a range are in the set.
    #[must_use]
    pub fn within(&self, bytes: Range<u64>) -> u64 {
        if self.runs.is_empty() || bytes.is_empty() {
            return 0;
        }
        self.before(bytes.end) - self.before(bytes.start)
    }

    /// Iterates over the parts of the set that lie in a range.
    pub fn runs_in(&self, bytes: Range<u64>) -> impl Iterator<Item = Range<u64>> + '_ {
        let first = self.runs.partition_point(|run| run.end <= bytes.start);
        let Range { start, end } = bytes;
        let inside = self.runs[first..].iter().take_while(move |run| run.start < end);
        inside.map(move |run| run.start.max(start)..run.end.min(end)).filter(|run| !run.is_empty())
    }
}

impl FromIterator<Range<u64>> for ByteRanges {
    /// Collects ranges in ascending order: skips empty ones, merges adjacent and overlapping ones.
    fn from_iter<I: IntoIterator<Item = Range<u64>>>(ranges: I) -> Self {
        let mut runs: Vec<Run> = Vec::new();
        for range in ranges.into_iter().filter(|range| !range.is_empty()) {
            match runs.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                last => {
                    let before = last.map_or(0, |last| last.before + last.end - last.start);
                    runs.push(Run { start: range.start, end: range.end, before });
                }
            }
        }
        ByteRanges { runs }
    }
}

/// The piece geometry of a torrent and its padding bytes.
///
/// Padding is zeros known to every client: hashed and served with its piece, never requested, counted in no amount.
#[derive(Clone, Debug)]
pub struct DataMap {
    geometry: Geometry,
    padding: ByteRanges,
    size: u64,
}

impl DataMap {
    /// Creates a map from the geometry and the padding ranges.
    #[must_use]
    pub fn new(geometry: Geometry, padding: ByteRanges) -> Self {
        let size = geometry.total() - padding.within(0..geometry.total());
        DataMap { geometry, padding, size }
    }

    #[must_use]
    pub const fn geometry(&self) -> Geometry {
        self.geometry
    }

    #[must_use]
    pub const fn padding(&self) -> &ByteRanges {
        &self.padding
    }

    /// Returns the bytes of data in the torrent, without padding.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Returns the byte range of a piece within the torrent.
    #[must_use]
    pub fn bytes_of(&self, piece: PieceIndex) -> Range<u64> {
        let start = self.geometry.offset(piece, 0);
        start..start + u64::from(self.geometry.piece_size(piece))
    }

    /// Returns the bytes of data in a piece, without padding.
    #[must_use]
    pub fn piece_data(&self, piece: PieceIndex) -> u64 {
        u64::from(self.geometry.piece_size(piece)) - self.padding.within(self.bytes_of(piece))
    }

    /// Returns block `n` of a piece as requested: cut after its last byte of data.
    ///
    /// The length is 0 if the block contains no data.
    ///
    /// Padding before data is requested with the data: clients accept a short request, as at the end of a torrent, but
    /// a `begin` that is no multiple of 16 KiB is unusual.
    #[must_use]
    pub fn block(&self, piece: PieceIndex, n: u32) -> Block {
        let block = self.geometry.block(piece, n);
        let start = self.geometry.offset(piece, block.begin);
        let end = start + u64::from(block.length);
        let last = self.padding.runs_in(start..end).last().filter(|run| run.end == end);
        let end = last.map_or(end, |run| run.start);
        Block { length: (end - start) as u32, ..block }
    }

    /// Iterates over the blocks of a piece: true if the block contains data.
    pub fn blocks_with_data(&self, piece: PieceIndex) -> impl Iterator<Item = bool> + '_ {
        let plain = self.padding.runs.is_empty();
        (0..self.geometry.blocks(piece)).map(move |n| plain || self.block(piece, n).length > 0)
    }

    /// Returns the number of blocks of a piece that contain data.
    #[must_use]
    pub fn data_blocks(&self, piece: PieceIndex) -> u32 {
        let all = self.geometry.blocks(piece);
        if self.padding.runs.is_empty() {
            return all;
        }
        let bytes = self.bytes_of(piece);
        let block = u64::from(BLOCK);
        let whole = |run: Range<u64>| {
            let (from, to) = (run.start - bytes.start, run.end - bytes.start);
            // The last block of a piece may be short, so a run to the end of the piece covers it.
            let to = if run.end == bytes.end { u64::from(all) } else { to / block };
            to.saturating_sub(from.div_ceil(block)) as u32
        };
        all - self.padding.runs_in(bytes.clone()).map(whole).sum::<u32>()
    }
}

/// Byte totals of a torrent: size, wanted and verified. Padding is not counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Amounts {
    /// Bytes of all files.
    pub size: u64,
    /// Bytes of all files in verified pieces.
    pub have: u64,
    /// Bytes of the wanted files.
    pub wanted: u64,
    /// Bytes of the wanted files in verified pieces.
    pub done: u64,
    /// Bytes of missing pieces that are wanted, including bytes of unwanted files that share such a piece.
    pub to_fetch: u64,
}

impl Amounts {
    /// Returns the missing bytes of all files, wanted or not: the `left` of a tracker announce.
    #[must_use]
    pub const fn left(&self) -> u64 {
        self.size - self.have
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(total: u64, piece_length: u32, padding: &[Range<u64>]) -> DataMap {
        DataMap::new(Geometry::new(total, piece_length), padding.iter().cloned().collect())
    }

    #[test]
    fn ranges_that_touch_are_one_and_bytes_are_counted_once() {
        let set: ByteRanges = [3..5, 5..5, 5..9, 20..30].into_iter().collect();
        assert_eq!(set.runs.len(), 2);
        for (range, bytes) in [(0..100, 16), (0..3, 0), (4..21, 6), (9..20, 0), (25..26, 1), (30..30, 0)] {
            assert_eq!(set.within(range.clone()), bytes, "{range:?}");
            assert_eq!(set.runs_in(range.clone()).map(|r| r.end - r.start).sum::<u64>(), bytes, "{range:?}");
        }
        assert_eq!(ByteRanges::default().within(0..9), 0);
    }

    #[test]
    fn a_block_is_asked_for_up_to_its_last_byte_of_data() {
        let block = u64::from(BLOCK);
        // Piece 0: data of one block and 100 bytes, then padding. Piece 1: padding that ends inside a block.
        let it = map(block * 8, BLOCK * 4, &[block + 100..block * 4, block * 5 + 7..block * 6 + 9]);
        let lengths = |piece| (0..4).map(|n| it.block(PieceIndex(piece), n).length).collect::<Vec<_>>();
        assert_eq!(lengths(0), [BLOCK, 100, 0, 0]);
        assert_eq!(lengths(1), [BLOCK, 7, BLOCK, BLOCK], "padding before data comes with it");
        assert_eq!(it.size(), block * 8 - (block * 3 - 100) - (block + 2));
        assert_eq!((it.piece_data(PieceIndex(0)), it.data_blocks(PieceIndex(0))), (block + 100, 2));
        assert_eq!(it.data_blocks(PieceIndex(1)), 4);
    }

    #[test]
    fn blocks_with_data_are_counted_as_they_are_listed() {
        let mut rng = fastrand::Rng::with_seed(5);
        for _ in 0..500 {
            let total = rng.u64(1..400_000);
            let piece_length = [BLOCK / 2, BLOCK, BLOCK * 3 + 5, BLOCK * 8][rng.usize(0..4)];
            let mut cuts: Vec<u64> = (0..rng.usize(0..12) * 2).map(|_| rng.u64(0..=total)).collect();
            cuts.sort_unstable();
            let padding: Vec<Range<u64>> = cuts.chunks_exact(2).map(|cut| cut[0]..cut[1]).collect();
            let it = map(total, piece_length, &padding);
            for piece in it.geometry().all() {
                let listed = it.blocks_with_data(piece).filter(|has| *has).count() as u32;
                assert_eq!(it.data_blocks(piece), listed, "{padding:?} {piece:?} of {total} by {piece_length}");
                assert_eq!(it.piece_data(piece) == 0, listed == 0);
            }
            assert_eq!(it.geometry().all().map(|p| it.piece_data(p)).sum::<u64>(), it.size());
        }
    }
}
