//! Peer lookups of torrents: waiting, running and ended.

use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;
use std::time::Instant;

use crate::format::counted;
use crate::wire::message::InfoHash;

/// A peer lookup that has not started.
#[derive(Debug)]
pub(super) struct QueuedLookup {
    pub(super) info_hash: InfoHash,
    pub(super) announce: Option<u16>,
    pub(super) since: Instant,
}

/// A running peer lookup of a torrent, over all address families.
#[derive(Debug)]
pub(super) struct Job {
    /// Our port for `announce_peer` to the closest nodes; `None` to look up only.
    pub(super) announce: Option<u16>,
    pub(super) found: BTreeSet<SocketAddr>,
    pub(super) searches: u32,
    pub(super) sum: LookupSummary,
}

/// Result of a lookup.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LookupSummary {
    /// Nodes that answered.
    pub nodes: u32,
    /// Distinct peers found.
    pub peers: u32,
    /// Nodes that `announce_peer` was sent to.
    pub announced: u32,
}

impl fmt::Display for LookupSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} queried, {}", counted(self.nodes, "node"), counted(self.peers, "peer"))
    }
}

/// The lookup failed: no node answered or none is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NoNodes;
