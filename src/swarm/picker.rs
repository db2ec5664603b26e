//! The piece picker: partial pieces first, then by priority and rarest first, or sequential.
//!
//! A piece is in exactly one state: have, wanted, active (some block requested or received) or ignored.
//!
//! A peer that starts a piece owns it and continues with it, so blocks arrive in order, which suits hashing and
//! writing. Other peers join only if nothing else is left for them or if the owner stopped delivering.

mod active;
mod amounts;
mod availability;
mod check;
mod contiguous;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use crate::swarm::bitfield::Bitfield;
use crate::swarm::data_map::{Amounts, ByteRanges, DataMap};
use crate::swarm::event::PeerKey;
use crate::swarm::geometry::Geometry;
use crate::swarm::view::Priority;
use crate::wire::message::PieceIndex;

pub use active::BlockSource;
use active::{BlockState, PartialPiece};
use availability::AvailabilityIndex;

/// Number of pieces picked at random before rarest first, to have something to trade soon.
const RANDOM_START: u32 = 4;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum PieceState {
    Have,
    Wanted,
    Active,
    Ignored,
}

/// The effect of a received block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BlockOutcome {
    /// The block was missing.
    Fresh {
        /// The piece is complete now.
        whole: bool,
        /// Number of peers the block was requested from.
        askers: u8,
    },
    /// The block was received before, or its piece is not active.
    Useless,
}

/// The piece picker of one torrent.
#[derive(Debug)]
pub struct Picker {
    map: DataMap,
    geometry: Geometry,
    /// Bytes outside wanted files: unwanted files and padding.
    unwanted: ByteRanges,
    amounts: Amounts,
    state: Vec<PieceState>,
    have: Bitfield,
    order: AvailabilityIndex,
    active: BTreeMap<PieceIndex, PartialPiece>,
    /// Active pieces with free blocks, by owner.
    open: BTreeMap<Option<PeerKey>, BTreeSet<PieceIndex>>,
    /// Pieces on parole: to be fetched from a single peer.
    parole: BTreeSet<PieceIndex>,
    unasked: u64,
    /// Number of pieces in state wanted or active.
    lacking: u32,
    sequential: bool,
    cursor: u32,
}

impl Picker {
    /// Creates a picker for a torrent without padding that wants every piece.
    #[must_use]
    pub fn new(geometry: Geometry, rng: &mut fastrand::Rng) -> Self {
        Picker::with_map(DataMap::new(geometry, ByteRanges::default()), rng)
    }

    /// Creates a picker that wants every piece; pieces of equal rarity are in random order.
    ///
    /// Padding is never requested. A piece of only padding is ignored until the disk reports it as verified.
    #[must_use]
    pub fn with_map(map: DataMap, rng: &mut fastrand::Rng) -> Self {
        let geometry = map.geometry();
        let n = geometry.pieces();
        let size = map.size();
        let mut it = Picker {
            geometry,
            unwanted: map.padding().clone(),
            amounts: Amounts { size, wanted: size, to_fetch: size, ..Amounts::default() },
            state: vec![PieceState::Wanted; n as usize],
            have: Bitfield::new(n),
            order: AvailabilityIndex::new(n, rng),
            active: BTreeMap::new(),
            open: BTreeMap::new(),
            parole: BTreeSet::new(),
            unasked: geometry.all().map(|p| u64::from(map.data_blocks(p))).sum(),
            lacking: n,
            sequential: false,
            cursor: 0,
            map,
        };
        for piece in geometry.all().filter(|p| it.map.data_blocks(*p) == 0).collect::<Vec<_>>() {
            it.set_state(piece, PieceState::Ignored);
        }
        it
    }

    /// Returns the verified pieces.
    #[must_use]
    pub const fn have(&self) -> &Bitfield {
        &self.have
    }

    /// Returns the number of pieces that are wanted and missing.
    #[must_use]
    pub const fn missing(&self) -> u32 {
        self.lacking
    }

    /// Returns the number of blocks of wanted pieces that are neither received nor requested.
    #[must_use]
    pub const fn unrequested(&self) -> u64 {
        self.unasked
    }

    /// Returns whether this piece is wanted and missing.
    #[must_use]
    pub fn wants(&self, piece: PieceIndex) -> bool {
        matches!(self.state.get(piece.as_usize()), Some(PieceState::Wanted | PieceState::Active))
    }

    /// Returns whether blocks of this piece are received or requested.
    #[must_use]
    pub fn is_active(&self, piece: PieceIndex) -> bool {
        self.state.get(piece.as_usize()) == Some(&PieceState::Active)
    }

