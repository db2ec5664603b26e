//! What to fetch next: rarest first, unfinished pieces first, by priority or in order.
//!
//! A piece is in exactly one state: had, wanted, active (some block of it asked for or here) or ignored.
//!
//! A peer that begins a piece owns it and goes on with it: its blocks then come in order, which hashing and writing
//! like. Others help only when nothing else is left for them, or when the owner stopped delivering.

mod active;
mod amounts;
mod check;
mod order;
mod run;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Instant;

use crate::swarm::bitfield::Bitfield;
use crate::swarm::data_map::{Amounts, ByteRanges, DataMap};
use crate::swarm::geometry::Geometry;
use crate::swarm::torrent::PeerKey;
use crate::swarm::view::Priority;
use crate::wire::message::PieceIndex;

use active::{Active, Slot};
use order::Order;

/// Pieces fetched at random before the rarest come first, so that there soon is something to trade.
const RANDOM_START: u32 = 4;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum PieceState {
    Have,
    Wanted,
    Active,
    Ignored,
}

/// Who gave a block, and is to blame when it is bad.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Giver {
    /// A peer: its host, whatever its port.
    Host(IpAddr),
    /// A web seed, by its place among those of the torrent.
    Web(u16),
}

impl From<IpAddr> for Giver {
    fn from(ip: IpAddr) -> Self {
        Giver::Host(ip)
    }
}

/// What became of a block that came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arrival {
    /// It was missing. `whole` when it was its piece's last.
    Fresh {
        /// No block of the piece is missing now.
        whole: bool,
        /// How many peers were asked for it.
        askers: u8,
    },
    /// It was there already, or its piece is not being fetched.
    Useless,
}

/// The picker of one torrent.
#[derive(Debug)]
pub struct Picker {
    map: DataMap,
    geometry: Geometry,
    /// Bytes that are no part of a wanted file: files that are not wanted, and padding.
    unwanted: ByteRanges,
    amounts: Amounts,
    state: Vec<PieceState>,
    have: Bitfield,
    order: Order,
    active: BTreeMap<PieceIndex, Active>,
    /// Active pieces with free blocks, by owner.
    open: BTreeMap<Option<PeerKey>, BTreeSet<PieceIndex>>,
    /// Pieces to be fetched from one peer alone.
    parole: BTreeSet<PieceIndex>,
    unasked: u64,
    /// Pieces neither had nor ignored.
    lacking: u32,
    sequential: bool,
    cursor: u32,
}

impl Picker {
    /// A picker that wants every piece, with the rarest in random order, of a torrent without padding.
    #[must_use]
    pub fn new(geometry: Geometry, rng: &mut fastrand::Rng) -> Self {
        Picker::with_map(DataMap::new(geometry, ByteRanges::default()), rng)
    }

    /// A picker that wants every piece, with the rarest in random order. Padding is never picked: a piece of nothing
    /// else is there when the disk says so, and not wanted before.
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
            order: Order::new(n, rng),
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

    /// The pieces that are there.
    #[must_use]
    pub const fn have(&self) -> &Bitfield {
        &self.have
    }

    /// How many pieces are wanted and not there.
    #[must_use]
    pub const fn lacking(&self) -> u32 {
        self.lacking
    }

    /// How many blocks of wanted pieces are neither here nor asked for.
    #[must_use]
    pub const fn unasked(&self) -> u64 {
        self.unasked
    }

    /// Whether this piece is to be fetched and not there yet.
    #[must_use]
    pub fn wants(&self, piece: PieceIndex) -> bool {
        matches!(self.state.get(piece.at()), Some(PieceState::Wanted | PieceState::Active))
    }

    /// Whether blocks of this piece are here or asked for.
    #[must_use]
    pub fn is_active(&self, piece: PieceIndex) -> bool {
        self.state.get(piece.at()) == Some(&PieceState::Active)
    }

    /// A block of this piece is being asked for now; the first time counts.
    pub fn begun(&mut self, piece: PieceIndex, now: Instant) {
        if let Some(active) = self.active.get_mut(&piece) {
            active.since.get_or_insert(now);
        }
    }

    /// How many blocks of a piece that is being fetched are here, and since when it is being fetched.
    #[must_use]
    pub fn progress(&self, piece: PieceIndex) -> Option<(u32, Option<Instant>)> {
        self.active.get(&piece).map(|a| (a.here, a.since))
    }

    /// How many pieces are being fetched: some of their blocks are here or asked for.
    #[must_use]
    pub fn active(&self) -> u32 {
        self.active.len() as u32
    }

    /// Wanted pieces of which no peer has a copy.
    #[must_use]
    pub fn nowhere(&self) -> u32 {
        let active = self.active.keys().filter(|p| self.order.copies(**p) == 0).count();
        self.order.without_copies() + active as u32
    }

    /// Copies of this piece among the peers.
    #[must_use]
    pub fn copies(&self, piece: PieceIndex) -> u16 {
        self.order.copies(piece)
    }

    /// Fetch pieces in order, or rarest first.
    pub fn set_sequential(&mut self, on: bool) {
        self.sequential = on;
    }

    /// Whether pieces are fetched in order.
    #[must_use]
    pub const fn sequential(&self) -> bool {
        self.sequential
    }

    /// A peer has this piece.
    pub fn add_copy(&mut self, piece: PieceIndex) {
        if piece.0 < self.geometry.pieces() {
            self.order.set_copies(piece, self.order.copies(piece).saturating_add(1));
        }
    }

