//! A piece that is being fetched: what has become of each of its blocks.

use std::time::Instant;

use super::Giver;
use crate::swarm::torrent::PeerKey;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Slot {
    Free,
    /// Asked of this many peers.
    Asked(u8),
    /// Here, from this one.
    Here(Giver),
    /// Nothing but padding: nobody is asked for it.
    Padding,
}

#[derive(Debug)]
pub(super) struct Active {
    pub(super) slots: Vec<Slot>,
    pub(super) free: u32,
    pub(super) here: u32,
    /// Blocks that have data.
    pub(super) data: u32,
    /// No free slot stands before this one.
    pub(super) hint: u32,
    pub(super) owner: Option<PeerKey>,
    /// Only its owner may fetch it: the blame for it must be clear.
    pub(super) alone: bool,
    /// When its first block was asked for, once that is told.
    pub(super) since: Option<Instant>,
}

impl Active {
    /// A piece of which nothing is here nor asked for; `blocks` tells which of its blocks have data.
    pub(super) fn new(blocks: impl Iterator<Item = bool>, alone: bool) -> Self {
        let slots: Vec<Slot> = blocks.map(|data| if data { Slot::Free } else { Slot::Padding }).collect();
        let free = slots.iter().filter(|slot| **slot == Slot::Free).count() as u32;
        Active { slots, free, here: 0, data: free, hint: 0, owner: None, alone, since: None }
    }

    /// Whether every block that has data is here.
    pub(super) const fn is_whole(&self) -> bool {
        self.here == self.data
    }

    /// Whether no block is here nor asked for.
    pub(super) const fn is_untouched(&self) -> bool {
        self.free == self.data
    }
}
