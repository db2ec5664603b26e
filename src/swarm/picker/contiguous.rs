//! Picking of contiguous block runs for web seeds (BEP 19), which are read by HTTP range requests.

use super::{BlockState, Picker, PieceState};
use crate::swarm::bitfield::Bitfield;
use crate::swarm::torrent::PeerKey;
use crate::swarm::view::Priority;
use crate::wire::message::PieceIndex;

impl Picker {
    /// Picks up to `n` contiguous blocks (padding may lie between them) and marks them as requested.
    ///
    /// First the rest of a piece that this source owns, then whole consecutive pieces. A new run starts at `after`, the
    /// end of the last run, unless a piece of higher priority or lower availability exists elsewhere: the server reads
    /// its disk sequentially, yet rare pieces come first. With `in_order` pieces are taken in torrent order.
    pub fn pick_run(
        &mut self,
        who: PeerKey,
        has: &Bitfield,
        (after, in_order): (Option<PieceIndex>, bool),
        n: usize,
        rng: &mut fastrand::Rng,
        out: &mut Vec<(PieceIndex, u32)>,
    ) {
        let end = out.len() + n;
        let Some(mut piece) = self.run_begins(who, has, after.filter(|_| !in_order), in_order, rng) else { return };
        let class = self.order.priority(piece);
        loop {
            let whole = self.take_row(piece, end - out.len(), out);
            let next = PieceIndex(piece.0 + 1);
            if !whole || out.len() >= end || !self.follows(next, has, class) {
                return;
            }
            self.begin(next, who);
            piece = next;
        }
    }

    /// Returns whether a run may continue with this piece.
    fn follows(&self, piece: PieceIndex, has: &Bitfield, class: Priority) -> bool {
        self.state.get(piece.as_usize()) == Some(&PieceState::Wanted)
            && has.has(piece)
            && self.order.priority(piece) == class
            && !self.parole.contains(&piece)
    }

    fn run_begins(
        &mut self,
        who: PeerKey,
        has: &Bitfield,
        after: Option<PieceIndex>,
        in_order: bool,
        rng: &mut fastrand::Rng,
    ) -> Option<PieceIndex> {
        if let Some(piece) = self.own_piece(who, has) {
            return Some(piece);
        }
        let fits = |_: &Self, piece: PieceIndex| has.has(piece);
        let best = if self.sequential || in_order { self.next_in_order(fits) } else { self.rarest(fits, rng) };
        if let Some(best) = best {
            let rank = |piece| (self.order.priority(piece), std::cmp::Reverse(self.order.copies(piece)));
            let goes_on = |next: &PieceIndex| {
                !self.sequential
                    && next.0 < self.geometry.pieces()
                    && self.follows(*next, has, self.order.priority(*next))
                    && rank(*next) >= rank(best)
            };
            let piece = after.filter(goes_on).unwrap_or(best);
            self.begin(piece, who);
            return Some(piece);
        }
        // No piece is left to start: help with free blocks of other peers' pieces.
        self.active.iter().find(|(p, a)| a.free > 0 && !a.alone && has.has(**p)).map(|(p, _)| *p)
    }

    /// Takes up to `n` contiguous blocks from the first free block on.
    ///
    /// Returns whether they reach the last data of the piece.
    fn take_row(&mut self, piece: PieceIndex, n: usize, out: &mut Vec<(PieceIndex, u32)>) -> bool {
        let Some(active) = self.active.get_mut(&piece) else { return false };
        let Some(first) = active.slots.iter().position(|slot| *slot == BlockState::Free) else { return false };
        let (mut at, mut taken) = (first, 0);
        while taken < n && matches!(active.slots.get(at), Some(BlockState::Free | BlockState::Padding)) {
            if active.slots[at] == BlockState::Free {
                active.slots[at] = BlockState::Requested(1);
                out.push((piece, at as u32));
                taken += 1;
            }
            at += 1;
        }
        active.free -= taken as u32;
        active.hint = at as u32;
        self.unasked -= taken as u64;
        let whole = active.slots[at..].iter().all(|slot| *slot == BlockState::Padding);
        if active.free == 0 {
            let owner = active.owner;
            self.close(owner, piece);
        }
        whole
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{A, B, picker};
    use super::*;

    fn run(p: &mut Picker, rng: &mut fastrand::Rng, has: &Bitfield, after: u32, n: usize) -> Vec<(u32, u32)> {
        let mut out = Vec::new();
        p.pick_run(A, has, (Some(PieceIndex(after)), false), n, rng, &mut out);
        p.check().unwrap();
        out.into_iter().map(|(piece, block)| (piece.0, block)).collect()
    }

    #[test]
    fn runs_are_whole_pieces_that_follow_each_other() {
        let (mut p, mut rng) = picker(12, 2);
        let full = Bitfield::full(12);
        assert_eq!(run(&mut p, &mut rng, &full, 3, 5), [(3, 0), (3, 1), (4, 0), (4, 1), (5, 0)]);
        assert_eq!(run(&mut p, &mut rng, &full, 9, 3), [(5, 1), (6, 0), (6, 1)], "what it has begun comes first");
        p.mark_have(PieceIndex(8));
        assert_eq!(run(&mut p, &mut rng, &full, 7, 9), [(7, 0), (7, 1)], "what is here ends a run");
        let mut some = Bitfield::new(12);
        some.insert(PieceIndex(9));
        some.insert(PieceIndex(11));
        assert_eq!(run(&mut p, &mut rng, &some, 9, 9), [(9, 0), (9, 1)], "and so does what it has not");
    }

    #[test]
    fn what_is_rare_or_wanted_more_comes_before_the_next_in_the_row() {
        let (mut p, mut rng) = picker(12, 1);
        let full = Bitfield::full(12);
        for piece in 0..4 {
            p.mark_have(PieceIndex(piece));
        }
        for piece in (0..12).filter(|n| *n != 9) {
            p.add_copy(PieceIndex(piece));
        }
        assert_eq!(run(&mut p, &mut rng, &full, 5, 1), [(9, 0)]);
        p.set_priority(PieceIndex(7), Priority::High);
        assert_eq!(run(&mut p, &mut rng, &full, 5, 4), [(7, 0)], "a run keeps to one priority");
        assert_eq!(run(&mut p, &mut rng, &full, 5, 2), [(5, 0), (6, 0)]);
    }

    #[test]
    fn after_the_last_piece_a_run_begins_wherever_something_is_wanted() {
        let (mut p, mut rng) = picker(3, 1);
        let full = Bitfield::full(3);
        assert_eq!(run(&mut p, &mut rng, &full, 2, 1), [(2, 0)]);
        assert_eq!(run(&mut p, &mut rng, &full, 3, 1).len(), 1);
        assert_eq!(run(&mut p, &mut rng, &full, u32::MAX, 9).len(), 1);
    }

    #[test]
    fn it_helps_others_only_when_nothing_is_left_to_begin() {
        let (mut p, mut rng) = picker(1, 6);
        let full = Bitfield::full(1);
        let mut theirs = Vec::new();
        p.pick(B, &full, true, 2, &mut rng, &mut theirs);
        assert_eq!(run(&mut p, &mut rng, &full, 0, 3), [(0, 2), (0, 3), (0, 4)]);
        p.release(PieceIndex(0), 0);
        assert_eq!(run(&mut p, &mut rng, &full, 0, 3), [(0, 0)], "only blocks that lie in a row");
        assert_eq!(run(&mut p, &mut rng, &full, 0, 3), [(0, 5)]);
        assert!(run(&mut p, &mut rng, &full, 0, 3).is_empty() && p.unrequested() == 0);
    }
}