    /// Records when the first block of a piece is requested; later calls change nothing.
    pub fn begun(&mut self, piece: PieceIndex, now: Instant) {
        if let Some(active) = self.active.get_mut(&piece) {
            active.since.get_or_insert(now);
        }
    }

    /// Returns the number of received blocks of an active piece and when its first block was requested.
    #[must_use]
    pub fn progress(&self, piece: PieceIndex) -> Option<(u32, Option<Instant>)> {
        self.active.get(&piece).map(|a| (a.here, a.since))
    }

    /// Returns the number of active pieces.
    #[must_use]
    pub fn active(&self) -> u32 {
        self.active.len() as u32
    }

    /// Returns the number of wanted pieces that no peer has.
    #[must_use]
    pub fn unavailable(&self) -> u32 {
        let active = self.active.keys().filter(|p| self.order.copies(**p) == 0).count();
        self.order.without_copies() + active as u32
    }

    /// Returns the availability of this piece: the number of peers that have it.
    #[must_use]
    pub fn copies(&self, piece: PieceIndex) -> u16 {
        self.order.copies(piece)
    }

    /// Switches between sequential and rarest first.
    pub fn set_sequential(&mut self, on: bool) {
        self.sequential = on;
    }

    #[must_use]
    pub const fn sequential(&self) -> bool {
        self.sequential
    }

    /// Increments the availability of a piece.
    pub fn add_copy(&mut self, piece: PieceIndex) {
        if piece.0 < self.geometry.pieces() {
            self.order.set_copies(piece, self.order.copies(piece).saturating_add(1));
        }
    }

    /// Decrements the availability of a piece.
    pub fn remove_copy(&mut self, piece: PieceIndex) {
        if piece.0 < self.geometry.pieces() {
            self.order.set_copies(piece, self.order.copies(piece).saturating_sub(1));
        }
    }

    // --- states ------------------------------------------------------------------------------------

    fn set_state(&mut self, piece: PieceIndex, to: PieceState) {
        let (blocks, data) = (u64::from(self.map.data_blocks(piece)), self.map.piece_data(piece));
        match self.state[piece.as_usize()] {
            PieceState::Have => {
                self.have.remove(piece);
                self.amounts.have -= data;
                self.amounts.done -= self.wanted_in(piece);
            }
            PieceState::Ignored => {}
            PieceState::Wanted => {
                self.order.delist(piece);
                self.unasked -= blocks;
                self.lacking -= 1;
                self.amounts.to_fetch -= data;
            }
            PieceState::Active => {
                if let Some(active) = self.active.remove(&piece) {
                    self.unasked -= u64::from(active.free);
                    self.close(active.owner, piece);
                }
                self.lacking -= 1;
                self.amounts.to_fetch -= data;
            }
        }
        self.state[piece.as_usize()] = to;
        match to {
            PieceState::Have => {
                self.have.insert(piece);
                self.amounts.have += data;
                self.amounts.done += self.wanted_in(piece);
            }
            PieceState::Ignored => {}
            PieceState::Wanted => {
                self.order.enlist(piece);
                self.unasked += blocks;
                self.lacking += 1;
                self.amounts.to_fetch += data;
                self.cursor = self.cursor.min(piece.0);
            }
            PieceState::Active => {
                let alone = self.parole.contains(&piece);
                self.active.insert(piece, PartialPiece::new(self.map.blocks_with_data(piece), alone));
                self.unasked += blocks;
                self.lacking += 1;
                self.amounts.to_fetch += data;
            }
        }
    }

    /// Marks all pieces as verified, when none is being fetched.
    pub fn mark_all_have(&mut self) {
        // At once, because removing them one by one from the index takes long.
        self.order.delist_all();
        self.geometry.all().for_each(|piece| self.mark_have(piece));
    }

    /// Marks a piece as verified, after its download or by a check.
    pub fn mark_have(&mut self, piece: PieceIndex) {
        if piece.0 < self.geometry.pieces() && !self.have.has(piece) {
            self.set_state(piece, PieceState::Have);
            self.parole.remove(&piece);
        }
    }

    /// Marks a piece as missing and drops the state of its blocks.
    pub fn mark_lost(&mut self, piece: PieceIndex) {
        if let Some(PieceState::Have | PieceState::Active) = self.state.get(piece.as_usize()) {
            let wanted = self.is_fetched_at(piece, self.order.priority(piece));
            self.set_state(piece, if wanted { PieceState::Wanted } else { PieceState::Ignored });
        }
    }

    /// Puts a piece on parole: the next attempt uses a single peer, so that a bad block can be attributed.
    pub fn set_parole(&mut self, piece: PieceIndex) {
        self.parole.insert(piece);
    }

