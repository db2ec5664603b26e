//! Byte totals (size, wanted, done, to fetch), updated with the piece states.

use std::ops::Range;

use super::Picker;
use crate::swarm::data_map::{Amounts, DataMap};
use crate::swarm::view::Priority;
use crate::wire::message::{Block, PieceIndex};

impl Picker {
    /// Returns the byte totals.
    #[must_use]
    pub const fn amounts(&self) -> Amounts {
        self.amounts
    }

    /// Returns the data map: geometry and padding.
    #[must_use]
    pub const fn map(&self) -> &DataMap {
        &self.map
    }

    /// Returns a block as it is requested; see [`DataMap::block`].
    #[must_use]
    pub fn block(&self, piece: PieceIndex, n: u32) -> Block {
        self.map.block(piece, n)
    }

    /// Sets the unwanted files by their byte ranges.
    ///
    /// Affects the totals `wanted` and `done` only; [`set_priority`](Self::set_priority) decides what is fetched.
    pub fn set_unwanted(&mut self, files: impl Iterator<Item = Range<u64>>) {
        let total = self.geometry.total();
        let mut all: Vec<Range<u64>> = files.chain(self.map.padding().runs_in(0..total)).collect();
        all.sort_by_key(|range| range.start);
        self.unwanted = all.into_iter().collect();
        self.amounts.wanted = total - self.unwanted.within(0..total);
        self.amounts.done = self.have.iter().map(|piece| self.wanted_in(piece)).sum();
    }

    /// Returns the bytes of wanted files in a piece.
    pub(super) fn wanted_in(&self, piece: PieceIndex) -> u64 {
        u64::from(self.geometry.piece_size(piece)) - self.unwanted.within(self.map.bytes_of(piece))
    }

    /// Returns whether a piece of this priority is to be fetched: not skipped, and not only padding.
    pub(super) fn is_fetched_at(&self, piece: PieceIndex, priority: Priority) -> bool {
        priority != Priority::Skip && self.map.data_blocks(piece) > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::BLOCK;
    use crate::swarm::bitfield::Bitfield;
    use crate::swarm::geometry::Geometry;
    use crate::swarm::picker::BlockOutcome;
    use crate::swarm::picker::tests::A;

    const B: u64 = BLOCK as u64;

    fn padded(pieces: u64, padding: &[Range<u64>]) -> (Picker, fastrand::Rng) {
        let mut rng = fastrand::Rng::with_seed(3);
        let map = DataMap::new(Geometry::new(pieces * 4 * B, 4 * BLOCK), padding.iter().cloned().collect());
        let picker = Picker::with_map(map, &mut rng);
        picker.check().unwrap();
        (picker, rng)
    }

    fn fetch_all(p: &mut Picker, rng: &mut fastrand::Rng, run: bool) -> Vec<(u32, u32, u32)> {
        let full = Bitfield::full(p.geometry.pieces());
        let mut all = Vec::new();
        loop {
            let mut out = Vec::new();
            match run {
                true => p.pick_run(A, &full, (None, false), 5, rng, &mut out),
                false => p.pick(A, &full, true, 5, rng, &mut out),
            }
            p.check().unwrap();
            if out.is_empty() {
                break;
            }
            for (piece, n) in out {
                all.push((piece.0, n, p.block(piece, n).length));
                let got = p.on_block(piece, n, std::net::IpAddr::from([127, 0, 0, 1]));
                if matches!(got, BlockOutcome::Fresh { whole: true, .. }) {
                    p.mark_have(piece);
                }
                p.check().unwrap();
            }
        }
        all.sort_unstable();
        all
    }

    #[test]
    fn padding_is_never_picked_and_a_piece_is_whole_without_it() {
        for run in [false, true] {
            // Trailing padding; padding before data; a piece of only padding; padding in the middle.
            let padding = [B + 100..4 * B, 4 * B..6 * B + 50, 8 * B..12 * B, 13 * B..15 * B];
            let (mut p, mut rng) = padded(4, &padding);
            assert_eq!(p.missing(), 3);
            let got = fetch_all(&mut p, &mut rng, run);
            let want = [(0, 0, BLOCK), (0, 1, 100), (1, 2, BLOCK), (1, 3, BLOCK), (3, 0, BLOCK), (3, 3, BLOCK)];
            assert_eq!(got, want, "in runs: {run}");
            let all = 2 * B - 50 + B + 100 + 2 * B;
            assert_eq!((p.missing(), p.unrequested(), p.active()), (0, 0, 0));
            assert_eq!(p.amounts(), Amounts { size: all, have: all, wanted: all, done: all, to_fetch: 0 });
        }
    }

    #[test]
    fn a_piece_of_padding_is_wanted_by_nobody_whatever_becomes_of_it() {
        let (mut p, _) = padded(3, std::slice::from_ref(&(3 * B..9 * B)));
        let middle = PieceIndex(1);
        for (priority, have) in [(Priority::High, false), (Priority::Skip, true), (Priority::Normal, true)] {
            p.set_priority(middle, priority);
            assert!(!p.wants(middle) && p.missing() == 2, "{priority:?}");
            if have {
                p.mark_have(middle);
                assert_eq!(p.amounts().have, 0, "padding counts nowhere");
                p.mark_lost(middle);
            }
            p.check().unwrap();
        }
    }

    #[test]
    fn what_is_wanted_done_and_to_be_fetched_follows_the_files() {
        // Three files over pieces of four blocks; the last block of the second file is padding.
        let (mut p, _) = padded(5, std::slice::from_ref(&(11 * B..12 * B)));
        let files = [0..6 * B, 6 * B..11 * B, 12 * B..20 * B];
        let want = |p: &mut Picker, skipped: &[usize]| {
            p.set_unwanted(skipped.iter().map(|n| files[*n].clone()));
            for piece in p.geometry.all() {
                let inside = |n: &usize| {
                    let (at, file) = (p.map.bytes_of(piece), &files[*n]);
                    at.start < file.end && file.start < at.end
                };
                let wanted = (0..3).filter(|n| !skipped.contains(n)).any(|n| inside(&n));
                p.set_priority(piece, if wanted { Priority::Normal } else { Priority::Skip });
            }
            p.check().unwrap();
            let a = p.amounts();
            (a.wanted / B, a.done / B, a.to_fetch / B, a.left() / B)
        };
        assert_eq!(want(&mut p, &[]), (19, 0, 19, 19));
        p.mark_have(PieceIndex(1));
        assert_eq!(want(&mut p, &[]), (19, 4, 15, 15));
        assert_eq!(want(&mut p, &[1, 2]), (6, 2, 4, 15), "the other half of the piece is no part of what is wanted");
        assert_eq!(want(&mut p, &[0, 2]), (5, 2, 3, 15));
        assert_eq!(want(&mut p, &[0, 1, 2]), (0, 0, 0, 15));
        assert_eq!(want(&mut p, &[0, 1]), (8, 0, 8, 15));
        p.mark_lost(PieceIndex(1));
        assert_eq!(want(&mut p, &[]), (19, 0, 19, 19));
    }
}
