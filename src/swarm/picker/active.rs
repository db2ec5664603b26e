//! An active piece of the picker: the state of each of its blocks.

use std::net::IpAddr;
use std::time::Instant;

use crate::swarm::event::PeerKey;

/// The sender of a block, to blame if the block is bad.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum BlockSource {
    /// The IP address of a peer, whatever its port.
    Host(IpAddr),
    /// The index of a web seed.
    Web(u16),
}

impl From<IpAddr> for BlockSource {
    fn from(ip: IpAddr) -> Self {
        BlockSource::Host(ip)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum BlockState {
    Free,
    /// In-flight requests to this many peers.
    Requested(u8),
    Received(BlockSource),
    /// Only padding: never requested.
    Padding,
}

#[derive(Debug)]
pub(super) struct PartialPiece {
    pub(super) slots: Vec<BlockState>,
    pub(super) free: u32,
    pub(super) here: u32,
    /// Number of blocks that contain data.
    pub(super) data: u32,
    /// No free block has a lower index.
    pub(super) hint: u32,
    pub(super) owner: Option<PeerKey>,
    /// On parole: only the owner may fetch it, so that a bad block can be attributed.
    pub(super) alone: bool,
    /// When the first block was requested.
    pub(super) since: Option<Instant>,
}

impl PartialPiece {
    /// Creates a piece without received or requested blocks; `blocks` says which blocks contain data.
    pub(super) fn new(blocks: impl Iterator<Item = bool>, alone: bool) -> Self {
        let slots: Vec<BlockState> =
            blocks.map(|data| if data { BlockState::Free } else { BlockState::Padding }).collect();
        let free = slots.iter().filter(|slot| **slot == BlockState::Free).count() as u32;
        PartialPiece { slots, free, here: 0, data: free, hint: 0, owner: None, alone, since: None }
    }

    /// Returns whether every block with data is received.
    pub(super) const fn is_whole(&self) -> bool {
        self.here == self.data
    }

    /// Returns whether no block is received or requested.
    pub(super) const fn is_untouched(&self) -> bool {
        self.free == self.data
    }
}