    /// Sets the priority of a piece. An active piece is completed even if the priority is `Skip`.
    pub fn set_priority(&mut self, piece: PieceIndex, priority: Priority) {
        let Some(state) = self.state.get(piece.as_usize()).copied() else { return };
        match (state, self.is_fetched_at(piece, priority)) {
            (PieceState::Wanted, false) => self.set_state(piece, PieceState::Ignored),
            (PieceState::Ignored, false) | (PieceState::Have | PieceState::Active | PieceState::Wanted, _) => {}
            (PieceState::Ignored, true) => {
                self.order.set_priority(piece, priority);
                self.set_state(piece, PieceState::Wanted);
            }
        }
        self.order.set_priority(piece, priority);
    }

    // --- picking -----------------------------------------------------------------------------------

    fn close(&mut self, owner: Option<PeerKey>, piece: PieceIndex) {
        if let Some(open) = self.open.get_mut(&owner) {
            open.remove(&piece);
            if open.is_empty() {
                self.open.remove(&owner);
            }
        }
    }

    /// Picks up to `n` blocks for a peer with the pieces `has` and marks them as requested.
    ///
    /// Pieces on parole are started by `reliable` peers only, since a slow peer would delay them.
    pub fn pick(
        &mut self,
        who: PeerKey,
        has: &Bitfield,
        reliable: bool,
        n: usize,
        rng: &mut fastrand::Rng,
        out: &mut Vec<(PieceIndex, u32)>,
    ) {
        let end = out.len() + n;
        while out.len() < end {
            let Some(piece) = self.own_piece(who, has).or_else(|| self.new_piece(who, has, reliable, rng)) else {
                break;
            };
            self.take(piece, end - out.len(), out);
        }
        // No piece is left to start: help with free blocks of other peers' pieces.
        while out.len() < end {
            let theirs = self.active.iter().find(|(p, a)| a.free > 0 && !a.alone && has.has(**p)).map(|(p, _)| *p);
            let Some(piece) = theirs else { break };
            self.take(piece, end - out.len(), out);
        }
    }

    /// Picks up to `n` blocks of one piece: an allowed fast piece of a peer that chokes us (BEP 6).
    pub fn pick_of(&mut self, who: PeerKey, piece: PieceIndex, n: usize, out: &mut Vec<(PieceIndex, u32)>) {
        if self.state.get(piece.as_usize()) == Some(&PieceState::Wanted) {
            self.begin(piece, who);
        }
        if self.active.get(&piece).is_some_and(|a| a.free > 0 && (!a.alone || a.owner == Some(who))) {
            self.take(piece, n, out);
        }
    }

    /// Returns a piece owned by the peer, or takes over one without an owner.
    fn own_piece(&mut self, who: PeerKey, has: &Bitfield) -> Option<PieceIndex> {
        if let Some(piece) = self.open.get(&Some(who)).and_then(|open| open.first()) {
            return Some(*piece);
        }
        let piece = self.open.get(&None)?.iter().find(|p| has.has(**p)).copied()?;
        self.close(None, piece);
        self.open.entry(Some(who)).or_default().insert(piece);
        if let Some(active) = self.active.get_mut(&piece) {
            active.owner = Some(who);
        }
        Some(piece)
    }

    fn new_piece(
        &mut self,
        who: PeerKey,
        has: &Bitfield,
        reliable: bool,
        rng: &mut fastrand::Rng,
    ) -> Option<PieceIndex> {
        let fits = |p: &Self, piece| has.has(piece) && (reliable || !p.parole.contains(&piece));
        let piece = if self.sequential { self.next_in_order(fits) } else { self.rarest(fits, rng) }?;
        self.begin(piece, who);
        Some(piece)
    }

    fn begin(&mut self, piece: PieceIndex, who: PeerKey) {
        self.set_state(piece, PieceState::Active);
        if let Some(active) = self.active.get_mut(&piece) {
            active.owner = Some(who);
            self.open.entry(Some(who)).or_default().insert(piece);
        }
    }

    fn rarest(&self, fits: impl Fn(&Self, PieceIndex) -> bool, rng: &mut fastrand::Rng) -> Option<PieceIndex> {
        if self.have.count() < RANDOM_START {
            for _ in 0..16 {
                let piece = self.order.random(rng)?;
                if fits(self, piece) {
                    return Some(piece);
                }
            }
        }
        self.order.iter().find(|p| fits(self, *p))
    }

