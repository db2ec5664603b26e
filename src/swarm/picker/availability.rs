//! Index of the wanted pieces, sorted by priority and availability.
//!
//! Finds the rarest piece at once. Takes no memory for the pieces of a complete torrent without peers.
//! The groups are contiguous in one vector; a change moves a piece by swaps at the group boundaries.

use crate::swarm::view::Priority;
use crate::wire::message::PieceIndex;

/// Number of distinct availabilities; higher ones share the last group.
const COPIES: usize = 64;
const CLASSES: usize = 3;
const NOWHERE: u32 = u32::MAX;

/// Wanted pieces sorted by group: priority, then availability.
#[derive(Debug)]
pub(super) struct AvailabilityIndex {
    pieces: Vec<u32>,
    /// The position of each piece in `pieces`; empty if none is listed.
    place: Vec<u32>,
    /// End of each group in `pieces`.
    ends: [u32; CLASSES * COPIES],
    /// Empty if all pieces have normal priority.
    priority: Vec<Priority>,
    /// Empty if no piece has a copy.
    copies: Vec<u16>,
    /// Number of pieces of the torrent.
    all: usize,
}

impl AvailabilityIndex {
    /// Creates an index of all `n` pieces with normal priority and availability 0, shuffled.
    pub(super) fn new(n: u32, rng: &mut fastrand::Rng) -> Self {
        let mut pieces: Vec<u32> = (0..n).collect();
        rng.shuffle(&mut pieces);
        let mut place = vec![NOWHERE; n as usize];
        for (at, piece) in pieces.iter().enumerate() {
            place[*piece as usize] = at as u32;
        }
        let mut ends = [0; CLASSES * COPIES];
        ends[group(Priority::Normal, 0)..].fill(n);
        AvailabilityIndex { pieces, place, ends, priority: Vec::new(), copies: Vec::new(), all: n as usize }
    }

    pub(super) fn priority(&self, piece: PieceIndex) -> Priority {
        self.priority.get(piece.as_usize()).copied().unwrap_or(Priority::Normal)
    }

    pub(super) fn copies(&self, piece: PieceIndex) -> u16 {
        self.copies.get(piece.as_usize()).copied().unwrap_or(0)
    }

    pub(super) fn len(&self) -> usize {
        self.pieces.len()
    }

    pub(super) fn is_listed(&self, piece: PieceIndex) -> bool {
        self.place(piece) != NOWHERE
    }

    fn place(&self, piece: PieceIndex) -> u32 {
        self.place.get(piece.as_usize()).copied().unwrap_or(NOWHERE)
    }

    /// Returns whether any listed piece has this priority or a higher one.
    pub(super) fn has_any(&self, least: Priority) -> bool {
        self.ends[(class(least) + 1) * COPIES - 1] > 0
    }

    /// Returns the number of listed pieces with availability 0.
    pub(super) fn without_copies(&self) -> u32 {
        let first = |class: usize| class * COPIES;
        let start = |group: usize| if group == 0 { 0 } else { self.ends[group - 1] };
        (0..CLASSES).map(|class| self.ends[first(class)] - start(first(class))).sum()
    }

    /// Iterates over the listed pieces, best first.
    pub(super) fn iter(&self) -> impl Iterator<Item = PieceIndex> + '_ {
        self.pieces.iter().map(|p| PieceIndex(*p))
    }

    /// Returns a random piece of the highest priority present.
    ///
    /// Priority is set by the user and outranks rarity.
    pub(super) fn random(&self, rng: &mut fastrand::Rng) -> Option<PieceIndex> {
        let class = (0..CLASSES).find(|c| self.ends[(c + 1) * COPIES - 1] > 0)?;
        Some(PieceIndex(self.pieces[rng.u32(0..self.ends[(class + 1) * COPIES - 1]) as usize]))
    }

    fn group_of(&self, piece: PieceIndex) -> usize {
        group(self.priority(piece), self.copies(piece))
    }

    fn put(&mut self, at: u32, piece: u32) {
        self.pieces[at as usize] = piece;
        self.place[piece as usize] = at;
    }

    /// Adds a piece that is not listed.
    pub(super) fn enlist(&mut self, piece: PieceIndex) {
        let target = self.group_of(piece);
        if self.place.is_empty() {
            self.place = vec![NOWHERE; self.all];
        }
        self.pieces.push(NOWHERE);
        let mut hole = self.pieces.len() as u32 - 1;
        for g in (target + 1..self.ends.len()).rev() {
            let start = self.ends[g - 1];
            if start != hole {
                let moved = self.pieces[start as usize];
                self.put(hole, moved);
                hole = start;
            }
            self.ends[g] += 1;
        }
        self.ends[target] += 1;
        self.put(hole, piece.0);
    }

    /// Removes a piece; does nothing if it is not listed.
    pub(super) fn delist(&mut self, piece: PieceIndex) {
        let mut hole = self.place(piece);
        if hole == NOWHERE {
            return;
        }
        for g in self.group_of(piece)..self.ends.len() {
            let last = self.ends[g] - 1;
            if last != hole {
                let moved = self.pieces[last as usize];
                self.put(hole, moved);
                hole = last;
            }
            self.ends[g] -= 1;
        }
        self.pieces.pop();
        self.place[piece.as_usize()] = NOWHERE;
        if self.pieces.is_empty() {
            self.delist_all();
        }
    }

    /// Removes all pieces.
    pub(super) fn delist_all(&mut self) {
        (self.pieces, self.place) = (Vec::new(), Vec::new());
        self.ends.fill(0);
    }

    /// Sets the priority of a piece, listed or not.
    pub(super) fn set_priority(&mut self, piece: PieceIndex, priority: Priority) {
        self.change(piece, priority, self.copies(piece));
    }

    /// Sets the availability of a piece, listed or not.
    pub(super) fn set_copies(&mut self, piece: PieceIndex, copies: u16) {
        self.change(piece, self.priority(piece), copies);
    }

    fn change(&mut self, piece: PieceIndex, priority: Priority, copies: u16) {
        let moves = self.is_listed(piece) && group(priority, copies) != self.group_of(piece);
        if moves {
            self.delist(piece);
        }
        if self.priority.is_empty() && priority != Priority::Normal {
            self.priority = vec![Priority::Normal; self.all];
        }
        if self.copies.is_empty() && copies > 0 {
            self.copies = vec![0; self.all];
        }
        if let Some(slot) = self.priority.get_mut(piece.as_usize()) {
            *slot = priority;
        }
        if let Some(slot) = self.copies.get_mut(piece.as_usize()) {
            *slot = copies;
        }
        if moves {
            self.enlist(piece);
        }
    }

    /// Checks the position of a piece; describes the violated invariant.
    pub(super) fn check(&self, piece: PieceIndex) -> Result<(), String> {
        let group = self.group_of(piece);
        let start = if group == 0 { 0 } else { self.ends[group - 1] };
        match self.place(piece) {
            NOWHERE => Ok(()),
            at if !(start..self.ends[group]).contains(&at) => Err(format!("piece {piece} stands outside its group")),
            at if self.pieces[at as usize] != piece.0 => Err(format!("piece {piece} is not where it should be")),
            _ => Ok(()),
        }
    }
}

const fn class(priority: Priority) -> usize {
    match priority {
        Priority::High => 0,
        Priority::Normal | Priority::Skip => 1,
        Priority::Low => 2,
    }
}

const fn group(priority: Priority, copies: u16) -> usize {
    let copies = copies as usize;
    class(priority) * COPIES + if copies < COPIES { copies } else { COPIES - 1 }
}