    /// A peer that had this piece has left.
    pub fn remove_copy(&mut self, piece: PieceIndex) {
        if piece.0 < self.geometry.pieces() {
            self.order.set_copies(piece, self.order.copies(piece).saturating_sub(1));
        }
    }

    // --- states ------------------------------------------------------------------------------------

    fn set_state(&mut self, piece: PieceIndex, to: PieceState) {
        let (blocks, data) = (u64::from(self.map.data_blocks(piece)), self.map.piece_data(piece));
        match self.state[piece.at()] {
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
        self.state[piece.at()] = to;
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
                self.active.insert(piece, Active::new(self.map.blocks_with_data(piece), alone));
                self.unasked += blocks;
                self.lacking += 1;
                self.amounts.to_fetch += data;
            }
        }
    }

    /// The piece is there: verified after a download or found by a check.
    pub fn mark_have(&mut self, piece: PieceIndex) {
        if piece.0 < self.geometry.pieces() && !self.have.has(piece) {
            self.set_state(piece, PieceState::Have);
            self.parole.remove(&piece);
        }
    }

    /// The piece is not there (any more): everything known of it is given up.
    pub fn mark_lost(&mut self, piece: PieceIndex) {
        if let Some(PieceState::Have | PieceState::Active) = self.state.get(piece.at()) {
            let wanted = self.is_fetched_at(piece, self.order.priority(piece));
            self.set_state(piece, if wanted { PieceState::Wanted } else { PieceState::Ignored });
        }
    }

    /// The piece is to be fetched from one peer alone from now on.
    pub fn set_parole(&mut self, piece: PieceIndex) {
        self.parole.insert(piece);
    }

    /// How much a piece is wanted. A piece that is being fetched is finished all the same.
    pub fn set_priority(&mut self, piece: PieceIndex, priority: Priority) {
        let Some(state) = self.state.get(piece.at()).copied() else { return };
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

    /// Picks up to `n` blocks for a peer that has the pieces `has`, and counts them as asked of it. Only a peer that
    /// is `reliable` gets pieces on parole: it would hold them up.
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
        // Nothing is left to begin: help others with what they have not asked for yet.
        while out.len() < end {
            let theirs = self.active.iter().find(|(p, a)| a.free > 0 && !a.alone && has.has(**p)).map(|(p, _)| *p);
            let Some(piece) = theirs else { break };
            self.take(piece, end - out.len(), out);
        }
    }

    /// Picks up to `n` blocks of this one piece, for a peer that may have it while choked (BEP 6).
    pub fn pick_of(&mut self, who: PeerKey, piece: PieceIndex, n: usize, out: &mut Vec<(PieceIndex, u32)>) {
        if self.state.get(piece.at()) == Some(&PieceState::Wanted) {
            self.begin(piece, who);
        }
        if self.active.get(&piece).is_some_and(|a| a.free > 0 && (!a.alone || a.owner == Some(who))) {
            self.take(piece, n, out);
        }
    }

    /// A piece that this peer has begun, or one that nobody goes on with.
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
            if self.state[piece.at()] == PieceState::Wanted && fits(self, piece) {
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
            if active.slots[at as usize] == Slot::Free {
                active.slots[at as usize] = Slot::Asked(1);
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

    /// Asks one more peer for a block that is asked for already (endgame); false when it may not be.
    pub fn ask_again(&mut self, piece: PieceIndex, block: u32, most: u8) -> bool {
        match self.active.get_mut(&piece) {
            Some(active) if !active.alone => match active.slots.get_mut(block as usize) {
                Some(Slot::Asked(askers)) if *askers < most => {
                    *askers += 1;
                    true
                }
                _ => false,
            },
            _ => false,
        }
    }

    /// One peer less is asked for this block: it left, choked, rejected or is late.
    pub fn release(&mut self, piece: PieceIndex, block: u32) {
        let Some(active) = self.active.get_mut(&piece) else { return };
        match active.slots.get_mut(block as usize) {
            Some(Slot::Asked(askers)) if *askers > 1 => *askers -= 1,
            Some(slot @ Slot::Asked(_)) => {
                *slot = Slot::Free;
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

    /// A piece of which nothing is here nor asked for goes back to the wanted ones.
    fn drop_if_untouched(&mut self, piece: PieceIndex) {
        if self.active.get(&piece).is_some_and(Active::is_untouched) {
            self.mark_lost(piece);
        }
    }

    /// A peer stopped delivering: its pieces are anybody's. Returns pieces on parole of which blocks are here: they
    /// begin anew, and the disk must forget them.
    pub fn disown(&mut self, who: PeerKey) -> Vec<PieceIndex> {
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

    /// A block has come from `from`, who was asked for it.
    pub fn arrived(&mut self, piece: PieceIndex, block: u32, from: impl Into<Giver>) -> Arrival {
        let Some(active) = self.active.get_mut(&piece) else { return Arrival::Useless };
        let Some(slot @ Slot::Asked(_)) = active.slots.get_mut(block as usize) else { return Arrival::Useless };
        let askers = if let Slot::Asked(askers) = *slot { askers } else { 1 };
        *slot = Slot::Here(from.into());
        active.here += 1;
        Arrival::Fresh { whole: active.is_whole(), askers }
    }

    /// Who sent each block of a piece that is whole, `None` for padding; empty when it is not being fetched.
    #[must_use]
    pub fn senders(&self, piece: PieceIndex) -> Vec<Option<Giver>> {
        let here = |slot: &Slot| if let Slot::Here(giver) = slot { Some(*giver) } else { None };
        self.active.get(&piece).map(|a| a.slots.iter().map(here).collect()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