    fn next_in_order(&mut self, fits: impl Fn(&Self, PieceIndex) -> bool) -> Option<PieceIndex> {
        let first = (self.cursor..self.geometry.pieces()).find(|p| self.state[*p as usize] == PieceState::Wanted)?;
        self.cursor = first;
        let mut best: Option<PieceIndex> = None;
        for piece in (first..self.geometry.pieces()).map(PieceIndex) {
            if self.state[piece.as_usize()] == PieceState::Wanted && fits(self, piece) {
                let priority = self.order.priority(piece);
                if best.is_none_or(|b| priority > self.order.priority(b)) {
                    best = Some(piece);
                }
                if priority == Priority::High || priority == Priority::Normal && !self.order.has_any(Priority::High) {
                    break;
                }
            }
        }
        best
    }

    fn take(&mut self, piece: PieceIndex, n: usize, out: &mut Vec<(PieceIndex, u32)>) {
        let Some(active) = self.active.get_mut(&piece) else { return };
        let before = out.len();
        let mut at = active.hint;
        while active.free > 0 && out.len() - before < n && (at as usize) < active.slots.len() {
            if active.slots[at as usize] == BlockState::Free {
                active.slots[at as usize] = BlockState::Requested(1);
                active.free -= 1;
                out.push((piece, at));
            }
            at += 1;
        }
        active.hint = at;
        self.unasked -= (out.len() - before) as u64;
        if active.free == 0 {
            let owner = active.owner;
            self.close(owner, piece);
        }
    }

    /// Records a duplicate request of a block (endgame); false if not allowed or `most` is reached.
    pub fn request_duplicate(&mut self, piece: PieceIndex, block: u32, most: u8) -> bool {
        match self.active.get_mut(&piece) {
            Some(active) if !active.alone => match active.slots.get_mut(block as usize) {
                Some(BlockState::Requested(askers)) if *askers < most => {
                    *askers += 1;
                    true
                }
                _ => false,
            },
            _ => false,
        }
    }

    /// Drops one request for a block: the peer disconnected, choked, rejected or timed out.
    pub fn release(&mut self, piece: PieceIndex, block: u32) {
        let Some(active) = self.active.get_mut(&piece) else { return };
        match active.slots.get_mut(block as usize) {
            Some(BlockState::Requested(askers)) if *askers > 1 => *askers -= 1,
            Some(slot @ BlockState::Requested(_)) => {
                *slot = BlockState::Free;
                active.free += 1;
                active.hint = active.hint.min(block);
                self.unasked += 1;
                let owner = active.owner;
                self.open.entry(owner).or_default().insert(piece);
            }
            _ => {}
        }
        self.drop_if_untouched(piece);
    }

    /// Returns an active piece to the wanted ones if none of its blocks is received or requested.
    fn drop_if_untouched(&mut self, piece: PieceIndex) {
        if self.active.get(&piece).is_some_and(PartialPiece::is_untouched) {
            self.mark_lost(piece);
        }
    }

    /// Releases the pieces of a peer that stopped delivering.
    ///
    /// Returns pieces on parole with received blocks: they restart from nothing, and the disk must drop them.
    pub fn abandon_owner(&mut self, who: PeerKey) -> Vec<PieceIndex> {
        let mut anew = Vec::new();
        for piece in self.active.iter().filter(|(_, a)| a.owner == Some(who)).map(|(p, _)| *p).collect::<Vec<_>>() {
            let Some(active) = self.active.get_mut(&piece) else { continue };
            if active.is_whole() {
                continue;
            }
            active.owner = None;
            let (open, alone, touched) = (active.free > 0, active.alone, active.here > 0);
            self.close(Some(who), piece);
            if alone {
                if touched {
                    anew.push(piece);
                }
                self.mark_lost(piece);
            } else if open {
                self.open.entry(None).or_default().insert(piece);
            }
        }
        anew
    }

    /// Records a block received from `from`; ignored unless it was requested.
    pub fn on_block(&mut self, piece: PieceIndex, block: u32, from: impl Into<BlockSource>) -> BlockOutcome {
        let Some(active) = self.active.get_mut(&piece) else { return BlockOutcome::Useless };
        let Some(slot @ BlockState::Requested(_)) = active.slots.get_mut(block as usize) else {
            return BlockOutcome::Useless;
        };
        let askers = if let BlockState::Requested(askers) = *slot { askers } else { 1 };
        *slot = BlockState::Received(from.into());
        active.here += 1;
        BlockOutcome::Fresh { whole: active.is_whole(), askers }
    }

    /// Returns the sender of each block, `None` for padding; empty if the piece is not active.
    #[must_use]
    pub fn senders(&self, piece: PieceIndex) -> Vec<Option<BlockSource>> {
        let here = |slot: &BlockState| if let BlockState::Received(giver) = slot { Some(*giver) } else { None };
        self.active.get(&piece).map(|a| a.slots.iter().map(here).collect()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
