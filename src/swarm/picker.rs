//! What to fetch next: rarest first, unfinished pieces first, by priority or in order.
//!
//! A piece is in exactly one state: had, wanted, active (some block of it asked for or here) or ignored. Wanted
//! pieces stand in one array, grouped by priority and availability, so that a change of either moves a piece by swaps
//! at group borders and the rarest piece of a peer that has everything is found at once.
//!
//! A peer that begins a piece owns it and goes on with it: its blocks then come in order, which hashing and writing
//! like. Others help only when nothing else is left for them, or when the owner stopped delivering.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::swarm::bitfield::Bitfield;
use crate::swarm::geometry::Geometry;
use crate::swarm::torrent::PeerKey;
use crate::swarm::view::Priority;
use crate::wire::message::PieceIndex;

/// Availabilities told apart; more copies than this are all the same.
const COPIES: usize = 64;
const CLASSES: usize = 3;
const NOWHERE: u32 = u32::MAX;
/// Pieces fetched at random before the rarest come first, so that there soon is something to trade.
const RANDOM_START: u32 = 4;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum PieceState {
    Have,
    Wanted,
    Active,
    Ignored,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Slot {
    Free,
    /// Asked of this many peers.
    Asked(u8),
    /// Here, from this address.
    Here(IpAddr),
}

#[derive(Debug)]
struct Active {
    slots: Vec<Slot>,
    free: u32,
    here: u32,
    /// No free slot stands before this one.
    hint: u32,
    owner: Option<PeerKey>,
    /// Only its owner may fetch it: the blame for it must be clear.
    alone: bool,
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
    geometry: Geometry,
    state: Vec<PieceState>,
    priority: Vec<Priority>,
    copies: Vec<u16>,
    have: Bitfield,
    order: Vec<u32>,
    place: Vec<u32>,
    ends: [u32; CLASSES * COPIES],
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
    /// A picker that wants every piece, with the rarest in random order.
    #[must_use]
    pub fn new(geometry: Geometry, rng: &mut fastrand::Rng) -> Self {
        let n = geometry.pieces();
        let mut order: Vec<u32> = (0..n).collect();
        rng.shuffle(&mut order);
        let mut place = vec![NOWHERE; n as usize];
        for (at, piece) in order.iter().enumerate() {
            place[*piece as usize] = at as u32;
        }
        let mut ends = [0; CLASSES * COPIES];
        ends[group(Priority::Normal, 0)..].fill(n);
        Picker {
            geometry,
            state: vec![PieceState::Wanted; n as usize],
            priority: vec![Priority::Normal; n as usize],
            copies: vec![0; n as usize],
            have: Bitfield::new(n),
            order,
            place,
            ends,
            active: BTreeMap::new(),
            open: BTreeMap::new(),
            parole: BTreeSet::new(),
            unasked: geometry.all().map(|p| u64::from(geometry.blocks(p))).sum(),
            lacking: n,
            sequential: false,
            cursor: 0,
        }
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

    /// Copies of this piece among the peers, not counting those that have everything.
    #[must_use]
    pub fn copies(&self, piece: PieceIndex) -> u16 {
        self.copies.get(piece.at()).copied().unwrap_or(0)
    }

    /// Bytes of unfinished pieces that are here.
    #[must_use]
    pub fn partial_bytes(&self) -> u64 {
        self.active.values().map(|a| u64::from(a.here) * u64::from(crate::limits::BLOCK)).sum()
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

    // --- the order of wanted pieces -----------------------------------------------------------------

    fn group_of(&self, piece: PieceIndex) -> usize {
        group(self.priority[piece.at()], self.copies[piece.at()])
    }

    fn put(&mut self, at: u32, piece: u32) {
        self.order[at as usize] = piece;
        self.place[piece as usize] = at;
    }

    fn enlist(&mut self, piece: PieceIndex) {
        let target = self.group_of(piece);
        self.order.push(NOWHERE);
        let mut hole = self.order.len() as u32 - 1;
        for g in (target + 1..self.ends.len()).rev() {
            let start = self.ends[g - 1];
            if start != hole {
                let moved = self.order[start as usize];
                self.put(hole, moved);
                hole = start;
            }
            self.ends[g] += 1;
        }
        self.ends[target] += 1;
        self.put(hole, piece.0);
    }

    fn delist(&mut self, piece: PieceIndex) {
        let mut hole = self.place[piece.at()];
        if hole == NOWHERE {
            return;
        }
        for g in self.group_of(piece)..self.ends.len() {
            let last = self.ends[g] - 1;
            if last != hole {
                let moved = self.order[last as usize];
                self.put(hole, moved);
                hole = last;
            }
            self.ends[g] -= 1;
        }
        self.order.pop();
        self.place[piece.at()] = NOWHERE;
    }

    fn regroup(&mut self, piece: PieceIndex, change: impl FnOnce(&mut Self)) {
        let before = self.group_of(piece);
        let listed = self.place[piece.at()] != NOWHERE;
        let (mut priority, mut copies) = (self.priority[piece.at()], self.copies[piece.at()]);
        change(self);
        if !listed || self.group_of(piece) == before {
            return;
        }
        // Put the old key back for as long as the piece is taken out.
        std::mem::swap(&mut priority, &mut self.priority[piece.at()]);
        std::mem::swap(&mut copies, &mut self.copies[piece.at()]);
        self.delist(piece);
        self.priority[piece.at()] = priority;
        self.copies[piece.at()] = copies;
        self.enlist(piece);
    }

    /// A peer has this piece.
    pub fn add_copy(&mut self, piece: PieceIndex) {
        if piece.0 < self.geometry.pieces() {
            self.regroup(piece, |p| p.copies[piece.at()] = p.copies[piece.at()].saturating_add(1));
        }
    }

    /// A peer that had this piece has left.
    pub fn remove_copy(&mut self, piece: PieceIndex) {
        if piece.0 < self.geometry.pieces() {
            self.regroup(piece, |p| p.copies[piece.at()] = p.copies[piece.at()].saturating_sub(1));
        }
    }

    // --- states ------------------------------------------------------------------------------------

    fn set_state(&mut self, piece: PieceIndex, to: PieceState) {
        let blocks = u64::from(self.geometry.blocks(piece));
        match self.state[piece.at()] {
            PieceState::Have => _ = self.have.remove(piece),
            PieceState::Ignored => {}
            PieceState::Wanted => {
                self.delist(piece);
                self.unasked -= blocks;
                self.lacking -= 1;
            }
            PieceState::Active => {
                if let Some(active) = self.active.remove(&piece) {
                    self.unasked -= u64::from(active.free);
                    self.close(active.owner, piece);
                }
                self.lacking -= 1;
            }
        }
        self.state[piece.at()] = to;
        match to {
            PieceState::Have => _ = self.have.insert(piece),
            PieceState::Ignored => {}
            PieceState::Wanted => {
                self.enlist(piece);
                self.unasked += blocks;
                self.lacking += 1;
                self.cursor = self.cursor.min(piece.0);
            }
            PieceState::Active => {
                let slots = vec![Slot::Free; blocks as usize];
                let alone = self.parole.contains(&piece);
                let active = Active { slots, free: blocks as u32, here: 0, hint: 0, owner: None, alone };
                self.active.insert(piece, active);
                self.unasked += blocks;
                self.lacking += 1;
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
            let wanted = self.priority[piece.at()] != Priority::Skip;
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
        let shown = if priority == Priority::Skip { self.priority[piece.at()] } else { priority };
        match (state, priority) {
            (PieceState::Wanted, Priority::Skip) => {
                self.set_state(piece, PieceState::Ignored);
                self.priority[piece.at()] = Priority::Skip;
            }
            (PieceState::Ignored, Priority::Skip) => {}
            (PieceState::Ignored, _) => {
                self.priority[piece.at()] = priority;
                self.set_state(piece, PieceState::Wanted);
            }
            (PieceState::Have | PieceState::Active, _) => self.priority[piece.at()] = priority,
            (PieceState::Wanted, _) => self.regroup(piece, |p| p.priority[piece.at()] = shown),
        }
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
        if self.order.is_empty() {
            return None;
        }
        if self.have.count() < RANDOM_START {
            // Among the most wanted class only: a priority is the user's word, rarity just a habit.
            let class = (0..CLASSES).find(|c| self.ends[(c + 1) * COPIES - 1] > 0)?;
            let end = self.ends[(class + 1) * COPIES - 1];
            for _ in 0..16 {
                let piece = PieceIndex(self.order[rng.u32(0..end) as usize]);
                if fits(self, piece) {
                    return Some(piece);
                }
            }
        }
        self.order.iter().map(|p| PieceIndex(*p)).find(|p| fits(self, *p))
    }

    fn next_in_order(&mut self, fits: impl Fn(&Self, PieceIndex) -> bool) -> Option<PieceIndex> {
        let first = (self.cursor..self.geometry.pieces()).find(|p| self.state[*p as usize] == PieceState::Wanted)?;
        self.cursor = first;
        let mut best: Option<PieceIndex> = None;
        for piece in (first..self.geometry.pieces()).map(PieceIndex) {
            if self.state[piece.at()] == PieceState::Wanted && fits(self, piece) {
                let priority = self.priority[piece.at()];
                if best.is_none_or(|b| priority > self.priority[b.at()]) {
                    best = Some(piece);
                }
                if priority == Priority::High || self.ends[COPIES - 1] == 0 && priority == Priority::Normal {
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
        if self.active.get(&piece).is_some_and(|a| a.here == 0 && a.free as usize == a.slots.len()) {
            self.mark_lost(piece);
        }
    }

    /// A peer stopped delivering: its pieces are anybody's. Returns pieces on parole of which blocks are here: they
    /// begin anew, and the disk must forget them.
    pub fn disown(&mut self, who: PeerKey) -> Vec<PieceIndex> {
        let mut anew = Vec::new();
        for piece in self.active.iter().filter(|(_, a)| a.owner == Some(who)).map(|(p, _)| *p).collect::<Vec<_>>() {
            let Some(active) = self.active.get_mut(&piece) else { continue };
            if active.here as usize == active.slots.len() {
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
    pub fn arrived(&mut self, piece: PieceIndex, block: u32, from: IpAddr) -> Arrival {
        let Some(active) = self.active.get_mut(&piece) else { return Arrival::Useless };
        let Some(slot @ Slot::Asked(_)) = active.slots.get_mut(block as usize) else { return Arrival::Useless };
        let askers = if let Slot::Asked(askers) = *slot { askers } else { 1 };
        *slot = Slot::Here(from);
        active.here += 1;
        Arrival::Fresh { whole: active.here as usize == active.slots.len(), askers }
    }

    /// Who sent each block of a piece that is whole; empty when it is not being fetched.
    #[must_use]
    pub fn senders(&self, piece: PieceIndex) -> Vec<IpAddr> {
        let here = |slot: &Slot| if let Slot::Here(ip) = slot { Some(*ip) } else { None };
        self.active.get(&piece).map(|a| a.slots.iter().filter_map(here).collect()).unwrap_or_default()
    }

    // --- invariants --------------------------------------------------------------------------------

    /// Checks what must always hold, and says what does not. For tests and the simulator: it looks at everything.
    ///
    /// # Errors
    /// The first broken invariant, in words.
    pub fn check(&self) -> Result<(), String> {
        let mut unasked = 0;
        let mut lacking = 0;
        let mut listed = 0;
        for piece in self.geometry.all() {
            let blocks = u64::from(self.geometry.blocks(piece));
            match self.state[piece.at()] {
                PieceState::Have | PieceState::Ignored => {}
                PieceState::Wanted => (unasked, lacking, listed) = (unasked + blocks, lacking + 1, listed + 1),
                PieceState::Active => {
                    let Some(a) = self.active.get(&piece) else { return Err(format!("active {piece} has no record")) };
                    let free = a.slots.iter().filter(|s| **s == Slot::Free).count() as u64;
                    let here = a.slots.iter().filter(|s| matches!(s, Slot::Here(_))).count();
                    if free != u64::from(a.free) || here != a.here as usize {
                        return Err(format!("piece {piece} miscounts its blocks"));
                    }
                    if (free > 0) != self.open.get(&a.owner).is_some_and(|o| o.contains(&piece)) {
                        return Err(format!("piece {piece} with {free} free blocks is listed wrongly as open"));
                    }
                    if free > 0 && a.slots.iter().position(|s| *s == Slot::Free) < Some(a.hint as usize) {
                        return Err(format!("piece {piece} has a free block before its hint"));
                    }
                    (unasked, lacking) = (unasked + free, lacking + 1);
                }
            }
            let listed_here = self.place[piece.at()] != NOWHERE;
            if listed_here != (self.state[piece.at()] == PieceState::Wanted) {
                return Err(format!("piece {piece} is listed though {:?}", self.state[piece.at()]));
            }
            if listed_here {
                let g = self.group_of(piece);
                let start = if g == 0 { 0 } else { self.ends[g - 1] };
                if !(start..self.ends[g]).contains(&self.place[piece.at()]) {
                    return Err(format!("piece {piece} stands outside its group"));
                }
            }
            if self.have.has(piece) != (self.state[piece.at()] == PieceState::Have) {
                return Err(format!("piece {piece} is had and not had"));
            }
        }
        if (unasked, lacking, listed) != (self.unasked, self.lacking, self.order.len()) {
            return Err(format!("miscounted: {unasked} unasked {lacking} lacking, {} {}", self.unasked, self.lacking));
        }
        Ok(())
    }
}

const fn group(priority: Priority, copies: u16) -> usize {
    let class = match priority {
        Priority::High => 0,
        Priority::Normal | Priority::Skip => 1,
        Priority::Low => 2,
    };
    let copies = copies as usize;
    class * COPIES + if copies < COPIES { copies } else { COPIES - 1 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::BLOCK;
    use std::net::Ipv4Addr;

    const A: PeerKey = PeerKey(1);
    const B: PeerKey = PeerKey(2);
    const IP: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn picker(pieces: u32, blocks: u32) -> (Picker, fastrand::Rng) {
        let mut rng = fastrand::Rng::with_seed(7);
        let g = Geometry::new(u64::from(pieces * blocks * BLOCK), blocks * BLOCK);
        (Picker::new(g, &mut rng), rng)
    }

    fn pick(p: &mut Picker, rng: &mut fastrand::Rng, who: PeerKey, has: &Bitfield, n: usize) -> Vec<(PieceIndex, u32)> {
        let mut out = Vec::new();
        p.pick(who, has, true, n, rng, &mut out);
        p.check().unwrap();
        out
    }

    #[test]
    fn the_rarest_comes_first_once_there_is_something_to_trade() {
        let (mut p, mut rng) = picker(20, 2);
        for piece in 0..4 {
            p.mark_have(PieceIndex(piece));
        }
        for piece in (0..20).filter(|n| *n != 13) {
            p.add_copy(PieceIndex(piece));
        }
        let got = pick(&mut p, &mut rng, A, &Bitfield::full(20), 2);
        assert_eq!(got, [(PieceIndex(13), 0), (PieceIndex(13), 1)]);
        p.remove_copy(PieceIndex(7));
        assert_eq!(pick(&mut p, &mut rng, A, &Bitfield::full(20), 1)[0].0, PieceIndex(7));
    }

    #[test]
    fn a_peer_goes_on_with_its_own_piece_and_others_help_last() {
        let (mut p, mut rng) = picker(2, 4);
        let full = Bitfield::full(2);
        let a = pick(&mut p, &mut rng, A, &full, 1)[0].0;
        let b = pick(&mut p, &mut rng, B, &full, 1)[0].0;
        assert_ne!(a, b);
        assert!(pick(&mut p, &mut rng, A, &full, 3).iter().all(|(piece, _)| *piece == a));
        assert_eq!(pick(&mut p, &mut rng, A, &full, 9).len(), 3, "A helps with B's piece");
        assert_eq!(p.unasked(), 0);
        assert!(p.ask_again(b, 0, 2) && !p.ask_again(b, 0, 2));
        p.release(b, 0);
        p.release(b, 0);
        assert_eq!(p.unasked(), 1);
        assert!(p.disown(B).is_empty());
        p.check().unwrap();
        assert_eq!(pick(&mut p, &mut rng, A, &full, 9), [(b, 0)]);
    }

    #[test]
    fn a_piece_on_parole_has_one_sender() {
        let (mut p, mut rng) = picker(1, 4);
        let full = Bitfield::full(1);
        p.set_parole(PieceIndex(0));
        assert_eq!(pick(&mut p, &mut rng, A, &full, 2).len(), 2);
        assert!(pick(&mut p, &mut rng, B, &full, 2).is_empty());
        assert_eq!(p.arrived(PieceIndex(0), 0, IP), Arrival::Fresh { whole: false, askers: 1 });
        assert_eq!(p.disown(A), [PieceIndex(0)]);
        p.check().unwrap();
        let got = pick(&mut p, &mut rng, B, &full, 9);
        assert_eq!(got.len(), 4);
        for (piece, block) in got {
            p.arrived(piece, block, IP);
        }
        assert_eq!(p.senders(PieceIndex(0)), [IP; 4]);
        p.mark_have(PieceIndex(0));
        p.check().unwrap();
        assert_eq!(p.lacking(), 0);
    }

    #[test]
    fn skipped_pieces_are_left_alone_and_high_ones_come_first() {
        let (mut p, mut rng) = picker(10, 1);
        for piece in 0..10 {
            let priority = if piece == 4 {
                Priority::High
            } else if piece < 8 {
                Priority::Skip
            } else {
                Priority::Low
            };
            p.set_priority(PieceIndex(piece), priority);
        }
        p.check().unwrap();
        assert_eq!(p.lacking(), 3);
        let got = pick(&mut p, &mut rng, A, &Bitfield::full(10), 10);
        assert_eq!(got[0].0, PieceIndex(4));
        assert_eq!(got.len(), 3);
        p.set_priority(PieceIndex(0), Priority::Normal);
        assert_eq!(pick(&mut p, &mut rng, A, &Bitfield::full(10), 10), [(PieceIndex(0), 0)]);
    }

    #[test]
    fn in_order_means_in_order() {
        let (mut p, mut rng) = picker(6, 2);
        p.set_sequential(true);
        let got = pick(&mut p, &mut rng, A, &Bitfield::full(6), 12);
        assert!(got.is_sorted() && got.len() == 12);
    }
}
